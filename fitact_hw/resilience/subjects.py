"""What an experiment over fault maps runs: its settings, and the networks that it compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from golden.bounds.granularity import GROUPED, SHARED, Granularity
from golden.bounds.own import check_unchanged
from golden.bounds.schemes import DEFAULT, ParameterCheck, find_protection
from golden.bounds.stored import LEARNED, BoundFormat, StoredBounds, regroup, stored_in_groups, variant_name
from golden.data.dataset import DataSet
from golden.errors import GoldenError
from golden.networks.artefacts import WEIGHTS_FOLDER
from golden.networks.registry import check_grouped, learned_granularity
from golden.qnetwork import QNetwork
from golden.quantisation.quantise import check_word, quantise_images
from golden.subjects.find import open_subject
from golden.subjects.names import check_subject, compared_schemes

RATES = {
    8: (1e-5, 1e-4, 1e-3),
    16: (1e-6, 1e-5, 1e-4),
    32: (1e-7, 3e-7, 1e-6, 3e-6, 1e-5, 3e-5),
}
"""Default bit error rates by word width."""

FAULTY, PROTECTED = "faulty", "protected"
"""Where the bounds lie."""


@dataclass(frozen=True)
class Settings:
    """What an experiment runs. ``rates`` apply to every word width if given, else the defaults of each;
    ``memories``: bounds in faulty memory, in protected memory, or both. ``weights``: folder of weights and bounds,
    the committed ones if empty."""

    model: str
    schemes: tuple[str, ...] = ()
    words: tuple[int, ...] = (32,)
    rates: tuple[float, ...] = ()
    maps: int = 20
    images: int = 1000
    seed: int = 1
    memories: tuple[str, ...] = (FAULTY,)
    weights: str = ""

    def __post_init__(self) -> None:
        if self.maps < 1 or self.images < 1 or self.seed < 0:
            raise GoldenError(
                f"maps {self.maps} and images {self.images} must be positive, seed {self.seed} not negative"
            )
        if any(not 0 < rate < 1 for rate in self.rates):
            raise GoldenError(f"bit error rates {self.rates} must lie between 0 and 1")
        unknown = [memory for memory in self.memories if memory not in (FAULTY, PROTECTED)]
        if unknown or not self.memories:
            raise GoldenError(f"bounds memory {unknown or '()'} must be {FAULTY} or {PROTECTED}")
        for word_bits in self.words:
            check_word(word_bits)
        for scheme in self.schemes:
            find_protection(scheme)

    @property
    def folder(self) -> Path:
        """Where the weights and bounds are."""
        return Path(self.weights) if self.weights else WEIGHTS_FOLDER

    def rates_for(self, word_bits: int) -> tuple[float, ...]:
        """Ascending rates of a word width."""
        return tuple(sorted(set(self.rates or RATES[word_bits])))


def _words(qnet: QNetwork, images: DataSet) -> np.ndarray:
    return quantise_images(qnet, images.network_input())


@dataclass(frozen=True)
class Subject:
    """One network of an experiment; ``load`` gives it and, unless they are full words, its stored bounds.

    ``words`` turns images into its input. Both must be picklable, since
    worker processes call them. ``check``: what its parameters pass on their way out of the memory.
    """

    scheme: str
    word_bits: int
    memory: str
    load: Callable[[], tuple[QNetwork, dict[str, StoredBounds] | None]]
    words: Callable[[QNetwork, DataSet], np.ndarray] = _words
    check: ParameterCheck | None = None

    @property
    def key(self) -> tuple[str, int, str]:
        """What distinguishes it from the other networks of an experiment."""
        return self.scheme, self.word_bits, self.memory

    @property
    def name(self) -> str:
        """Scheme and word width, as the store binds networks."""
        return f"{self.scheme} {self.word_bits} bits"


def _load(settings: Settings, scheme: str, word_bits: int) -> tuple[QNetwork, dict[str, StoredBounds] | None]:
    subject = open_subject(settings.model, settings.folder)
    network = subject.qnetwork(scheme, word_bits)
    granularity = subject.declared(scheme).hardware
    return network, stored_in_groups(network, granularity) if granularity in GROUPED else None


def _load_grouped(
    settings: Settings, source: str, word_bits: int, granularity: Granularity, saturate: bool, form: BoundFormat
) -> tuple[QNetwork, dict[str, StoredBounds]]:
    network = open_subject(settings.model, settings.folder).qnetwork(source, word_bits)
    return regroup(network, granularity, saturate, form)


def scheme_subjects(settings: Settings) -> list[Subject]:
    """Every protection scheme (all with stored bounds, if none is named) at every word width.

    A scheme without bounds has none to protect and appears once. Raises GoldenError for an unknown model.
    """
    check_subject(settings.model)
    subjects = []
    for word_bits in settings.words:
        for scheme in settings.schemes or compared_schemes(settings.model, settings.folder):
            of, check = find_protection(scheme)
            check_unchanged([of.name])
            bounded = of.mode is not None
            for memory in settings.memories if bounded else settings.memories[:1]:
                load = partial(_load, settings, of.name, word_bits)
                subjects.append(Subject(scheme, word_bits, memory if bounded else FAULTY, load, check=check))
    return subjects


def granularity_subjects(settings: Settings, source: str = DEFAULT.name, learned: Sequence[Path] = ()) -> list[Subject]:
    """Layer, channel, patch and neuron bounds x clip and saturate x words and 4-bit codes.

    The bounds are maxima over groups of ``source``'s, which must be per neuron. ``learned``: folders of bounds that
    `post-train --granularity` learned for the groups themselves; they clip and are stored as words. Raises GoldenError
    for other sources, for an unknown model and for folders without such bounds.
    """
    check_subject(settings.model)
    check_grouped(source)
    own = {learned_granularity(settings.model, source, folder): folder for folder in learned}
    if len(own) < len(learned):
        raise GoldenError("two folders have bounds learned for the same groups: name one of each granularity")
    variants = [
        (
            variant_name(granularity, saturate, form.value),
            settings,
            granularity,
            saturate,
            form,
        )
        for granularity in SHARED
        for saturate in (False, True)
        for form in BoundFormat
    ]
    for granularity, folder in own.items():
        elsewhere = replace(settings, weights=str(folder))
        variants.append((variant_name(granularity, False, LEARNED), elsewhere, granularity, False, BoundFormat.WORD))
    subjects = []
    for word_bits in settings.words:
        for name, of, granularity, saturate, form in variants:
            load = partial(_load_grouped, of, source, word_bits, granularity, saturate, form)
            subjects += [Subject(name, word_bits, memory, load) for memory in settings.memories]
    return subjects
