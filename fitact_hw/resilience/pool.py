"""Groups of an experiment's jobs, here or in several processes; the results do not depend on it.

They are no forks for each task as those of campaigns (:mod:`fitact_hw.campaign.pool`): a process keeps its network,
compiles it after a minute and goes on with it for hours, and a GPU cannot be used after a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing.connection import wait as wait_for
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event

import psutil

from fitact_hw.resilience.work import Group, Outcome, Tick, Worker
from golden.data.dataset import DataSet
from golden.errors import GoldenError
from golden.exact.evaluator import default_device
from golden.support.allocator import keep_freed_memory
from golden.support.processes import apart_from_main
from golden.support.threads import use_threads

_GROUP_SECONDS = 120.0
"""Work between two commits, after a first small group: what a killed process loses at most. Each piece makes the
fault-free run again; of ResNet50's 32-bit words this is a tenth of a minute's work."""

_PROCESS_BYTES = 3 << 30
"""What the largest network's process may hold (ResNet50 at 32 bits: 2.7 GiB)."""

_FIRST_SIZE, _LARGEST_SIZE = 2, 64
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Processes:
    """``count`` processes of ``threads`` CPU threads each; one is the calling process itself, which keeps its
    threads if ``threads`` is None."""

    count: int = 1
    threads: int | None = None


HERE = Processes()


def default_processes() -> Processes:
    """One thread each, for threads of torch and of NumPy's products wait for each other, as many as there are cores
    and as fit the free memory; on a GPU one process."""
    if default_device().type != "cpu":
        return Processes(1, 1)
    fitting = psutil.virtual_memory().available // _PROCESS_BYTES
    return Processes(max(1, min(os.cpu_count() or 1, fitting)), 1)


class Plan:
    """Hands out whole groups in pieces that take about a minute, and small ones at the very end so that ``workers``
    finish together."""

    def __init__(self, groups: Sequence[Group], workers: int) -> None:
        self._groups = list(groups)
        self._workers = workers
        self._size = _FIRST_SIZE

    def next(self) -> Group | None:
        """The next piece; None if all is handed out."""
        if not self._groups:
            return None
        group = self._groups[0]
        left = sum(len(other.jobs) for other in self._groups)
        size = min(self._size, -(-left // self._workers))
        if size >= len(group.jobs):
            return self._groups.pop(0)
        self._groups[0] = replace(group, jobs=group.jobs[size:])
        return replace(group, jobs=group.jobs[:size])

    def learn(self, outcome: Outcome) -> None:
        """Fit the size of pieces to what one took (all evaluate a part of the fault-free network as well)."""
        each = outcome.seconds / (1 + len(outcome.rows))
        self._size = int(max(_FIRST_SIZE, min(_LARGEST_SIZE, _GROUP_SECONDS / max(each, 1e-9))))


def run_groups(
    groups: Sequence[Group], processes: Processes, seed: int, images: DataSet, tick: Tick
) -> Generator[Outcome, None, None]:
    """Outcomes as they come. Close the iterator to stop early.

    Raises GoldenError if a network can't be loaded or a worker process dies.
    """
    plan = Plan(groups, processes.count)
    if processes.count > 1:
        yield from _run_in_processes(plan, processes, seed, images, tick)
        return
    keep_freed_memory()
    if processes.threads is not None:
        use_threads(processes.threads)
    worker = Worker(seed, images)
    while (group := plan.next()) is not None:
        outcome = worker(group, tick)
        plan.learn(outcome)
        yield outcome


def _run_in_processes(
    plan: Plan, processes: Processes, seed: int, images: DataSet, tick: Tick
) -> Generator[Outcome, None, None]:
    context = multiprocessing.get_context("spawn")
    ticks: SimpleQueue[int] = context.SimpleQueue()
    stop = context.Event()
    arguments = (seed, images, processes.threads or 1, ticks, stop)
    running: set[Future[Outcome]] = set()
    with ProcessPoolExecutor(processes.count, context, _Process.start, arguments) as pool:
        try:
            while True:
                while len(running) < processes.count and (group := plan.next()) is not None:
                    with apart_from_main():
                        running.add(pool.submit(_Process.work, group))
                if not running:
                    return
                finished, running = wait(running, _POLL_SECONDS, FIRST_COMPLETED)
                while not ticks.empty():
                    tick(ticks.get())
                for future in finished:
                    outcome = future.result()
                    plan.learn(outcome)
                    yield outcome
        except BrokenProcessPool:
            raise GoldenError(
                "a worker process died (out of memory?): what was finished is kept; run the same command again, "
                "perhaps with --workers 1"
            ) from None
        finally:
            stop.set()


class _Stopped(Exception):
    """The experiment ends before this piece of work does."""


class _Process:
    """State of a worker process."""

    worker: Worker
    ticks: SimpleQueue[int]
    stop: Event

    @classmethod
    def start(cls, seed: int, images: DataSet, threads: int, ticks: SimpleQueue[int], stop: Event) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process says when to stop
        threading.Thread(target=_end_with_parent, daemon=True).start()
        use_threads(threads)
        keep_freed_memory()
        cls.worker, cls.ticks, cls.stop = Worker(seed, images), ticks, stop

    @classmethod
    def work(cls, group: Group) -> Outcome:
        return cls.worker(group, cls.tick)

    @classmethod
    def tick(cls, count: int) -> None:
        if cls.stop.is_set():
            raise _Stopped
        cls.ticks.put(count)


def _end_with_parent() -> None:
    """A killed main process must leave no workers behind."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait_for([parent.sentinel])
    os._exit(1)
