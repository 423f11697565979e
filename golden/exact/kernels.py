"""Exact integer products in floating point: matrix product, Winograd, and 16-bit limbs.

Tensors are channels-last, (batch, rows, columns, channels), and hold integers in floating point: float32 for
words of 8 bits (twice as fast, and the networks' sums fit), float64 for wider ones. Where the CPU has instructions
for it, products of 8-bit words are formed in integers (:mod:`golden.exact.integer`), and those of wider ones in
limbs of 8 bits (:mod:`golden.exact.limbs`). A sum of integers is exact,
in whatever order it forms, as long as no sum of some of its terms reaches 2**24 or 2**53; the callers check that
with :meth:`Weights.reach` and :attr:`Weights.winograd_gain`. The weights of a layer are a matrix
(kernel * kernel * in_channels, out_channels), rows in the order kernel row, kernel column, channel.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from golden.exact import integer, limbs
from golden.exact.fused import Fused
from golden.qnetwork import Axis, QLayer

EXACT = {torch.float32: 1 << 24, torch.float64: 1 << 53}
"""Integers up to this magnitude are exact in a floating-point type."""

WINOGRAD_MARGIN = 36 * 4
"""36: 4 of the input transform times 9 of the output transform; 4: the weights' transform has quarters."""

_BLOCK_BYTES = 6 << 20
"""Workspace of one block of images (it stays in the cache), or as much as the weights that a block reads, if that is
more: measured best between 1.5 and 24 MB."""

_TRIALS = 7
"""Of a product of some milliseconds by each library, the fastest counts."""

_LIMB_BITS = 16
_G = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]], dtype=torch.float64)


@dataclass(frozen=True)
class Geometry:
    """Sizes of a convolution: sides in elements, ``inputs`` and ``outputs`` in channels."""

    inputs: int
    outputs: int
    rows: int
    columns: int
    out_rows: int
    out_columns: int
    down: Axis
    across: Axis

    @staticmethod
    def of(layer: QLayer) -> Geometry:
        """The geometry of a layer (for pools ``inputs`` equals ``outputs``)."""
        (inputs, rows, columns), (outputs, out_rows, out_columns) = layer.in_shape, layer.out_shape
        sides = (rows, columns, out_rows, out_columns)
        return Geometry(inputs, outputs, *sides, layer.rows, layer.columns)

    @property
    def area(self) -> int:
        """Places of a window."""
        return self.down.kernel * self.across.kernel

    @property
    def padded(self) -> bool:
        """Whether there are zeros around."""
        return self.down.padded or self.across.padded

    @property
    def suits_winograd(self) -> bool:
        """3x3, stride 1, same size, even sides, and enough channels for the transforms to pay."""
        shape = self.down == self.across == Axis(3, 1, 1, 1)
        return shape and self.rows % 2 == 0 and self.columns % 2 == 0 and min(self.inputs, self.outputs) >= 16


def word_type(word_bits: int) -> torch.dtype:
    """Floating-point type that holds words of a width."""
    return torch.float32 if word_bits == 8 else torch.float64


