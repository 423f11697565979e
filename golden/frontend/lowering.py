"""torch.fx trace of an ordinary ``nn.Module`` to a list of fused float layers.

BatchNorm is folded into the convolution before it, a residual addition into the convolution that makes
its later operand, an activation into the layer before it; a linear layer becomes a convolution whose kernel
covers its input. Anything else raises UnsupportedError with the operator's and the fx node's name.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional as F

from golden.errors import GoldenError, UnsupportedError
from golden.frontend.activations import BoundedReLU
from golden.frontend.check import check_layers, probe
from golden.frontend.layers import FloatLayer, Shape
from golden.frontend.tracing import SHAPE, trace_module
from golden.qnetwork import INPUT, Activation


def lower(model: nn.Module, input_shape: Shape = (3, 32, 32)) -> list[FloatLayer]:
    """Fused float layers of ``model`` in execution order, for images of ``input_shape``; the last one gives the logits.

    ``model`` stays as it is. Raises UnsupportedError naming the operator and its fx node for whatever has no
    counterpart, GoldenError for parameters that are NaN or infinite.
    """
    layers = _Lowering(trace_module(model, input_shape), input_shape).run()
    for layer in layers:
        for what, values in (("weight", layer.weight), ("bias", layer.bias)):
            if values is not None and not np.isfinite(values).all():
                raise GoldenError(f"layer {layer.name} ({layer.node}) has a {what} that is NaN or infinite")
    check_layers(model, layers, probe(input_shape))
    return layers


class _Lowering:
    def __init__(self, module: fx.GraphModule, input_shape: Shape) -> None:
        self.module = module
        self.input_shape = input_shape
        self.layers: list[FloatLayer] = []
        self.value: dict[fx.Node, str] = {}
        """Name of the layer (or INPUT) whose output each node's value is."""
        self.counts: dict[str, int] = {}

    def run(self) -> list[FloatLayer]:
        for node in self.module.graph.nodes:
            if node.op == "placeholder":
                if INPUT in self.value.values():
                    raise UnsupportedError(f"a second input ({node.name}) is not supported")
                self.value[node] = INPUT
            elif node.op == "output":
                result = node.args[0]
                if not isinstance(result, fx.Node) or self.value.get(result) != self._last():
                    raise UnsupportedError("the network must return one tensor, made by its last layer")
            else:
                self._visit(node)
        if not self.layers:
            raise UnsupportedError("the network holds no layer")
        return self.layers

    def _last(self) -> str | None:
        return self.layers[-1].name if self.layers else None

    def _visit(self, node: fx.Node) -> None:
        target: Any = node.target
        if node.op == "call_module":
            target = self.module.get_submodule(str(node.target))
        kind = type(target) if isinstance(target, nn.Module) else target
        if kind == "size":
            return  # no tensor: whoever computes with it has an operand that is none
        if kind in (nn.Identity, nn.Dropout, nn.Dropout2d) or kind == "contiguous":
            self._alias(node)
        elif kind in (nn.Flatten, torch.flatten, "flatten", "view", "reshape"):
            self._flatten(node)
        elif kind is nn.Conv2d:
            self._conv(node, target)
        elif kind is nn.Linear:
            self._linear(node, target)
        elif kind in (nn.BatchNorm2d, nn.BatchNorm1d):
            self._batchnorm(node, target)
        elif kind in (nn.ReLU, F.relu, torch.relu, "relu"):
            self._activate(node, "relu", None)
        elif kind is BoundedReLU:
            self._activate(node, target.mode, target.bound.detach().double().numpy())
        elif kind in (operator.add, operator.iadd, torch.add, "add"):
            self._add(node)
        elif kind is nn.MaxPool2d:
            self._maxpool(node, target)
        elif kind in (nn.AvgPool2d, nn.AdaptiveAvgPool2d):
            self._avgpool(node, target)
        else:
            self._refuse(node)

    def _refuse(self, node: fx.Node, why: str = "is not supported") -> None:
        if node.op == "call_module":
            what = type(self.module.get_submodule(str(node.target))).__name__
        else:
            what = str(getattr(node.target, "__name__", node.target))
        raise UnsupportedError(f"operator {what} (fx node {node.name}) {why}")

    def _operand(self, node: fx.Node, index: int = 0) -> fx.Node:
        operand = node.args[index] if len(node.args) > index else None
        if not isinstance(operand, fx.Node) or operand not in self.value:
            self._refuse(node, f"has an operand {index} that is no tensor of the network")
        assert isinstance(operand, fx.Node)
        return operand

    def _alias(self, node: fx.Node) -> None:
        self.value[node] = self.value[self._operand(node)]

    def _shape(self, name: str) -> Shape:
        return self.input_shape if name == INPUT else self._layer(name).out_shape

    def _layer(self, name: str) -> FloatLayer:
        return next(layer for layer in self.layers if layer.name == name)

    def _flatten(self, node: fx.Node) -> None:
        source = self.value[self._operand(node)]
        if tuple(node.meta[SHAPE]) != (1, int(np.prod(self._shape(source)))):
            self._refuse(node, "is only supported from one image to one vector")
        self._alias(node)

    def _square(self, node: fx.Node, value: Any, what: str) -> int:
        pair = tuple(value) if isinstance(value, tuple | list) else (value,)
        if isinstance(value, str) or len(set(pair)) != 1:
            self._refuse(node, f"with {what} {value} is not supported (must be one number)")
        return int(pair[0])

    def _append(self, node: fx.Node, prefix: str, layer: dict[str, Any]) -> None:
        self.counts[prefix] = self.counts.get(prefix, 0) + 1
        source = self.value[self._operand(node)]
        name = f"{prefix}{self.counts[prefix]}"
        self.layers.append(FloatLayer(name=name, source=source, in_shape=self._shape(source), node=node.name, **layer))
        self.value[node] = name

    def _conv(self, node: fx.Node, conv: nn.Conv2d) -> None:
        if conv.groups != 1 or self._square(node, conv.dilation, "dilation") != 1:
            self._refuse(node, f"with groups {conv.groups}, dilation {conv.dilation} is not supported")
        if conv.padding_mode != "zeros":
            self._refuse(node, f"with {conv.padding_mode} padding is not supported")
        weight = conv.weight.detach().double().numpy()
        layer = {
            "kind": "conv",
            "out_shape": tuple(node.meta[SHAPE][1:]),
            "kernel": self._square(node, conv.kernel_size, "kernel"),
            "stride": self._square(node, conv.stride, "stride"),
            "padding": self._square(node, conv.padding, "padding"),
            "weight": weight,
            "bias": _bias(conv.bias, len(weight)),
        }
        self._append(node, "conv", layer)

    def _linear(self, node: fx.Node, linear: nn.Linear) -> None:
        shape = self._shape(self.value[self._operand(node)])
        if int(np.prod(shape)) != linear.in_features:
            self._refuse(node, f"needs {linear.in_features} inputs, its operand is {shape}")
        if shape[1] != shape[2]:
            self._refuse(node, f"on a map of {shape[1]}x{shape[2]} is not supported (must be square)")
        weight = linear.weight.detach().double().numpy().reshape(-1, *shape)
        layer = {
            "kind": "conv",
            "out_shape": (len(weight), 1, 1),
            "kernel": shape[1],
            "stride": 1,
            "padding": 0,
            "weight": weight,
            "bias": _bias(linear.bias, len(weight)),
        }
        self._append(node, "fc", layer)

    def _open(self, node: fx.Node, operand: fx.Node) -> FloatLayer | None:
        """The layer that makes ``operand``, if ``node`` may still be fused into it."""
        name = self.value[operand]
        if name == INPUT or len(operand.users) != 1:
            return None
        layer = self._layer(name)
        return layer if layer.activation == "linear" and layer.node == operand.name else None

    def _batchnorm(self, node: fx.Node, norm: nn.BatchNorm2d | nn.BatchNorm1d) -> None:
        layer = self._open(node, self._operand(node))
        if layer is None or layer.kind != "conv" or layer.weight is None or layer.residual is not None:
            self._refuse(node, "is only supported directly behind a convolution or linear layer")
        assert layer is not None
        assert layer.weight is not None
        if norm.running_mean is None or norm.running_var is None:
            self._refuse(node, "without running statistics is not supported")
        assert norm.running_mean is not None
        assert norm.running_var is not None
        gain = 1 / np.sqrt(norm.running_var.double().numpy() + norm.eps)
        if norm.affine:
            gain = gain * norm.weight.detach().double().numpy()
        shift = norm.bias.detach().double().numpy() if norm.affine else 0.0
        layer.weight = layer.weight * gain.reshape(-1, 1, 1, 1)
        layer.bias = (layer.bias - norm.running_mean.double().numpy()) * gain + shift
        self._take(node, layer)

    def _take(self, node: fx.Node, layer: FloatLayer) -> None:
        layer.node = node.name
        self.value[node] = layer.name

    def _activate(self, node: fx.Node, activation: Activation, bound: np.ndarray | None) -> None:
        layer = self._open(node, self._operand(node))
        if layer is None:
            self._refuse(node, "is only supported directly behind a layer whose output nothing else reads")
        assert layer is not None
        if bound is not None and bound.ndim:
            if bound.size != int(np.prod(layer.out_shape)):
                self._refuse(node, f"has bounds of shape {bound.shape} for a layer of {layer.out_shape}")
            bound = bound.reshape(layer.out_shape)
        layer.activation, layer.bound = activation, bound
        self._take(node, layer)

    def _add(self, node: fx.Node) -> None:
        operands = [self._operand(node, 0), self._operand(node, 1)]
        if node.kwargs or self.value[operands[0]] == self.value[operands[1]]:
            self._refuse(node, "is only supported on two different tensors")
        order = {layer.name: index for index, layer in enumerate(self.layers)}
        operands.sort(key=lambda operand: order.get(self.value[operand], -1))
        other, latest = operands
        layer = self._open(node, latest)
        if layer is None or layer.kind != "conv" or layer.residual is not None:
            self._refuse(node, "needs a convolution without activation as its later operand")
        assert layer is not None
        if self._shape(self.value[other]) != layer.out_shape:
            self._refuse(node, "is only supported on operands of one shape")
        layer.residual = self.value[other]
        self._take(node, layer)

    def _pool(self, node: fx.Node, kind: str, kernel: int, stride: int, padding: int) -> None:
        out_shape = tuple(node.meta[SHAPE][1:])
        layer = {
            "kind": kind,
            "out_shape": out_shape,
            "kernel": kernel,
            "stride": stride,
            "padding": padding,
            "weight": None,
            "bias": np.zeros(out_shape[0]),
        }
        self._append(node, "pool" if kind == "maxpool" else "avgpool", layer)

    def _maxpool(self, node: fx.Node, pool: nn.MaxPool2d) -> None:
        padding = self._square(node, pool.padding, "padding")
        if pool.ceil_mode or self._square(node, pool.dilation, "dilation") != 1:
            self._refuse(node, "with ceil_mode or dilation is not supported")
        source = self.value[self._operand(node)]
        if padding and (source == INPUT or self._layer(source).activation == "linear"):
            self._refuse(node, "with padding is only supported behind an activation (it pads with zeros)")
        kernel = self._square(node, pool.kernel_size, "kernel")
        self._pool(node, "maxpool", kernel, self._square(node, pool.stride, "stride"), padding)

    def _avgpool(self, node: fx.Node, pool: nn.AvgPool2d | nn.AdaptiveAvgPool2d) -> None:
        shape = self._shape(self.value[self._operand(node)])
        padding = 0
        if isinstance(pool, nn.AdaptiveAvgPool2d):
            if tuple(node.meta[SHAPE][2:]) != (1, 1) or shape[1] != shape[2]:
                self._refuse(node, "is only supported from a square map to one value")
            kernel = stride = shape[1]
        else:
            kernel = self._square(node, pool.kernel_size, "kernel")
            stride = self._square(node, pool.stride, "stride")
            padding = self._square(node, pool.padding, "padding")
            if pool.ceil_mode or pool.divisor_override or (padding and not pool.count_include_pad):
                self._refuse(node, "with ceil_mode, divisor or excluded padding is not supported")
        if (kernel * kernel) & (kernel * kernel - 1):
            self._refuse(node, f"over {kernel}x{kernel} is not supported (must be a power of two)")
        self._pool(node, "avgpool", kernel, stride, padding)


def _bias(bias: torch.Tensor | None, count: int) -> np.ndarray:
    return np.zeros(count) if bias is None else bias.detach().double().numpy()
