"""An ONNX file: read and checked, in one line if something is wrong."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from golden.errors import GoldenError, UnsupportedError
from golden.frontend.onnx.types import DOUBLE, FLOAT, in_one_type

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, ModelProto, ValueInfoProto

OLDEST = 7
"""Operator set from which elements broadcast as in numpy; older files are converted by onnx first."""


@dataclass(frozen=True)
class OnnxFile:
    """A model of one image input and one output, float32 or float64 throughout, functions inlined.

    ``declared``: shape of one image, None where the file leaves a size open, or None if it says nothing; ``batch``: the
    number of images that it is made for, None if any; ``opset``: of the operators of ONNX itself, converted or not.
    """

    title: str
    model: ModelProto
    input: str
    output: str
    declared: tuple[int | None, ...] | None
    batch: int | None
    opset: int
    double: bool
    origin: Mapping[str, str]


def read_onnx(path: Path) -> OnnxFile:
    """The network in ``path``, with data that lie in files beside it.

    Raises UnsupportedError in one line: without the package onnx, for a damaged file, an operator set that is too new,
    several inputs or outputs, images that are no numbers with a fractional part.
    """
    model = _model(path)
    opset = _opset(model, path)
    if opset < OLDEST:
        model, opset = _converted(model, path, opset), OLDEST
    model = _inlined(model, path)
    _prune(model.graph)
    _fill(model.graph)
    known = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in known]
    for what, values in (("takes", inputs), ("returns", list(model.graph.output))):
        if len(values) != 1:
            names = ", ".join(value.name for value in values) or "none"
            raise UnsupportedError(
                f"{path.name} {what} {len(values)} tensors ({names}): one is supported; "
                "onnx.utils.extract_model cuts a network out of a file"
            )
    [image], [result] = inputs, model.graph.output
    kind = _type(image, path)
    in_one_type(model, kind)
    sizes = _sizes(image)
    if sizes is not None and not 2 <= len(sizes) <= 4:
        raise UnsupportedError(
            f"{path.name} takes {image.name} of {len(sizes)} dimensions: vectors, sequences and images are supported, "
            "behind the dimension of the batch"
        )
    batch, declared = (None, None) if sizes is None else (sizes[0], sizes[1:])
    facts = _origin(path, model)
    return OnnxFile(path.name, model, image.name, result.name, declared, batch, opset, kind == DOUBLE, facts)


def _model(path: Path) -> ModelProto:
    try:
        import onnx
    except ImportError as error:
        raise UnsupportedError(
            f"{path.name} needs the package onnx: pip install 'fitact-testbed[onnx]', or pip install onnx ({error})"
        ) from error
    try:
        model = onnx.load(path)
        whole = all(_sizes(value) is not None for value in (*model.graph.input, *model.graph.output))
        onnx.checker.check_model(path if whole else _with_shapes(model))
    except Exception as error:  # what protobuf, onnx and the system raise shares no base class
        raise UnsupportedError(f"{path} is no network of ONNX: {_line(error)}") from error
    return model


def _with_shapes(model: ModelProto) -> ModelProto:
    """A copy that declares some shape wherever there is none: the checker asks for them, nothing else does."""
    model = copy.deepcopy(model)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.SetInParent()
    return model


def _opset(model: ModelProto, path: Path) -> int:
    import onnx

    newest = onnx.defs.onnx_opset_version()
    found = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=newest)
    if found > newest:
        raise UnsupportedError(
            f"{path.name} has operator set {found}, onnx {onnx.__version__} knows {newest}: upgrade onnx"
        )
    return int(found)


def _converted(model: ModelProto, path: Path, opset: int) -> ModelProto:
    import onnx
    from onnx.version_converter import convert_version

    declared = {value.name: copy.deepcopy(value.type) for value in model.graph.input}
    for value in model.graph.input:  # onnx converts files for one number of images
        if value.type.tensor_type.shape.dim and not value.type.tensor_type.shape.dim[0].dim_value:
            value.type.tensor_type.shape.dim[0].dim_value = 1
    try:
        made = convert_version(model, OLDEST)
    except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
        raise UnsupportedError(
            f"{path.name} has operator set {opset}, and onnx cannot convert it to {OLDEST}: {_line(error)}"
        ) from error
    for value in made.graph.input:
        value.type.CopyFrom(declared.get(value.name, value.type))
    return made


def _inlined(model: ModelProto, path: Path) -> ModelProto:
    if not model.functions:
        return model
    from onnx.inliner import inline_local_functions

    try:
        return inline_local_functions(model)
    except (RuntimeError, ValueError) as error:
        raise UnsupportedError(f"{path.name} has functions that onnx cannot inline: {_line(error)}") from error


def _prune(graph: GraphProto) -> None:
    """Leave out nodes on which no output depends, and write the domain of ONNX's own operators as none."""
    wanted = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        node.domain = "" if node.domain == "ai.onnx" else node.domain
        if wanted.intersection(node.output):
            wanted.update(node.input)
            wanted.update(name for attribute in node.attribute for name in _read(attribute))
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))


def _fill(graph: GraphProto) -> None:
    """Sparse parameters with their zeros."""
    from onnx import numpy_helper

    for sparse in graph.sparse_initializer:
        values, places = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
        full = np.zeros(tuple(sparse.dims), values.dtype)
        if places.ndim == 1:
            full.reshape(-1)[places] = values
        else:
            full[tuple(places.T)] = values
        graph.initializer.append(numpy_helper.from_array(full, sparse.values.name))
    del graph.sparse_initializer[:]


def _read(attribute: AttributeProto) -> Iterator[str]:
    """Names that graphs within a node read, of their own or of those around."""
    for graph in (attribute.g, *attribute.graphs):
        yield from (value.name for value in graph.output)
        for node in graph.node:
            yield from node.input
            for inner in node.attribute:
                yield from _read(inner)


def _type(image: ValueInfoProto, path: Path) -> int:
    """:data:`FLOAT` or :data:`DOUBLE`: what the network is evaluated in."""
    from onnx import TensorProto

    kind = image.type.tensor_type.elem_type
    if kind not in (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16):
        name = TensorProto.DataType.Name(kind).lower() if kind else image.type.WhichOneof("value") or "nothing"
        raise UnsupportedError(f"{path.name} takes {image.name} as {name}: floating-point images are supported")
    return DOUBLE if kind == DOUBLE else FLOAT


def _sizes(image: ValueInfoProto) -> tuple[int | None, ...] | None:
    kind = image.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return tuple(size.dim_value if size.dim_value > 0 else None for size in kind.shape.dim)


def _origin(path: Path, model: ModelProto) -> dict[str, str]:
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise GoldenError(f"{path} cannot be read: {_line(error)}") from error
    producer = f"{model.producer_name} {model.producer_version}".strip()
    opsets = ", ".join(f"{entry.domain or 'ai.onnx'} {entry.version}" for entry in model.opset_import)
    return {"file": path.name, "sha256": digest, "producer": producer or "unnamed", "operator_sets": opsets}


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
