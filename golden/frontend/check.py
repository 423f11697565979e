"""Always on: the imported graph beside the user's network, and the fused layers beside the graph."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils import _pytree as pytree

from golden.errors import UnsupportedError
from golden.frontend.activations import BoundedReLU, LimitedReLU
from golden.frontend.fuse import Lowered
from golden.frontend.given import title_of
from golden.frontend.layers import FloatLayer, pool_divisor
from golden.frontend.modules import evaluation_mode, float_type, in_one_type
from golden.frontend.network import GraphNetwork
from golden.frontend.refs import NO_PADS, Ref
from golden.qnetwork import INPUT, last_uses, pads, pair

_ROUNDING = {torch.float32: 1e-4, torch.float64: 1e-7}
"""Difference of outputs, as a share of the largest one, that is rounding: layers are folded in another order."""
_SUSPICIOUS = 0.05
"""The largest share that could be rounding at all."""

_ELEMENTS = 1 << 25
"""Values of all operations that are kept at a time."""

_FINAL: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda x: x,
    "softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: x.log_softmax(1),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


def probe(shape: Sequence[int], count: int = 1) -> np.ndarray:
    """Images float64 (count, *shape) of normally distributed numbers, always the same."""
    return np.random.default_rng(0).standard_normal((count, *shape))


def checkable(network: GraphNetwork) -> int:
    """How many images to compare at a time: 16, fewer if they need much memory."""
    elements = sum(int(np.prod(op.shape)) for op in network.graph.ops)
    return max(1, min(16, _ELEMENTS // max(1, elements)))


@torch.no_grad()
def check_import(model: nn.Module, network: GraphNetwork, images: np.ndarray) -> None:
    """Raise UnsupportedError if ``network`` does not compute what ``model`` computes for ``images``, float64
    (count, ...), up to rounding.

    Bounds are left out on both sides: a value at its bound may be cut off by rounding. ``model`` stays as it is.
    """
    if model is network:
        return
    model = in_one_type(model)
    kind = float_type(model)
    x = torch.from_numpy(images.reshape(len(images), *network.graph.taken))
    share = _difference(model, network, x.to(kind))
    if _ROUNDING[kind] < share < _SUSPICIOUS and kind is torch.float32:
        # a small sum of large terms: only float64 tells its rounding from another network
        kind = torch.float64
        share = _difference(copy.deepcopy(model).double(), network, x)
    if share > _ROUNDING[kind]:
        raise UnsupportedError(
            f"{title_of(model)} computes something else than its graph (outputs differ by {share:.2g} of the "
            "largest): does it depend on the number of images, on chance or on earlier calls?"
        )


def _difference(model: nn.Module, network: GraphNetwork, x: Tensor) -> float:
    """Largest difference of outputs as a share of the largest one; what overflows in ``model`` itself is left out."""
    with evaluation_mode(model), _without_bounds(model), _without_bounds(network):
        [expected] = pytree.tree_leaves(model(x.clone()))
        got = _FINAL[network.graph.final](network(x))
    if expected.numel() != got.numel():
        shapes = " and ".join(str(tuple(y.shape[1:])) for y in (expected, got))
        raise UnsupportedError(f"{title_of(model)} and its graph return tensors of other shapes: {shapes}")
    return _share(expected.double(), got.double().reshape(expected.shape))


def _share(expected: Tensor, got: Tensor) -> float:
    valid = expected.isfinite()
    if not bool(valid.any()):
        return 0.0
    peak = float(expected[valid].abs().max())
    return float((expected - got)[valid].abs().nan_to_num(torch.inf).max()) / (peak or 1.0)


@torch.no_grad()
def check_layers(network: GraphNetwork, lowered: Lowered, images: np.ndarray) -> None:
    """Raise UnsupportedError, naming the first of them, if a layer does not compute what the operations of ``network``
    compute that it stands for. ``images``: float64 (count, ...)."""
    x = torch.from_numpy(images.reshape(len(images), *network.graph.input_shape))
    wanted = {op for op, _ in lowered.origin.values()}
    with evaluation_mode(network), _without_bounds(network):
        expected = dict(_operations(network, x, wanted))
    for layer, output in evaluate(lowered.layers, x):
        if layer.name not in lowered.origin:
            continue
        op, ref = lowered.origin[layer.name]
        share = _share(expected.pop(op).flatten(1), _seen(output, ref))
        if share > _ROUNDING[torch.float64]:
            raise UnsupportedError(
                f"layer {layer.name} computes something else than {network.graph.op(op).described} (they differ by "
                f"{share:.2g} of the largest value)"
            )


def _operations(network: GraphNetwork, x: Tensor, wanted: set[str]) -> Iterator[tuple[str, Tensor]]:
    values = {INPUT: x}
    done = last_uses(op.inputs for op in network.graph.ops)
    for index, op in enumerate(network.graph.ops):
        values[op.name] = network.run(op, [values[name] for name in op.inputs])
        if op.name in wanted:
            yield op.name, values[op.name]
        for name in done.get(index, ()):
            del values[name]


def _seen(output: Tensor, ref: Ref) -> Tensor:
    if ref.pads != NO_PADS:
        top, left, bottom, right = ref.pads
        output = output if ref.channels is None else output.index_select(1, torch.from_numpy(ref.channels))
        return F.pad(output, (left, right, top, bottom)).flatten(1) * ref.factor
    places = torch.from_numpy(ref.all_places())
    return output.flatten(1).index_select(1, places) * ref.factor


@torch.no_grad()
def evaluate(layers: Sequence[FloatLayer], images: Tensor) -> Iterator[tuple[FloatLayer, Tensor]]:
    """Each layer with its output in the type of ``images``, (count, channels, rows, columns); bounds left out."""
    values = {INPUT: images}
    done = last_uses((layer.source, layer.residual) for layer in layers)
    for index, layer in enumerate(layers):
        values[layer.name] = run_layer(layer, values)
        yield layer, values[layer.name]
        for name in done.get(index, ()):
            del values[name]


def run_layer(layer: FloatLayer, values: dict[str, Tensor]) -> Tensor:
    """One layer on the tensors that it reads, with a plain ReLU for a bounded one, but for its own limit."""
    x = values[layer.source]
    if layer.weight is None:
        y = apply_window(layer, x)
    else:
        y = apply_window(layer, x, *(torch.from_numpy(part).to(x.dtype) for part in (layer.weight, layer.bias)))
    if layer.residual is not None:
        y = y + values[layer.residual]
    if layer.activation != "linear":
        y = y.relu()
    return y if layer.limit is None else y.clamp_max(layer.limit)


def apply_window(layer: FloatLayer, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """The convolution of ``x`` (count, channels, rows, columns) with ``weight`` and ``bias``, or the pool."""
    top, left, bottom, right = pads(layer.padding)
    around, stride = (top, left), pair(layer.stride)
    if (top, left) != (bottom, right) or (layer.kind == "maxpool" and layer.padding):
        x, around = F.pad(x, (left, right, top, bottom)), (0, 0)
    if weight is not None:
        return F.conv2d(x, weight, bias, stride, around)
    if layer.kind == "maxpool":
        return F.max_pool2d(x, layer.kernel, stride)
    return F.avg_pool2d(x, layer.kernel, stride, around, divisor_override=pool_divisor(layer.area))


@contextmanager
def _without_bounds(model: nn.Module) -> Iterator[None]:
    kept = [(module, module.bound) for module in model.modules() if isinstance(module, BoundedReLU)]
    try:
        for module, bound in kept:
            limit = torch.inf if module.limit is None else module.limit
            module.bound = torch.full_like(bound, limit)
        yield
    finally:
        for module, bound in kept:
            module.bound = bound


__all__ = ["LimitedReLU", "check_import", "check_layers", "evaluate", "probe", "run_layer"]
