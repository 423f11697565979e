"""What a campaign is: its options, its faults, and what makes two campaigns the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fitact_hw.campaign.latest import Latest
from fitact_hw.campaign.store import ROWS, CampaignError
from fitact_hw.compiler import compile_network
from fitact_hw.config import AcceleratorConfig
from fitact_hw.faults import FaultEvent, Shape, Storage, sample
from fitact_hw.injection.case import Case
from fitact_hw.injection.timeline import Timeline, moved
from fitact_hw.networks import SCHEMES, load_images, load_networks
from fitact_hw.program import Program
from fitact_hw.reporting.command import command_line
from fitact_hw.reporting.statistics import sample_size
from fitact_hw.sites import list_sites, select
from golden.qnetwork import QNetwork

if TYPE_CHECKING:  # heavy, and a report needs none of it
    from fitact_hw.injection.facts import Facts

CHUNK = 500
"""Injections of one task: enough that the fault-free run of a task does not weigh, few enough to lose."""


@dataclass(frozen=True)
class CampaignOptions:
    """Everything that determines the results of a campaign; ``structures`` empty: every structure of the machine.

    ``faults``: injections per scheme, spread evenly over the structures; more of them continue the same list.
    """

    model: str = "alexnet"
    config: AcceleratorConfig = field(default_factory=AcceleratorConfig.create)
    schemes: tuple[str, ...] = SCHEMES
    structures: tuple[str, ...] = ()
    faults: int = 1000
    images: int = 4
    seed: int = 1
    shape: Shape = Shape.SINGLE

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        values = {name: getattr(self, name) for name in ("model", "faults", "images", "seed")}
        lists = {"schemes": list(self.schemes), "structures": list(self.structures)}
        return {**values, **lists, "shape": self.shape.value, "config": self.config.model_dump(mode="json")}

    @staticmethod
    def from_json(value: dict[str, Any]) -> CampaignOptions:
        """Inverse of :meth:`to_json`."""
        return CampaignOptions(
            **{name: value[name] for name in ("model", "faults", "images", "seed")},
            schemes=tuple(value["schemes"]),
            structures=tuple(value["structures"]),
            shape=Shape(value["shape"]),
            config=AcceleratorConfig.create(**value["config"]),
        )


@dataclass(frozen=True, eq=False)
class Subject:
    """One scheme's network, compiled for one image, with the images: int64 (B, C, H, W), quantised."""

    network: QNetwork
    program: Program
    images: np.ndarray

    def case(self, image: int) -> Case:
        """One of the images."""
        return Case(self.network, self.program, self.images[image : image + 1])


def load_subject(options: CampaignOptions, scheme: str) -> Subject:
    """The subject of one scheme. Raises GoldenError for unknown names, CampaignError for too few images."""
    from golden.quantisation.quantise import quantise_images

    pictures, _, _ = load_images(options.images)
    if len(pictures) < options.images:
        raise CampaignError(f"only {len(pictures)} images are at hand: use --images {len(pictures)} or fewer")
    network = load_networks(options.model, options.config, (scheme,))[scheme]
    # where each parameter lies is of no use here, and as large as the weights
    program = replace(compile_network(network, options.config, 1), parameters=())
    return Subject(network, program, quantise_images(network, pictures))


class _Subjects(Mapping[str, Subject]):
    """Loads when it is asked, and keeps only the last one: a large network has large tensors."""

    def __init__(self, options: CampaignOptions) -> None:
        self._options = options
        self._subject = Latest(partial(load_subject, options))

    def __getitem__(self, scheme: str) -> Subject:
        if scheme not in self._options.schemes:
            raise KeyError(scheme)
        return self._subject(scheme)

    def __iter__(self) -> Iterator[str]:
        return iter(self._options.schemes)

    def __len__(self) -> int:
        return len(self._options.schemes)