class Weights:
    """Weights of one layer in the forms that the products need; patched in place and restored exactly.

    ``matrix`` has the words' type ``dtype``. ``gain``: the largest sum of magnitudes of an output channel;
    ``one_sided_gain``: the largest sum of its positive or of its negative weights; ``winograd_gain``: as
    ``gain``, of a transformed position (0 without Winograd, which float32 is too short for and limbs are faster
    than). ``bytes``: the matrix as int8, if words have 8 bits and the CPU is fast with them. ``limbs``: in limbs, if
    words are wider and the CPU is fast with these; always fault-free.
    """

    def __init__(self, layer: QLayer, device: torch.device, dtype: torch.dtype) -> None:
        assert layer.weight is not None
        self.geometry = Geometry.of(layer)
        weight = torch.from_numpy(layer.weight).to(device)
        matrix = weight.permute(2, 3, 1, 0).reshape(-1, self.geometry.outputs)
        self.matrix = matrix.to(dtype).contiguous()
        in_integers = dtype == torch.float32 and device.type == "cpu" and integer.available()
        self.bytes = matrix.to(torch.int8).contiguous() if in_integers else None
        words = matrix.double()
        self.gain = _largest_sum(words.abs())
        self.one_sided_gain = max(_largest_sum(words.clamp_min(0)), _largest_sum((-words).clamp_min(0)))
        self.limbs: limbs.LimbWeights | None = None
        if dtype == torch.float64 and device.type == "cpu" and limbs.fits(matrix):
            library = limbs.library()
            self.limbs = None if library is None else limbs.LimbWeights(library, matrix)
        self.transformed: Tensor | None = None
        self.winograd_gain = 0.0
        if self.geometry.suits_winograd and dtype == torch.float64 and self.limbs is None:
            g = _G.to(device)
            taps = torch.einsum("ak,oikl,bl->abio", g, weight.double(), g)
            self.transformed = taps.reshape(16, self.geometry.inputs, self.geometry.outputs).contiguous()
            self.winograd_gain = float(self.transformed.abs().sum(dim=1).max()) * (1 + 1e-9)

    def direct(self, x: Tensor, peak: float) -> Tensor:
        """The layer's sums as :func:`direct` gives them, for ``x`` in which nothing exceeds ``peak``."""
        g = self.geometry
        if self.bytes is None or peak > integer.PEAK:
            return direct(x, self.matrix, g)
        sums = integer.product(unfold(x.to(torch.int8), g), self.bytes)
        return sums.to(x.dtype).view(len(x), g.out_rows, g.out_columns, -1)

    def reach(self, low: Tensor, high: Tensor, extra_gain: float) -> Tensor:
        """What no sum of some products exceeds, for inputs from ``low`` to ``high`` (float64, any shape), if the
        weights of an output channel changed by up to ``extra_gain`` in all."""
        gain = torch.where(low >= 0, self.one_sided_gain, self.gain) + extra_gain
        return torch.maximum(high, -low) * gain

    def term(self, row: Tensor, column: Tensor, inputs: Tensor) -> Tensor:
        """Rows of the matrix: int64, of (kernel row, kernel column, input)."""
        return (row * self.geometry.across.kernel + column) * self.geometry.inputs + inputs

    def add(self, row: Tensor, column: Tensor, inputs: Tensor, outputs: Tensor, delta: Tensor) -> None:
        """Add ``delta`` (int64) to the weights at distinct (kernel row, kernel column, input, output)."""
        g = self.geometry
        flat = self.term(row, column, inputs) * g.outputs + outputs
        cells = self.matrix.view(-1)
        words = cells[flat].to(torch.int64) + delta
        cells[flat] = words.to(cells.dtype)
        if self.bytes is not None:
            self.bytes.view(-1)[flat] = words.to(torch.int8)
        if self.transformed is not None:
            pattern = _G.to(delta.device)
            terms = pattern[:, row].unsqueeze(1) * pattern[:, column].unsqueeze(0) * delta.double()
            self.transformed.view(16, -1).index_add_(1, inputs * g.outputs + outputs, terms.view(16, -1))


def _largest_sum(magnitudes: Tensor) -> float:
    """The largest column sum; the factor covers the rounding of one that exceeds 2**53."""
    return float(magnitudes.sum(dim=0).max()) * (1 + 1e-9)


