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

from fitact_hw.campaign.plan import CampaignOptions, timing
from fitact_hw.campaign.terminal import print_times
from fitact_hw.campaign.work import Task, begin_worker, judge_task, process_case, process_engine
from fitact_hw.errors import FitActError
from fitact_hw.faults import FaultEvent
from fitact_hw.injection import live_sample
from fitact_hw.injection.case import Case
from fitact_hw.injection.plain_run import difference, plain_job
from fitact_hw.injection.timeline import Timeline, moved
from fitact_hw.injection.verdict import Times, Verdict
from fitact_hw.reporting.command import here
from fitact_hw.reporting.terminal import bar, details
from golden.bounds.schemes import DEFAULT
from golden.support.files import RowWriter
from sim.engine.access import AccessTrace
from sim.job import Job
from sim.simulator import Simulator

ROWS = "faults.jsonl"

BASE = DEFAULT.name
"""The scheme whose run decides where upsets strike, if it is there: it uses every buffer."""

IMAGE = 0
"""The test image of all upsets: one, because its fault-free run is made once and shared by the workers."""

TASKS_PER_WORKER = 3
"""For each scheme: some, so that no worker waits long for another."""

CHECK_CYCLES = 12_000_000
"""Upsets are repeated through cocotb for about so many cycles in all: one of every scheme unless runs are long."""


@dataclass(frozen=True)
class Injection:
    """One upset of the experiment and what it did."""

    number: int
    event: FaultEvent
    verdict: Verdict


@dataclass(frozen=True)
class Struck:
    """What all upsets did.

    ``rows``: records as in `faults.jsonl`; ``live``: as in :class:`live_sample.Draw`; ``cycles``: scheme -> fault-free
    cycles; ``checks``: those that are to be repeated through cocotb.
    """

    rows: list[dict[str, Any]]
    live: dict[str, tuple[int, int]]
    cycles: dict[str, int]
    checks: list[Check]


@dataclass(frozen=True)
class Check:
    """An upset that is repeated through cocotb. ``name``: its id; ``fault_free``: logits int64 (1, classes)."""

    name: str
    injection: Injection
    job: Job
    fault_free: np.ndarray


def strike(console: Console, begun: Begun, workers: int, folder: Path) -> Struck:
    """All upsets that were begun (:func:`begin`), on image IMAGE, written to ``folder`` as they come.

    Scheme by scheme, so that only two programs and traces are in memory.
    """
    options = begun.options
    writer = RowWriter(folder / ROWS)
    rows: list[dict[str, Any]] = []
    times = Times()
    cycles: dict[str, int] = {}
    checks: list[Check] = []
    schemes = _order(options)
    checked = checked_schemes(schemes, begun.ready.timeline.cycles, options.seed)
    ready, drawn, base = begun.ready, begun.drawn, begun.ready.timeline
    try:
        for following in [*schemes[1:], None]:
            present, found = ready, list[Injection]()
            with _workers(make_tasks(options, present.scheme, present.events, workers), workers) as futures:
                if following:  # while the workers, forked with the present scheme, are busy
                    ready = _make_ready(options, _load(options, following), drawn, base)
                with bar(console, f"upsets, {present.scheme}") as progress:
                    for part, spent in _finished(futures):
                        times.merge(spent)
                        found += part
                        for row in _rows(present, part):
                            rows.append(row)
                            writer.append(row)
                        progress(len(found), len(present.events))
            cycles[present.scheme] = present.timeline.cycles
            if present.scheme in checked:
                checks.append(make_check(present.case, present.timeline, found, options.seed))
        times.merge(process_engine(options.config).times)
    finally:
        writer.close()
    print_times(details(console), times, len(rows))
    return Struck(sorted(rows, key=lambda row: row["id"]), drawn.live, cycles, checks)


@dataclass(frozen=True)
class _Loaded:
    """A scheme before upsets are drawn or moved to its run."""

    case: Case
    timeline: Timeline
    accesses: AccessTrace


@dataclass(frozen=True)
class _Ready:
    """A scheme before its upsets ``events``."""

    case: Case
    timeline: Timeline
    events: list[FaultEvent]

    @property
    def scheme(self) -> str:
        return self.timeline.scheme


@dataclass(frozen=True)
class Begun:
    """The upsets as they were drawn, and the first scheme, ready for them."""

    options: CampaignOptions
    drawn: live_sample.Draw
    ready: _Ready


