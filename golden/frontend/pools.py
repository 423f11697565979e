"""ATen's pools and reductions over rows and columns, in terms of a graph's kinds."""

from __future__ import annotations

from typing import Any

from torch import fx

from golden.frontend.arguments import flat, pair
from golden.frontend.export import place_of
from golden.frontend.graph import Kind, Op, image_shape
from golden.frontend.importer import Importer, Problem, shape_of
from golden.frontend.views import Value
from golden.frontend.windows import adaptive_window, window_padding


def maxpool(importer: Importer, node: fx.Node) -> Any:
    """A max pool; torch may give its indices besides."""
    x, kernel, stride, padding, dilation, ceil = importer.arguments(
        node, "self", "kernel_size", "stride", "padding", "dilation", "ceil_mode"
    )
    if set(flat(dilation)) != {1}:
        raise Problem(f"with dilation {dilation}")
    return _pool(importer, node, "maxpool", x, kernel, stride, padding, ceil)


def avgpool(importer: Importer, node: fx.Node) -> Value:
    """An average pool whose windows all have the same divisor."""
    names = ("self", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
    x, kernel, stride, padding, ceil, counted, divisor = importer.arguments(node, *names)
    if any(flat(padding)) and not counted:
        raise Problem("whose mean leaves out the padding")
    result: Value = _pool(importer, node, "avgpool", x, kernel, stride, padding, ceil, divisor)
    return result


def _pool(
    importer: Importer,
    node: fx.Node,
    kind: Kind,
    x: Any,
    kernel: Any,
    stride: Any,
    padding: Any,
    ceil: Any,
    divisor: Any = None,
) -> Any:
    source = importer.image(node, x)
    axes = len(x.shape) - 1
    if axes not in (1, 2):
        raise Problem(f"on a tensor of shape {x.shape}")
    kernel = pair(kernel, axes, 1)
    stride = pair(stride, axes, 1) if flat(stride) else kernel
    around = pair(padding, axes, 0)
    shape = shape_of(node)
    pads = window_padding(importer.shapes[source], image_shape(shape), kernel, stride, around)
    extra = pads[2:] != around
    if extra and not ceil:
        raise Problem("of an unexpected size")
    options: dict[str, Any] = {"kernel": kernel, "stride": stride, "padding": pads}
    if kind == "avgpool":
        if extra:
            raise Problem("with ceil_mode, whose last mean is over fewer values")
        options["divisor"] = int(divisor or kernel[0] * kernel[1])
    result = importer.op(node, kind, (source,), None, **options)
    return [result] if isinstance(node.meta["val"], tuple | list) else result


def adaptive(importer: Importer, node: fx.Node) -> Any:
    """A pool to a given size, where its windows are equal."""
    kind: Kind = "avgpool" if "avg" in str(node.target) else "maxpool"
    x = importer.operands(node)[0]
    source = importer.image(node, x)
    rows, columns = importer.shapes[source][1:]
    shape = image_shape(shape_of(node))
    windows = adaptive_window(rows, shape[1]), adaptive_window(columns, shape[2])
    if None in windows:
        raise Problem(f"from {rows}x{columns} to {shape[1]}x{shape[2]}, whose windows differ in size")
    (kernel_rows, stride_rows), (kernel_columns, stride_columns) = windows  # type: ignore[misc]
    options: dict[str, Any] = {"kernel": (kernel_rows, kernel_columns), "stride": (stride_rows, stride_columns)}
    if kind == "avgpool":
        options["divisor"] = kernel_rows * kernel_columns
    result = importer.op(node, kind, (source,), None, padding=(0, 0, 0, 0), **options)
    return [result] if isinstance(node.meta["val"], tuple | list) else result


def window_max(importer: Importer, node: fx.Node) -> Value:
    """:func:`golden.frontend.given.window_max`."""
    x, kernel, stride, padding = importer.arguments(node, "x", "kernel", "stride", "padding")
    options = {"kernel": tuple(kernel), "stride": tuple(stride), "padding": tuple(padding)}
    return importer.op(node, "maxpool", (importer.image(node, x),), None, **options)


def reduce(importer: Importer, node: fx.Node) -> Value:
    """Mean, sum or maximum over rows, columns or both."""
    kind = str(node.target._schema.name).rpartition("::")[2]  # type: ignore[union-attr]
    x, dim = importer.arguments(node, "self", "dim")
    last = len(x.shape)
    axes = {axis % (last + 1) for axis in flat(dim)}
    if last not in (2, 3) or not axes or not axes <= {2, last}:
        raise Problem(f"over dimensions {sorted(axes)}: only over rows and columns")
    source = importer.image(node, x)
    channels, rows, columns = importer.shapes[source]
    window = rows if last == 2 or 2 in axes else 1, columns if last in axes else 1
    options: dict[str, Any] = {"kernel": window, "stride": window, "padding": (0, 0, 0, 0)}
    if kind != "amax":
        options["divisor"] = window[0] * window[1] if kind == "mean" else 1
    name = importer.name_of(node, kind)
    pool: Kind = "maxpool" if kind == "amax" else "avgpool"
    left = (channels, rows // window[0], columns // window[1])
    importer.append(Op(name, pool, (source,), left, {}, options, place_of(node)))
    return Value(name, shape_of(node))