def images_per_block(geometry: Geometry, winograd: bool, item_bytes: int) -> int:
    """Images whose workspace fits the cache: unfolded or transformed input and sums, ``item_bytes`` each."""
    g = geometry
    unfolded, taps = (4 * g.inputs, 16) if winograd else (g.area * g.inputs, g.area)
    sums = (4 if winograd else 1) * g.outputs
    size = g.out_rows * g.out_columns * (unfolded + sums) * item_bytes
    return max(1, max(_BLOCK_BYTES, taps * g.inputs * g.outputs * item_bytes) // size)


def pad(x: Tensor, g: Geometry) -> Tensor:
    """Zeros around the rows and columns of (batch, rows, columns, channels)."""
    across, down = (g.across.before, g.across.after), (g.down.before, g.down.after)
    return F.pad(x, (0, 0, *across, *down)) if g.padded else x


def unfold(x: Tensor, g: Geometry) -> Tensor:
    """im2col: (batch * out_rows * out_columns, kernel * kernel * channels) of x."""
    if g.area == 1 and not g.padded:
        return x[:, :: g.down.stride, :: g.across.stride].reshape(-1, x.shape[3])
    if (g.down.kernel, g.across.kernel) == (g.rows, g.columns) and not g.padded:
        return x.reshape(len(x), -1)
    x = pad(x, g).contiguous()
    batch, row, column, channel = x.stride()
    windows = x.as_strided(
        (len(x), g.out_rows, g.out_columns, g.down.kernel, g.across.kernel, x.shape[3]),
        (batch, row * g.down.stride, column * g.across.stride, row, column, channel),
    )
    return windows.reshape(len(x) * g.out_rows * g.out_columns, -1)


def _matmul(a: Tensor, b: Tensor) -> Tensor:
    """a @ b; on a CPU by the faster of NumPy and torch: which one differs by half either way."""
    if a.device.type == "cpu" and _numpy_is_faster(a.dtype):
        return _numpy_matmul(a, b)
    return _torch_matmul(a, b)


_torch_matmul = torch.matmul


def _numpy_matmul(a: Tensor, b: Tensor) -> Tensor:
    return torch.from_numpy(np.matmul(a.numpy(), b.numpy()))


@cache
def _numpy_is_faster(dtype: torch.dtype) -> bool:
    """Measured once a process: NumPy's OpenBLAS is ahead on AMD, torch's MKL on Intel. Sums are exact in both."""
    a, b = torch.ones(512, 512, dtype=dtype), torch.ones(512, 256, dtype=dtype)
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(_TRIALS):
        for numpy, product in ((False, _torch_matmul), (True, _numpy_matmul)):
            start = time.perf_counter()
            product(a, b)
            seconds[numpy].append(time.perf_counter() - start)
    return min(seconds[True]) < min(seconds[False])


def direct(x: Tensor, matrix: Tensor, g: Geometry) -> Tensor:
    """Sums (batch, out_rows, out_columns, outputs) in the type of ``x`` and ``matrix``, exact within its range.

    ``matrix`` may cover fewer channels than the layer, if ``x`` holds just those.
    """
    return _matmul(unfold(x, g), matrix).view(len(x), g.out_rows, g.out_columns, -1)


def winograd(x: Tensor, transformed: Tensor, g: Geometry) -> Tensor:
    """The same for 3x3 kernels by F(2x2, 3x3), exact with the margin for its fractions, for :func:`accumulators`."""
    tiles = _to_tiles(x)
    sums = _matmul(tiles.view(16, -1, g.inputs), transformed)
    return sums.view(4, 4, len(x) * g.rows // 2, g.columns // 2, g.outputs)


@Fused
def _to_tiles(x: Tensor) -> Tensor:
    """(4, 4, batch, rows / 2, columns / 2, channels): the transform of each 4x4 tile, which overlap by half."""
    batch, rows, columns, channels = x.shape
    x = F.pad(x, (0, 0, 1, 1, 1, 1))
    vertical = _input_terms([x[:, k : k + rows - 1 : 2] for k in range(4)])
    both = [_input_terms([v[:, :, k : k + columns - 1 : 2] for k in range(4)]) for v in vertical]
    return torch.stack([term for terms in both for term in terms]).view(4, 4, batch, rows // 2, columns // 2, channels)


def accumulators(sums: Tensor, shape: Sequence[int]) -> Tensor:
    """Sums of :func:`direct`, or transformed ones of :func:`winograd`, as (batch, rows, columns, channels)."""
    return sums if sums.ndim == 4 else _from_tiles(sums).view(tuple(shape))


def _from_tiles(m: Tensor) -> Tensor:
    """(4, 4, rows, columns, channels), ``rows`` of tiles in the whole batch, to (rows, 2, columns, 2, channels)."""
    return torch.stack([torch.stack(_output_terms(half), 2) for half in _output_terms(m)], 1)


def _input_terms(d: Sequence[Tensor]) -> list[Tensor]:
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _output_terms(m: Tensor) -> list[Tensor]:
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]


def wide(x: Tensor, matrix: Tensor, g: Geometry) -> Tensor:
    """int64 sums modulo 2**64 of int64 ``x`` and an integer float64 matrix, whatever their size."""
    peak = max(abs(int(x.min())), abs(int(x.max())))
    gain = float(matrix.abs().sum(dim=0).max()) * (1 + 1e-9)
    if peak * gain < EXACT[torch.float64]:
        return direct(x.double(), matrix, g).to(torch.int64)
    mask = (1 << _LIMB_BITS) - 1
    if peak > mask:
        low, high = wide(x & mask, matrix, g), wide(x >> _LIMB_BITS, matrix, g)
    else:
        # here only the weights can be wide, since x times a 16-bit weight is below 2**53 in any real layer
        words = matrix.to(torch.int64)
        low, high = wide(x, (words & mask).double(), g), wide(x, (words >> _LIMB_BITS).double(), g)
    return low + (high << _LIMB_BITS)


def seen_by(x: Tensor, g: Geometry, row: int, column: int) -> Tensor:
    """What the kernel's place (row, column) meets in padded ``x``: (batch, out_rows, out_columns, channels)."""
    last_row, last_column = (g.out_rows - 1) * g.down.stride + 1, (g.out_columns - 1) * g.across.stride + 1
    return x[:, row : row + last_row : g.down.stride, column : column + last_column : g.across.stride]


def sparse_terms(
    x: Tensor,
    g: Geometry,
    row: Tensor,
    column: Tensor,
    inputs: Tensor,
    target: Tensor,
    delta: Tensor,
    count: int,
) -> Tensor:
    """What single weights add: (count, batch, out_rows, out_columns) in the type of ``x`` (int64 wraps).

    Weight n adds ``delta[n]`` times its input channel, seen through its kernel position, to ``target[n]``.
    """
    out = torch.zeros(count, len(x), g.out_rows, g.out_columns, dtype=x.dtype, device=x.device)
    position = row * g.across.kernel + column
    for place in torch.unique(position).tolist():
        chosen = torch.nonzero(position == place).flatten()
        planes = x.index_select(3, inputs[chosen])
        seen = seen_by(pad(planes, g), g, *divmod(place, g.across.kernel))
        terms = seen.permute(3, 0, 1, 2) * delta[chosen].to(x.dtype).view(-1, 1, 1, 1)
        out.index_add_(0, target[chosen], terms)
    return out
