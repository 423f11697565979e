"""Node by node from an ONNX model to a graph of ATen operators, as torch.export would give it.

What does not depend on the images is computed at once by onnx.reference; shapes are those of :data:`BATCH` images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, fx

from golden.errors import UnsupportedError
from golden.frontend.export import BATCH
from golden.frontend.given import CALLED, KIND, PLACE, Given

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

    from golden.frontend.onnx.file import OnnxFile

Operand = fx.Node | np.ndarray | None
"""What depends on the images, what does not, and an operand that is left out."""

_CHANCE = frozenset(
    ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli")
)


class Declined(Exception):
    """Why a node is not supported. ``follows``: it may only follow from an operand that is not either."""

    def __init__(self, why: str = "", follows: bool = False) -> None:
        super().__init__(why)
        self.follows = follows


@dataclass(frozen=True)
class Call:
    """A node with its operands. ``opset``: version of the operators; ``name``: the node's, or its result's."""

    translation: Translation
    proto: NodeProto
    inputs: tuple[Operand, ...]
    opset: int
    name: str

    @property
    def kind(self) -> str:
        """The operator, with its domain if it is not ONNX's own."""
        return f"{self.proto.domain}.{self.proto.op_type}" if self.proto.domain else str(self.proto.op_type)

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Values by name; strings as text, tensors as protobufs."""
        from onnx import helper

        found = {attribute.name: helper.get_attribute_value(attribute) for attribute in self.proto.attribute}
        return {key: value.decode() if isinstance(value, bytes) else value for key, value in found.items()}

    def attribute(self, name: str, default: Any = None) -> Any:
        """One of them."""
        return self.attributes.get(name, default)

    def operand(self, index: int) -> Operand:
        """None if it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def image(self, index: int = 0) -> fx.Node:
        """An operand that must depend on the images. Raises Declined."""
        found = self.operand(index)
        if not isinstance(found, fx.Node):
            raise Declined("of a constant")
        return found

    def constant(self, index: int) -> np.ndarray | None:
        """An operand that must not. Raises Declined."""
        found = self.operand(index)
        if isinstance(found, fx.Node):
            raise Declined(f"whose input {self.proto.input[index]} depends on the images", follows=True)
        return found

    def numbers(self, attribute: str, index: int) -> list[int] | None:
        """Integers that are an attribute in old operator sets and an operand in new ones; None if not given."""
        if attribute in self.attributes:
            value = self.attributes[attribute]
            return [int(value)] if isinstance(value, int) else [int(part) for part in value]
        given = self.constant(index)
        return None if given is None else [int(part) for part in given.ravel()]

    def axis(self, default: int) -> int:
        """The attribute of that name, counted from the front."""
        return int(self.attribute("axis", default)) % len(shape_of(self.image()))

    def emit(self, target: Any, *arguments: Any, part: str = "") -> fx.Node:
        """An ATen operator that is this node, or a named ``part`` of it; arrays become parameters."""
        return self.translation.emit(self, target, arguments, part)


Translator = Callable[[Call], Any]
"""An operand, or a list of the node's results."""


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """With the dimension of the batch."""
    return tuple(int(size) for size in node.meta["val"].shape)


