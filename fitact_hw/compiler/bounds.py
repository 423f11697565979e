"""How the bounds of a layer lie in memory and in the bound buffer: tile by tile, packed into words.

The bounds of one output tile of one channel tile are consecutive words, so that one plain LOAD brings them in when
the tile needs them. A lane of a word holds one bound or as many 4-bit codes as fit, in the order of the pixels.
With one bound for each channel the tiles are only channel tiles, and consecutive ones share words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitact_hw.config import AcceleratorConfig, BoundFormat, Granularity
from golden.bounds.code import decode, encode
from golden.bounds.granularity import PATCH_SIDE
from golden.qnetwork import QLayer


def patch_side(config: AcceleratorConfig, layer: QLayer) -> int:
    """Output rows and columns that share a bound along each axis; tiles of the layer start at multiples of it."""
    return PATCH_SIDE if config.bounds is Granularity.PATCH and isinstance(layer.bound, np.ndarray) else 1


def tile_bounds(config: AcceleratorConfig, rows: int, cols: int) -> int:
    """Bounds of one lane for an output tile of that size."""
    if config.bounds is Granularity.CHANNEL:
        return 1
    side = PATCH_SIDE if config.bounds is Granularity.PATCH else 1
    return -(-rows // side) * -(-cols // side)


def tile_words(config: AcceleratorConfig, rows: int, cols: int) -> int:
    """Buffer words of one channel tile's bounds for an output tile of that size."""
    return -(-tile_bounds(config, rows, cols) // config.bounds_per_lane)


def first_neurons(config: AcceleratorConfig, shape: tuple[int, int, int]) -> np.ndarray:
    """First neuron (flat index of channel, row, column) that has the same bound, int64 of ``shape``."""
    channel, row, col = np.indices(shape)
    if config.bounds is Granularity.CHANNEL:
        row, col = row * 0, col * 0
    elif config.bounds is Granularity.PATCH:
        row, col = row // PATCH_SIDE * PATCH_SIDE, col // PATCH_SIDE * PATCH_SIDE
    return np.asarray(np.ravel_multi_index((channel, row, col), shape), np.int64)


def stored(config: AcceleratorConfig, bound: np.ndarray) -> tuple[np.ndarray, int]:
    """What the buffer holds for each neuron, int64 of the bound's shape, and the base of the codes (words: 0)."""
    return (bound, 0) if config.bound_format is BoundFormat.WORD else encode(bound)


def unstored(config: AcceleratorConfig, values: np.ndarray, base: int) -> np.ndarray:
    """The bounds that the lanes use for what the buffer holds: the inverse of :func:`stored`."""
    if config.bound_format is BoundFormat.WORD:
        return values
    return np.minimum(decode(values, base), (1 << (config.word_bits - 1)) - 1)


def representable(config: AcceleratorConfig, bound: np.ndarray) -> tuple[bool, bool]:
    """Whether neurons that share a bound agree on it, and whether the stored form gives it back exactly."""
    shared = bool((bound == bound.reshape(-1)[first_neurons(config, bound.shape)]).all())
    return shared, bool((unstored(config, *stored(config, bound)) == bound).all())


@dataclass(frozen=True)
class BoundLayout:
    """Words of one layer's bounds.

    ``index``: int64 (words, side * bounds_per_lane), lane by lane the first neuron of each stored bound, -1 for none.
    ``tile_starts``: int64 (row parts, column parts), first word of an output tile within a channel tile, and
    ``channel_tile_words`` words from one channel tile to the next; both unused with bounds per channel.
    """

    index: np.ndarray
    tile_starts: np.ndarray
    channel_tile_words: int


def layout(config: AcceleratorConfig, index: np.ndarray, rows: list[slice], cols: list[slice]) -> BoundLayout:
    """The layout of bounds whose flat index is ``index``, int64 (channel tiles * side, rows, columns), -1 padding.

    ``rows`` and ``cols`` are the parts into which output tiles cut the layer.
    """
    side, pack = config.side, config.bounds_per_lane
    tiles = len(index) // side
    lanes = index.reshape(tiles, side, *index.shape[1:])
    if config.bounds is Granularity.CHANNEL:
        words = _packed(lanes[:, :, 0, 0].T[None], pack)
        return BoundLayout(words, np.zeros((len(rows), len(cols)), np.int64), 0)
    step = PATCH_SIDE if config.bounds is Granularity.PATCH else 1
    parts, starts, place = [], np.zeros((len(rows), len(cols)), np.int64), 0
    for r, row_part in enumerate(rows):
        for c, col_part in enumerate(cols):
            part = lanes[:, :, row_part, col_part][:, :, ::step, ::step].reshape(tiles, side, -1)
            parts.append(_packed(part, pack).reshape(tiles, -1, side * pack))
            starts[r, c] = place
            place += parts[-1].shape[1]
    return BoundLayout(np.concatenate(parts, axis=1).reshape(-1, side * pack), starts, place)


def _packed(lanes: np.ndarray, pack: int) -> np.ndarray:
    """(blocks, side, bounds) to (blocks * words, side * pack): consecutive bounds of a lane side by side."""
    blocks, side, count = lanes.shape
    words = -(-count // pack)
    padded = np.full((blocks, side, words * pack), -1, np.int64)
    padded[:, :, :count] = lanes
    return padded.reshape(blocks, side, words, pack).transpose(0, 2, 1, 3).reshape(-1, side * pack)
