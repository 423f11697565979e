"""Layers on wide words by the CPU's matrix unit (Intel AMX), in limbs of 8 bits: see limbs.cpp.

Their products are several times as fast as in float64, and exact modulo 2**64. Built by torch's C++ toolchain when
first needed (some seconds; later processes find it in the build root); without the unit, a compiler or a place for the
cache, :func:`library` is None.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from golden.support.folders import keep_compiled_code

LIMBS = 3
"""Balanced base-256 digits of a fault-free weight: each from -128 to 127."""

LARGEST = 0x7F7F7F
"""Weights up to this magnitude have no more."""

MOST_TERMS = ((1 << 31) - 1) // (4 * 128 * 128)
"""So many products of words are exact: up to four products of their digits share a sum of 32 bits."""

ACTIVATIONS = ("linear", "relu", "saturate", "clip")
"""In the order of ``Activation`` in limbs.cpp."""

_PEAKS = {1: 0x7F, 2: 0x7F7F}
"""The largest magnitude of a word with so many digits."""

_SOURCE = Path(__file__).with_suffix(".cpp")
_ROWS, _COLUMNS, _GROUP = 64, 16, 4
"""A tile of weights: 64 terms of 16 output channels, as the unit wants them: four terms side by side."""
_TILE = _ROWS * _COLUMNS


class Epilogue(ctypes.Structure):
    """``Epilogue`` in limbs.cpp: pointers to int64 and float64, None for operands that there are not."""

    _fields_: ClassVar = [
        *((name, ctypes.c_void_p) for name in ("bias", "shift", "bound", "residual", "kept")),
        *((name, ctypes.c_long) for name in ("bounds", "residual_shift", "activation", "top", "spare_bits")),
    ]


class _Weights(ctypes.Structure):
    """``Weights`` in limbs.cpp."""

    _fields_: ClassVar = [(name, ctypes.c_void_p) for name in ("digits", "starts", "blocks", "fourth")]


class Changes(NamedTuple):
    """Weights at distinct (``terms``, ``outputs``) that become ``words`` of up to 32 bits; int64 (count,) each."""

    terms: Tensor
    outputs: Tensor
    words: Tensor


class LimbWeights:
    """A weight matrix (terms, outputs) of integers up to :data:`LARGEST` in tiles of digits."""

    def __init__(self, library: ctypes.CDLL, matrix: Tensor) -> None:
        self._library = library
        terms, self.outputs = matrix.shape
        self._blocks, self._columns = -(-terms // _ROWS), -(-self.outputs // _COLUMNS)
        cells = torch.zeros(LIMBS, self._blocks * _ROWS, self._columns * _COLUMNS, dtype=torch.int8)
        cells[:, :terms, : self.outputs] = _digits(matrix.to(torch.int64))[0]
        shape = (LIMBS, self._blocks, _ROWS // _GROUP, _GROUP, self._columns, _COLUMNS)
        self._tiles = cells.view(shape).permute(4, 1, 0, 2, 5, 3).contiguous()

    def layer(
        self, x: Tensor, peak: float, sizes: tuple[int, ...], epilogue: Epilogue, changes: Changes | None = None
    ) -> Tensor | None:
        """Output (batch, out_rows, out_columns, outputs) for ``x`` (batch, rows, columns, channels), words in float64.

        ``peak``: what nothing in ``x`` exceeds; ``sizes``: rows to out_columns as in ``Shape`` in limbs.cpp. None if a
        word is below -0x7F7F7F or, with such ones, above 0x7F7F7F: four digits serve positive words.
        """
        x = x.contiguous()
        out = x.new_empty(len(x), *sizes[-2:], self.outputs)
        numbers = (ctypes.c_long * 15)(len(x), *sizes, self.outputs)
        # bounds far above what occurs are common, so four digits are tried only when three were too few
        first = next((limbs for limbs, most in _PEAKS.items() if peak <= most), LIMBS)
        with self._changed(changes) as weights:
            done = self._library.limbs_layer(
                ctypes.c_void_p(x.data_ptr()),
                numbers,
                ctypes.byref(epilogue),
                ctypes.byref(weights),
                ctypes.c_void_p(out.data_ptr()),
                ctypes.c_long(first),
                ctypes.c_long(torch.get_num_threads()),
            )
        return out if done else None

    @contextmanager
    def _changed(self, changes: Changes | None) -> Iterator[_Weights]:
        weights = _Weights(digits=self._tiles.data_ptr())
        if changes is None:
            yield weights
            return
        tile = changes.outputs // _COLUMNS * self._blocks + changes.terms // _ROWS
        row, column = changes.terms % _ROWS // _GROUP, changes.outputs % _COLUMNS
        cell = (row * _COLUMNS + column) * _GROUP + changes.terms % _GROUP
        digits, fourth = _digits(changes.words)
        places = tile * LIMBS * _TILE + cell + torch.arange(LIMBS).view(-1, 1) * _TILE
        bytes_ = self._tiles.view(-1)
        before = bytes_[places]
        bytes_[places] = digits
        try:
            has = torch.nonzero(fourth).flatten()
            if not len(has):
                yield weights
                return
            # 128 is no digit, so it is put in two tiles
            fourth, tile, cell = fourth[has], tile[has], cell[has]
            second = torch.nonzero(fourth > 127).flatten()
            parts = torch.cat([fourth.clamp_max(127), fourth[second] - 127])
            keys = torch.cat([tile * 2, tile[second] * 2 + 1])
            used, place = torch.unique(keys, return_inverse=True)
            tiles = torch.zeros(len(used), _TILE, dtype=torch.int8)
            tiles[place, torch.cat([cell, cell[second]])] = parts.to(torch.int8)
            used //= 2
            starts = torch.searchsorted(used, torch.arange(self._columns + 1) * self._blocks)
            blocks = used % self._blocks
            weights.starts, weights.blocks, weights.fourth = starts.data_ptr(), blocks.data_ptr(), tiles.data_ptr()
            yield weights
        finally:
            bytes_[places] = before


def fits(matrix: Tensor) -> bool:
    """Whether a weight matrix (terms, outputs) of integers can be :class:`LimbWeights`."""
    return len(matrix) <= MOST_TERMS and int(matrix.abs().max()) <= LARGEST


def _digits(words: Tensor) -> tuple[Tensor, Tensor]:
    """Balanced digits, lowest first, int8 (LIMBS, ...), of int64 words of up to 32 bits, and what is left: a fourth
    digit of the same type as the words, from -128 to 128."""
    biased = words + 0x808080
    digits = [((biased >> (8 * limb)) & 255).sub(128).to(torch.int8) for limb in range(LIMBS)]
    return torch.stack(digits), biased >> (8 * LIMBS)


@cache
def library() -> ctypes.CDLL | None:
    """The compiled limbs.cpp, if this CPU has the unit and it computes as it should."""
    if not torch.cpu.get_capabilities().get("amx_int8"):
        return None
    keep_compiled_code()
    try:
        from torch._inductor.codecache import CppCodeCache

        loaded = CppCodeCache.load(_SOURCE.read_text(encoding="utf-8"))
    except Exception:  # whatever is missing, from a compiler to space on disk: all works without
        return None
    return loaded if loaded.limbs_permitted() and _is_exact(loaded) else None


_POINT = (1, 1, 0, 0)
"""An axis of a 1x1 convolution."""


def _is_exact(loaded: ctypes.CDLL) -> bool:
    """For extreme words, where an overflow would show."""
    zeros = torch.zeros(18, dtype=torch.int64)
    epilogue = Epilogue(bias=zeros.data_ptr(), shift=zeros.data_ptr(), top=(1 << 62) - 1)
    for word, weight in ((0x7F7F7F, LARGEST), (0x7FFFFFFF, -0x7F7F), (-0x7F7F, -LARGEST), (-127, LARGEST)):
        x = torch.full((1, 1, 17, 70), float(word), dtype=torch.float64)
        weights = LimbWeights(loaded, torch.full((70, 18), weight))
        sums = weights.layer(x, abs(word), (1, 17, 70, *_POINT, *_POINT, 1, 17), epilogue)
        if sums is None or not bool((sums == 70 * word * weight).all()):
            return False
    return True
