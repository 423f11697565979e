"""Experiments over fault maps: the same maps and images for every network, resumable at any moment."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from golden.data import Images, find_packs, load_images, sample_images
from golden.errors import GoldenError
from golden.qnetwork import QNetwork
from golden.quantise import check_word, quantise_images
from golden.resilience.bounds import Format, Granularity, StoredBounds, regroup
from golden.resilience.evaluator import Evaluator
from golden.resilience.faults import Memory, bound_segments, corrupt, draw, stored_bounds
from golden.resilience.store import ResultStore, Row, open_store
from golden.schemes import find_scheme
from golden.zoo import load_qnetwork, stored_schemes

RATES = {
    8: (1e-5, 1e-4, 1e-3),
    16: (1e-6, 1e-5, 1e-4),
    32: (1e-7, 3e-7, 1e-6, 3e-6, 1e-5, 3e-5),
}
"""Default bit error rates by word width."""

FAULTY, PROTECTED = "faulty", "protected"
"""Where the bounds lie."""

_GROUP_SECONDS = 60.0
"""Work between two commits: what a killed process loses at most, after a first small group."""


@dataclass(frozen=True)
class Settings:
    """What an experiment runs. ``rates`` apply to every word width if given, else the defaults of each;
    ``memories``: bounds in faulty memory, in protected memory, or both."""

    model: str
    schemes: tuple[str, ...] = ()
    words: tuple[int, ...] = (32,)
    rates: tuple[float, ...] = ()
    maps: int = 20
    images: int = 1000
    seed: int = 1
    memories: tuple[str, ...] = (FAULTY,)

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
            find_scheme(scheme)

    def rates_for(self, word_bits: int) -> tuple[float, ...]:
        """Ascending rates of a word width."""
        return tuple(sorted(set(self.rates or RATES[word_bits])))


@dataclass(frozen=True)
class Subject:
    """One network of an experiment; ``load`` gives it and, unless they are full words, its stored bounds."""

    scheme: str
    word_bits: int
    memory: str
    load: Callable[[], tuple[QNetwork, dict[str, StoredBounds] | None]]


def scheme_subjects(settings: Settings) -> list[Subject]:
    """Every protection scheme (all with stored bounds, if none is named) at every word width.

    A scheme without bounds has none to protect and appears once.
    """
    subjects = []
    for word_bits in settings.words:
        for scheme in settings.schemes or stored_schemes(settings.model):
            bounded = find_scheme(scheme).mode is not None
            for memory in settings.memories if bounded else settings.memories[:1]:

                def load(scheme: str = scheme, word: int = word_bits) -> tuple[QNetwork, None]:
                    return load_qnetwork(settings.model, scheme, word), None

                subjects.append(Subject(scheme, word_bits, memory if bounded else FAULTY, load))
    return subjects


def granularity_subjects(settings: Settings, source: str = "fitact") -> list[Subject]:
    """Layer, channel, patch and neuron bounds x clip and saturate x words and 4-bit codes.

    The bounds are maxima over groups of ``source``'s, which must be per neuron.
    """
    if find_scheme(source).granularity != "neuron":
        raise GoldenError(f"scheme {source} has no neuron bounds to group: choose another source")
    subjects = []
    for word_bits in settings.words:
        for granularity in Granularity:
            for saturate in (False, True):
                for form in Format:
                    name = f"{granularity.value}-{'saturate' if saturate else 'clip'}-{form.value}"

                    def load(
                        word: int = word_bits,
                        g: Granularity = granularity,
                        s: bool = saturate,
                        f: Format = form,
                    ) -> tuple[QNetwork, dict[str, StoredBounds]]:
                        return regroup(load_qnetwork(settings.model, source, word), g, s, f)

                    subjects += [Subject(name, word_bits, memory, load) for memory in settings.memories]
    return subjects


def evaluation_images(count: int, console: Console) -> tuple[Images, str]:
    """The first ``count`` CIFAR-10 test images, or (with a note) the 20 samples if there is no data set."""
    try:
        images = load_images(False) if find_packs() else load_images(False, None, "build/data")
    except GoldenError as error:
        if find_packs():
            raise
        images = sample_images()
        console.print(
            f"[yellow]note:[/] {error}; the {len(images)} sample images are used instead, "
            "too few for accuracies: set FITACT_CIFAR10"
        )
        return images.part(0, min(count, len(images))), "20 sample images (first official test images)"
    if count > len(images):
        raise GoldenError(f"{count} images asked for, the test set has {len(images)}")
    return images.part(0, count), f"CIFAR-10 test set, first {count} images"


def fingerprint(qnet: QNetwork, stored: Mapping[str, StoredBounds] | None) -> str:
    """Short hash of everything that decides a network's results."""
    digest = hashlib.sha256(f"{qnet.word_bits} {qnet.acc_bits} {qnet.input_frac}".encode())
    for layer in qnet.layers:
        shape = (layer.kind, layer.kernel, layer.stride, layer.padding, layer.activation, layer.source)
        digest.update(
            repr((layer.name, shape, layer.residual and (layer.residual.source, layer.residual.lshift))).encode()
        )
        for array in (layer.weight, layer.bias, layer.shift, layer.bound):
            digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    for name, bounds in (stored or {}).items():
        digest.update(f"{name} {bounds.bits} {bounds.base}".encode() + bounds.raw.tobytes())
    return digest.hexdigest()[:16]


