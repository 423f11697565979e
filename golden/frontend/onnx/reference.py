"""Operators as the ONNX specification has them, in numpy, in place of some of onnx.reference.

Its pools go through every window in Python; its Softmax has the meaning of operator set 13 in older files too, its
BatchNormalization takes the statistics of the batch in files before 14, its DequantizeLinear begins with 19. They take
nothing from the front end that they are compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun


def _places(
    size: int, kernel: int, stride: int, dilation: int, head: int, tail: int, auto: str, ceil: bool
) -> tuple[np.ndarray, int, int]:
    """Places of each window along an axis, (windows, kernel), and the padding (head, tail)."""
    reach = dilation * (kernel - 1) + 1
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        count = -(-size // stride)
        whole = max(0, (count - 1) * stride + reach - size)
        head = whole // 2 if auto == "SAME_UPPER" else whole - whole // 2
        tail = whole - head
    else:
        if auto == "VALID":
            head = tail = 0
        room = size + head + tail - reach
        count = (-(-room // stride) if ceil else room // stride) + 1
        if ceil and (count - 1) * stride >= size + head:
            count -= 1  # a window that would begin in the padding behind
    starts = np.arange(count) * stride - head
    return starts[:, None] + np.arange(kernel) * dilation, head, tail


def _windows(x: np.ndarray, axes: Sequence[np.ndarray], outside: float) -> np.ndarray:
    """Values of each window in a last axis; ``outside`` of x it is that."""
    for axis, places in enumerate(axes):
        dim = 2 + 2 * axis
        size = x.shape[dim]
        inside = (places >= 0) & (places < size)
        x = np.take(x, np.clip(places, 0, size - 1), axis=dim)
        shape = [1] * x.ndim
        shape[dim : dim + 2] = places.shape
        x = np.where(inside.reshape(shape), x, outside)
    count = len(axes)
    order = [0, 1, *(2 + 2 * axis for axis in range(count)), *(3 + 2 * axis for axis in range(count))]
    x = x.transpose(order)
    return x.reshape(*x.shape[: 2 + count], -1)


def _axes(x: np.ndarray, o: dict[str, Any]) -> list[tuple[np.ndarray, int, int]]:
    kernel = o["kernel_shape"]
    count = len(kernel)
    strides, dilations = (list(o.get(key) or [1] * count) for key in ("strides", "dilations"))
    pads = list(o.get("pads") or [0] * 2 * count)
    auto, ceil = o.get("auto_pad") or "NOTSET", bool(o.get("ceil_mode"))
    return [
        _places(x.shape[2 + i], kernel[i], strides[i], dilations[i], pads[i], pads[count + i], auto, ceil)
        for i in range(count)
    ]


class MaxPool(OpRun):
    """Its values; of the indices there is no use."""

    op_domain = ""

    def _run(self, x: np.ndarray, **o: Any) -> tuple[np.ndarray, ...]:
        low = -np.inf if np.issubdtype(x.dtype, np.floating) else np.iinfo(x.dtype).min
        return (_windows(x, [places for places, _, _ in _axes(x, o)], low).max(-1).astype(x.dtype),)


class AveragePool(OpRun):
    """With ``count_include_pad`` the mean is also over the padding, never over what ``ceil_mode`` adds behind it."""

    op_domain = ""

    def _run(self, x: np.ndarray, **o: Any) -> tuple[np.ndarray, ...]:
        axes = _axes(x, o)
        total = _windows(x, [places for places, _, _ in axes], 0.0).sum(-1)
        counted = np.ones(())
        for axis, (places, head, tail) in enumerate(axes):
            a, b = (head, tail) if o.get("count_include_pad") else (0, 0)
            along = ((places >= -a) & (places < x.shape[2 + axis] + b)).sum(1)
            counted = np.multiply.outer(counted, along)
        return ((total / counted).astype(x.dtype),)


def _softmax(op: OpRun, x: np.ndarray, axis: int, log: bool) -> tuple[np.ndarray, ...]:
    shape = x.shape
    if op.run_params["opsets"].get("", 13) < 13:  # over everything from an axis on, the first by default
        given = [attribute.i for attribute in op.onnx_node.attribute if attribute.name == "axis"]
        first = (given[0] if given else 1) % x.ndim
        x, axis = x.reshape(int(np.prod(shape[:first])), -1), 1
    shifted = x - x.max(axis=axis, keepdims=True)
    total = np.exp(shifted).sum(axis=axis, keepdims=True)
    return ((shifted - np.log(total) if log else np.exp(shifted) / total).astype(x.dtype).reshape(shape),)


class Softmax(OpRun):
    """In the meaning of the file's operator set."""

    op_domain = ""

    def _run(self, x: np.ndarray, axis: int = -1) -> tuple[np.ndarray, ...]:
        return _softmax(self, x, axis, False)


class LogSoftmax(OpRun):
    """In the meaning of the file's operator set."""

    op_domain = ""

    def _run(self, x: np.ndarray, axis: int = -1) -> tuple[np.ndarray, ...]:
        return _softmax(self, x, axis, True)


class BatchNormalization(OpRun):
    """With the statistics of the file."""

    op_domain = ""

    def _run(self, x: np.ndarray, *parameters: np.ndarray, epsilon: float = 1e-5, **_o: Any) -> tuple[np.ndarray, ...]:
        shape = (-1,) + (1,) * (x.ndim - 2)
        scale, bias, mean, var = (values.reshape(shape) for values in parameters)
        return (((x - mean) / np.sqrt(var + epsilon) * scale + bias).astype(x.dtype),)


class DequantizeLinear(OpRun):
    """Of one scale, or one for each place of an axis."""

    op_domain = ""

    def _run(
        self, x: np.ndarray, scale: np.ndarray, zero: np.ndarray | None = None, axis: int = 1, **_o: Any
    ) -> tuple[np.ndarray, ...]:
        shape = [1] * x.ndim
        if scale.size > 1:
            shape[axis % x.ndim] = -1
        start = np.zeros((), np.int64) if zero is None else zero.astype(np.int64)
        start = start.reshape(shape) if start.size > 1 else start.reshape(())
        return (((x.astype(np.int64) - start) * scale.reshape(shape if scale.size > 1 else ())).astype(scale.dtype),)


def operators(opset: int) -> list[type[OpRun]]:
    """For the argument ``new_ops`` of a ReferenceEvaluator."""
    found: list[type[OpRun]] = [MaxPool, AveragePool, Softmax, LogSoftmax, BatchNormalization]
    if opset < 19:
        found.append(DequantizeLinear)
    return found
