"""Networks that come with a graph of ATen operators of their own: what a front end beside torch.export makes.

Such a graph has in ``meta`` of its nodes ``val`` (a tensor of the result's shape and type, for :data:`BATCH` images)
and how the user knows them: :data:`CALLED` the name, :data:`KIND` the operator, :data:`PLACE` where it stands.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

CALLED, KIND, PLACE = "called", "kind", "place"


@dataclass(frozen=True)
class Given:
    """``graph``: placeholders are the images and, by their names in ``held``, parameters: (the user's name, value);
    ``returned``: the name of the node that is the result."""

    graph: fx.Graph
    held: Mapping[str, tuple[str, Tensor]]
    returned: str


class GivenNetwork(nn.Module):
    """A network read from a file. As a module it computes what its file says, apart from its graph.

    ``title``: for messages; ``origin``: file, hash and producer, kept in the facts of a subject.
    """

    title: str
    origin: Mapping[str, str]

    @abstractmethod
    def given(self, taken: tuple[int, ...]) -> Given:
        """Its graph for images of shape ``taken``. Raises UnsupportedError in one line."""


def title_of(model: nn.Module) -> str:
    """What messages call a network."""
    return model.title if isinstance(model, GivenNetwork) else type(model).__name__


@torch.library.custom_op("fitact::window_max", mutates_args=())
def window_max(x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> Tensor:
    """Largest value of each window of x (batch, channels, rows, columns); ``padding`` (top, left, bottom, right) is
    outside of every window."""
    top, left, bottom, right = padding
    return F.max_pool2d(F.pad(x, (left, right, top, bottom), value=-torch.inf), list(kernel), list(stride))


@window_max.register_fake
def _(x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> Tensor:
    ends = zip(x.shape[2:], padding[:2], padding[2:], kernel, stride, strict=True)
    return x.new_empty((*x.shape[:2], *((size + a + b - k) // s + 1 for size, a, b, k, s in ends)))


@torch.library.custom_op("fitact::unsupported", mutates_args=())
def unsupported(x: Sequence[Tensor], shape: Sequence[int], what: str, follows: bool) -> Tensor:
    """Stands for an operator that is not supported, of results of ``shape``; ``what``: it and why; ``follows``: that
    may only follow from an operand that is not supported either."""
    raise NotImplementedError(what)


@unsupported.register_fake
def _(x: Sequence[Tensor], shape: Sequence[int], what: str, follows: bool) -> Tensor:
    return x[0].new_empty(tuple(shape))
