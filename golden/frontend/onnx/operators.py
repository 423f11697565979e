"""What ONNX's operators are in terms of ATen's; :mod:`golden.frontend.onnx.moves` has those that only move numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import fx

from golden.frontend.onnx.moves import MOVES
from golden.frontend.onnx.translate import Call, Declined, Operand, Translation, Translator, shape_of
from golden.frontend.onnx.windows import Window, window_of

A = torch.ops.aten


def _conv(call: Call) -> fx.Node:
    x, weight, bias = call.image(), call.constant(1), call.constant(2)
    if weight is None:
        raise Declined("without weights")
    kernel = tuple(weight.shape[2:])
    if tuple(call.attribute("kernel_shape", kernel)) != kernel:
        raise Declined(f"with kernel_shape {call.attribute('kernel_shape')} and weights of {list(kernel)}")
    window = window_of(call, kernel)
    pads = [head for head, _ in window.pads]
    if not window.even:
        x, pads = call.emit(A.constant_pad_nd.default, x, window.around, part="pad"), [0] * len(kernel)
    sizes = (list(window.stride), pads, list(window.dilation))
    groups = int(call.attribute("group", 1))
    return call.emit(A.convolution.default, x, weight, bias, *sizes, False, [0] * len(kernel), groups)


def _gemm(call: Call) -> fx.Node:
    x, weight, bias = call.image(), call.constant(1), call.constant(2)
    assert weight is not None
    alpha, beta = float(call.attribute("alpha", 1.0)), float(call.attribute("beta", 1.0))
    if call.attribute("transA", 0):
        raise Declined("with transA: it mixes the images of a batch")
    if not call.attribute("transB", 0):
        weight = weight.T
    if alpha != 1:
        weight = weight * weight.dtype.type(alpha)
    if bias is not None:
        if bias.ndim == 2 and len(bias) > 1 and not (bias == bias[:1]).all():
            raise Declined(f"with C of {list(bias.shape)}, another for each image")
        bias = bias[0] if bias.ndim == 2 else bias
        bias = bias if bias.shape == weight.shape[:1] else np.broadcast_to(bias, weight.shape[:1])
        bias = bias if beta == 1 else bias * bias.dtype.type(beta)
    return call.emit(A.linear.default, x, weight, bias)


def _matmul(call: Call) -> fx.Node:
    x, weight = call.image(), call.constant(1)
    assert weight is not None
    if weight.ndim != 2:
        raise Declined(f"with a constant of {list(weight.shape)}: two dimensions are supported")
    shape = shape_of(x)
    if len(shape) > 2 and all(size == 1 for size in shape[1:-1]):  # a vector with more brackets
        flat = call.emit(A.reshape.default, x, [shape[0], shape[-1]], part="flat")
        made = call.emit(A.linear.default, flat, weight.T, None)
        return call.emit(A.reshape.default, made, [*shape[:-1], weight.shape[1]], part="shaped")
    return call.emit(A.linear.default, x, weight.T, None)


def _norm(call: Call) -> fx.Node:
    scale, bias, mean, var = (call.constant(index) for index in range(1, 5))
    if call.attribute("training_mode", 0):
        raise Declined("in training mode")
    if not call.attribute("spatial", 1) and len(shape_of(call.image())) > 2:
        raise Declined("with statistics of each place (spatial 0)")
    eps = float(str(np.float32(call.attribute("epsilon", 1e-5))))  # 1e-5 as it was written, not as float32 has it
    return call.emit(A.batch_norm.default, call.image(), scale, bias, mean, var, False, 0.0, eps, False)


def _clip(call: Call) -> fx.Node:
    low, high = (_limit(call, name, index) for index, name in enumerate(("min", "max"), 1))
    low, high = (None if limit is None or abs(limit) >= _MOST else limit for limit in (low, high))
    if low is None and high is None:
        return call.image()
    if low is None and high is not None and high >= 0:  # of what is no less than 0 it is a clip from there
        source = _activated(call.image())
        if source is not None:
            return call.emit(A.clamp.default, source, 0.0, high)
    return call.emit(A.clamp.default, call.image(), low, high)


_MOST = float(np.finfo(np.float32).max)
"""What files without a limit give as one."""


def _limit(call: Call, name: str, index: int) -> float | None:
    if name in call.attributes:
        return float(call.attribute(name))
    given = call.constant(index)
    return None if given is None else _one(given)


def _one(values: np.ndarray) -> float:
    if values.size != 1:
        raise Declined("with limits that differ from place to place")
    return float(values.ravel()[0])


def _activated(node: fx.Node) -> fx.Node | None:
    """What a ReLU without a limit is of, if ``node`` is one."""
    if node.target is A.relu.default:
        return node.args[0]  # type: ignore[return-value]
    clamp = node.target is A.clamp.default and node.args[1:] == (0.0, None)
    return node.args[0] if clamp else None  # type: ignore[return-value]


def _extreme(call: Call) -> fx.Node:
    """Max and Min of one operand and a number."""
    images = [value for value in call.inputs if isinstance(value, fx.Node)]
    numbers = [value for value in call.inputs if isinstance(value, np.ndarray)]
    if len(images) == 1 and not numbers:
        return images[0]
    if len(images) != 1 or len(numbers) != 1:
        raise Declined("of several tensors that depend on the images")
    [image], limit = images, _one(numbers[0])
    if call.kind == "Max":
        return call.emit(A.clamp.default, image, limit, None)
    source = _activated(image)
    if source is not None and limit >= 0:
        return call.emit(A.clamp.default, source, 0.0, limit)
    return call.emit(A.clamp.default, image, None, limit)


def _leaky(call: Call) -> fx.Node:
    slope = call.constant(1) if call.kind == "PRelu" else np.asarray(call.attribute("alpha", 0.01))
    if slope is None or slope.any():
        raise Declined()
    return call.emit(A.relu.default, call.image())


def _two(target: Any) -> Translator:
    def translate(call: Call) -> fx.Node:
        a, b = call.inputs
        images = [value for value in (a, b) if isinstance(value, fx.Node)]
        if call.attribute("broadcast") is not None or call.attribute("axis") is not None:
            raise Declined("with broadcasting of an old operator set")
        result = call.emit(target, a, b)
        if shape_of(result) not in [shape_of(image) for image in images]:
            raise Declined(
                f"that makes {list(shape_of(result)[1:])} of {[list(shape_of(i)[1:]) for i in images]}", True
            )
        return result

    return translate


def _sum(call: Call) -> Operand:
    total = call.inputs[0]
    for value in call.inputs[1:]:
        total = call.emit(A.add.Tensor, total, value)
    return total


def _mean(call: Call) -> Operand:
    total = _sum(call)
    count = len(call.inputs)
    return total if count == 1 else call.emit(A.mul.Tensor, total, 1.0 / count)


def _maxpool(call: Call) -> list[Operand]:
    window = _pool_window(call)
    kernel, stride, pads = window.flat()
    return [_pooled(call, lambda x: call.emit(torch.ops.fitact.window_max.default, x, kernel, stride, pads))]


def _avgpool(call: Call) -> fx.Node:
    window = _pool_window(call)
    counts = window.counts(shape_of(call.image())[2:], bool(call.attribute("count_include_pad", 0)))
    if counts is None:
        raise Declined("whose means are over different numbers of values (count_include_pad 0 or ceil_mode)")
    kernel, stride, (top, left, bottom, right) = window.flat()

    def pool(x: fx.Node) -> fx.Node:
        if top or left or bottom or right:
            x = call.emit(A.constant_pad_nd.default, x, [left, right, top, bottom], part="pad")
        return call.emit(A.avg_pool2d.default, x, kernel, stride, [0, 0], False, True, counts)

    return _pooled(call, pool)


def _pool_window(call: Call) -> Window:
    window = window_of(call, tuple(call.attribute("kernel_shape", ())))
    if set(window.dilation) != {1}:
        raise Declined(f"with dilations {list(window.dilation)}")
    return window


def _pooled(call: Call, pool: Callable[[fx.Node], fx.Node]) -> fx.Node:
    """Pools are in two dimensions: a sequence has one row."""
    x = call.image()
    if len(shape_of(x)) == 4:
        return pool(x)
    made = pool(call.emit(A.unsqueeze.default, x, 2, part="row"))
    return call.emit(A.squeeze.dim, made, 2, part="squeezed")


def _global(kind: str) -> Translator:
    def translate(call: Call) -> fx.Node:
        axes = list(range(2, len(shape_of(call.image()))))
        return _reduced(call, kind, axes, True)

    return translate


def _reduce(kind: str) -> Translator:
    def translate(call: Call) -> fx.Node:
        count = len(shape_of(call.image()))
        axes = call.numbers("axes", 1)
        if not axes and call.attribute("noop_with_empty_axes", 0):
            return call.image()
        axes = sorted({axis % count for axis in axes or range(count)})
        return _reduced(call, kind, axes, bool(call.attribute("keepdims", 1)))

    return translate


def _reduced(call: Call, kind: str, axes: list[int], keep: bool) -> fx.Node:
    """Over ``axes``; those of one place are only brackets, and channels that are last go to the front."""
    x, shape = call.image(), shape_of(call.image())
    result = [1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes]
    long = [axis for axis in axes if shape[axis] != 1]
    if not long or 0 in axes:
        if 0 in axes:
            raise Declined(f"over axes {axes}: it mixes the images of a batch", follows=True)
        return call.emit(A.reshape.default, x, result)
    rest = [axis for axis in range(1, len(shape)) if axis not in long]
    order = [0, *rest, *long]
    if len(rest) == 1 and order != list(range(len(shape))):
        x = call.emit(A.permute.default, x, order, part="ordered")
        long = list(range(2, len(shape)))
    target = {"mean": A.mean.dim, "sum": A.sum.dim_IntList, "max": A.amax.default}[kind]
    made = call.emit(target, x, long, True)
    return made if list(shape_of(made)) == result else call.emit(A.reshape.default, made, result, part="shaped")


def _softmax(target: Any) -> Translator:
    def translate(call: Call) -> fx.Node:
        shape = shape_of(call.image())
        if call.opset >= 13:
            axis = call.axis(-1)
            if axis != 1 and all(size == 1 for size in shape[2:]):
                raise Declined(f"along axis {axis} of one value")
            return call.emit(target, call.image(), axis, False)
        axis = call.axis(1)  # over everything from there on
        if axis != 1:
            raise Declined(f"along axis {axis}: only along classes")
        flat = call.emit(A.reshape.default, call.image(), [shape[0], int(np.prod(shape[1:]))], part="flat")
        made = call.emit(target, flat, 1, False)
        return made if len(shape) == 2 else call.emit(A.reshape.default, made, list(shape), part="shaped")

    return translate


def _one_operand(target: Any) -> Translator:
    return lambda call: call.emit(target, call.image())


def _dropout(call: Call) -> list[Operand]:
    training, ratio = call.constant(2), call.constant(1)
    if training is not None and training.any() and (ratio is None or ratio.any()):
        raise Declined("in training mode")
    return [call.image()]


def _cast(call: Call) -> fx.Node:
    from onnx import TensorProto

    from golden.frontend.onnx.types import FLOATS

    kind = int(call.attribute("to"))
    if kind not in FLOATS:
        raise Declined(f"to {TensorProto.DataType.Name(kind).lower()}")
    return call.image()


def _cast_like(call: Call) -> Operand:
    """Of a constant, it takes the type of what depends on the images."""
    value, like = call.inputs
    if isinstance(value, np.ndarray):
        assert isinstance(like, fx.Node)
        return value.astype(torch.empty(0, dtype=like.meta["val"].dtype).numpy().dtype)
    if isinstance(like, np.ndarray) and like.dtype not in (np.float16, np.float32, np.float64):
        raise Declined(f"to {like.dtype}")
    return value


def _shape(call: Call) -> np.ndarray:
    sizes = shape_of(call.image())
    return np.array(sizes[call.attribute("start", 0) : call.attribute("end", None)], np.int64)


def channels_last(translation: Translation) -> fx.Node:
    """The images as a file takes them that has channels last."""
    node = translation.graph.call_function(A.permute.default, (translation.image, [0, 2, 3, 1]))
    node.meta["val"] = translation.image.meta["val"].permute(0, 2, 3, 1)
    return node


TABLE: dict[str, Translator] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _norm,
    "Relu": _one_operand(A.relu.default),
    "Clip": _clip,
    **dict.fromkeys(("Max", "Min"), _extreme),
    **dict.fromkeys(("LeakyRelu", "PRelu"), _leaky),
    "Add": _two(A.add.Tensor),
    "Sub": _two(A.sub.Tensor),
    "Mul": _two(A.mul.Tensor),
    "Div": _two(A.div.Tensor),
    "Neg": _one_operand(A.neg.default),
    "Sum": _sum,
    "Mean": _mean,
    "MaxPool": _maxpool,
    "AveragePool": _avgpool,
    "GlobalAveragePool": _global("mean"),
    "GlobalMaxPool": _global("max"),
    "ReduceMean": _reduce("mean"),
    "ReduceSum": _reduce("sum"),
    "ReduceMax": _reduce("max"),
    "Softmax": _softmax(A._softmax.default),
    "LogSoftmax": _softmax(A._log_softmax.default),
    "Sigmoid": _one_operand(A.sigmoid.default),
    "Tanh": _one_operand(A.tanh.default),
    "Dropout": _dropout,
    "Cast": _cast,
    "CastLike": _cast_like,
    "Identity": lambda call: call.image(),
    "Shape": _shape,
    "Size": lambda call: np.array(np.prod(shape_of(call.image())), np.int64),
    **MOVES,
}
"""By ONNX's names. What depends on no image needs none of them."""
