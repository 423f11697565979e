"""Progress of long work: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeVar

from rich.console import Console
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

LOG_SECONDS = 60.0
"""Between two lines where there is no terminal."""

SPEED_SECONDS = 300.0
"""Speed is that of the last so many seconds: steps may take minutes."""

T = TypeVar("T")


class SteadyProgress(Progress):
    """rich's bar on a terminal; elsewhere, where rich shows nothing before the end, a line every ``every`` seconds
    (None: no lines)."""

    def __init__(
        self, *columns: str | ProgressColumn, console: Console, every: float | None = LOG_SECONDS, **options: Any
    ) -> None:
        super().__init__(*columns, console=console, speed_estimate_period=SPEED_SECONDS, **options)
        self._every = None if console.is_terminal else every
        self._next = self.get_time() + (self._every or 0.0)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self._log(task_id)

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        self._log(task_id)

    def _log(self, task_id: TaskID) -> None:
        if self._every is None or self.disable or (now := self.get_time()) < self._next:
            return
        self._next = now + self._every
        task = self._tasks[task_id]
        total = "?" if task.total is None else f"{task.total:,.0f}"
        line = f"{task.description}: {task.completed:,.0f} of {total}"
        if (left := task.time_remaining) is not None:
            line += f", about {timedelta(seconds=round(left))} left"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def progress(console: Console, unit: str = "", **options: Any) -> SteadyProgress:
    """Title, bar, how much of how much (of ``unit``), time taken and time left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    return SteadyProgress(*columns, console=console, **options)


def track(
    sequence: Iterable[T], description: str, total: float | None = None, completed: int = 0, quiet: bool = False
) -> Iterable[T]:
    """``sequence`` with its progress on standard error; ``completed`` of ``total`` were done before it."""
    with progress(Console(stderr=True), disable=quiet) as shown:
        yield from shown.track(sequence, total=total, completed=completed, description=description)
