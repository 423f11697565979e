"""What ATen's operators are in terms of a graph's kinds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, fx
from torch.nn import functional as F

from golden.frontend.arguments import number, pair
from golden.frontend.export import BATCH, place_of
from golden.frontend.graph import Op, image_shape
from golden.frontend.importer import CONVOLUTION, Importer, Operator, Problem, shape_of
from golden.frontend.pools import adaptive, avgpool, maxpool, reduce, window_max
from golden.frontend.views import Value
from golden.frontend.windows import same_padding


def _conv(importer: Importer, node: fx.Node) -> Value:
    names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    x, weight, bias, stride, padding, dilation, groups = importer.arguments(node, *names)
    if not isinstance(weight, Tensor) or not isinstance(bias, Tensor | None):
        raise Problem("with weights that depend on the image")
    axes = weight.dim() - 2
    if axes not in (1, 2) or importer.arguments(node, "transposed")[0]:
        raise Problem("that is transposed or in three dimensions")
    source = importer.image(node, x)
    kernel = pair(list(weight.shape[2:]), axes, 1)
    stride, dilation = pair(stride, axes, 1), pair(dilation, axes, 1)
    if isinstance(padding, str):
        pads = same_padding(kernel, dilation) if padding == "same" else (0, 0, 0, 0)
    else:
        rows, columns = pair(padding, axes, 0)
        pads = (rows, columns, rows, columns)
    return importer.op(
        node, "conv", (source,), {"weight": weight, "bias": bias}, stride=stride, padding=pads, dilation=dilation,
        groups=int(groups),
    )  # fmt: skip


def _linear(importer: Importer, node: fx.Node) -> Value:
    x, weight, bias = importer.arguments(node, "input", "weight", "bias")
    return _product(importer, node, x, weight, bias)


def _addmm(importer: Importer, node: fx.Node) -> Value:
    bias, x, weight, beta, alpha = importer.arguments(node, "self", "mat1", "mat2", "beta", "alpha")
    if beta != 1 or alpha != 1:
        raise Problem(f"with beta {beta}, alpha {alpha}")
    return _product(importer, node, x, weight.t() if isinstance(weight, Tensor) else weight, bias)


def _mm(importer: Importer, node: fx.Node) -> Value:
    x, weight = importer.operands(node)[:2]
    return _product(importer, node, x, weight.t() if isinstance(weight, Tensor) and weight.dim() == 2 else weight, None)


def _product(importer: Importer, node: fx.Node, x: Any, weight: Any, bias: Any) -> Value:
    if not isinstance(weight, Tensor) or not isinstance(bias, Tensor | None) or weight.dim() != 2:
        raise Problem("of two tensors that depend on the image")
    if not isinstance(x, Value) or len(x.shape) != 1:
        raise Problem(f"on inputs of shape {x.shape}: flatten them first")
    if bias is not None and tuple(bias.shape) != (len(weight),):
        raise Problem(f"with a bias of shape {tuple(bias.shape)}")
    held = {"weight": weight, "bias": bias}
    return importer.op(node, "conv", (importer.image(node, x),), held, **CONVOLUTION)


def _norm(importer: Importer, node: fx.Node) -> Any:
    names = ("input", "weight", "bias", "running_mean", "running_var", "eps", "training")
    x, weight, bias, mean, var, eps, training = importer.arguments(node, *names)
    if training or not isinstance(mean, Tensor) or not isinstance(var, Tensor):
        raise Problem("without running statistics")
    source = importer.image(node, x)
    held = {"mean": mean, "var": var, "weight": weight, "bias": bias}
    shape = shape_of(node)
    name = importer.name_of(node, "norm")
    kept = {role: importer.hold(t, name, role) for role, t in held.items() if isinstance(t, Tensor)}
    importer.append(Op(name, "norm", (source,), image_shape(shape), kept, {"eps": float(eps)}, place_of(node)))
    result = Value(name, shape)
    return [result] if isinstance(node.meta["val"], tuple | list) else result


def _relu(importer: Importer, node: fx.Node) -> Value:
    return importer.op(node, "relu", (importer.image(node, importer.operands(node)[0]),))


def _clip(importer: Importer, node: fx.Node) -> Value:
    if "relu6" in str(node.target):
        return importer.op(node, "relu", (importer.image(node, importer.operands(node)[0]),), None, limit=6.0)
    x = importer.operands(node)[0]
    low, high = importer.arguments(node, *_CLIPS[str(node.target._schema.name).rpartition("::")[2]])  # type: ignore[union-attr]
    low, high = number(low), number(high)
    if low is None and importer.kind_of(x) == "relu":
        low = 0.0
    if low != 0:
        raise Problem(f"from {low} to {high}: only from 0 on")
    limit = {} if high is None or high == float("inf") else {"limit": high}
    if limit and limit["limit"] < 0:
        raise Problem(f"from {low} to {high}")
    return importer.op(node, "relu", (importer.image(node, x),), None, **limit)


def _maximum(importer: Importer, node: fx.Node) -> Value:
    """Of a tensor and zeros."""
    a, b = importer.operands(node)[:2]
    x, other = (a, b) if isinstance(a, Value) else (b, a)
    if isinstance(other, Value) or bool(torch.as_tensor(other).any()):
        raise Problem("of something else than a tensor and zeros")
    return importer.op(node, "relu", (importer.image(node, x),))


def _threshold(importer: Importer, node: fx.Node) -> Value:
    x, threshold, value = importer.arguments(node, "self", "threshold", "value")
    if threshold != 0 or value != 0:
        raise Problem(f"at {threshold} to {value}: only at 0 to 0")
    return importer.op(node, "relu", (importer.image(node, x),))


def _filled(importer: Importer, node: fx.Node) -> Tensor:
    """A constant of the shape of a tensor that depends on the image."""
    kind = str(node.target._schema.name).rpartition("::")[2]  # type: ignore[union-attr]
    value = importer.arguments(node, "fill_value")[0] if kind == "full_like" else float(kind == "ones_like")
    held = node.meta["val"]
    return torch.full(held.shape, value, dtype=held.dtype)


def _bounded(importer: Importer, node: fx.Node) -> Value:
    x, bound, mode, limit = importer.arguments(node, "x", "bound", "mode", "limit")
    own = {} if limit == float("inf") else {"limit": limit}
    return importer.op(node, "relu", (importer.image(node, x),), {"bound": bound}, mode=mode, **own)


def _arithmetic(importer: Importer, node: fx.Node) -> Value:
    """Addition, subtraction, multiplication, division; of two images or of one and constants by channel."""
    kind = str(node.target._schema.name).rpartition("::")[2].rstrip("_")  # type: ignore[union-attr]
    a, b = importer.operands(node)[:2] if kind != "neg" else (importer.operands(node)[0], -1.0)
    [alpha] = importer.arguments(node, "alpha") if kind in ("add", "sub", "rsub") else [1]
    if kind == "rsub":
        a, b, kind = b, a, "sub"
    if kind == "neg":
        kind = "mul"
    sign = -alpha if kind == "sub" else alpha
    if isinstance(a, Value) and isinstance(b, Value):
        return _two(importer, node, kind, a, b, sign)
    image, other = (a, b) if isinstance(a, Value) else (b, a)
    assert isinstance(image, Value)
    constant = _by_channel(image, other)
    scale, shift = np.ones_like(constant), np.zeros_like(constant)
    if kind in ("add", "sub"):
        if image is a:
            shift = constant * sign
        else:
            scale, shift = scale * sign, constant
    elif kind == "mul":
        scale = constant
    elif image is a:
        scale = 1 / constant
    else:
        raise Problem("by values that depend on the image")
    return _scaled(importer, node, importer.image(node, image), scale, shift)


def _two(importer: Importer, node: fx.Node, kind: str, a: Value, b: Value, sign: float) -> Value:
    if kind not in ("add", "sub"):
        raise Problem("of two tensors that depend on the image")
    if a.shape != b.shape:
        raise Problem(f"of tensors of shapes {a.shape} and {b.shape}")
    first, second = importer.image(node, a), importer.image(node, b)
    if sign != 1:
        channels = importer.shapes[second][0]
        name = importer.name_of(node, "negated" if sign == -1 else "scaled")
        key = importer.hold(torch.full((channels,), float(sign), dtype=torch.float64), name, "scale")
        importer.append(Op(name, "affine", (second,), importer.shapes[second], {"scale": key}, {}, place_of(node)))
        second = name
    return importer.op(node, "add", (first, second))


def _by_channel(image: Value, constant: Any) -> np.ndarray:
    """A constant operand, float64 (channels,)."""
    if isinstance(constant, list):
        raise Problem("of a list")
    values = torch.as_tensor(constant).double()
    try:
        full = torch.broadcast_to(values, (BATCH, *image.shape))
    except RuntimeError:
        raise Problem(f"with a constant of shape {tuple(values.shape)}") from None
    rows = full.reshape(BATCH, image.shape[0], -1)
    if not bool((rows == rows[:1, :, :1]).all()):
        raise Problem("with a constant that differs from place to place within a channel")
    return rows[0, :, 0].numpy().copy()


def _scaled(importer: Importer, node: fx.Node, source: str, scale: np.ndarray, shift: np.ndarray) -> Value:
    held: dict[str, Tensor | None] = {
        "scale": torch.from_numpy(scale) if (scale != 1).any() else None,
        "shift": torch.from_numpy(shift) if shift.any() else None,
    }
    return importer.op(node, "affine", (source,), held)


def _pad(importer: Importer, node: fx.Node) -> Value:
    x, pad = importer.operands(node)[:2]
    mode, value = importer.arguments(node, "mode", "value")
    if mode not in (None, "constant") or value not in (None, 0) or min(pad) < 0:
        raise Problem(f"of {pad} with {mode or 'constant'} {value}: only zeros around")
    if len(x.shape) not in (2, 3) or len(pad) > 2 * len(x.shape):
        raise Problem(f"of {pad} on a tensor of shape {x.shape}")
    axes = len(x.shape) - 1
    left, right, top, bottom = [*pad[: 2 * axes], 0, 0, 0, 0][:4]
    source, padding = importer.image(node, x), (top, left, bottom, right)
    if not any(pad[2 * axes :]):
        return importer.op(node, "pad", (source,), None, padding=padding)
    before, after = pad[2 * axes :]
    weight = F.pad(torch.eye(x.shape[0]), (0, 0, before, after))[:, :, None, None]
    return importer.op(node, "conv", (source,), {"weight": weight}, **CONVOLUTION | {"padding": padding})


def _cat(importer: Importer, node: fx.Node) -> Value:
    tensors, dim = importer.arguments(node, "tensors", "dim")
    if any(not isinstance(tensor, Value) for tensor in tensors):
        raise Problem("with a constant")
    if dim % (len(tensors[0].shape) + 1) != 1:
        raise Problem(f"along dimension {dim}: only along channels")
    if len(tensors) == 1:
        result: Value = tensors[0]
        return result
    return importer.op(node, "concat", tuple(importer.image(node, tensor) for tensor in tensors))


def _final(importer: Importer, node: fx.Node) -> Value:
    kind = str(node.target._schema.name).rpartition("::")[2].lstrip("_").rstrip("_")  # type: ignore[union-attr]
    x = importer.operands(node)[0]
    if kind in ("softmax", "log_softmax"):
        [dim] = importer.arguments(node, "dim")
        if dim % (len(x.shape) + 1) != 1:
            raise Problem(f"along dimension {dim}: only along classes")
    return Value(x.op, x.shape, x.index, kind, x.unknown)


def _unsupported(importer: Importer, node: fx.Node) -> Value:
    what, follows = importer.arguments(node, "what", "follows")
    raise Problem(what, follows, whole=True)


def _same(importer: Importer, node: fx.Node) -> Value:
    result: Value = importer.operands(node)[0]
    return result


def _cast(importer: Importer, node: fx.Node) -> Value:
    kept: torch.dtype = node.meta["val"].dtype
    if not kept.is_floating_point:
        raise Problem(f"to {kept}")
    return _same(importer, node)


def _dropout(importer: Importer, node: fx.Node) -> Value:
    p, train = importer.arguments(node, "p", "train")
    if train and p:
        raise Problem("that is active in evaluation mode")
    return _same(importer, node)


_CLIPS = {
    "clamp": ("min", "max"),
    "clip": ("min", "max"),
    "hardtanh": ("min_val", "max_val"),
    "clamp_min": ("min", "none"),
    "clamp_max": ("none", "max"),
}

OPERATORS: dict[str, Operator] = {
    **dict.fromkeys(("conv1d", "conv2d", "convolution", "conv3d"), _conv),
    "linear": _linear,
    "addmm": _addmm,
    **dict.fromkeys(("mm", "matmul"), _mm),
    **dict.fromkeys(
        ("batch_norm", "native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"), _norm
    ),
    "relu": _relu,
    **dict.fromkeys((*_CLIPS, "relu6"), _clip),
    "maximum": _maximum,
    "threshold": _threshold,
    **dict.fromkeys(("zeros_like", "ones_like", "full_like"), _filled),
    "bounded_relu": _bounded,
    **dict.fromkeys(("add", "sub", "rsub", "mul", "div", "neg"), _arithmetic),
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool2d_with_indices"), maxpool),
    "window_max": window_max,
    "unsupported": _unsupported,
    **dict.fromkeys(("avg_pool1d", "avg_pool2d"), avgpool),
    **dict.fromkeys(
        (
            "adaptive_avg_pool1d",
            "adaptive_avg_pool2d",
            "_adaptive_avg_pool2d",
            "adaptive_max_pool1d",
            "adaptive_max_pool2d",
        ),
        adaptive,
    ),
    **dict.fromkeys(("mean", "sum", "amax"), reduce),
    **dict.fromkeys(("pad", "constant_pad_nd"), _pad),
    **dict.fromkeys(("cat", "concat"), _cat),
    **dict.fromkeys(("softmax", "_softmax", "log_softmax", "_log_softmax", "sigmoid", "tanh"), _final),
    **dict.fromkeys(("clone", "contiguous", "alias", "detach", "lift_fresh_copy", "positive"), _same),
    **dict.fromkeys(("_to_copy", "to"), _cast),
    **dict.fromkeys(("dropout", "feature_dropout", "native_dropout"), _dropout),
}
