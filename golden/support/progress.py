"""Progress of long work: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from golden.support.output import output

LOG_SECONDS = 30.0
"""Between two lines where there is no terminal, at most."""

SPEED_SECONDS = 300.0
"""Speed is that of the last so many seconds: steps may take minutes."""

T = TypeVar("T")


class Ticker:
    """Calls ``tick`` every ``seconds`` in a thread of its own, between :meth:`start` and :meth:`stop`."""

    def __init__(self, tick: Callable[[], None], seconds: float) -> None:
        self._tick, self._seconds = tick, seconds
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; the first call comes after ``seconds``."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True, name="progress lines")
            self._thread.start()

    def stop(self) -> None:
        """No call comes after this."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._seconds):
            self._tick()


class SteadyProgress(Progress):
    """rich's bar on a terminal; elsewhere, where rich shows nothing before the end, a line every ``every`` seconds
    (None: no lines), however long a step takes."""

    def __init__(
        self, *columns: str | ProgressColumn, console: Console, every: float | None = LOG_SECONDS, **options: Any
    ) -> None:
        super().__init__(*columns, console=console, speed_estimate_period=SPEED_SECONDS, **options)
        self._every = None if console.is_terminal or self.disable else every
        self._next = self.get_time() + (self._every or 0.0)
        self._last: TaskID | None = None
        self._ticker = Ticker(self._log, self._every) if self._every else None

    def start(self) -> None:
        super().start()
        if self._ticker:
            self._ticker.start()

    def stop(self) -> None:
        if self._ticker:
            self._ticker.stop()
        self.live.stop()  # Progress.stop() would add an empty line to a log

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self._last = task_id
        self._log()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        self._last = task_id
        self._log()

    def _log(self) -> None:
        """A line about the task that moved last, if it is time."""
        with self._lock:
            if self._every is None or (now := self.get_time()) < self._next or not self._tasks:
                return
            self._next = now + self._every
            task = self._tasks[next(iter(self._tasks)) if self._last is None else self._last]
            total = "?" if task.total is None else f"{task.total:,.0f}"
            line = f"{task.description}: {task.completed:,.0f} of {total}"
            if (left := task.time_remaining) is not None:
                line += f", about {timedelta(seconds=round(left))} left"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def progress(console: Console, unit: str = "", **options: Any) -> SteadyProgress:
    """Title, bar, how much of how much (of ``unit``), time taken and time left; nothing with ``--quiet``."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    disable = options.pop("disable", False) or output().quiet
    return SteadyProgress(*columns, console=console, disable=disable, **options)


def track(
    sequence: Iterable[T], description: str, total: float | None = None, completed: int = 0, quiet: bool = False
) -> Iterable[T]:
    """``sequence`` with its progress on standard error; ``completed`` of ``total`` were done before it."""
    with progress(Console(stderr=True), disable=quiet) as shown:
        yield from shown.track(sequence, total=total, completed=completed, description=description)


@contextmanager
def working(console: Console, what: str, every: float = LOG_SECONDS) -> Iterator[Callable[[str], None]]:
    """Says that ``what`` is being done while the block runs; what it yields changes the words; nothing if quiet.

    A spinner on a terminal; elsewhere a line at once and then one every ``every`` seconds with the time taken.
    """
    if output().quiet:
        yield lambda text: None
    elif console.is_terminal:
        with console.status(escape(what)) as status:
            yield lambda text: status.update(escape(text))
    else:
        with _lines(console, what, every) as change:
            yield change


@contextmanager
def _lines(console: Console, what: str, every: float) -> Iterator[Callable[[str], None]]:
    began, words = time.monotonic(), [what]

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    ticker = Ticker(lambda: say(f"{words[0]}: {timedelta(seconds=round(time.monotonic() - began))} so far"), every)
    say(what)
    ticker.start()
    try:
        yield lambda text: words.__setitem__(0, text)
    finally:
        ticker.stop()
