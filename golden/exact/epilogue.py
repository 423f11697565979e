"""Parameters of a layer as tensors, and its epilogue: in floating point where values are small, in int64 always.

Channels-last; ``bound`` is (rows, columns, channels) or one number. The formulas are those of
:mod:`golden.qnetwork`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from golden.exact.fused import Fused
from golden.exact.kernels import accumulators, word_type
from golden.qnetwork import Activation, QLayer


@dataclass(frozen=True, eq=False)
class Parameters:
    """What the epilogue of one layer needs: ``bias`` and ``shift`` int64 (channels,), ``bound`` None, ``dtype``
    (rows, columns, channels) or an int; ``top`` the largest word; ``dtype`` the type that words have."""

    bias: Tensor
    shift: Tensor
    activation: Activation
    bound: Tensor | int | None
    acc_bits: int
    top: int
    dtype: torch.dtype

    @staticmethod
    def of(layer: QLayer, acc_bits: int, word_bits: int, device: torch.device) -> Parameters:
        """The parameters of a layer on a device."""
        bound, dtype = layer.bound, word_type(word_bits)
        return Parameters(
            torch.from_numpy(np.ascontiguousarray(layer.bias)).to(device),
            torch.from_numpy(np.ascontiguousarray(layer.shift)).to(device),
            layer.activation,
            channels_last_bound(bound, device, dtype) if isinstance(bound, np.ndarray) else bound,
            acc_bits,
            (1 << (word_bits - 1)) - 1,
            dtype,
        )

    def select(self, channels: Tensor) -> Parameters:
        """The same for some channels only."""
        bound = self.bound.index_select(-1, channels) if isinstance(self.bound, Tensor) else self.bound
        return replace(self, bias=self.bias[channels], shift=self.shift[channels], bound=bound)

    @property
    def is_identity(self) -> bool:
        """Whether a value of word width passes unchanged (a max pool)."""
        return self.activation == "linear" and not bool(self.bias.any()) and not bool(self.shift.any())

    @property
    def output_peak(self) -> float:
        """What no output word exceeds in magnitude."""
        if self.bound is None or (self.activation == "saturate" and self._lowest_bound < 0):
            return float(self.top + 1)
        return max(0.0, float(self.bound.max()) if isinstance(self.bound, Tensor) else float(self.bound))

    @property
    def _lowest_bound(self) -> float:
        return float(self.bound.min()) if isinstance(self.bound, Tensor) else float(self.bound or 0)

    def float_terms(self) -> tuple[Tensor, Tensor]:
        """(scale, offset) in the words' type (channels,): floor(acc * scale + offset) is the rounded, shifted value."""
        scale = torch.exp2(-self.shift.double())
        offset = self.bias.double() * scale + torch.where(self.shift > 0, 0.5, 0.0)
        return scale.to(self.dtype), offset.to(self.dtype)


def channels_last_bound(bound: np.ndarray, device: torch.device, dtype: torch.dtype) -> Tensor:
    """int64 (channels, rows, columns) to ``dtype`` (rows, columns, channels)."""
    return torch.from_numpy(np.ascontiguousarray(bound.transpose(1, 2, 0))).to(device, dtype)


def finish_float(
    sums: Tensor,
    residual: Tensor | None,
    factor: int,
    parameters: Parameters,
    terms: tuple[Tensor, Tensor],
    out: Tensor,
) -> None:
    """Epilogue of accumulators plus ``factor`` times ``residual`` in the words' type into ``out``; exact while their
    magnitude + |bias| + half a step is so.

    ``sums``: as :func:`golden.exact.kernels.accumulators` takes them; ``terms``: those of
    :meth:`Parameters.float_terms`.
    """
    p = parameters
    _float_epilogue(sums, residual, factor, *terms, p.activation, p.bound, p.top, out)


@Fused
def _float_epilogue(
    sums: Tensor,
    residual: Tensor | None,
    factor: int,
    scale: Tensor,
    offset: Tensor,
    activation: Activation,
    bound: Tensor | int | None,
    top: int,
    out: Tensor,
) -> None:
    acc = accumulators(sums, out.shape)
    if residual is not None:
        acc = torch.add(acc, residual, alpha=factor)
    value = torch.addcmul(offset, acc, scale, out=out).floor_()
    if activation == "linear":
        value.clamp_(-top - 1, top)
    elif activation == "relu":
        value.clamp_(0, top)
    elif activation == "saturate":
        value.clamp_min_(0)
        if isinstance(bound, Tensor):
            torch.minimum(value, bound, out=value)
        else:
            value.clamp_max_(_number(bound))
    else:
        # a product with 0.0 or 1.0, three times as fast as a selection; a bound below zero leaves nothing
        passes = torch.empty_like(value)
        if isinstance(bound, Tensor):
            torch.ge(bound, value, out=passes)
        else:
            torch.le(value, _number(bound), out=passes)
        value.mul_(passes).clamp_min_(0)


def rounded_wide(acc: Tensor, parameters: Parameters) -> Tensor:
    """Wide values before the activation, int64, of accumulators that are right modulo 2**acc_bits."""
    spare = 64 - parameters.acc_bits
    value = acc + parameters.bias
    if spare:
        value = (value << spare) >> spare
    half = value >> (parameters.shift - 1).clamp_min(0)
    return torch.where(parameters.shift == 0, value, (half >> 1) + (half & 1))


def finish_wide(acc: Tensor, parameters: Parameters) -> Tensor:
    """Epilogue of int64 accumulators that are right modulo 2**acc_bits; returns words."""
    return activated_wide(rounded_wide(acc, parameters), parameters)


def activated_wide(value: Tensor, parameters: Parameters) -> Tensor:
    """Activation of wide values int64; returns words."""
    bound: Tensor | int | None = parameters.bound
    if isinstance(bound, Tensor):
        bound = bound.to(torch.int64)
    if parameters.activation == "linear":
        value = value.clamp(-parameters.top - 1, parameters.top)
    elif parameters.activation == "relu":
        value = value.clamp(0, parameters.top)
    elif parameters.activation == "saturate":
        limit = bound if isinstance(bound, Tensor) else torch.tensor(_number(bound), device=value.device)
        value = torch.minimum(value.clamp_min(0), limit)
    else:
        below = value <= (bound if isinstance(bound, Tensor) else _number(bound))
        value = torch.where((value >= 0) & below, value, 0)
    return value.to(parameters.dtype)


def _number(bound: int | None) -> int:
    assert bound is not None
    return bound
