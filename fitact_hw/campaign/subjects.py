"""What a campaign strikes: a network of each scheme, compiled for one image, with its images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fitact_hw.campaign.plan import CampaignOptions
from fitact_hw.compiler import compile_network
from fitact_hw.injection.case import Case
from fitact_hw.networks import load_images, load_networks
from fitact_hw.program import Program
from golden.qnetwork import QNetwork

KEPT_BYTES = 512 << 20
"""Subjects that a process keeps together: all of a small network, one of a large one."""


@dataclass(frozen=True, eq=False)
class Subject:
    """One scheme's network, compiled for one image, with the images: int64 (B, C, H, W), quantised."""

    network: QNetwork
    program: Program
    images: np.ndarray

    def case(self, image: int) -> Case:
        """One of the images."""
        return Case(self.network, self.program, self.images[image : image + 1])

    @cached_property
    def identity(self) -> tuple[str, str]:
        """Fingerprints of program and images."""
        return self.program.fingerprint, hashlib.sha256(self.images.tobytes()).hexdigest()[:16]

    @cached_property
    def size_bytes(self) -> int:
        """Memory that its arrays take, about."""
        tensors = (layer.weight for layer in self.network.layers)
        weights = sum(np.asarray(tensor).nbytes for tensor in tensors if tensor is not None)
        return weights + self.program.memory.nbytes + self.images.nbytes


Loader = Callable[[CampaignOptions, str], Subject]
"""Makes the subject of a scheme. Workers of other computers import it by its name."""


def load_subject(options: CampaignOptions, scheme: str) -> Subject:
    """The subject of one scheme. Raises GoldenError for unknown names, FitActError for too few images."""
    from golden.quantisation.quantise import quantise_images

    pictures = load_images(options.model, options.images).data.network_input()
    network = load_networks(options.model, options.config, (scheme,))[scheme]
    # where each parameter lies is of no use here, and as large as the weights
    program = replace(compile_network(network, options.config, 1), parameters=())
    return Subject(network, program, quantise_images(network, pictures))


class Subjects(Mapping[str, Subject]):
    """Scheme -> subject, made when it is asked for; kept while all that are kept take at most KEPT_BYTES."""

    def __init__(self, options: CampaignOptions, load: Loader = load_subject) -> None:
        self._options, self._load = options, load
        self._kept: dict[str, Subject] = {}

    def __getitem__(self, scheme: str) -> Subject:
        if scheme not in self._options.schemes:
            raise KeyError(scheme)
        if scheme not in self._kept:
            sizes = [subject.size_bytes for subject in self._kept.values()]
            if sizes and sum(sizes) + max(sizes) > KEPT_BYTES:
                self._kept.clear()  # before the next is made
            self._kept[scheme] = self._load(self._options, scheme)
        return self._kept[scheme]

    def __iter__(self) -> Iterator[str]:
        return iter(self._options.schemes)

    def __len__(self) -> int:
        return len(self._options.schemes)
