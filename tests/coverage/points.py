"""Verilator's coverage files: points of all runs, parameters and instances of a cell put together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_POINT = re.compile(r"^C '(?P<keys>.*)' (?P<count>\d+)$")


@dataclass(frozen=True, order=True)
class Point:
    """``kind`` line or toggle; ``what``: of a toggle the bit and its direction, of a line what begins there."""

    file: str
    kind: str
    line: int
    what: str


def read(text: str) -> dict[Point, int]:
    """How often each point of a file was passed. Keys and values of a point are between control characters 1 and 2."""
    found: dict[Point, int] = {}
    for line in text.splitlines():
        if match := _POINT.match(line):
            pairs = (part.partition("\\x02") for part in _plain(match["keys"]).split("\\x01") if part)
            keys = {name: value for name, _, value in pairs}
            kind = keys.get("page", "").partition("/")[0].removeprefix("v_")
            if kind in ("line", "branch", "toggle"):
                place = Path(keys["f"]).name, "toggle" if kind == "toggle" else "line", int(keys["l"])
                point = Point(*place, keys.get("o", ""))
                found[point] = found.get(point, 0) + int(match["count"])
    return found


def _plain(keys: str) -> str:
    """Control characters as escapes, whether the file has them so or as they are."""
    return keys.replace("\x01", "\\x01").replace("\x02", "\\x02")


def merged(parts: Iterable[Mapping[Point, int]]) -> dict[Point, int]:
    """Sums over all files."""
    found: dict[Point, int] = {}
    for part in parts:
        for point, count in part.items():
            found[point] = found.get(point, 0) + count
    return found
