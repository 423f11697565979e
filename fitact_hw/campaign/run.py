"""Runs a campaign: draws its faults, hands tasks to workers, stores what comes back."""

from __future__ import annotations

import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from fitact_hw.campaign.plan import (
    CHUNK,
    CampaignOptions,
    command_of,
    draw_faults,
    faults_for_margin,
    identity,
    image_of,
    load_subjects,
    structure_bits,
    structure_storages,
    timing,
    without_injection,
)
from fitact_hw.campaign.snapshot import options_of
from fitact_hw.campaign.store import CampaignError, Row, Store, store_path
from fitact_hw.campaign.work import Task, begin_worker, return_memory, run_task
from fitact_hw.faults import FaultEvent
from fitact_hw.injection.bound_flips import bound_flips
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.timeline import Timeline, moved
from fitact_hw.injection.verdict import Times
from fitact_hw.reporting.provenance import Run, of_machine, of_weights, versions
from sim.cache import Note
from sim.engine.build import source_fingerprint

ATTEMPTS = 5
"""Pools of workers that may break (killed, out of memory) without a single task coming back in between."""

Finished = Callable[[int, int, list[Row]], None]
"""Called with (injections stored, all injections, the rows just stored)."""


CONNECT_SECONDS = 20
"""How long to wait for a Dask scheduler."""


def make_tasks(
    options: CampaignOptions, events: dict[str, list[FaultEvent]], present: set[tuple[str, int]], chunk: int = CHUNK
) -> list[Task]:
    """Tasks for everything that is not ``present``; injections of a task lie close together in time."""
    groups: dict[tuple[str, int], list[tuple[int, FaultEvent]]] = defaultdict(list)
    structures = len(structure_storages(options))
    for scheme, drawn in events.items():
        for number, event in enumerate(drawn):
            if (scheme, number) not in present:
                groups[scheme, image_of(number, structures, options.images)].append((number, event))
    tasks = []
    for (scheme, image), items in groups.items():
        items.sort(key=lambda item: (item[1].cycle, item[0]))
        for start in range(0, len(items), chunk):
            numbers, part = zip(*items[start : start + chunk], strict=True)
            tasks.append(Task(options, scheme, image, numbers, part))
    return tasks


@contextmanager
def executor(workers: int, scheduler: str | None) -> Iterator[Executor]:
    """Local processes, or the Dask cluster at address ``scheduler``. Raises CampaignError if it cannot be reached."""
    if scheduler is None:
        context = multiprocessing.get_context("spawn")
        others = set(multiprocessing.active_children())
        with ProcessPoolExecutor(workers, mp_context=context, initializer=begin_worker) as pool:
            try:
                yield pool
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for worker in set(multiprocessing.active_children()) - others:
                    worker.kill()  # nobody waits for what it computes
                raise
        return
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise CampaignError("--scheduler needs Dask: run `make setup`, or leave it out") from None
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, TimeoutError) as error:
        raise CampaignError(f"no Dask scheduler at {scheduler} ({error}): start one with `dask scheduler`") from None
    with client:
        try:
            yield client.get_executor()
        except KilledWorker as error:
            raise CampaignError(
                f"Dask workers keep dying ({error}): give them more memory; what had finished is kept"
            ) from None
        except ImportError as error:
            raise CampaignError(
                f"the workers of {scheduler} cannot import {error.name}: install this program there"
            ) from None


def run_campaign(
    options: CampaignOptions,
    folder: Path,
    *,
    workers: int = 2,
    scheduler: str | None = None,
    finished: Finished = lambda done, total, rows: None,
    note: Note = print,
    chunk: int = CHUNK,
    margin: tuple[float, float] | None = None,
) -> Times:
    """Run or continue the campaign in ``folder``; returns where the time of this run went.

    ``margin``: (margin of error, confidence) that every structure should have, instead of ``options.faults``. The
    stored rows do not depend on ``workers``, ``scheduler``, ``chunk`` or interruptions. Raises CampaignError if the
    folder belongs to another campaign, if the store cannot be written, or if workers keep dying.
    """
    if margin:
        options = replace(options, faults=0)  # until the length of a run is known
    bits = structure_bits(options)
    # bad options fail here, before there is a store
    bound = identity(options, load_subjects(options), source_fingerprint(options.config))
    with Store(store_path(folder), create=True) as store:
        store.claim(bound)
        store.note(faults=_planned(store, options), bits=bits, versions=versions())
        with _recorded(store, options):
            options, events = _draw(store, options, margin, note)
            if missing := without_injection(options):
                note(unreached(missing, len(bits)))
            return_memory()  # while workers are busy this process needs little
            return _work(store, options, events, workers, scheduler, finished, note, chunk)