class Translation:
    """Of one file for images of one shape; ``table``: what operators are, by their names."""

    def __init__(self, file: OnnxFile, taken: tuple[int, ...], table: Mapping[str, Translator]) -> None:
        self.file, self.taken, self.table = file, taken, table
        self.graph = fx.Graph()
        self.held: dict[str, tuple[str, Tensor]] = {}
        self.known: dict[str, Operand] = {"": None}
        self.parameters: dict[int, tuple[np.ndarray, fx.Node]] = {}
        self.named: dict[int, str] = {}
        """Names of initialisers, by id."""
        self.image = self.graph.placeholder("images")
        self.image.meta["val"] = torch.empty(BATCH, *taken, device="meta", dtype=torch.float64 if file.double else None)
        self.nodes = 0

    def run(self, first: fx.Node) -> Given:
        """``first``: the images as the file takes them."""
        self.known[self.file.input] = first
        self._graph(self.file.model.graph)
        result = self.known[self.file.output]
        if not isinstance(result, fx.Node):
            raise UnsupportedError(f"{self.file.title} returns something that does not depend on its images")
        return Given(self.graph, self.held, result.name)

    def _graph(self, graph: GraphProto) -> None:
        from onnx import numpy_helper

        for tensor in graph.initializer:
            array = numpy_helper.to_array(tensor)
            self.named[id(array)] = tensor.name
            self.known[tensor.name] = array
        for node in graph.node:
            self._node(node)

    def _node(self, node: NodeProto) -> None:
        self.nodes += 1
        name = node.name or next(filter(None, node.output), node.op_type)
        call = Call(self, node, tuple(self.known.get(i) for i in node.input), self.file.opset, name)
        try:
            results = self._results(call)
        except Declined as declined:
            results = [self._unsupported(call, str(declined), declined.follows, i) for i in range(len(node.output))]
        for index, output in enumerate(node.output):
            if output:
                known = index < len(results)
                self.known[output] = (
                    results[index] if known else self._unsupported(call, f"output {output}", False, index)
                )

    def _results(self, call: Call) -> Sequence[Operand]:
        kind = call.proto.op_type
        if call.proto.domain not in ("", "ai.onnx"):
            raise Declined
        if kind == "If":
            return self._branch(call)
        if any(attribute.HasField("g") for attribute in call.proto.attribute):
            raise Declined
        if not any(isinstance(value, fx.Node) for value in call.inputs):
            return self._folded(call)
        if kind not in self.table:
            raise Declined
        try:
            found = self.table[kind](call)
        except (RuntimeError, IndexError, ValueError, TypeError) as error:  # what torch says of sizes that do not fit
            line = " ".join(str(error).split())[:200]
            raise Declined(f"on operands of other shapes than it takes ({line})", follows=True) from None
        return found if isinstance(found, list) else [found]

    def _branch(self, call: Call) -> Sequence[Operand]:
        """Of an If whose condition does not depend on the images."""
        condition = call.constant(0)
        assert condition is not None
        graph = call.attribute("then_branch" if bool(condition.ravel()[0]) else "else_branch")
        self._graph(graph)
        return [self.known[value.name] for value in graph.output]

    def _folded(self, call: Call) -> Sequence[Operand]:
        """The results of a node that does not depend on the images."""
        from onnx import helper
        from onnx.reference import ReferenceEvaluator

        from golden.frontend.onnx.reference import operators

        if call.proto.op_type in _CHANCE:
            raise Declined("that depends on chance")
        names = [name for name in call.proto.input if name]
        feeds = {name: value for name, value in zip(call.proto.input, call.inputs, strict=True) if name}
        inputs = [helper.make_value_info(name, helper.make_tensor_type_proto(1, None)) for name in dict.fromkeys(names)]
        outputs = [helper.make_value_info(n, helper.make_tensor_type_proto(1, None)) for n in call.proto.output if n]
        graph = helper.make_graph([call.proto], "constant", inputs, outputs)
        try:
            with np.errstate(all="ignore"):
                model = helper.make_model(graph, opset_imports=self.file.model.opset_import)
                found = iter(ReferenceEvaluator(model, new_ops=operators(call.opset)).run(None, feeds))
        except Exception as error:  # onnx.reference raises whatever numpy and Python do
            line = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise Declined(f"of constants, that onnx.reference cannot compute: {line}") from error
        return [next(found) if name else None for name in call.proto.output]

    # -- nodes of the graph

    def emit(self, call: Call, target: Any, arguments: Sequence[Any], part: str = "") -> fx.Node:
        """Append an operator; its result's shape is found on the device ``meta``."""
        given = tuple(self._argument(argument) for argument in arguments)
        value = target(*fx.node.map_arg(given, lambda operand: operand.meta["val"]))  # before there is a node of it
        if not value.numel():
            raise Declined("that leaves no values")
        node = self.graph.call_function(target, given)
        node.meta["val"] = value
        node.meta[CALLED] = self.safe(f"{call.name}/{part}" if part else call.name)
        node.meta[KIND] = call.kind
        node.meta[PLACE] = f"{self.file.title} node {self.nodes - 1}"
        return node

    @staticmethod
    def safe(name: str) -> str:
        """A dot would be a module within one."""
        return name.replace(".", "/")

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, np.ndarray | np.generic):
            return self._parameter(np.asarray(argument))
        if isinstance(argument, list) and any(isinstance(part, np.ndarray) for part in argument):
            return [self._argument(part) for part in argument]
        return argument

    def _parameter(self, array: Any) -> fx.Node:
        if id(array) not in self.parameters:
            node = self.graph.placeholder(f"parameter_{len(self.parameters)}")
            tensor = torch.from_numpy(np.require(array, requirements=["C", "W"]))
            node.meta["val"] = tensor.to("meta")
            self.held[node.name] = (self.safe(self.named.get(id(array), "")), tensor)
            self.parameters[id(array)] = (array, node)
        return self.parameters[id(array)][1]

    def _unsupported(self, call: Call, why: str, follows: bool, output: int) -> fx.Node:
        images = [value for value in call.inputs if isinstance(value, fx.Node)] or [self.image]
        name = call.proto.output[output] if output < len(call.proto.output) else ""
        shape = self.inferred.get(name) or shape_of(images[0])
        what = f"{call.kind} {why}".strip()
        return self.emit(call, torch.ops.fitact.unsupported.default, (images, [BATCH, *shape[1:]], what, follows))

    @cached_property
    def inferred(self) -> dict[str, tuple[int, ...]]:
        """Shapes that onnx finds for these images: what stands behind an unsupported node is looked at too."""
        from onnx import shape_inference

        model = type(self.file.model)()
        model.CopyFrom(self.file.model)
        for value in model.graph.input:
            if value.name == self.file.input:
                dims = value.type.tensor_type.shape.dim
                del dims[:]
                taken = shape_of(self.known[self.file.input])[1:]  # type: ignore[arg-type]
                for size in (self.file.batch or BATCH, *taken):
                    dims.add().dim_value = size
        try:
            model = shape_inference.infer_shapes(model, data_prop=True)
        except Exception:  # the inference of a damaged graph; the shapes only serve messages
            return {}
        found = {}
        for value in (*model.graph.value_info, *model.graph.output):
            sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            if len(sizes) > 1 and all(size > 0 for size in sizes[1:]):
                found[value.name] = tuple(sizes)
        return found
