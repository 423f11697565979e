"""Exact products of 8-bit words by the CPU's integer instructions, several times as fast as in floating point."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

_INSTRUCTIONS = ("avx512_vnni", "avx_vnni", "amx_int8")
"""x86 instructions that add 8-bit products to 32-bit sums; older ones saturate at 16 bits on the way."""

PEAK = 128
"""The largest magnitude of a word; sums of a pool without a shift may exceed it."""

_EXTREMES = ((-128, -128), (-128, 127), (127, 127))


def product(a: Tensor, b: Tensor) -> Tensor:
    """int32 a @ b of int8 matrices, exact: no layer adds the 2**17 products that reach 2**31."""
    return torch._int_mm(a, b)


@cache
def available() -> bool:
    """Whether this CPU has the instructions and the library uses them as it should."""
    has = torch.cpu.get_capabilities()
    return any(has.get(name) for name in _INSTRUCTIONS) and all(_is_exact(*pair) for pair in _EXTREMES)


def _is_exact(left: int, right: int) -> bool:
    """For words that are all extreme: where a shortcut through 16 bits would show."""
    a, b = torch.full((32, 256), left, dtype=torch.int8), torch.full((256, 64), right, dtype=torch.int8)
    return bool((product(a, b) == 256 * left * right).all())
