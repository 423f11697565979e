"""Writes a PyTorch module statement by statement; each is tried as it is written, on tensors without memory."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

T = TypeVar("T")

IMAGES = 2
"""Images of the tensors on which statements are tried."""


@dataclass(frozen=True)
class Value:
    """A variable of ``forward``: its ``shape`` without the batch; ``positive``: it comes out of a ReLU."""

    name: str
    shape: tuple[int, ...]
    positive: bool = False

    @property
    def axes(self) -> int:
        """Rows and columns: 2 for images, 1 for sequences, 0 for vectors."""
        return len(self.shape) - 1


class Rejected(Exception):
    """A statement that PyTorch does not take, or whose result holds nothing."""


class Writer:
    """Statements of ``__init__``, of ``forward``, and of what is done to the parameters afterwards."""

    def __init__(self, rng: random.Random, shape: Sequence[int]) -> None:
        self.rng = rng
        self.parts: list[str] = []
        self.lines: list[str] = []
        self.changes: list[str] = []
        self._held = nn.Module()
        self._counts: dict[str, int] = {}
        images = torch.empty(IMAGES, *shape, device="meta")
        self._scope: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, "self": self._held, "x": images}

    # -- drawing

    def chance(self, share: float) -> bool:
        """True in that share of all draws."""
        return self.rng.random() < share

    def choose(self, options: Sequence[T]) -> T:
        """One of them."""
        return options[self.rng.randrange(len(options))]

    def between(self, least: int, most: int) -> int:
        """A whole number, both ends included."""
        return self.rng.randint(least, most)

    # -- writing

    def module(self, text: str, kind: str = "") -> str:
        """A part of the network, ``self.<kind><number>``."""
        kind = kind or text.partition("(")[0].rpartition(".")[2].lower()
        name = self._number(kind)
        with _errors(), torch.device("meta"):
            setattr(self._held, name, eval(text, self._scope))
        self.parts.append(f"self.{name} = {text}")
        return f"self.{name}"

    def shared(self, name: str, text: str) -> None:
        """A part that several statements use."""
        setattr(self._held, name, eval(text, self._scope))
        self.parts.append(f"self.{name} = {text}")

    def constant(self, numbers: Sequence[float], shape: Sequence[int]) -> str:
        """A buffer."""
        name = self._number("constant")
        values = f"torch.tensor({list(numbers)}).reshape({', '.join(map(str, shape))})"
        self._held.register_buffer(name, eval(values, self._scope).to("meta"))
        self.parts.append(f'self.register_buffer("{name}", {values})')
        return f"self.{name}"

    def value(self, text: str, positive: bool = False) -> Value:
        """A new variable. Raises Rejected, leaving everything as it was, if the statement cannot be."""
        with _errors():
            result = eval(text, self._scope)
        if not isinstance(result, Tensor) or len(result) != IMAGES or not result.numel() or result.dim() < 2:
            raise Rejected(text)
        name = self._number("x")
        self._scope[name] = result
        self.lines.append(f"{name} = {text}")
        return Value(name, tuple(result.shape[1:]), positive)

    def statement(self, text: str) -> None:
        """Something done in place, or to several variables."""
        with _errors():
            exec(text, self._scope)
        self.lines.append(text)

    def named(self, name: str, positive: bool = False) -> Value:
        """A variable that a statement has made."""
        return Value(name, tuple(self._scope[name].shape[1:]), positive)

    def change(self, text: str) -> None:
        """Something done to the parameters of the finished network, ``net``."""
        self.changes.append(text)

    def attempt(self, step: Callable[[Value], Value], x: Value) -> Value:
        """``step(x)``, or ``x`` with everything as it was, if it is rejected."""
        kept = (len(self.parts), len(self.lines), len(self.changes))
        try:
            return step(x)
        except Rejected:
            for statements, count in zip((self.parts, self.lines, self.changes), kept, strict=True):
                del statements[count:]
            return x

    def source(self, output: Value, seed: int, tail: Sequence[str] = ()) -> str:
        """The module's file; ``build()`` returns the network with parameters drawn from ``seed``."""
        parts = "\n".join(f"        {part}" for part in self.parts)
        lines = "\n".join(f"        {line}" for line in self.lines)
        changes = "\n".join(f"    {change}" for change in (*self.changes, *tail))
        text = _FILE.format(parts=parts, lines=lines, output=output.name, seed=seed, changes=changes)
        return text.replace("\n\n    return net", "\n    return net")

    def _number(self, kind: str) -> str:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"{kind}{self._counts[kind]}"


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError, IndexError, TypeError, AssertionError) as error:
        raise Rejected(str(error)) from error


_FILE = """\
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
{parts}

    def forward(self, x):
{lines}
        return {output}


def build():
    with torch.random.fork_rng():
        torch.manual_seed({seed})
        net = Net().eval()
        for part in net.modules():
            if isinstance(part, (nn.Conv1d, nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(part.weight)
            elif isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)) and part.running_var is not None:
                part.running_mean.normal_(0, 0.3)
                part.running_var.uniform_(0.5, 1.5)
                if part.affine:
                    nn.init.uniform_(part.weight, 0.5, 1.5)
                    nn.init.uniform_(part.bias, -0.3, 0.3)
{changes}
    return net
"""
