"""Coverage files are read and put together, and what nothing passed is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.coverage import run
from tests.coverage.points import Point, merged, read


def line(file: str, number: int, page: str, what: str, count: int) -> str:
    keys = {"f": f"/tmp/src/{file}", "l": str(number), "n": "5", "page": f"{page}/x", "o": what, "h": "top.u"}
    return "C '" + "".join(f"\x01{name}\x02{value}" for name, value in keys.items()) + f"' {count}"


FILE = "\n".join(
    ["# SystemC::Coverage-3", line("a.v", 3, "v_line", "block", 0), line("a.v", 3, "v_line", "block", 2),
     line("a.v", 4, "v_branch", "if", 0), line("a.v", 2, "v_toggle", "x[1]:0->1", 1), line("a.v", 2, "v_user", "", 9)]
)  # fmt: skip


def test_instances_are_put_together() -> None:
    points = read(FILE)
    assert points == {
        Point("a.v", "line", 3, "block"): 2,
        Point("a.v", "line", 4, "if"): 0,
        Point("a.v", "toggle", 2, "x[1]:0->1"): 1,
    }
    assert merged([points, points])[Point("a.v", "line", 3, "block")] == 4
    assert run.shares(points)["a.v"] == {"line": (1, 2), "toggle": (1, 1)}
    assert "| a.v | 1 of 2 | 1 of 1 |" in run.table(points)


def test_what_nothing_passed_is_named_unless_it_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.v").write_text("module a;\nwire x;\nalways\n    if (x) y <= 1;\nendmodule\n")
    points = read(FILE)
    assert run.holes(points, tmp_path) == ["a.v:4 (if): if (x) y <= 1;"]
    monkeypatch.setitem(run.EXPLAINED, ("a.v", "if (x) y <= 1;"), "x is constant")
    assert run.holes(points, tmp_path) == []
