"""Experiments over fault maps: the same maps and images for every network, resumable at any moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from fitact_hw.reporting.provenance import Run, of_weights
from fitact_hw.resilience.pool import HERE, Processes, run_groups
from fitact_hw.resilience.store import Key, ResultStore, Row, open_store
from fitact_hw.resilience.subjects import Settings, Subject
from fitact_hw.resilience.work import CLEAN, Group, Job, fingerprint
from golden.data.dataset import DataSet
from golden.subjects.find import open_subject
from golden.subjects.names import short_name
from golden.support.progress import progress, working

_SLAB_IMAGES = 100
"""All networks see so many images before any sees more: a run that is stopped early has all alike, and in a minute a
worker finishes many maps, which share one fault-free run."""


def evaluation_images(model: str, count: int, console: Console) -> tuple[DataSet, str]:
    """The first ``count`` test images of a subject, or all if there are fewer, and what they are; a note of them is
    printed."""
    found = open_subject(model).study_samples(count)
    if found.note:
        console.print(f"[yellow]note:[/] {escape(found.note)}", soft_wrap=True)
    right = "" if found.labelled else ", right if in the class of the float network"
    return found.data, f"{found.source}{right}"


def run(
    settings: Settings,
    subjects: Sequence[Subject],
    folder: Path,
    console: Console,
    images: tuple[DataSet, str] | None = None,
    processes: Processes = HERE,
) -> list[Row]:
    """Run what is missing in ``folder`` and return the rows of these settings.

    More rates, maps or images than last time go on from there: only what is new is evaluated. Raises
    GoldenError if the folder holds results of another model, seed, network or set of images.
    """
    chosen, source = images or evaluation_images(settings.model, settings.images, console)
    with open_store(folder) as store:
        store.claim("study", {"model": settings.model, "seed": settings.seed, "image_source": source})
        kept = store.rows()
        _claim_images(store, chosen, {*_stops(len(chosen)), *(row.images for row in kept)})
        groups = _missing(settings, subjects, kept, len(chosen))
        working = {group.subject.name for group in groups}
        _claim_networks(store, [s for s in subjects if s.name not in working], console)
        extended = ExtendedRows(store, kept)
        began = Run(settings.seed)
        weights, pictures = of_weights(settings.model, settings.folder), chosen.digest
        with progress(console, "image evaluations") as bar:
            task = bar.add_task("fault maps", total=sum(group.evaluations for group in groups))
            tick = partial(bar.advance, task)
            with closing(run_groups(groups, processes, settings.seed, chosen, tick)) as outcomes:
                for outcome in outcomes:
                    subject = outcome.group.subject
                    bar.update(task, description=f"{short_name(settings.model)} {subject.name}")
                    _claim_network(store, subject, outcome.network)
                    extended.add(outcome.group.first, outcome.rows)
                    store.note_run(began.record(weights=weights, images=pictures))
        wanted = {key for subject in subjects for key in _keys(settings, subject)}
        return [row for row in store.rows() if row.images == len(chosen) and row.key in wanted]


def _claim_networks(store: ResultStore, subjects: Sequence[Subject], console: Console) -> None:
    """Those of which nothing is to do: their rows must not be of other weights or bounds than are there now."""
    with working(console, "checking that the networks are the same as before"):
        for subject in {subject.name: subject for subject in subjects}.values():
            _claim_network(store, subject, fingerprint(*subject.load()))


def _claim_network(store: ResultStore, subject: Subject, network: str) -> None:
    store.claim(subject.name, {"network": network})


def _claim_images(store: ResultStore, chosen: DataSet, counts: Iterable[int]) -> None:
    for count in sorted(count for count in counts if count <= len(chosen)):
        store.claim(f"first {count} images", {"image_hash": chosen.part(0, count).digest})


def _keys(settings: Settings, subject: Subject) -> dict[Key, Job]:
    """Maps outermost: a run that is stopped early has all rates alike."""
    rates = settings.rates_for(subject.word_bits)
    jobs = [CLEAN, *((rate, index) for index in range(settings.maps) for rate in rates)]
    return {(*subject.key, *job): job for job in jobs}


class ExtendedRows:
    """Extends the rows of a store slab by slab, although a later slab may be finished before an earlier one."""

    def __init__(self, store: ResultStore, kept: Iterable[Row]) -> None:
        self._store = store
        self._kept = {(row.key, row.images): row for row in kept}
        self._waiting: list[tuple[int, Row]] = []

    def add(self, first: int, rows: Iterable[Row]) -> None:
        """Store rows of the images from ``first`` on, and what waited for them; the others wait."""
        self._waiting += [(first, row) for row in rows]
        while ready := [part for part in self._waiting if not part[0] or (part[1].key, part[0]) in self._kept]:
            whole = [self._kept[row.key, start].plus(row) if start else row for start, row in ready]
            self._store.add(whole)
            self._kept.update(((row.key, row.images), row) for row in whole)
            self._waiting = [part for part in self._waiting if part not in ready]


def _stops(images: int) -> list[int]:
    """Where the slabs of the images end."""
    return [*range(_SLAB_IMAGES, images, _SLAB_IMAGES), images]


def _missing(settings: Settings, subjects: Sequence[Subject], kept: Iterable[Row], images: int) -> list[Group]:
    """The jobs that lack images, slab after slab, for each subject by the first image that they lack."""
    done: dict[Key, int] = {}
    for row in kept:
        if row.images <= images:
            done[row.key] = max(row.images, done.get(row.key, 0))
    groups: list[Group] = []
    for stop in _stops(images):
        for subject in subjects:
            jobs: dict[int, list[Job]] = {}
            for key, job in _keys(settings, subject).items():
                first = done.get(key, 0)
                if first < stop:
                    jobs.setdefault(first, []).append(job)
                    done[key] = stop
            groups += [Group(subject, tuple(part), first, stop) for first, part in jobs.items()]
    return groups