def load_subjects(options: CampaignOptions) -> Mapping[str, Subject]:
    """Scheme -> subject, one at a time in memory. Access raises what :func:`load_subject` does."""
    return _Subjects(options)


def structure_storages(options: CampaignOptions) -> dict[str, Sequence[Storage]]:
    """Structure -> its storages. Raises GeneratorError for a structure that this machine does not have."""
    sites = list_sites(options.config)
    names = options.structures or tuple(dict.fromkeys(site.structure for site in sites))
    return {name: select(sites, [name]) for name in names}


def without_injection(options: CampaignOptions) -> tuple[str, ...]:
    """Structures that ``options.faults`` injections do not reach: they are spread in turn."""
    return tuple(structure_storages(options))[options.faults :]


def structure_bits(options: CampaignOptions) -> dict[str, int]:
    """Structure -> storage bits: the weights of a stratified estimate."""
    return {name: sum(s.width * s.depth for s in group) for name, group in structure_storages(options).items()}


def faults_for_margin(options: CampaignOptions, cycles: int, margin: float, confidence: float) -> int:
    """Injections per scheme so that every structure's probabilities have this margin of error.

    All structures get as many as the largest of them needs, because injections are spread evenly.
    """
    sizes = [sample_size(bits * cycles, margin, confidence) for bits in structure_bits(options).values()]
    return max(sizes) * len(sizes)


def image_of(number: int, structures: int, images: int) -> int:
    """The image that injection ``number`` strikes: every structure meets every image equally often."""
    return number // structures % images


def command_of(options: CampaignOptions) -> str:
    """The command line that runs the same campaign; without paths. ``machine.toml`` stands for what has no option."""
    default, machine = CampaignOptions(), options.config
    plain = AcceleratorConfig.create(rows=machine.rows, cols=machine.cols, word_bits=machine.word_bits)
    usual: dict[str, Any] = {"shape": default.shape, "schemes": default.schemes}
    usual |= {"rows": default.config.rows, "cols": default.config.cols, "word": default.config.word_bits}
    given = {name: getattr(options, name) for name in ("faults", "images", "seed", "shape", "schemes", "structures")}
    given |= {"rows": machine.rows, "cols": machine.cols, "word": machine.word_bits}
    given["config"] = None if machine == plain else "machine.toml"
    return command_line("campaign", "run", options.model, options=given, usual=usual)


def timing(scheme: str, facts: Facts) -> Timeline:
    """What the pairing of schemes needs of a fault-free run: when its layers end."""
    ends = facts.memory.ends
    return Timeline(scheme, tuple(ends), np.array(list(ends.values()), np.int64), facts.cycles)


def draw_faults(options: CampaignOptions, cycles: int) -> list[FaultEvent]:
    """The upsets of a run of ``cycles``."""
    return sample(structure_storages(options), options.faults, cycles, options.seed, shape=options.shape)


def draw_events(options: CampaignOptions, references: Sequence[Timeline]) -> dict[str, list[FaultEvent]]:
    """Scheme -> its events: the same bits, at the same moments of the same layers, for every scheme."""
    base = references[0]
    events = draw_faults(options, base.cycles)
    return {target.scheme: [moved(event, base, target) for event in events] for target in references}


def identity(options: CampaignOptions, subjects: Mapping[str, Subject], machine: str) -> dict[str, Any]:
    """What must be equal for two runs to belong to one campaign; ``machine``: fingerprint of RTL, engine and tools.

    The number of faults may grow, therefore it is not part of it.
    """
    values = options.to_json()
    del values["faults"]
    programs, pictures = {}, {}
    for scheme in subjects:  # not items(), which would hold one while the next is loaded
        programs[scheme] = subjects[scheme].program.fingerprint
        pictures[scheme] = hashlib.sha256(subjects[scheme].images.tobytes()).hexdigest()[:16]
    return {**values, "programs": programs, "pictures": pictures, "machine": machine, "tables": ROWS}
