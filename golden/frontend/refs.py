"""How a value lies in a layer's output, so that what only rearranges or scales needs no layer of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from golden.frontend.graph import Pads
from golden.frontend.layers import Shape

NO_PADS: Pads = (0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Ref:
    """``factor`` times the output of ``layer``, of shape ``source``.

    ``channels``: those of it, in this order; ``places``: instead, a vector of these numbers of it, in the order of
    memory; ``pads``: zeros around that are not there yet.
    """

    layer: str
    source: Shape
    factor: float = 1.0
    channels: np.ndarray | None = None
    places: np.ndarray | None = None
    pads: Pads = NO_PADS

    @property
    def plain(self) -> bool:
        """The layer's output as it is."""
        return self.factor == 1 and self.arranged

    @property
    def arranged(self) -> bool:
        """The layer's output but for the factor."""
        return self.channels is None and self.places is None and self.pads == NO_PADS

    @property
    def shape(self) -> Shape:
        """Of the value."""
        if self.places is not None:
            return len(self.places), 1, 1
        channels, rows, columns = self.source
        top, left, bottom, right = self.pads
        count = channels if self.channels is None else len(self.channels)
        return count, rows + top + bottom, columns + left + right

    def in_order(self) -> Ref:
        """Without a rearrangement that keeps the order of memory."""
        if self.places is not None and np.array_equal(self.places, np.arange(int(np.prod(self.source)))):
            return replace(self, places=None)
        return self

    def scaled(self, factor: float) -> Ref:
        """This, times a number."""
        return replace(self, factor=self.factor * factor)

    def padded(self, pads: Pads) -> Ref:
        """With more zeros around. Not for a vector."""
        top, left, bottom, right = (a + b for a, b in zip(self.pads, pads, strict=True))
        return replace(self, pads=(top, left, bottom, right))

    def choose(self, channels: np.ndarray) -> Ref:
        """Some of its channels."""
        if self.places is not None:
            return replace(self, places=self.places[channels])
        own = np.arange(self.source[0]) if self.channels is None else self.channels
        return replace(self, channels=own[channels])

    def gather(self, index: np.ndarray | None) -> Ref:
        """The vector of its numbers in the order of memory, or those at ``index``. Not where zeros are missing."""
        places = self.all_places()
        places = places if index is None else places[index]
        if self.source[1:] == (1, 1):
            same = np.array_equal(places, np.arange(self.source[0]))
            return replace(self, channels=None if same else places, places=None)
        return replace(self, channels=None, places=places)

    def all_places(self) -> np.ndarray:
        """Place in the layer's output of each of its numbers, int64 (count,)."""
        if self.places is not None:
            return self.places
        area = self.source[1] * self.source[2]
        channels = np.arange(self.source[0]) if self.channels is None else self.channels
        return (channels[:, None] * area + np.arange(area)).ravel()

    @property
    def whole(self) -> bool:
        """Every number of the layer's output once, in whatever order, and nothing else."""
        if self.arranged:
            return True
        if self.pads != NO_PADS:
            return False
        places = self.all_places()
        return places.size == int(np.prod(self.source)) and bool(
            (np.bincount(places, minlength=places.size) == 1).all()
        )