@contextmanager
def _recorded(store: Store, options: CampaignOptions) -> Iterator[None]:
    """Note in the store where the injections of this run come from: at once, and with the time taken when it ends."""
    began, earlier, before = Run(options.seed), store.facts().get("runs", []), len(store.present())
    bound = store.identity()
    prints = of_machine(options.config) | {
        "weights": of_weights(options.model),
        "programs": bound["programs"],
        "images": bound["pictures"],
    }

    def keep(added: bool) -> None:
        run = replace(began, command=command_of(options_of(store)))  # a margin has become a number
        store.note(runs=[*earlier, run.record(**prints)] if added else earlier)

    keep(True)
    try:
        yield
    except BaseException:
        with suppress(CampaignError):  # the store may be what failed
            keep(len(store.present()) > before)
        raise
    keep(len(store.present()) > before)


def unreached(missing: Sequence[str], structures: int) -> str:
    """What too few injections leave open, in one line."""
    return (
        f"{len(missing)} of {structures} structures get no injection ({', '.join(missing)}): figures over all of them "
        f"will only be bounded; --faults {structures} or more reaches each"
    )


def _draw(
    store: Store, options: CampaignOptions, margin: tuple[float, float] | None, note: Note
) -> tuple[CampaignOptions, dict[str, list[FaultEvent]]]:
    """The events of every scheme, and the options with the number of faults that ``margin`` asks for."""
    engine, subjects = Engine(options.config, note=note), load_subjects(options)
    note("tracing a fault-free run of every scheme")
    events: dict[str, list[FaultEvent]] = {}
    timelines: list[Timeline] = []
    drawn: list[FaultEvent] = []  # for the first scheme, moved to the others
    flips = {}
    for scheme in subjects:
        facts = engine.facts(subjects[scheme].case(0))
        if margin and not timelines:
            options = replace(options, faults=faults_for_margin(options, facts.cycles, *margin))
            note(
                f"margin {margin[0]:.3g} at {margin[1]:.3g} in every structure: "
                f"{options.faults:,} injections per scheme"
            )
            store.note(margin=margin[0], confidence=margin[1], faults=_planned(store, options))
        timelines.append(timing(scheme, facts))
        drawn = drawn or draw_faults(options, facts.cycles)
        events[scheme] = [moved(event, timelines[0], timelines[-1]) for event in drawn]
        flips[scheme] = bound_flips(subjects[scheme].program, facts.accesses, events[scheme])
        del facts  # they hold the network, as the engine does
        engine.forget()
        return_memory()
    store.note(cycles={item.scheme: item.cycles for item in timelines}, bound_flips=flips)
    return options, events


def _planned(store: Store, options: CampaignOptions) -> int:
    """Injections per scheme: a later run may ask for more, one that asks for fewer changes nothing."""
    return max(options.faults, store.facts().get("faults", 0))


def _work(
    store: Store,
    options: CampaignOptions,
    events: dict[str, list[FaultEvent]],
    workers: int,
    scheduler: str | None,
    finished: Finished,
    note: Note,
    chunk: int,
) -> Times:
    times = Times()
    total = sum(map(len, events.values()))
    failures = 0
    while True:
        tasks = make_tasks(options, events, store.present(), chunk)
        done = total - sum(len(task.numbers) for task in tasks)
        finished(done, total, [])
        if not tasks:
            return times
        try:
            with executor(workers, scheduler) as pool:
                futures: list[Future[tuple[list[Row], Times]]] = [pool.submit(run_task, task) for task in tasks]
                for future in as_completed(futures):
                    rows, spent = future.result()
                    store.add(rows)
                    times.merge(spent)
                    done += len(rows)
                    failures = 0
                    finished(done, total, rows)
        except CancelledError:
            raise CampaignError("the Dask scheduler went away; what had finished is kept: resume later") from None
        except BrokenProcessPool:
            failures += 1
            if failures >= ATTEMPTS:
                raise CampaignError(
                    f"worker processes died {ATTEMPTS} times in a row (out of memory?): use fewer with --workers; "
                    "what had finished is kept"
                ) from None
            note("a worker process died; going on with new ones")
