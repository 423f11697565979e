"""Node by node from an exported graph to a :class:`Graph`. :mod:`golden.frontend.operators` has the operators."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from golden.errors import UnsupportedError
from golden.frontend.export import BATCH, place_of
from golden.frontend.given import CALLED, KIND
from golden.frontend.graph import Graph, Kind, Op, image_shape
from golden.frontend.network import GraphNetwork
from golden.frontend.views import VIEWS, Value, arranged, chosen_channels, strided_windows
from golden.qnetwork import INPUT

CONVOLUTION: dict[str, Any] = {"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}
"""Options of the simplest one."""

_OWN_MODULES = "golden.frontend.activations"
_ATTRIBUTES = frozenset(vars(nn.Module())) | {"graph"}
"""Of the module that a graph becomes: no part of it may be called so."""


class Problem(Exception):
    """An operator that is not supported, and why. ``follows``: it may only follow from one before that is not either;
    ``whole``: the text says everything."""

    def __init__(self, why: str, follows: bool = False, whole: bool = False) -> None:
        super().__init__(why)
        self.follows, self.whole = follows, whole


class Importer:
    """Node by node."""

    def __init__(self, name: str, taken: tuple[int, ...], operators: Mapping[str, Operator]) -> None:
        self.name, self.taken, self.operators = name, taken, operators
        self.ops: dict[str, Op] = {}
        self.tensors: dict[str, Tensor] = {}
        self.names: dict[int, str] = {}
        """Of the user's parameters, by id."""
        self.kept: dict[int, str] = {}
        """Names of :attr:`tensors`, by id."""
        self.known: dict[fx.Node, Any] = {}
        """Value of each node: a Value, a tensor or number that does not depend on the image, or several of them."""
        self.shapes = {INPUT: image_shape(taken)}

    def run(self, graph: fx.Graph, held: Mapping[str, tuple[str, Tensor]], returned: str) -> GraphNetwork:
        """The whole graph; ``held``: name (if it has one) and value of each parameter by its node's name; ``returned``:
        the node whose value the network returns."""
        for node in graph.nodes:
            if node.op == "placeholder":
                if node.name in held:
                    name, tensor = held[node.name]
                    if name:
                        self.names[id(tensor)] = name
                    self.known[node] = tensor
                else:
                    self.known[node] = Value(INPUT, self.taken)
            elif node.op != "output":  # which also has what was changed in place
                self.known[node] = self._node(node)
        [last] = [node for node in graph.nodes if node.name == returned]
        output = self.known.get(last)
        if not isinstance(output, Value):
            raise UnsupportedError(f"{self.name} returns something that does not depend on its images")
        try:
            name = output.op if self._bracketed(output) else self.plain(output, place_of(last))
        except Problem as problem:
            raise UnsupportedError(f"{self.name} returns a value {problem}: images or vectors are supported") from None
        ops = tuple(self.ops.values())
        whole = Graph(self.name, self.shapes[INPUT], self.taken, ops, name, output.final)
        return GraphNetwork(whole.reachable(), self.tensors)

    def _bracketed(self, value: Value) -> bool:
        """Whether it is what an operation makes, but for dimensions of one place."""
        sizes, own = ([size for size in shape if size != 1] for shape in (value.shape, self.shapes[value.op]))
        return value.index is None and sizes == own

    # -- nodes

    def _node(self, node: fx.Node) -> Any:
        target: Any = node.target
        if target is operator.getitem:
            results, index = self.operand(node.args[0]), node.args[1]
            assert isinstance(index, int)
            return results[index] if index < len(results) else self._other_output(node, results[0])
        values = [self.known[other] for other in node.all_input_nodes]
        flat = [part for value in values for part in (value if isinstance(value, tuple | list) else [value])]
        images = [part for part in flat if isinstance(part, Value)]
        if not images:
            return target(*self.operands(node), **{key: self.operand(value) for key, value in node.kwargs.items()})
        kind = str(target._schema.name).rpartition("::")[2] if hasattr(target, "_schema") else str(target)
        if kind.startswith("_assert"):
            return None  # what torch.export has seen of a type or size
        try:
            if any(image.final for image in images) and kind not in VIEWS:
                final = next(image.final for image in images if image.final)
                raise Problem(f"{final} in the middle of the network", whole=True)
            if kind in VIEWS:
                return self._view(node, images[0])
            if kind in self.operators:
                return self.operators[kind](self, node)
            raise Problem("")
        except Problem as problem:
            return self._unknown(node, kind, problem, images)

    def _other_output(self, node: fx.Node, first: Value) -> Value:
        """The indices that a max pool gives besides its values, or what else an operator has."""
        made_by = node.args[0]
        assert isinstance(made_by, fx.Node)
        shape = tuple(int(size) for size in made_by.meta["val"][node.args[1]].shape[1:])
        return self._unsupported(node, f"output {node.args[1]} of {made_by.name}", shape, [first])

    def _unknown(self, node: fx.Node, kind: str, problem: Problem, images: list[Value]) -> Any:
        results = node.meta["val"]
        what = str(problem) if problem.whole else f"{node.meta.get(KIND, kind)} {problem}".strip()
        if problem.follows and all(image.unknown for image in images):
            what = ""

        def one(result: Any) -> Value:
            shape = tuple(int(size) for size in getattr(result, "shape", (BATCH,))[1:])
            return self._unsupported(node, what, shape, images)

        return [one(result) for result in results] if isinstance(results, tuple | list) else one(results)

    def _unsupported(self, node: fx.Node, what: str, shape: tuple[int, ...], images: list[Value]) -> Value:
        name = self.name_of(node, node.name)
        shape = shape or (1,)
        image = image_shape(shape) if len(shape) <= 3 else (int(np.prod(shape)), 1, 1)
        inputs = tuple(dict.fromkeys(value.op for value in images))
        self.append(Op(name, "unknown", inputs, image, options={"what": what}, place=place_of(node)))
        return Value(name, shape, unknown=True)

    def operand(self, argument: Any) -> Any:
        """An argument of a node, values of nodes for nodes."""
        if isinstance(argument, fx.Node):
            return self.known[argument]
        if isinstance(argument, tuple | list):
            return [self.operand(part) for part in argument]
        return argument

    def operands(self, node: fx.Node) -> list[Any]:
        """All arguments of a node that have no name."""
        return [self.operand(argument) for argument in node.args]

    def arguments(self, node: fx.Node, *names: str) -> list[Any]:
        """The named arguments of an operator, defaults included."""
        schema = node.target._schema  # type: ignore[union-attr]
        given = dict(zip((argument.name for argument in schema.arguments), self.operands(node), strict=False))
        given.update({key: self.operand(value) for key, value in node.kwargs.items()})
        defaults = {argument.name: argument.default_value for argument in schema.arguments}
        return [given.get(name, defaults.get(name)) for name in names]

    # -- results

    def name_of(self, node: fx.Node, kind: str) -> str:
        """Of the module that is called, or of the operator in the module that calls it; #2, #3 where it repeats."""
        return self._free(node.meta.get(CALLED) or self._called(node, kind))

    @staticmethod
    def _called(node: fx.Node, kind: str) -> str:
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        path, cls = stack[-1] if stack else ("", "")
        cls = cls if isinstance(cls, str) else f"{cls.__module__}.{cls.__qualname__}"
        leaf = cls.startswith("torch.nn.modules.") or cls == f"{_OWN_MODULES}.BoundedReLU"
        return path if path and leaf else ".".join(part for part in (path, kind) if part)

    def _free(self, base: str) -> str:
        """``base``, or with a number behind it: operations and tensors share their names with nothing else."""
        head, dot, rest = base.partition(".")
        base = f"{head}_{dot}{rest}" if hasattr(GraphNetwork, head) or head in _ATTRIBUTES else base
        name, number = base, 1
        while name in self.ops or name in self.tensors or name == INPUT:
            number += 1
            name = f"{base}#{number}"
        return name

    def append(self, op: Op) -> None:
        self.ops[op.name] = op
        self.shapes[op.name] = op.shape

    def hold(self, tensor: Tensor, owner: str, role: str) -> str:
        """The name under which a tensor is kept: the user's, if it is a parameter as it stands."""
        if id(tensor) not in self.kept:
            own = self.names.get(id(tensor), f"{owner.replace('.', '/')}/{role}")
            self.kept[id(tensor)] = self._free(own)
            self.tensors[self.kept[id(tensor)]] = tensor
        return self.kept[id(tensor)]

    def op(
        self,
        node: fx.Node,
        kind: Kind,
        inputs: tuple[str, ...],
        tensors: dict[str, Tensor | None] | None = None,
        **options: Any,
    ) -> Value:
        """Append an operation that gives ``node``'s value."""
        shape = shape_of(node)
        name = self.name_of(node, str(node.target._schema.name).rpartition("::")[2])  # type: ignore[union-attr]
        kept = {role: self.hold(t, name, role) for role, t in (tensors or {}).items() if t is not None}
        self.append(Op(name, kind, inputs, image_shape(shape), kept, options, place_of(node)))
        return Value(name, shape)

    # -- operands

    def kind_of(self, value: Any) -> str:
        """Of the operation that makes ``value``, "" for the images and constants."""
        op = self.ops.get(value.op) if isinstance(value, Value) else None
        return op.kind if op is not None else ""

    def image(self, node: fx.Node, argument: Any) -> str:
        """The operation that makes an operand, arranged as images (channels, rows, columns) are in memory."""
        if not isinstance(argument, Value):
            raise Problem("of a constant")
        return self.plain(argument, place_of(node))

    def plain(self, value: Value, place: str) -> str:
        shape, source = value.image, self.shapes[value.op]
        if shape is None:
            raise Problem(f"on a tensor of shape {value.shape}", follows=True)
        if value.index is None and shape == source:
            return value.op
        name, number = f"{value.op}.arranged", 1
        while name in self.ops:
            number += 1
            name = f"{value.op}.arranged#{number}"
        tensors: dict[str, str] = {}
        options: dict[str, Any] = {"what": "rearrangement"}
        kind: Kind = "gather"
        if value.index is not None:
            channels = chosen_channels(value.index, shape, source)
            windows = strided_windows(value.index, shape, source) if shape[1:] != (1, 1) else None
            if channels is None and windows is not None:
                kind, options = "conv", options | CONVOLUTION | {"stride": windows.stride}
                tensors["weight"] = self.hold(torch.from_numpy(windows.kernel(shape, source)), name, "weight")
            else:
                kind = "gather" if channels is None else "channels"
                index = value.index.ravel() if channels is None else channels
                tensors["index"] = self.hold(torch.from_numpy(np.ascontiguousarray(index)), name, "index")
        self.append(Op(name, kind, (value.op,), shape, tensors, options, place))
        return name

    def _view(self, node: fx.Node, value: Value) -> Any:
        """Apply an operator that only moves numbers to their indices: of two images, as it must keep them apart."""
        index = torch.from_numpy(np.ascontiguousarray(value.indices()))
        size = int(np.prod(self.shapes[value.op]))
        both = torch.stack([index, index + size])
        arguments = [both if argument is value else argument for argument in self.operands(node)]
        keywords = {k: self.operand(v) for k, v in node.kwargs.items() if k in ("dim", "start", "end", "step", "sizes")}
        try:
            results = node.target(*arguments, **keywords)  # type: ignore[operator]
        except (RuntimeError, IndexError):  # sizes that are not those of two images
            raise Problem("mixes the images of a batch", follows=True) from None

        def one(result: Tensor) -> Value:
            if result.dim() < 1 or len(result) != BATCH or not torch.equal(result[0] + size, result[1]):
                raise Problem("mixes the images of a batch", follows=True)
            shape = tuple(result.shape[1:]) or (1,)
            moved = arranged(result[0].reshape(shape).numpy(), size)
            return Value(value.op, shape, moved, value.final, value.unknown)

        return [one(result) for result in results] if isinstance(results, tuple | list) else one(results)


Operator = Callable[[Importer, fx.Node], Any]


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """Of one image."""
    value = node.meta["val"]
    value = value[0] if isinstance(value, tuple | list) else value
    sizes = tuple(int(size) for size in value.shape)
    if not sizes or sizes[0] != BATCH:
        raise Problem("mixes the images of a batch", follows=True)
    return sizes[1:] or (1,)
