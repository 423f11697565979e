"""Small ONNX graphs written down in a few lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="pip install onnx")
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper  # noqa: E402

IMAGE = (3, 8, 8)


class Drawn:
    """Seeded weights; each call draws others."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)

    def __call__(self, *shape: int, low: float = -1.0, high: float = 1.0) -> np.ndarray:
        """float32 between ``low`` and ``high``, by default over the root of the values that one output sums."""
        scale = max(1.0, float(np.prod(shape[1:]))) ** -0.5 * 1.7 if low == -1.0 and len(shape) > 1 else 1.0
        return (self.rng.uniform(low, high, shape) * scale).astype(np.float32)


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> NodeProto:
    """A node; names with blanks between, ``_`` for an operand that is left out."""
    name, operands = attributes.pop("name", ""), ["" if part == "_" else part for part in inputs.split()]
    return helper.make_node(kind, operands, outputs.split(), name=name, **attributes)


def model(
    nodes: Sequence[NodeProto],
    constants: Mapping[str, Any],
    shape: Sequence[int | str | None] = ("n", *IMAGE),
    opset: int = 18,
    kind: int = TensorProto.FLOAT,
    output: str = "y",
    **options: Any,
) -> ModelProto:
    """A model that takes ``x`` of ``shape`` and returns ``output``; its type is ``kind``, its constants are
    initialisers."""
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    image = helper.make_tensor_value_info("x", kind, list(shape))
    result = helper.make_tensor_value_info(output, kind, None)
    graph = helper.make_graph(list(nodes), options.pop("graph", "net"), [image], [result], held)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in options.pop("domains", ()))]
    made = helper.make_model(graph, opset_imports=opsets, producer_name="a test", **options)
    made.ir_version = min(made.ir_version, 13)
    return made


def saved(made: ModelProto, folder: Path, name: str = "net.onnx") -> Path:
    """The model in a file."""
    path = folder / name
    onnx.save(made, path)
    return path
