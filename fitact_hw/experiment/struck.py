"""The upsets of `fitact sim`: every one through the native engine, a sample of them again through cocotb."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from fitact_hw.campaign.engine import Times, Verdict
from fitact_hw.campaign.exactness import difference, plain_job
from fitact_hw.campaign.live import print_times
from fitact_hw.campaign.plan import CampaignOptions, Subject, timing
from fitact_hw.campaign.work import Task, begin_worker, judge_task, process_engine, process_subject
from fitact_hw.errors import FitActError
from fitact_hw.experiment import upsets
from fitact_hw.experiment.progress import bar
from fitact_hw.experiment.store import ROWS, RowWriter
from fitact_hw.experiment.timeline import Timeline
from fitact_hw.faults import FaultEvent
from golden import reference
from sim.bench import Progress, Simulator
from sim.engine.access import AccessTrace
from sim.job import Job

BASE = "fitact"
"""The scheme whose run decides where upsets strike, if it is there: it uses every buffer."""

MOST_IMAGES, IMAGE_CYCLES = 2, 2_000_000
"""The upsets of a scheme are spread over so many images, fewer if their fault-free runs would take more cycles."""

MOST_CHECKS, CHECK_CYCLES = 2, 2_000_000
"""So many upsets of a scheme are repeated through cocotb, fewer (but one) if these runs would take more cycles."""


@dataclass(frozen=True)
class Injection:
    """One upset of the experiment and what it did."""

    number: int
    image: int
    event: FaultEvent
    verdict: Verdict


@dataclass(frozen=True)
class Struck:
    """What all upsets did.

    ``rows``: records as in `faults.jsonl`; ``live``: as in :class:`upsets.Draw`; ``cycles``: scheme -> fault-free
    cycles; ``images``: that the upsets are spread over; ``checked``: ids of those that were repeated through cocotb.
    """

    rows: list[dict[str, Any]]
    live: dict[str, tuple[int, int]]
    cycles: dict[str, int]
    images: int
    checked: list[str]


@dataclass(frozen=True)
class Check:
    """An upset that is repeated through cocotb. ``name``: its id; ``fault_free``: logits int64 (1, classes)."""

    name: str
    injection: Injection
    job: Job
    fault_free: np.ndarray


def strike(console: Console, simulator: Simulator, options: CampaignOptions, workers: int, folder: Path) -> Struck:
    """All upsets of ``options.schemes``, written to ``folder`` as they come.

    ``options.images``: images at hand. Scheme by scheme, so that only two programs and traces are in memory. Raises
    FitActError if a cross-check finds another result than the engine.
    """
    writer = RowWriter(folder / ROWS)
    rows: list[dict[str, Any]] = []
    times = Times()
    cycles: dict[str, int] = {}
    checks: list[Check] = []
    schemes = sorted(options.schemes, key=lambda name: name != BASE)
    try:
        with console.status(f"{schemes[0]}: network, program and access trace"):
            ready = _prepare(options, schemes[0])
        base = ready.timeline
        images = max(1, min(options.images, MOST_IMAGES, IMAGE_CYCLES // base.cycles))
        sites = upsets.structure_sites(options.config)
        drawn = upsets.draw(sites, base.cycles, ready.accesses, options.faults, options.seed, options.shape)
        for scheme, following in zip(schemes, [*schemes[1:], None], strict=True):
            subject, timeline = ready.subject, ready.timeline
            cycles[scheme] = timeline.cycles
            events = [upsets.moved(event, base, timeline) for event in drawn.events]
            fault_free = reference.logits(subject.network, subject.images[:images])
            found: list[Injection] = []
            tasks = make_tasks(options, scheme, events, images)
            with _workers(tasks, workers) as futures:
                if following:  # while the workers, forked with the present scheme, are busy
                    ready = _prepare(options, following)
                with bar(console, f"upsets, {scheme}") as progress:
                    for part, spent in _finished(futures):
                        times.merge(spent)
                        found += part
                        for row in _rows(timeline, part, fault_free, subject.program.fingerprint):
                            rows.append(row)
                            writer.append(row)
                        progress(len(found), len(events))
            checks += make_checks(subject, timeline, fault_free[:1], found, options.seed)
    finally:
        writer.close()
    print_times(console, times, len(rows))
    began = time.monotonic()
    with bar(console, "some of them again through cocotb") as progress:
        checked = cross_check(simulator, checks, folder, progress)
    seconds = time.monotonic() - began
    console.print(f"{len(checked)} upsets repeated through cocotb, full RTL runs: all the same ({seconds:.1f} s)")
    return Struck(sorted(rows, key=lambda row: row["id"]), drawn.live, cycles, images, checked)


@dataclass(frozen=True)
class _Ready:
    """A scheme before its upsets."""

    subject: Subject
    timeline: Timeline
    accesses: AccessTrace


def _prepare(options: CampaignOptions, scheme: str) -> _Ready:
    """Network, program and access trace of a scheme, which the workers that are forked next find in their memory."""
    subject = process_subject(options, scheme)
    facts = process_engine(options.config).facts(subject.network, subject.program, subject.memory(0))
    return _Ready(subject, timing(scheme, facts), facts.accesses)


def _rows(
    timeline: Timeline, part: Sequence[Injection], fault_free: np.ndarray, program: str
) -> Iterator[dict[str, Any]]:
    """The records of some upsets; ``fault_free``: logits int64 (images, classes)."""
    for item in part:
        top1 = int(fault_free[item.image].argmax())
        yield upsets.make_row(timeline, item.number, item.image, item.event, item.verdict, top1, program)


Futures = dict[Future[tuple[list[Verdict], Timeline, Times]], Task]


def make_tasks(options: CampaignOptions, scheme: str, events: list[FaultEvent], images: int) -> list[Task]:
    """The upsets of one scheme, spread evenly over ``images`` images, one task for each image."""
    numbers = [tuple(range(image, len(events), images)) for image in range(images)]
    return [
        Task(options, scheme, image, part, tuple(events[number] for number in part))
        for image, part in enumerate(numbers)
        if part
    ]


@contextmanager
def _workers(tasks: Sequence[Task], workers: int) -> Iterator[Futures]:
    """Forks of this process, which has engine, network and trace ready, at work on ``tasks``.

    They are forked here, before a progress bar starts its thread and before the next scheme takes the place of theirs.
    """
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context, initializer=begin_worker) as pool:
        try:
            yield {pool.submit(judge_task, task): task for task in tasks}
        except BrokenProcessPool:
            raise FitActError("a worker process died (out of memory?): use fewer with --workers 1") from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _finished(futures: Futures) -> Iterator[tuple[list[Injection], Times]]:
    """What the workers find, image by image, in any order."""
    for future in as_completed(futures):
        task = futures[future]
        verdicts, _, spent = future.result()
        part = zip(task.numbers, task.events, verdicts, strict=True)
        yield [Injection(number, task.image, event, verdict) for number, event, verdict in part], spent


def choose(items: Sequence[Injection], count: int, seed: int, scheme: str) -> list[Injection]:
    """At most ``count`` upsets of ``scheme``, at random: by turns one of each way in which outcomes were found."""
    rng = np.random.default_rng([seed, *b"cross-check", *scheme.encode()])
    order = [items[k] for k in rng.permutation(len(items))]
    turns: dict[str, int] = {}
    ranked = []
    for place, item in enumerate(order):
        turn = turns[item.verdict.way.value] = turns.get(item.verdict.way.value, 0) + 1
        ranked.append((turn, place, item))
    return [item for _, _, item in sorted(ranked, key=lambda entry: entry[:2])[:count]]


def make_checks(
    subject: Subject, timeline: Timeline, fault_free: np.ndarray, found: Sequence[Injection], seed: int
) -> list[Check]:
    """Some upsets of a scheme on the first image; ``fault_free``: its logits, int64 (1, classes)."""
    count = max(1, min(MOST_CHECKS, CHECK_CYCLES // timeline.cycles))
    at_hand = sorted((item for item in found if item.image == 0), key=lambda item: item.number)
    return [
        Check(
            upsets.upset_id(timeline.scheme, item.number),
            item,
            plain_job(subject.program, subject.memory(0), item.event, timeline.cycles),
            fault_free.reshape(1, -1),
        )
        for item in choose(at_hand, count, seed, timeline.scheme)
    ]


def cross_check(simulator: Simulator, checks: Sequence[Check], folder: Path, progress: Progress) -> list[str]:
    """Repeat upsets as plain RTL runs under cocotb; returns their ids.

    Raises FitActError, naming the upset and how to replay it, if one result differs.
    """
    results = simulator.run([check.job for check in checks], progress=progress)
    for check, result in zip(checks, results, strict=True):
        item = check.injection
        other = difference(item.event, item.verdict, result, check.fault_free)
        if other is not None:
            raise FitActError(
                f"upset {check.name} gave another result through cocotb than in the engine: {other}; this is a defect, "
                f"to see the run: fitact replay --results {folder} --fault {check.name} --waves"
            )
    return [check.name for check in checks]
