"""Who does the tasks of a campaign: forks of this process, or a Dask cluster.

Forks see what this process has loaded and simulated at the moment they begin: network, access trace, and checkpoints of
a fault-free run, in memory that all of them share. New processes would load and simulate that again, and each would
hold a large network for itself. So there is a fork for each task, which lives as long as it, and this process makes
ready what the next ones need while they work.

A fork has only the thread that made it. It computes with one thread, writes nothing but its result to a pipe, and ends
without leaving a frame of its parent, so that nothing of it (open stores, terminals, pools) is closed twice.
"""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Future, as_completed
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, NoReturn, Protocol

from fitact_hw.campaign.store import CampaignError
from fitact_hw.campaign.work import Result, Task, run_task
from fitact_hw.interrupts import HELD, end_with_parent
from golden.support.installation import how_to_install

CONNECT_SECONDS = 20
"""How long to wait for a Dask scheduler."""


Results = Generator[Result | None, None, None]


class Pool(Protocol):
    """``workers``: tasks at a time; ``shared``: they see what this process has loaded and recorded."""

    workers: int
    shared: bool

    def run(self, tasks: Iterable[Task]) -> Results:
        """Results as they come; None for a task whose worker died. Closing the iterator ends the work.

        ``tasks`` are taken one after another, as workers become free and one ahead of them.
        """


class Forks:
    """At most ``workers`` processes at a time; they end with this one, whatever ends it."""

    shared = True

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(self, tasks: Iterable[Task]) -> Results:
        """As in :class:`Pool`."""
        source = iter(tasks)
        upcoming = next(source, None)
        running: dict[Connection, int] = {}
        try:
            while upcoming is not None or running:
                while upcoming is not None and len(running) < self.workers:
                    _fork(run_task, upcoming, running)
                    upcoming = next(source, None)  # makes ready what it needs, while the others are at work
                for ready in wait(list(running)):
                    assert isinstance(ready, Connection)
                    yield _received(ready, running.pop(ready))
        finally:
            for connection, child in running.items():
                os.kill(child, signal.SIGKILL)  # nobody waits for what it computes
                os.waitpid(child, 0)
                connection.close()


def _fork(function: Callable[[Task], Result], task: Task, running: dict[Connection, int]) -> None:
    """Add a child that sends (True, result) or (False, exception) to ``running``: its pipe and process id."""
    receiver, sender = Pipe(duplex=False)
    parent = os.getpid()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)  # until the child has its own handlers, and is in `running`
    try:
        child = os.fork()
        if not child:
            _serve(function, task, sender, parent, mask)
        running[receiver] = child
        sender.close()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _serve(
    function: Callable[[Task], Result], task: Task, sender: Connection, parent: int, mask: set[int | signal.Signals]
) -> NoReturn:
    """The life of a child."""
    try:
        end_with_parent(signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if os.getppid() == parent:
            try:
                sender.send((True, function(task)))
            except MemoryError:
                pass  # as if it had been killed for it
            except Exception as error:
                error.add_note(f"in a worker process:\n{traceback.format_exc()}")
                sender.send((False, error))
    finally:
        os._exit(0)  # whatever was raised: not a frame of the parent is left


def _received(connection: Connection, child: int) -> Result | None:
    """What a child sent; None if it died. Raises what the task raised."""
    with connection:
        try:
            good, value = connection.recv()
        except EOFError:
            good, value = True, None
    os.waitpid(child, 0)
    if not good:
        raise value
    return value


class Dask:
    """The workers of the Dask scheduler at ``address``. Raises CampaignError if it cannot be reached."""

    shared = False
    workers = 0

    def __init__(self, address: str, connect_seconds: float = CONNECT_SECONDS) -> None:
        self._address, self._seconds = address, connect_seconds
        with self._client():
            pass

    def run(self, tasks: Iterable[Task]) -> Results:
        """As in :class:`Pool`; raises CampaignError if the cluster is lost."""
        from distributed import KilledWorker

        with self._client() as client:
            pool = client.get_executor()
            try:
                futures: list[Future[Result]] = [pool.submit(run_task, task) for task in tasks]
                for future in as_completed(futures):
                    yield future.result()
            except KilledWorker as error:
                raise CampaignError(
                    f"Dask workers keep dying ({error}): give them more memory; what had finished is kept"
                ) from None
            except ImportError as error:
                raise CampaignError(
                    f"the workers of {self._address} cannot import {error.name}: install this program there"
                ) from None
            except (CancelledError, ValueError) as error:
                # distributed unpacks what a cancelled future has not got, if the scheduler goes while it looks
                if isinstance(error, ValueError) and client.status == "running":
                    raise
                raise CampaignError("the Dask scheduler went away; what had finished is kept: resume later") from None

    @contextmanager
    def _client(self) -> Iterator[Any]:
        try:
            from distributed import Client
        except ImportError:
            raise CampaignError(f"--scheduler needs Dask: {how_to_install('cluster')}, or leave it out") from None
        try:
            client = Client(self._address, timeout=self._seconds)
        except (OSError, ValueError, TimeoutError) as error:
            raise CampaignError(
                f"no Dask scheduler at {self._address} ({error}): start one with `dask scheduler`"
            ) from None
        with client:
            yield client
