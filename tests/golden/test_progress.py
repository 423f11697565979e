"""Progress where there is no terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from golden.support.progress import progress


class Clock:
    """Seconds that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def advance(console: Console, every: float | None, clock: Clock) -> None:
    with progress(console, transient=True, every=every, get_time=clock) as shown:
        task = shown.add_task("fault maps", total=2_000)
        for _ in range(4):
            clock.now += 30
            shown.advance(task, 250)


@pytest.mark.parametrize(("every", "lines"), [(60.0, 2), (None, 0), (1e6, 0)])
def test_a_log_gets_a_line_now_and_then(every: float | None, lines: int) -> None:
    out = io.StringIO()
    advance(Console(file=out), every, Clock())
    told = [line for line in out.getvalue().splitlines() if line]
    assert len(told) == lines
    if lines:
        assert told == [
            "fault maps: 500 of 2,000, about 0:03:00 left",
            "fault maps: 1,000 of 2,000, about 0:02:00 left",
        ]


def test_a_terminal_gets_a_bar_only() -> None:
    out = io.StringIO()
    advance(Console(file=out, force_terminal=True), 60.0, Clock())
    assert "left" not in out.getvalue()
