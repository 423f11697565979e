"""Experiments over fault maps: the same maps and images for every network, resumable at any moment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from rich.console import Console

from golden.data import Images, find_packs, load_images, sample_images
from golden.errors import GoldenError
from golden.progress import progress
from golden.resilience.pool import HERE, Processes, run_groups
from golden.resilience.store import Key, ResultStore, Row, open_store
from golden.resilience.subjects import Settings, Subject
from golden.resilience.work import CLEAN, Group, Job


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
        return images.part(0, min(count, len(images))), "sample images (first official test images)"
    if count > len(images):
        raise GoldenError(f"{count} images asked for, the test set has {len(images)}")
    return images.part(0, count), "CIFAR-10 test set"


def run(
    settings: Settings,
    subjects: Sequence[Subject],
    folder: Path,
    console: Console,
    images: tuple[Images, str] | None = None,
    processes: Processes = HERE,
) -> list[Row]:
    """Run what is missing in ``folder`` and return the rows of these settings.

    More rates, maps or images than last time go on from there: only what is new is evaluated. Raises
    GoldenError if the folder holds results of another model, seed, network, set of images or of more images.
    """
    chosen, source = images or evaluation_images(settings.images, console)
    with open_store(folder) as store:
        store.claim("study", {"model": settings.model, "seed": settings.seed, "image_source": source})
        kept = {row.key: row for row in store.rows()}
        _claim_images(store, chosen, {len(chosen), *(row.images for row in kept.values())})
        groups = [group for subject in subjects for group in _missing(settings, subject, kept, len(chosen))]
        with progress(console, "image evaluations") as bar:
            total = sum(len(group.jobs) * (len(chosen) - group.first) for group in groups)
            task = bar.add_task("fault maps", total=total)
            tick = partial(bar.advance, task)
            with closing(run_groups(groups, processes, settings.seed, chosen, tick)) as outcomes:
                for outcome in outcomes:
                    subject = outcome.group.subject
                    bar.update(task, description=f"{settings.model} {subject.name}")
                    store.claim(subject.name, {"network": outcome.network})
                    store.add(kept[row.key].plus(row) if row.key in kept else row for row in outcome.rows)
        wanted = {key for subject in subjects for key in _keys(settings, subject)}
        return [row for row in store.rows() if row.key in wanted]


def _claim_images(store: ResultStore, chosen: Images, counts: Iterable[int]) -> None:
    for count in sorted(counts):
        if count > len(chosen):
            raise GoldenError(
                f"{store.path} holds results of {count} images, more than {len(chosen)}: say --images {count} "
                "or choose another folder"
            )
        part = chosen.part(0, count)
        digest = hashlib.sha256(part.images.tobytes() + part.labels.tobytes()).hexdigest()[:16]
        store.claim(f"first {count} images", {"image_hash": digest})


def _keys(settings: Settings, subject: Subject) -> dict[Key, Job]:
    """Maps outermost: a run that is stopped early has all rates alike."""
    rates = settings.rates_for(subject.word_bits)
    jobs = [CLEAN, *((rate, index) for index in range(settings.maps) for rate in rates)]
    return {(*subject.key, *job): job for job in jobs}


def _missing(settings: Settings, subject: Subject, kept: Mapping[Key, Row], images: int) -> list[Group]:
    """The jobs of a subject that lack images, by the first one that they lack."""
    jobs: dict[int, list[Job]] = {}
    for key, job in _keys(settings, subject).items():
        done = kept[key].images if key in kept else 0
        if done < images:
            jobs.setdefault(done, []).append(job)
    return [Group(subject, tuple(part), first) for first, part in jobs.items()]
