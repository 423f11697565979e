"""`python -m tests.coverage`: runs the cells' tests with coverage and prints it by cell, with what was never passed."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from golden.support.folders import BUILD
from tests.coverage.points import Point, merged, read

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "build" / "coverage.json"
TESTS = ("tests/rtl_cells",)

EXPLAINED: dict[tuple[str, str], str] = {}
"""(file, text of the source line) -> why no test passes it."""


def shares(points: Mapping[Point, int]) -> dict[str, dict[str, tuple[int, int]]]:
    """File -> kind -> points passed, and all of them."""
    found: dict[str, dict[str, tuple[int, int]]] = defaultdict(lambda: {"line": (0, 0), "toggle": (0, 0)})
    for point, count in points.items():
        passed, every = found[point.file][point.kind]
        found[point.file][point.kind] = passed + (count > 0), every + 1
    return dict(found)


def table(points: Mapping[Point, int]) -> str:
    """A line for each cell."""
    lines = ["| cell | lines and branches | toggles |", "|---|---|---|"]
    for file, kinds in sorted(shares(points).items()):
        cells = [f"{passed} of {every}" if every else "-" for passed, every in (kinds["line"], kinds["toggle"])]
        lines.append(f"| {file} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def holes(points: Mapping[Point, int], root: Path = ROOT / "rtl") -> list[str]:
    """Lines and branches that nothing passed, with their text; those that are explained are left out."""
    found = []
    for point in sorted(point for point, count in points.items() if not count and point.kind == "line"):
        text = (root / point.file).read_text().splitlines()[point.line - 1].strip()
        if (point.file, text) not in EXPLAINED:
            found.append(f"{point.file}:{point.line} ({point.what or 'line'}): {text}")
    return found


def collect(folder: Path) -> dict[Point, int]:
    """Points of the cells in `rtl/` from all files in ``folder``."""
    cells = {path.name for path in (ROOT / "rtl").glob("*.v")}
    points = merged(read(path.read_text(errors="replace")) for path in sorted(folder.glob("*.dat")))
    return {point: count for point, count in points.items() if point.file in cells}


def main() -> int:
    """Entry point; returns the exit code: that of the tests, or 1 if a line or branch was never passed."""
    parser = argparse.ArgumentParser(prog="python -m tests.coverage", description=__doc__)
    parser.add_argument("tests", nargs="*", default=TESTS, help="tests of cells, as pytest takes them")
    tests = parser.parse_args().tests
    with tempfile.TemporaryDirectory(prefix="fitact-coverage-") as folder:
        # builds with coverage must not crowd out the others
        own = {"FITACT_COVERAGE": folder, BUILD: str(ROOT / "build" / "coverage")}
        command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--maxprocesses", "8", *tests]
        status = subprocess.run(command, cwd=ROOT, env={**os.environ, **own}, check=False).returncode
        points = collect(Path(folder))
    if status:
        return status
    if not points:
        print("error: the tests wrote no coverage", file=sys.stderr)
        return 2
    found = holes(points)
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps({"cells": shares(points), "holes": found}, indent=1) + "\n")
    print(table(points))
    print(*(f"never passed: {hole}" for hole in found), sep="\n")
    return int(bool(found))
