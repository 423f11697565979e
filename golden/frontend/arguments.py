"""Arguments of operators as numbers."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from golden.frontend.importer import Problem
from golden.frontend.views import Value


def flat(value: Any) -> list[int]:
    """A number or several as a list, none as an empty one."""
    return [int(part) for part in value] if isinstance(value, tuple | list) else [] if value is None else [int(value)]


def pair(value: Any, axes: int, other: int) -> tuple[int, int]:
    """Rows and columns; a sequence has one row, along which ``other`` stands."""
    parts = flat(value)
    parts = parts * axes if len(parts) == 1 else parts
    return (parts[0], parts[1]) if axes == 2 else (other, parts[0])


def number(value: Any) -> float | None:
    """A constant. Raises Problem for one that is none or differs from place to place."""
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise Problem("with limits that differ from place to place")
        return float(value)
    if isinstance(value, Value):
        raise Problem("with limits that depend on the image")
    return None if value is None else float(value)
