"""Runs a campaign: draws its faults, hands tasks to workers, stores what comes back."""

from __future__ import annotations

import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from fitact_hw.campaign.engine import Engine, Times
from fitact_hw.campaign.plan import CHUNK, CampaignOptions, collect_facts, draw_events, identity, load_subjects, timing
from fitact_hw.campaign.store import CampaignError, Row, Store
from fitact_hw.campaign.work import Task, begin_worker, run_task
from fitact_hw.faults import FaultEvent
from sim.build import Note
from sim.engine.build import source_fingerprint

STORE = "campaign.sqlite"

ATTEMPTS = 5
"""Pools of workers that may break (killed, out of memory) without a single task coming back in between."""

Finished = Callable[[int, int, list[Row]], None]
"""Called with (injections stored, all injections, the rows just stored)."""


def store_path(folder: Path) -> Path:
    """The store of the campaign in ``folder``."""
    return folder / STORE


def make_tasks(
    options: CampaignOptions, events: dict[str, list[FaultEvent]], present: set[tuple[str, int]], chunk: int = CHUNK
) -> list[Task]:
    """Tasks for everything that is not ``present``; injections of a task lie close together in time."""
    groups: dict[tuple[str, int], list[tuple[int, FaultEvent]]] = defaultdict(list)
    for scheme, drawn in events.items():
        for number, event in enumerate(drawn):
            if (scheme, number) not in present:
                groups[scheme, number % options.images].append((number, event))
    tasks = []
    for (scheme, image), items in groups.items():
        items.sort(key=lambda item: (item[1].cycle, item[0]))
        for start in range(0, len(items), chunk):
            numbers, part = zip(*items[start : start + chunk], strict=True)
            tasks.append(Task(options, scheme, image, numbers, part))
    return tasks


@contextmanager
def _executor(workers: int, scheduler: str | None) -> Iterator[Executor]:
    """Local processes, or the Dask cluster at address ``scheduler``. Raises CampaignError if it cannot be reached."""
    if scheduler is None:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=begin_worker) as pool:
            try:
                yield pool
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return
    try:
        from distributed import Client
    except ImportError:
        raise CampaignError("--scheduler needs Dask: pip install distributed in .venv, or leave it out") from None
    try:
        client = Client(scheduler, timeout="20s")
    except (OSError, ValueError, TimeoutError) as error:
        raise CampaignError(f"no Dask scheduler at {scheduler} ({error}): start one with `dask scheduler`") from None
    with client:
        yield client.get_executor()


def run_campaign(
    options: CampaignOptions,
    folder: Path,
    *,
    workers: int = 2,
    scheduler: str | None = None,
    finished: Finished = lambda done, total, rows: None,
    note: Note = print,
    chunk: int = CHUNK,
) -> Times:
    """Run or continue the campaign in ``folder``; returns where the time of this run went.

    The stored rows do not depend on ``workers``, ``scheduler``, ``chunk`` or interruptions. Raises CampaignError if
    the folder belongs to another campaign, or if workers keep dying.
    """
    store = Store(store_path(folder), create=True)
    try:
        engine = Engine(options.config, note=note)
        subjects = load_subjects(options)
        store.claim(identity(options, subjects, source_fingerprint(options.config)))
        note("tracing a fault-free run of every scheme")
        facts = collect_facts(engine, subjects)
        events = draw_events(options, [timing(scheme, item) for scheme, item in facts.items()])
        return _work(store, options, events, workers, scheduler, finished, note, chunk)
    finally:
        store.close()


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
            with _executor(workers, scheduler) as executor:
                futures: list[Future[tuple[list[Row], Times]]] = [executor.submit(run_task, task) for task in tasks]
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
