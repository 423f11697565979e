"""From a graph's operations to layers of the machine: what can be is folded, the rest becomes layers of its own.

BatchNorm and constants are folded into the convolution before, an activation into the layer before, an addition into
the convolution that makes its later operand; whatever only scales, chooses or flattens into the weights that read it.
Where that is not possible, a 1x1 convolution with a diagonal of weights does it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from golden.errors import UnsupportedError
from golden.frontend.activations import BoundedReLU, LimitedReLU
from golden.frontend.building import LARGEST_DIAGONAL, LayerBuilder, LoweringProblem, output
from golden.frontend.graph import Op
from golden.frontend.layers import FloatLayer, pool_divisor
from golden.frontend.network import GraphNetwork, in_two_dimensions
from golden.frontend.refs import NO_PADS, Ref
from golden.frontend.weights import dense, group_links
from golden.qnetwork import INPUT


@dataclass
class Lowered:
    """``layers`` in execution order, the last gives the logits; ``origin``: how the value of the last operation of each
    lies in its output."""

    layers: list[FloatLayer]
    origin: dict[str, tuple[str, Ref]] = field(default_factory=dict)


def fuse(network: GraphNetwork) -> Lowered:
    """The layers of ``network``, with the bounds of its activation modules.

    Raises UnsupportedError that names all operations without a counterpart, with their places.
    """
    return _Fusion(network).run()


class _Fusion:
    def __init__(self, network: GraphNetwork) -> None:
        self.network, self.graph = network, network.graph
        self.made = LayerBuilder()
        self.refs: dict[str, Ref] = {INPUT: Ref(INPUT, self.graph.input_shape)}
        self.sole: dict[str, bool] = {INPUT: False}
        """Whether an operation's output is all that is read of the layer that makes it, and read once."""
        self.origin: dict[str, tuple[str, Ref]] = {}
        self.users = Counter(name for op in self.graph.ops for name in op.inputs)
        self.users[self.graph.output] += 1
        self.problems: list[str] = []
        self.steps: dict[str, Callable[[Op], Ref]] = {
            "conv": self._conv,
            "norm": self._norm,
            "affine": self._affine,
            "relu": self._relu,
            "add": self._add,
            "maxpool": self._maxpool,
            "avgpool": self._avgpool,
            "pad": lambda op: self._movable(op).padded(op.options["padding"]),
            "channels": lambda op: self.refs[op.inputs[0]].choose(self._array(op, "index")),
            "gather": self._gather,
            "concat": self._concat,
            "unknown": self._unknown,
        }

    def run(self) -> Lowered:
        if not self.graph.ops:
            raise UnsupportedError(f"{self.graph.name} holds no layer")
        for op in self.graph.ops:
            before = len(self.made.layers)
            try:
                ref = self.steps[op.kind](op)
            except LoweringProblem as problem:
                self.problems.append(f"{op.described} {problem}".strip())
                ref = self._unknown(op, report=False)
            self.refs[op.name] = ref
            fused = len(self.made.layers) > before or self.made.node(ref) == op.name
            self.sole[op.name] = self.users[op.name] == 1 and (fused or all(self.sole[name] for name in op.inputs))
            if self.made.node(ref) == op.name and ref.pads == NO_PADS:  # zeros to come are in no layer yet
                self.origin[ref.layer] = (op.name, ref)
        self._finish()
        if self.problems:
            raise UnsupportedError(f"{self.graph.name} cannot run: {'; '.join(self.problems)}", self.problems)
        return Lowered(self.made.used(self.refs[self.graph.output].layer), self.origin)

    def _finish(self) -> None:
        """The output must be a layer's as it is."""
        ref = self.refs[self.graph.output].in_order()
        if not ref.plain or ref.layer == INPUT:
            place = self.graph.op(self.graph.output) if self.graph.output != INPUT else None
            try:
                ref = self.made.diagonal(ref, place or Op(INPUT, "unknown", (), self.graph.input_shape))
            except LoweringProblem as problem:
                self.problems.append(f"output {problem}")
        self.refs[self.graph.output] = ref

    # -- operands

    def _array(self, op: Op, role: str) -> np.ndarray:
        values = self.network.tensor(op.tensors[role]).detach()
        return np.asarray(values.double().numpy() if values.is_floating_point() else values.numpy())

    def _parameter(self, op: Op, role: str, default: float) -> np.ndarray:
        channels = op.shape[0]
        return self._array(op, role) if role in op.tensors else np.full(channels, default)

    def _open(self, name: str) -> FloatLayer | None:
        """The layer that makes an operand, if the next operation may still be part of it."""
        ref = self.refs[name]
        layer = self.made.by_name.get(ref.layer)
        return layer if layer is not None and self.sole[name] and layer.activation == "linear" else None

    def _movable(self, op: Op) -> Ref:
        ref = self.refs[op.inputs[0]]
        return self.made.diagonal(ref, op) if ref.places is not None else ref

    # -- convolutions

    def _conv(self, op: Op) -> Ref:
        ref, o = self.refs[op.inputs[0]], op.options
        held = self.network.tensor(op.tensors["weight"])
        weight = dense(in_two_dimensions(held), o["groups"], o["dilation"])
        bias = self._parameter(op, "bias", 0.0)
        prefix = "fc" if held.dim() == 2 else "conv"
        links = group_links(len(weight), weight.shape[1], o["groups"])
        layer = self.made.weighted(prefix, op, ref, weight, bias, op.shape, o["stride"], o["padding"], links)
        layer.useful_weights = held.numel()
        return output(layer)

    # -- what is folded

    def _norm(self, op: Op) -> Ref:
        mean, variance = self._array(op, "mean"), self._array(op, "var")
        with np.errstate(invalid="ignore", divide="ignore"):  # what that gives is refused by name
            gain = 1 / np.sqrt(variance + op.options["eps"])
            if "weight" in op.tensors:
                gain = gain * self._array(op, "weight")
            shift = self._array(op, "bias") if "bias" in op.tensors else 0.0
        layer = self._open(op.inputs[0])
        if self._foldable(op, layer) and layer is not None and layer.residual is None and layer.weight is not None:
            layer.weight = layer.weight * gain.reshape(-1, 1, 1, 1)
            layer.bias = (layer.bias - mean) * gain + shift
            layer.node = op.name
            return output(layer)
        return self._scaled(op, gain, shift - mean * gain)

    def _affine(self, op: Op) -> Ref:
        return self._scaled(op, self._parameter(op, "scale", 1.0), self._parameter(op, "shift", 0.0))

    def _foldable(self, op: Op, layer: FloatLayer | None) -> bool:
        return layer is not None and layer.kind == "conv" and self.refs[op.inputs[0]].plain

    def _scaled(self, op: Op, scale: np.ndarray, shift: np.ndarray) -> Ref:
        ref, layer = self.refs[op.inputs[0]], self._open(op.inputs[0])
        if self._foldable(op, layer) and layer is not None and layer.weight is not None:
            if layer.residual is None:
                layer.weight = layer.weight * scale.reshape(-1, 1, 1, 1)
                layer.bias = layer.bias * scale + shift
                layer.node = op.name
                return output(layer)
            if (scale == 1).all():
                layer.bias = layer.bias + shift
                layer.node = op.name
                return output(layer)
        if not shift.any() and (scale == scale[0]).all() and scale[0] > 0:
            return ref.scaled(float(scale[0]))
        return self.made.diagonal(ref, op, scale, shift)

    def _relu(self, op: Op) -> Ref:
        name = op.inputs[0]
        ref, layer = self.refs[name], self._open(name)
        if layer is None or ref.factor <= 0 or not ref.whole:
            ref = self.made.diagonal(ref, op)
            layer = self.made.by_name[ref.layer]
        module = self.network.get_submodule(op.name)
        layer.activation = "relu"
        if isinstance(module, BoundedReLU):
            layer.activation, layer.bound = module.mode, _bound(module.bound, ref, op)
        elif isinstance(module, LimitedReLU):
            layer.activation, layer.bound = "saturate", np.array(module.limit / ref.factor)
        if isinstance(module, BoundedReLU | LimitedReLU) and module.limit is not None:
            layer.limit = module.limit / ref.factor
        layer.node = layer.call = op.name
        return ref

    def _add(self, op: Op) -> Ref:
        first, second = (self.refs[name] for name in op.inputs)
        if first.layer == second.layer and _alike(first, second):
            if first.factor + second.factor == 0:
                raise LoweringProblem("that is always zero")
            return first.scaled((first.factor + second.factor) / first.factor)
        order = {layer.name: index for index, layer in enumerate(self.made.layers)}
        names = sorted(op.inputs, key=lambda name: order.get(self.refs[name].layer, -1))
        other, latest = (self.refs[name] for name in names)
        layer = self._open(names[1])
        if self._is_conv(layer) and layer is not None and layer.residual is None and latest.plain and other.plain:
            layer.residual = other.layer
            layer.node = op.name
            return latest
        if other.plain:
            other, latest = latest, other  # what has to be rearranged goes through the new layer
        if not latest.plain:
            latest = self.made.diagonal(latest, op)
        ref = self.made.diagonal(other, op)
        self.made.by_name[ref.layer].residual = latest.layer
        return ref

    @staticmethod
    def _is_conv(layer: FloatLayer | None) -> bool:
        return layer is not None and layer.kind == "conv"

    # -- pools

    def _maxpool(self, op: Op) -> Ref:
        ref = self._movable(op)
        if ref.factor <= 0 or (ref.pads != NO_PADS and not self.made.not_negative(ref.layer)):
            ref = self.made.diagonal(ref, op)
        if any(op.options["padding"]) and not self.made.not_negative(ref.layer):
            raise LoweringProblem("with padding on values that may be negative: the machine pads with zeros")
        return self.made.pool(op, "maxpool", ref)

    def _avgpool(self, op: Op) -> Ref:
        ref = self.made.pool(op, "avgpool", self._movable(op))
        kernel = op.options["kernel"]
        return ref.scaled(pool_divisor(kernel[0] * kernel[1]) / op.options["divisor"])

    # -- rearrangements

    def _gather(self, op: Op) -> Ref:
        ref = self.refs[op.inputs[0]]
        if op.shape[1:] != (1, 1):
            raise LoweringProblem(f"from {ref.shape} to {op.shape}")
        if ref.pads != NO_PADS:
            ref = self.made.diagonal(ref, op)
        return ref.gather(self._array(op, "index") if "index" in op.tensors else None)

    def _concat(self, op: Op) -> Ref:
        """Channels of several tensors in one: each is copied to its place, behind what is there already."""
        refs = [self.refs[name] for name in op.inputs]
        total, start, done = op.shape[0], 0, ""
        for ref in refs:
            count = ref.shape[0]
            if total * count > LARGEST_DIAGONAL:
                raise LoweringProblem(f"of {total} channels")
            weight = np.zeros((total, count, 1, 1))
            weight[start : start + count, :, 0, 0] = np.eye(count)
            links = weight[:, :, 0, 0] > 0
            layer = self.made.weighted("conv", op, ref, weight, np.zeros(total), op.shape, links=links)
            layer.residual, layer.useful_weights = done or None, count
            start, done = start + count, layer.name
        return output(self.made.by_name[done])

    def _unknown(self, op: Op, report: bool = True) -> Ref:
        if report and op.options["what"]:
            self.problems.append(f"{op.described} is not supported")
        self.users[op.name] += 1  # nothing more becomes part of it
        return self.made.placeholder(op)


def _alike(a: Ref, b: Ref) -> bool:
    def same(x: np.ndarray | None, y: np.ndarray | None) -> bool:
        return x is y or (x is not None and y is not None and np.array_equal(x, y))

    return a.pads == b.pads and same(a.channels, b.channels) and same(a.places, b.places)


def _bound(bound: Tensor, ref: Ref, op: Op) -> np.ndarray:
    """A bound as one of the layer that ``ref`` lies in."""
    values = np.asarray(bound.detach().double().numpy()) / ref.factor
    if not values.ndim:
        return values
    if values.size != int(np.prod(op.shape)):
        raise LoweringProblem(f"has bounds of shape {values.shape} for a layer of {op.shape}")
    arranged = np.empty(int(np.prod(ref.source)))
    arranged[ref.all_places()] = values.ravel()
    return arranged.reshape(ref.source)
