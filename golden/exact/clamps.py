"""Hits of the clamps: how many outputs of a layer a bound acts on, exact as the evaluator's layers are."""

from __future__ import annotations

import torch
from torch import Tensor

from golden.exact.epilogue import activated_wide, rounded_wide
from golden.exact.layers import Convolution
from golden.exact.words import Pool, Words
from golden.qnetwork import QLayer


def clamp_values(engine: Convolution | Pool, source: Words, residual: Words | None) -> tuple[Tensor, Tensor]:
    """Output words, and the wide values before the activation (int64, of the same shape), of a fault-free layer."""
    if isinstance(engine, Pool):
        values = rounded_wide(_with(engine.sums(source), engine.layer, residual), engine.parameters)
        return activated_wide(values, engine.parameters), values
    output, sums = engine.sums(source, residual)
    return output, rounded_wide(_with(sums, engine.layer, residual), engine.clean.parameters)


def _with(sums: Tensor, layer: QLayer, residual: Words | None) -> Tensor:
    """Accumulators and the residual operand."""
    if residual is None or layer.residual is None:
        return sums
    return sums + (residual.data.to(torch.int64) << layer.residual.lshift)


def count_hits(engine: Convolution | Pool, values: Tensor, margins: tuple[int, ...]) -> Tensor:
    """Hits in each image for each margin, int64 (batch, margins); ``values``: as of :func:`clamp_values`.

    A hit at margin k is a value above its bound after a right shift by k bits. None without a bound.
    """
    bound = (engine.parameters if isinstance(engine, Pool) else engine.clean.parameters).bound
    if bound is None:
        return torch.zeros(len(values), len(margins), dtype=torch.int64, device=values.device)
    limit = bound.to(torch.int64) if isinstance(bound, Tensor) else bound
    return torch.stack([((values >> margin) > limit).flatten(1).sum(dim=1) for margin in margins], dim=1)