def begin(options: CampaignOptions) -> Begun:
    """Draw the upsets and make the run of the first scheme. Raises FitActError if so many cannot be found."""
    loaded = _load(options, _order(options)[0])
    sites = live_sample.structure_sites(options.config)
    cycles = loaded.timeline.cycles
    drawn = live_sample.draw(sites, cycles, loaded.accesses, options.faults, options.seed, options.shape)
    return Begun(options, drawn, _make_ready(options, loaded, drawn, loaded.timeline))


def _order(options: CampaignOptions) -> list[str]:
    """The schemes, that which the moments of the upsets refer to first."""
    return sorted(options.schemes, key=lambda name: name != BASE)


def _load(options: CampaignOptions, scheme: str) -> _Loaded:
    case = process_case(options, scheme, IMAGE)
    facts = process_engine(options.config).facts(case)
    return _Loaded(case, timing(scheme, facts), facts.accesses)


def _make_ready(options: CampaignOptions, loaded: _Loaded, drawn: live_sample.Draw, base: Timeline) -> _Ready:
    """Move the upsets to the scheme's run and make that run, which the workers that are forked next share."""
    events = [moved(event, base, loaded.timeline) for event in drawn.events]
    process_engine(options.config).prepare(loaded.case.ready(), events)
    return _Ready(loaded.case, loaded.timeline, events)


def _rows(ready: _Ready, part: Sequence[Injection]) -> Iterator[dict[str, Any]]:
    """The records of some upsets."""
    top1, program = int(ready.case.logits.argmax()), ready.case.program.fingerprint
    for item in part:
        yield live_sample.make_row(ready.timeline, item.number, IMAGE, item.event, item.verdict, top1, program)


Futures = dict[Future[tuple[list[Verdict], Timeline, Times]], Task]


def make_tasks(options: CampaignOptions, scheme: str, events: Sequence[FaultEvent], workers: int) -> list[Task]:
    """The upsets of one scheme in tasks of about the same length."""
    count = min(len(events), TASKS_PER_WORKER * workers)
    numbers = [tuple(range(first, len(events), count)) for first in range(count)]
    return [Task(options, scheme, IMAGE, part, tuple(events[number] for number in part)) for part in numbers]


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
    """What the workers find, task by task, in any order."""
    for future in as_completed(futures):
        task = futures[future]
        verdicts, _, spent = future.result()
        part = zip(task.numbers, task.events, verdicts, strict=True)
        yield [Injection(number, event, verdict) for number, event, verdict in part], spent


def checked_schemes(schemes: Sequence[str], cycles: int, seed: int) -> set[str]:
    """Those of which one upset is repeated, for runs of ``cycles``: the first and others at random."""
    count = min(len(schemes), max(1, CHECK_CYCLES // cycles))
    others = np.random.default_rng([seed, *b"checked"]).permutation(schemes[1:])
    return {schemes[0], *others[: count - 1].tolist()}


def choose(items: Sequence[Injection], seed: int, scheme: str) -> Injection:
    """One upset of ``scheme`` at random: first a mechanism that found outcomes, so that rare ones get a turn."""
    rng = np.random.default_rng([seed, *b"cross-check", *scheme.encode()])
    mechanisms = sorted({item.verdict.mechanism.value for item in items})
    chosen = mechanisms[rng.integers(len(mechanisms))]
    some = sorted((item for item in items if item.verdict.mechanism.value == chosen), key=lambda item: item.number)
    return some[rng.integers(len(some))]


def make_check(case: Case, timeline: Timeline, found: Sequence[Injection], seed: int) -> Check:
    """One upset of a scheme, to be repeated."""
    item = choose(found, seed, timeline.scheme)
    return Check(
        live_sample.upset_id(timeline.scheme, item.number),
        item,
        plain_job(case, item.event, timeline.cycles),
        case.logits,
    )


def cross_check(console: Console, simulator: Simulator, checks: Sequence[Check], folder: Path) -> list[str]:
    """Repeat upsets as plain RTL runs under cocotb; returns their ids.

    Raises FitActError, naming the upset and how to replay it, if one result differs.
    """
    began = time.monotonic()
    with bar(console, "some of them again through cocotb") as progress:
        results = simulator.run([check.job for check in checks], progress=progress)
    for check, result in zip(checks, results, strict=True):
        item = check.injection
        other = difference(item.event, item.verdict, result, check.fault_free)
        if other is not None:
            raise FitActError(
                f"upset {check.name} gave another result through cocotb than in the engine: {other}; this is a defect, "
                f"to see the run: {here('replay', options={'results': folder, 'fault': check.name, 'waves': True})}"
            )
    seconds = time.monotonic() - began
    console.print(f"{len(checks)} upsets repeated through cocotb, full RTL runs: all the same ({seconds:.1f} s)")
    return [check.name for check in checks]