def run(
    settings: Settings,
    subjects: Sequence[Subject],
    folder: Path,
    console: Console,
    images: tuple[Images, str] | None = None,
) -> list[Row]:
    """Run what is missing in ``folder`` and return the rows of these settings.

    Raises GoldenError if the folder holds results of other settings, weights, bounds or images.
    """
    chosen, source = images or evaluation_images(settings.images, console)
    picture = hashlib.sha256(chosen.images.tobytes() + chosen.labels.tobytes()).hexdigest()[:16]
    with open_store(folder) as store:
        common = {
            "model": settings.model,
            "seed": settings.seed,
            "images": len(chosen),
            "image_hash": picture,
        }
        store.claim("study", {**common, "image_source": source})
        wanted = {
            (s.scheme, s.word_bits, s.memory, rate, index)
            for s in subjects
            for rate, index in [(0.0, 0), *_jobs(settings, s.word_bits)]
        }
        missing = wanted - store.keys()
        with _progress(console) as progress:
            task = progress.add_task("fault maps", total=len(missing) * len(chosen))
            for subject in subjects:
                progress.update(task, description=f"{settings.model} {subject.scheme} {subject.word_bits} bits")
                jobs = [job for job in _jobs(settings, subject.word_bits) if (*_head(subject), *job) in missing]
                clean_missing = (*_head(subject), 0.0, 0) in missing
                if jobs or clean_missing:
                    done = partial(progress.advance, task)
                    _run_subject(settings, subject, jobs, clean_missing, chosen, store, done)
        return [row for row in store.rows() if (row.scheme, row.word_bits, row.memory, row.rate, row.map) in wanted]


def _head(subject: Subject) -> tuple[str, int, str]:
    return subject.scheme, subject.word_bits, subject.memory


def _jobs(settings: Settings, word_bits: int) -> list[tuple[float, int]]:
    """Maps outermost: a run that is stopped early has all rates alike."""
    return [(rate, index) for index in range(settings.maps) for rate in settings.rates_for(word_bits)]


def _run_subject(
    settings: Settings,
    subject: Subject,
    jobs: list[tuple[float, int]],
    clean_missing: bool,
    images: Images,
    store: ResultStore,
    done: Callable[[float], object],
) -> None:
    qnet, stored = subject.load()
    store.claim(f"{subject.scheme} {subject.word_bits} bits", {"network": fingerprint(qnet, stored)})
    bound_bits = sum(s.size for s in bound_segments(stored_bounds(qnet) if stored is None else stored))
    row = Row(*_head(subject), 0.0, 0, len(images), 0, 0, 0, 0, -(-bound_bits // 8))
    memory = Memory(bounds=subject.memory == FAULTY)
    evaluator, words = Evaluator(qnet), quantise_images(qnet, images.images)
    size = 2
    while jobs or clean_missing:
        group, jobs = jobs[:size], jobs[size:]
        maps = [draw(qnet, rate, settings.seed, index, memory, stored) for rate, index in group]
        # one corrupted network at a time: only its changes are kept
        patches = [evaluator.patch(corrupt(qnet, faults, stored)) for faults in maps]
        start = time.monotonic()
        # the fault-free run counts only where it is wanted
        share = 1.0 if clean_missing else len(group) / (1 + len(group))
        correct = evaluator.correct(words, images.labels, patches, partial(_advance, done, share))
        seconds = time.monotonic() - start
        rows = [
            replace(
                row,
                rate=faults.rate,
                map=faults.index,
                correct=int(hits),
                weight_flips=faults.count("weight"),
                bias_flips=faults.count("bias", "shift"),
                bound_flips=faults.count("bound"),
            )
            for faults, hits in zip(maps, correct[1:], strict=True)
        ]
        if clean_missing:
            rows.append(replace(row, correct=int(correct[0])))
        store.add(rows)
        clean_missing = False
        size = int(np.clip(_GROUP_SECONDS / (seconds / (1 + len(group))), 2, 64))


def _advance(done: Callable[[float], object], share: float, count: int) -> None:
    done(count * share)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("image evaluations"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(elapsed_when_finished=False),
        console=console,
    )
