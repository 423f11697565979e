"""Progress where there is no terminal."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from golden.support.output import Output, speaking
from golden.support.progress import progress, working


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


def test_a_log_gets_a_line_although_a_step_takes_long() -> None:
    out = io.StringIO()
    with progress(Console(file=out), transient=True, every=0.05) as shown:
        shown.add_task("one large step", total=1)
        time.sleep(0.5)
    lines = out.getvalue().splitlines()
    assert len(lines) >= 3
    assert set(lines) == {"one large step: 0 of 1"}


def test_work_without_a_measure_says_how_long_it_takes() -> None:
    out = io.StringIO()
    with working(Console(file=out), "building [the simulator]", every=0.05) as say:
        time.sleep(0.2)
        say("linking")
        time.sleep(0.2)
    first, *others = out.getvalue().splitlines()
    assert first == "building [the simulator]"
    assert {line.split(":")[0] for line in others} == {"building [the simulator]", "linking"}
    assert all(line.endswith(" so far") for line in others)
    told = len(others)
    time.sleep(0.1)
    assert len(out.getvalue().splitlines()) == told + 1, "it goes on after the end"


def test_quiet_means_neither_bar_nor_lines() -> None:
    out = io.StringIO()
    with speaking(Output(quiet=True)), working(Console(file=out), "building", every=0.01) as say:
        say("linking")
        advance(Console(file=out), 1.0, Clock())
        time.sleep(0.05)
    assert not out.getvalue()


def test_a_terminal_gets_a_bar_only() -> None:
    out = io.StringIO()
    advance(Console(file=out, force_terminal=True), 60.0, Clock())
    assert "left" not in out.getvalue()
