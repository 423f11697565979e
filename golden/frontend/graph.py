"""A network as a list of few kinds of operation: what every front end makes, and what is executed, lowered and stored.

Values are images of shape (channels, rows, columns); a vector is (features, 1, 1), a sequence (channels, 1, length).

| kind | computes | tensors | options |
|---|---|---|---|
| ``conv`` | convolution, linear layer | weight, bias | stride, padding, dilation, groups |
| ``norm`` | BatchNorm with running statistics | mean, var, weight, bias | eps |
| ``affine`` | ``x * scale + shift`` by channel | scale, shift | |
| ``relu`` | ``max(x, 0)``, ``min(.., limit)`` or a bound | bound | limit, mode |
| ``add`` | sum of two | | |
| ``maxpool``, ``avgpool`` | largest value; sum of a window by ``divisor`` | | kernel, stride, padding, divisor |
| ``pad`` | zeros around | | padding |
| ``channels`` | some channels, in some order | index | |
| ``gather`` | the values in memory order, or at ``index`` | index | |
| ``concat`` | channels of all | | |
| ``unknown`` | what no other kind can | | what |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from golden.errors import GoldenError
from golden.frontend.layers import Shape
from golden.qnetwork import INPUT

Kind = Literal[
    "conv",
    "norm",
    "affine",
    "relu",
    "add",
    "maxpool",
    "avgpool",
    "pad",
    "channels",
    "gather",
    "concat",
    "unknown",
]

Pads = tuple[int, int, int, int]
"""Zeros above, left, below and right."""


@dataclass(frozen=True)
class Op:
    """One operation. ``inputs``: names of earlier ones or :data:`golden.qnetwork.INPUT`; ``tensors``: names of
    parameters by what they are; ``place``: where in the user's network it stands."""

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    shape: Shape
    tensors: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    place: str = ""

    @property
    def described(self) -> str:
        """For errors: what it is and where it stands."""
        return f"{self.options.get('what', self.kind)} ({', '.join(part for part in (self.name, self.place) if part)})"


@dataclass(frozen=True)
class Graph:
    """Operations in the order of execution; ``output`` is the name of the one that gives the logits.

    ``taken``: the shape of one image as the user's network takes it. ``final``: what the network computed behind the
    logits and no machine needs, since it does not change which is largest: softmax, log_softmax, sigmoid or tanh.
    """

    name: str
    input_shape: Shape
    taken: tuple[int, ...]
    ops: tuple[Op, ...]
    output: str
    final: str = ""

    def shape(self, name: str) -> Shape:
        """Of an operation's output, or of the images."""
        return self.input_shape if name == INPUT else self.op(name).shape

    def op(self, name: str) -> Op:
        """The operation called ``name``. Raises KeyError if there is none."""
        for op in self.ops:
            if op.name == name:
                return op
        raise KeyError(name)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is left out, and why that changes nothing."""
        return (
            (f"{self.final} at the end is left out: it does not change which class is largest",) if self.final else ()
        )

    @property
    def activations(self) -> tuple[str, ...]:
        """Names of the activation calls in the order of execution."""
        return tuple(op.name for op in self.ops if op.kind == "relu")

    def reachable(self) -> Graph:
        """Without operations on which the output does not depend."""
        wanted = {self.output}
        for op in reversed(self.ops):
            if op.name in wanted:
                wanted.update(op.inputs)
        ops = tuple(op for op in self.ops if op.name in wanted)
        return Graph(self.name, self.input_shape, self.taken, ops, self.output, self.final)

    def to_json(self, places: bool = True) -> dict[str, Any]:
        """Plain data for a JSON file; ``places``: with where each operation stands in the user's source."""
        ops = [
            {
                "name": op.name,
                "kind": op.kind,
                "inputs": list(op.inputs),
                "shape": list(op.shape),
                **({"tensors": dict(op.tensors)} if op.tensors else {}),
                **({"options": _plain(op.options)} if op.options else {}),
                **({"place": op.place} if op.place and places else {}),
            }
            for op in self.ops
        ]
        head = {"name": self.name, "input_shape": list(self.input_shape), "taken": list(self.taken)}
        return {**head, "output": self.output, "final": self.final, "ops": ops}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Graph:
        """Inverse of :meth:`to_json`. Raises GoldenError if the data are not of that form."""
        try:
            ops = tuple(
                Op(
                    str(op["name"]),
                    _kind(op["kind"]),
                    tuple(op["inputs"]),
                    _shape(op["shape"]),
                    dict(op.get("tensors", {})),
                    {key: tuple(v) if isinstance(v, list) else v for key, v in op.get("options", {}).items()},
                    str(op.get("place", "")),
                )
                for op in data["ops"]
            )
            known = {INPUT}
            for op in ops:
                if not set(op.inputs) <= known or op.name in known:
                    raise ValueError(f"operation {op.name} reads what is not there")
                known.add(op.name)
            if data["output"] not in known:
                raise ValueError(f"output {data['output']} is not there")
            head = (str(data["name"]), _shape(data["input_shape"]), tuple(int(size) for size in data["taken"]))
            return Graph(*head, ops, str(data["output"]), str(data["final"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise GoldenError(f"a network's graph is damaged ({error!r})") from error


def image_shape(taken: Sequence[int]) -> Shape:
    """(channels, rows, columns) of a vector, sequence or image. Raises GoldenError for more axes."""
    if len(taken) == 1:
        return int(taken[0]), 1, 1
    if len(taken) == 2:
        return int(taken[0]), 1, int(taken[1])
    if len(taken) == 3:
        return int(taken[0]), int(taken[1]), int(taken[2])
    raise GoldenError(f"inputs of shape {tuple(taken)} are not supported: a vector, a sequence or an image is")


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}


def _kind(name: str) -> Kind:
    if name not in get_args(Kind):
        raise ValueError(f"kind {name!r}")
    return name  # type: ignore[return-value]


def _shape(sizes: Sequence[int]) -> Shape:
    channels, rows, columns = (int(size) for size in sizes)
    return channels, rows, columns
