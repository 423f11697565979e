"""The numbers of an ONNX model in one floating-point type, so that it is evaluated without losses of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, TensorProto, TypeProto


FLOAT, DOUBLE, HALF, BFLOAT = 1, 11, 10, 16
"""Numbers of onnx.TensorProto for floating-point types."""
FLOATS = (FLOAT, DOUBLE, HALF, BFLOAT)


def in_one_type(model: ModelProto, kind: int) -> None:
    """Change every floating-point tensor, cast and declared type of ``model`` to ``kind``, FLOAT or DOUBLE."""
    from onnx import AttributeProto, helper, numpy_helper

    for graph in _graphs(model.graph):
        for tensor in graph.initializer:
            _convert(tensor, kind)
        for value in (*graph.input, *graph.output, *graph.value_info):
            _declare(value.type, kind)
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.type == AttributeProto.TENSOR:
                    _convert(attribute.t, kind)
                elif attribute.name in ("to", "dtype", "output_dtype") and attribute.i in FLOATS:
                    attribute.i = kind
            if node.op_type == "Constant" and kind != FLOAT:
                for attribute in list(node.attribute):
                    if attribute.name in ("value_float", "value_floats"):
                        values = np.asarray(
                            helper.get_attribute_value(attribute), helper.tensor_dtype_to_np_dtype(kind)
                        )
                        made = helper.make_attribute("value", numpy_helper.from_array(values))
                        node.attribute.remove(attribute)
                        node.attribute.append(made)


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """``graph`` and all graphs within it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)
            for inner in attribute.graphs:
                yield from _graphs(inner)


def _convert(tensor: TensorProto, kind: int) -> None:
    if tensor.data_type not in FLOATS or tensor.data_type == kind:
        return
    from onnx import helper, numpy_helper

    values = numpy_helper.to_array(tensor).astype(helper.tensor_dtype_to_np_dtype(kind))
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _declare(declared: TypeProto, kind: int) -> None:
    if declared.tensor_type.elem_type in FLOATS:
        declared.tensor_type.elem_type = kind
