"""What is to be known of images besides themselves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """``mean`` and ``std``: of uint8, on the 0..1 scale, one value a channel; ``size``: rows and columns to which
    pictures of a folder are resized (as they are by default); ``seed``: of the split into calibration and test."""

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    size: tuple[int, int] | None = None
    seed: int = 1
