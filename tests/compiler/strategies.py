"""What Hypothesis draws for layers."""

from __future__ import annotations

from hypothesis import strategies as st


@st.composite
def windows(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
    """Kernel, stride and padding, square and symmetric as often as not."""
    kernel, stride = (draw(st.tuples(st.integers(1, most), st.integers(1, most))) for most in (4, 3))
    padding = draw(st.tuples(*[st.integers(0, 3)] * 4))
    if draw(st.booleans()):
        return (kernel[0],) * 2, (stride[0],) * 2, (padding[0],) * 4
    return kernel, stride, padding


@st.composite
def sides_for(draw: st.DrawFn, kernel: tuple[int, int], padding: tuple[int, int, int, int]) -> tuple[int, int]:
    """Rows and columns that have at least one window."""
    top, left, bottom, right = padding
    around = (top + bottom, left + right)
    rows, cols = (draw(st.integers(max(1, k - p), 9)) for k, p in zip(kernel, around, strict=True))
    return rows, cols
