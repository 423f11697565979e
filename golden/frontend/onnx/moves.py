"""ONNX's operators that only move numbers, pad or join them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import fx

from golden.frontend.export import BATCH
from golden.frontend.onnx.translate import Call, Declined, Operand, Translator, shape_of

A = torch.ops.aten
_ALL = 2**31 - 1
"""From here on the end of a slice means: to the end."""


def _reshaped(call: Call, shape: list[int]) -> fx.Node:
    return call.emit(A.reshape.default, call.image(), shape)


def _reshape(call: Call) -> fx.Node:
    source, given = shape_of(call.image()), call.constant(1)
    shape = [int(size) for size in (call.attribute("shape", ()) if given is None else given)]
    if not call.attribute("allowzero", 0):
        shape = [source[axis] if size == 0 else size for axis, size in enumerate(shape)]
    batch = call.translation.file.batch
    if shape and batch is not None and shape[0] == batch and -1 not in shape[1:]:
        rest = int(np.prod(shape[1:]))
        shape[0] = BATCH if rest == int(np.prod(source[1:])) else shape[0]
    elif shape and shape[0] == batch:
        shape[0] = BATCH
    return _reshaped(call, shape)


def _flatten(call: Call) -> fx.Node:
    shape, axis = shape_of(call.image()), int(call.attribute("axis", 1))
    axis = axis + len(shape) if axis < 0 else axis
    if axis == 0:
        raise Declined("from axis 0: it mixes the images of a batch")
    return _reshaped(call, [int(np.prod(shape[:axis])), int(np.prod(shape[axis:]))])


def _squeeze(call: Call) -> fx.Node:
    shape = shape_of(call.image())
    axes = call.numbers("axes", 1)
    given = [axis % len(shape) for axis in axes or ()]
    if 0 in given or any(shape[axis] != 1 for axis in given):
        raise Declined(f"of axes {given} of {list(shape[1:])} behind the batch", follows=True)
    gone = given if axes is not None else [axis for axis in range(1, len(shape)) if shape[axis] == 1]
    return _reshaped(call, [size for axis, size in enumerate(shape) if axis not in gone])


def _unsqueeze(call: Call) -> fx.Node:
    shape, axes = list(shape_of(call.image())), call.numbers("axes", 1) or []
    count = len(shape) + len(axes)
    for axis in sorted(axis % count for axis in axes):
        shape.insert(axis, 1)
    return _reshaped(call, shape)


def _transpose(call: Call) -> fx.Node:
    axes = len(shape_of(call.image()))
    return call.emit(A.permute.default, call.image(), list(call.attribute("perm", range(axes)[::-1])))


def _chosen(call: Call, x: fx.Node, axis: int, index: np.ndarray) -> fx.Node:
    if np.array_equal(index, np.arange(shape_of(x)[axis])):
        return x
    return call.emit(A.index_select.default, x, axis, np.ascontiguousarray(index, np.int64))


def _slice(call: Call) -> fx.Node:
    x, shape = call.image(), shape_of(call.image())
    starts, ends = call.numbers("starts", 1) or [], call.numbers("ends", 2) or []
    axes, steps = call.numbers("axes", 3) or list(range(len(starts))), call.numbers("steps", 4) or [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        axis %= len(shape)
        size = shape[axis]
        if axis == 0 and ((start, step) != (0, 1) or end < (call.translation.file.batch or _ALL)):
            raise Declined("of axis 0: it mixes the images of a batch", follows=True)
        last = None if step < 0 and end < -size else end  # Python has no number for the end of a step back
        x = _chosen(call, x, axis, np.arange(size)[start:last:step])
    return x


def _gather(call: Call) -> fx.Node:
    axis, index = call.axis(0), call.constant(1)
    assert index is not None
    shape = shape_of(call.image())
    size = shape[axis]
    flat = index.ravel()
    if flat.size and (flat.min() < -size or flat.max() >= size):
        raise Declined(f"of places outside of {size}")
    made = _chosen(call, call.image(), axis, flat % size)
    result = [*shape[:axis], *index.shape, *shape[axis + 1 :]]
    return made if list(shape_of(made)) == result else call.emit(A.reshape.default, made, result, part="shaped")


def _split(call: Call) -> list[Operand]:
    axis, sizes = call.axis(0), call.numbers("split", 1)
    whole = shape_of(call.image())[axis]
    if sizes is None:
        count = int(call.attribute("num_outputs", len(call.proto.output)))
        step = -(-whole // count)
        sizes = [max(0, min(step, whole - step * part)) for part in range(count)]
    if sum(sizes) != whole:
        raise Declined(f"into {sizes} of {whole}")
    ends = np.cumsum([0, *sizes])
    parts = pairwise(ends)
    return [_chosen(call, call.image(), axis, np.arange(start, end)) for start, end in parts]


def _expand(call: Call) -> fx.Node:
    given = call.constant(1)
    assert given is not None
    shape = np.broadcast_shapes(shape_of(call.image()), tuple(int(size) for size in given))
    return call.emit(A.expand.default, call.image(), list(shape))


def _tile(call: Call) -> fx.Node:
    return call.emit(A.repeat.default, call.image(), call.numbers("repeats", 1))


def _depth_to_space(call: Call) -> fx.Node:
    batch, channels, rows, columns = shape_of(call.image())
    side = int(call.attribute("blocksize"))
    inner = channels // side**2
    if call.attribute("mode", "DCR") == "DCR":
        sizes, order = [batch, side, side, inner, rows, columns], [0, 3, 4, 1, 5, 2]
    else:
        sizes, order = [batch, inner, side, side, rows, columns], [0, 1, 4, 2, 5, 3]
    return _regrouped(call, sizes, order, [batch, inner, rows * side, columns * side])


def _space_to_depth(call: Call) -> fx.Node:
    batch, channels, rows, columns = shape_of(call.image())
    side = int(call.attribute("blocksize"))
    sizes = [batch, channels, rows // side, side, columns // side, side]
    order = [0, 3, 5, 1, 2, 4] if call.attribute("mode", "DCR") == "DCR" else [0, 1, 3, 5, 2, 4]
    return _regrouped(call, sizes, order, [batch, channels * side**2, rows // side, columns // side])


def _regrouped(call: Call, sizes: list[int], order: list[int], shape: list[int]) -> fx.Node:
    x = call.emit(A.reshape.default, call.image(), sizes, part="split")
    return call.emit(A.reshape.default, call.emit(A.permute.default, x, order, part="ordered"), shape)


def _concat(call: Call) -> Operand:
    axes = len(shape_of(next(value for value in call.inputs if isinstance(value, fx.Node))))
    return call.emit(A.cat.default, list(call.inputs), int(call.attribute("axis", 1)) % axes)


def _pad(call: Call) -> fx.Node:
    axes = len(shape_of(call.image()))
    mode, pads = call.attribute("mode", "constant"), call.numbers("pads", 1) or [0] * 2 * axes
    value, chosen = call.constant(2), call.numbers("axes", 3)
    number = float(call.attribute("value", 0.0)) if value is None or not value.size else float(value.ravel()[0])
    ends = [(0, 0)] * axes
    for place, axis in enumerate(range(axes) if chosen is None else chosen):
        ends[axis % axes] = pads[place], pads[place + len(pads) // 2]
    if not any(map(any, ends)):
        return call.image()
    if mode != "constant" or number != 0 or min(map(min, ends)) < 0 or any(ends[0]):
        what = f"in mode {mode}" if mode != "constant" else f"with {number:g}"
        raise Declined(f"of {[list(pair) for pair in ends]} {what}: only zeros around images")
    inner = ends[1:] if any(ends[1]) else ends[2:]
    return call.emit(A.constant_pad_nd.default, call.image(), [size for pair in reversed(inner) for size in pair])


MOVES: dict[str, Translator] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Slice": _slice,
    "Gather": _gather,
    "Split": _split,
    "Expand": _expand,
    "Tile": _tile,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Concat": _concat,
    "Pad": _pad,
}
