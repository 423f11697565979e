"""Windows of convolutions and pools along an axis."""

from __future__ import annotations

from itertools import pairwise

from golden.frontend.graph import Pads
from golden.frontend.layers import Shape


def same_padding(kernel: tuple[int, int], dilation: tuple[int, int]) -> Pads:
    """torch's ``padding="same"``: what is odd goes to the end."""
    rows, columns = ((size - 1) * step for size, step in zip(kernel, dilation, strict=True))
    return rows // 2, columns // 2, rows - rows // 2, columns - columns // 2


def window_padding(
    source: Shape, shape: Shape, kernel: tuple[int, int], stride: tuple[int, int], around: tuple[int, int]
) -> Pads:
    """Padding (top, left, bottom, right) of a pool that pads ``around`` on both sides and, where it rounds its size up,
    more at the end."""
    ends = []
    for size, out, window, step, pad in zip(source[1:], shape[1:], kernel, stride, around, strict=True):
        needed = (out - 1) * step + window - size - pad
        ends.append(max(pad, needed))
    return around[0], around[1], ends[0], ends[1]


def adaptive_window(size: int, out: int) -> tuple[int, int] | None:
    """(kernel, stride) of torch's adaptive pool from ``size`` to ``out`` places; None if its windows differ."""
    starts = [i * size // out for i in range(out)]
    ends = [-(-(i + 1) * size // out) for i in range(out)]
    kernels = {end - start for start, end in zip(starts, ends, strict=True)}
    strides = {b - a for a, b in pairwise(starts)} or set(kernels)
    if len(kernels) > 1 or len(strides) > 1 or 0 in strides:
        return None
    return kernels.pop(), strides.pop()
