"""The lowered layers beside their network: always compared, since a trace may leave things out."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.errors import UnsupportedError
from golden.frontend.activations import BoundedReLU
from golden.frontend.layers import FloatLayer
from golden.frontend.modules import evaluation_mode, float_type, in_one_type
from golden.qnetwork import INPUT, last_uses

_ROUNDING = {torch.float32: 1e-4, torch.float64: 1e-7}
"""Difference of outputs, as a share of the largest one, that is rounding: layers are folded in another order."""
_SUSPICIOUS = 0.05
"""The largest share that could be rounding at all."""


def probe(shape: tuple[int, int, int], count: int = 1) -> np.ndarray:
    """Images float64 (count, *shape) of normally distributed numbers, always the same."""
    return np.random.default_rng(0).standard_normal((count, *shape))


@torch.no_grad()
def check_layers(model: nn.Module, layers: Sequence[FloatLayer], images: np.ndarray) -> None:
    """Raise UnsupportedError if ``layers`` do not compute what ``model`` computes for ``images``, float64
    (count, channels, rows, columns), up to rounding.

    Bounds are left out on both sides: a value at its bound may be cut off by rounding. ``model`` stays as it is.
    """
    model, got = in_one_type(model), evaluate(layers, torch.from_numpy(images))
    kind = float_type(model)
    share = _difference(model, got, images, kind)
    if _ROUNDING[kind] < share < _SUSPICIOUS and kind is torch.float32:
        # a small sum of large terms: only float64 tells its rounding from another network
        kind, share = torch.float64, _difference(copy.deepcopy(model).double(), got, images, torch.float64)
    if share > _ROUNDING[kind]:
        raise UnsupportedError(
            f"{type(model).__name__} computes something else than its trace shows (outputs differ by {share:.2g} of "
            "the largest): look for a tensor that is changed in place and read under another name"
        )


def _difference(model: nn.Module, got: Tensor, images: np.ndarray, kind: torch.dtype) -> float:
    """Largest difference of outputs as a share of the largest one; what overflows in ``model`` itself is left out."""
    with evaluation_mode(model), _without_bounds(model):
        expected = model(torch.from_numpy(images).to(kind, copy=True)).double()
    got = got.reshape(expected.shape)
    valid = expected.isfinite()
    if not bool(valid.any()):
        return 0.0
    peak = float(expected[valid].abs().max())
    return float((expected - got)[valid].abs().nan_to_num(torch.inf).max()) / (peak or 1.0)


@contextmanager
def _without_bounds(model: nn.Module) -> Iterator[None]:
    kept = [(module, module.bound) for module in model.modules() if isinstance(module, BoundedReLU)]
    try:
        for module, bound in kept:
            module.bound = torch.full_like(bound, torch.inf)
        yield
    finally:
        for module, bound in kept:
            module.bound = bound


@torch.no_grad()
def evaluate(layers: Sequence[FloatLayer], images: Tensor) -> Tensor:
    """Output of the last layer, float64 (count, channels, rows, columns), with plain ReLUs for bounded ones."""
    values = {INPUT: images.double()}
    done = last_uses((layer.source, layer.residual) for layer in layers)
    for index, layer in enumerate(layers):
        values[layer.name] = _layer(layer, values)
        for name in done.get(index, ()):
            del values[name]
    return values[layers[-1].name]


def _layer(layer: FloatLayer, values: dict[str, Tensor]) -> Tensor:
    x, pad = values[layer.source], layer.padding
    if layer.kind == "maxpool":
        y = F.max_pool2d(F.pad(x, (pad,) * 4), layer.kernel, layer.stride)
    elif layer.kind == "avgpool":
        y = F.avg_pool2d(x, layer.kernel, layer.stride, pad)
    else:
        assert layer.weight is not None
        y = F.conv2d(x, torch.from_numpy(layer.weight), torch.from_numpy(layer.bias), layer.stride, pad)
    if layer.residual is not None:
        y = y + values[layer.residual]
    return y if layer.activation == "linear" else y.relu()
