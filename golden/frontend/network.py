"""A graph as an ``nn.Module``: whatever the user's network was made of, here every activation call is a module."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.errors import UnsupportedError
from golden.frontend.activations import BoundedReLU, LimitedReLU
from golden.frontend.graph import Graph, Op
from golden.qnetwork import INPUT, last_uses


class GraphNetwork(nn.Module):
    """Executes ``graph``. Parameters have the names of ``tensors``, activations those of their calls.

    It takes images (batch, *graph.taken) or (batch, channels, rows, columns) and returns the output of the last layer
    (batch, channels, rows, columns), as (batch, classes) where that is a vector.
    """

    def __init__(self, graph: Graph, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.graph = graph
        self._last_use = last_uses(op.inputs for op in graph.ops)
        for name in dict.fromkeys(name for op in graph.ops for name in op.tensors.values()):
            value = tensors[name].detach()
            held = nn.Parameter(value, requires_grad=False) if value.is_floating_point() else None
            parent, leaf = _place(self, name)
            if held is None:
                parent.register_buffer(leaf, value)
            else:
                parent.register_parameter(leaf, held)
        for op in graph.ops:
            if op.kind == "relu":
                parent, leaf = _place(self, op.name)
                parent.add_module(leaf, self._activation(op))

    def _activation(self, op: Op) -> nn.Module:
        limit = op.options.get("limit")
        if "bound" in op.tensors:
            bound = self.tensor(op.tensors["bound"])
            flat = bound.dim() > 0 and op.shape[1:] == (1, 1)
            return BoundedReLU(bound.reshape(-1) if flat else bound, op.options["mode"], limit)
        return nn.ReLU() if limit is None else LimitedReLU(limit)

    @property
    def activation_calls(self) -> tuple[str, ...]:
        """Names of the activation modules in the order of execution."""
        return self.graph.activations

    def tensor(self, name: str) -> Tensor:
        """A parameter by its name."""
        path, _, leaf = name.rpartition(".")
        value = getattr(self.get_submodule(path), leaf)
        assert isinstance(value, Tensor)
        return value

    def forward(self, x: Tensor) -> Tensor:
        values = {INPUT: x.reshape(x.shape[0], *self.graph.input_shape)}
        for index, op in enumerate(self.graph.ops):
            values[op.name] = self.run(op, [values[name] for name in op.inputs])
            for name in self._last_use.get(index, ()):
                if name != self.graph.output:
                    del values[name]
        output = values[self.graph.output]
        return output.flatten(1) if self.graph.shape(self.graph.output)[1:] == (1, 1) else output

    def run(self, op: Op, inputs: list[Tensor]) -> Tensor:
        """One operation, on tensors (batch, channels, rows, columns)."""
        if op.kind == "relu":
            shape, x = op.shape, inputs[0]
            y: Tensor = self.get_submodule(op.name)(x.flatten(1) if shape[1:] == (1, 1) else x)
            return y.reshape(len(x), *shape)
        tensors = {role: self.tensor(name) for role, name in op.tensors.items()}
        kind = inputs[0].dtype  # a graph of float32 also runs in float64
        return _RUN[op.kind](op, inputs, {k: t.to(kind) if t.is_floating_point() else t for k, t in tensors.items()})


def _place(root: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The module that holds ``name``, made if need be, and the last part of the name."""
    *path, leaf = name.split(".")
    for part in path:
        if not isinstance(getattr(root, part, None), nn.Module):
            root.add_module(part, nn.Module())
        root = getattr(root, part)
    return root, leaf


Tensors = Mapping[str, Tensor]


def _conv(op: Op, inputs: list[Tensor], tensors: Tensors) -> Tensor:
    o = op.options
    x, padding = _padded(inputs[0], o["padding"])
    return F.conv2d(
        x, in_two_dimensions(tensors["weight"]), tensors.get("bias"), o["stride"], padding, o["dilation"], o["groups"]
    )


def in_two_dimensions(weight: Tensor) -> Tensor:
    """The weight of a linear layer or of a convolution in one dimension as (outputs, inputs, rows, columns)."""
    return weight if weight.dim() == 4 else weight.reshape(*weight.shape[:2], 1, -1)


def _padded(x: Tensor, pads: tuple[int, int, int, int]) -> tuple[Tensor, tuple[int, int]]:
    """Padding of one width for both sides is left to the operator."""
    top, left, bottom, right = pads
    if (top, left) == (bottom, right):
        return x, (top, left)
    return F.pad(x, (left, right, top, bottom)), (0, 0)


def _norm(op: Op, inputs: list[Tensor], tensors: Tensors) -> Tensor:
    parts = (tensors.get("weight"), tensors.get("bias"))
    return F.batch_norm(inputs[0], tensors["mean"], tensors["var"], *parts, eps=op.options["eps"])


def _affine(_op: Op, inputs: list[Tensor], tensors: Tensors) -> Tensor:
    x = inputs[0]
    if "scale" in tensors:
        x = x * tensors["scale"].view(-1, 1, 1)
    return x + tensors["shift"].view(-1, 1, 1) if "shift" in tensors else x


def _maxpool(op: Op, inputs: list[Tensor], _tensors: Tensors) -> Tensor:
    o = op.options
    top, left, bottom, right = o["padding"]
    x = F.pad(inputs[0], (left, right, top, bottom), value=-torch.inf) if any(o["padding"]) else inputs[0]
    return F.max_pool2d(x, o["kernel"], o["stride"])


def _avgpool(op: Op, inputs: list[Tensor], _tensors: Tensors) -> Tensor:
    o = op.options
    x, padding = _padded(inputs[0], o["padding"])
    return F.avg_pool2d(x, o["kernel"], o["stride"], padding, divisor_override=o["divisor"])


def _pad(op: Op, inputs: list[Tensor], _tensors: Tensors) -> Tensor:
    top, left, bottom, right = op.options["padding"]
    return F.pad(inputs[0], (left, right, top, bottom))


def _gather(op: Op, inputs: list[Tensor], tensors: Tensors) -> Tensor:
    x = inputs[0].flatten(1)
    x = x.index_select(1, tensors["index"]) if "index" in tensors else x
    return x.reshape(len(x), *op.shape)


def _unknown(op: Op, _inputs: list[Tensor], _tensors: Tensors) -> Tensor:
    raise UnsupportedError(f"operator {op.described} is not supported")


_RUN: dict[str, Callable[[Op, list[Tensor], Tensors], Tensor]] = {
    "conv": _conv,
    "norm": _norm,
    "affine": _affine,
    "add": lambda _op, inputs, _tensors: inputs[0] + inputs[1],
    "maxpool": _maxpool,
    "avgpool": _avgpool,
    "pad": _pad,
    "channels": lambda _op, inputs, tensors: inputs[0].index_select(1, tensors["index"]),
    "gather": _gather,
    "concat": lambda _op, inputs, _tensors: torch.cat(inputs, 1),
    "unknown": _unknown,
}
