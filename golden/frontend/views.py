"""Values while a graph is imported: which operation made them, and how they are arranged.

Whatever only moves numbers (views, transpositions, slices) is applied to their indices, so a chain of such steps is one
step, and one that moves nothing is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from golden.frontend.graph import image_shape
from golden.frontend.layers import Shape

VIEWS = frozenset(
    (
        *("view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze", "permute"),
        *("transpose", "t", "slice", "select", "split", "split_with_sizes", "chunk", "unbind", "narrow"),
        *("index_select", "index", "flip", "roll", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "movedim"),
        *("swapaxes", "expand", "numpy_T", "mT", "diagonal", "repeat", "tile", "repeat_interleave", "unsafe_split"),
        *("tensor_split", "expand_as", "view_as"),
    )
)
"""ATen operators that only move numbers."""


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of one image: ``shape`` as torch has it, made of the numbers of operation ``op``.

    ``index``: int64 of ``shape``, the place of each number in memory of ``op``'s output; None: in the order of memory.
    ``final``: a function at the end of the network that has been left out; ``unknown``: it comes from an operation that
    is not supported.
    """

    op: str
    shape: tuple[int, ...]
    index: np.ndarray | None = None
    final: str = ""
    unknown: bool = False

    def indices(self) -> np.ndarray:
        """``index``, also where it is None."""
        count = int(np.prod(self.shape))
        return np.arange(count).reshape(self.shape) if self.index is None else self.index

    @property
    def image(self) -> Shape | None:
        """(channels, rows, columns), if there are at most three axes."""
        return image_shape(self.shape) if 1 <= len(self.shape) <= 3 else None


def arranged(index: np.ndarray, size: int) -> np.ndarray | None:
    """``index``, or None if it is that of ``size`` numbers in the order of memory."""
    return None if index.size == size and np.array_equal(index.ravel(), np.arange(size)) else index


def chosen_channels(index: np.ndarray, shape: Shape, source: Shape) -> np.ndarray | None:
    """Channels of ``source`` that ``index``, of image ``shape``, consists of, in their order; None if it is no choice
    of whole channels."""
    if shape[1:] != source[1:]:
        return None
    area = shape[1] * shape[2]
    rows = index.reshape(shape[0], area)
    channels = rows[:, 0] // area
    whole = channels[:, None] * area + np.arange(area)
    return channels if np.array_equal(rows, whole) else None


@dataclass(frozen=True, eq=False)
class Windows:
    """Output channel k is channel ``channels[k]`` of the source, from ``rows[k]`` and ``columns[k]`` on, ``stride``
    apart. int64 (outputs,)."""

    channels: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    stride: tuple[int, int]

    def kernel(self, shape: Shape, source: Shape) -> np.ndarray:
        """The same as weights of a convolution with this stride, float32 (outputs, inputs, rows, columns)."""
        sizes = [
            max(int(first.max()) + 1, size - out * step + 1)
            for first, size, out, step in zip(
                (self.rows, self.columns), source[1:], shape[1:], self.stride, strict=True
            )
        ]
        weight = np.zeros((shape[0], source[0], *sizes), np.float32)
        weight[np.arange(shape[0]), self.channels, self.rows, self.columns] = 1
        return weight


def strided_windows(index: np.ndarray, shape: Shape, source: Shape) -> Windows | None:
    """What ``index``, of image ``shape``, takes of ``source`` if it is whole rows and columns at equal distances
    (crops, steps, space to depth), else None."""
    channels, rows, columns = np.unravel_index(index.reshape(shape), source)
    steps = [int(np.diff(along).flat[0]) if along.size > 1 else 1 for along in (rows[0, :, 0], columns[0, 0])]
    if min(steps) < 1:
        return None
    channel, row, column = (part[:, :1, :1] for part in (channels, rows, columns))
    down, across = (np.arange(size) * step for size, step in zip(shape[1:], steps, strict=True))
    same = (channels == channel).all() and (rows == row + down[:, None]).all() and (columns == column + across).all()
    return Windows(channel.ravel(), row.ravel(), column.ravel(), (steps[0], steps[1])) if same else None
