"""The memory map and the packing of parameters, vectorised."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fitact_hw.compiler.bounds import BoundLayout, layout, stored
from fitact_hw.compiler.tiling import Geometry, Tiling
from fitact_hw.config import AcceleratorConfig, BoundFormat, RangeCheck, pow2_ceil
from fitact_hw.errors import CompileError
from fitact_hw.program import LANE_DTYPES, ParameterBlock, Placement
from golden.bounds.limits import limit_of
from golden.qnetwork import pair

ALIGNMENT = 512
"""Every block in memory starts at a multiple of this many bytes."""

ADDRESS_LIMIT = 1 << 32

IDENTITY = "identity"
"""Layer name of the parameter block that holds the identity weight tile of pools and residuals."""


@dataclass
class MemoryMap:
    """Grows the memory image: parameters with their bytes, activations as empty space."""

    config: AcceleratorConfig
    size: int = 0
    blocks: list[tuple[int, np.ndarray]] = field(default_factory=list)
    parameters: list[ParameterBlock] = field(default_factory=list)

    def reserve(self, size_bytes: int) -> int:
        """Address of ``size_bytes`` new bytes. Raises CompileError beyond 4 GiB."""
        address = self.size
        self.size += -(-size_bytes // ALIGNMENT) * ALIGNMENT
        if self.size >= ADDRESS_LIMIT:
            raise CompileError("the program needs more than 4 GiB of memory; compile for fewer images")
        return address

    def add_bytes(self, data: np.ndarray) -> int:
        """Place ``data`` and return its address."""
        raw = np.ascontiguousarray(data).view(np.uint8).reshape(-1)
        address = self.reserve(raw.size)
        self.blocks.append((address, raw))
        return address

    def add_words(self, kind: str, layer: str, values: np.ndarray, index: np.ndarray) -> int:
        """Place lane words: ``values`` (elements,) picked by ``index`` (words, side * values a lane), -1 gives zero.

        Several values of a lane lie side by side from bit 0.
        """
        config = self.config
        pack = index.shape[1] // config.side
        bits = config.word_bits // pack
        picked = np.append(values.reshape(-1), 0)[index].reshape(len(index), config.side, pack)
        mask = (1 << bits) - 1
        packed = ((picked & mask) << (bits * np.arange(pack))).sum(axis=2)
        words = np.zeros((len(index), config.word_bytes * 8 // config.word_bits), np.int64)
        words[:, : config.side] = packed
        words = words.astype(LANE_DTYPES[config.word_bits])
        address = self.add_bytes(words)
        self.parameters.append(ParameterBlock(layer, kind, address, config.word_bytes, index))  # type: ignore[arg-type]
        return address

    def image(self) -> np.ndarray:
        """The uint8 memory image."""
        memory = np.zeros(self.size, np.uint8)
        for address, raw in self.blocks:
            memory[address : address + raw.size] = raw
        return memory


@dataclass(frozen=True)
class LayerAddresses:
    """Where a layer's parameters and output start (bytes); ``first_tile[c]`` is chunk c's first weight tile.

    ``tiles`` is the number of weight tiles of one output-channel tile; ``bounds`` says how bounds lie from ``bound``
    on and ``bound_base`` is the base of their codes. ``..._limit``: of the LOADs that bring them.
    """

    weight: int
    first_tile: tuple[int, ...]
    tiles: int
    bias: int
    bound: int
    bounds: BoundLayout | None
    bound_base: int
    output: Placement
    weight_limit: int
    bias_limit: int
    bound_limit: int
    identity_limit: int


def channel_index(channels: int, tiles: int, side: int, inner: tuple[int, ...]) -> np.ndarray:
    """Flat index of (channels, *inner) as int64 (tiles * side, *inner), -1 for padding channels."""
    index = np.full((tiles * side, *inner), -1, np.int64)
    index[:channels] = np.arange(channels * int(np.prod(inner))).reshape(channels, *inner)
    return index


def weight_index(geometry: Geometry, tiling: Tiling) -> np.ndarray:
    """int64 (words, side): which element of the (O, I, K, L) weight each lane of each weight word holds."""
    layer, side = geometry.layer, geometry.side
    outs, ins, kernel = geometry.out_tiles, geometry.all_tiles, pair(layer.kernel)
    index = np.full((outs * side, ins * side, *kernel), -1, np.int64)
    assert layer.weight is not None
    index[: layer.out_shape[0], : layer.in_shape[0]] = np.arange(layer.weight.size).reshape(layer.weight.shape)
    index = index.reshape(outs, side, ins, side, *kernel)
    if geometry.in_tiles < ins:
        firsts = geometry.first_tiles
        index = np.stack([part[:, f : f + geometry.in_tiles] for part, f in zip(index, firsts, strict=True)])
    parts = []
    for chunk in tiling.chunks:
        tiles = slice(chunk.tiles.start, chunk.tiles.start + chunk.tiles.size)
        rows = slice(chunk.rows.start, chunk.rows.start + chunk.rows.size)
        part = index[:, :, tiles, :, rows, :].transpose(0, 4, 5, 2, 3, 1)
        parts.append(part.reshape(outs, -1, side))
    return np.concatenate(parts, axis=1).reshape(-1, side)


def bias_bytes(bias: np.ndarray, shift: np.ndarray, tiles: int, config: AcceleratorConfig) -> np.ndarray:
    """Bias words as uint8 (tiles, bias_word_bytes): bias in the low acc_bits of a lane, shift above."""
    halves = config.bias_lane_bytes // 8 or 1
    lanes = np.zeros((tiles * config.side, halves), np.uint64)
    count = len(bias)
    low = bias.astype(np.int64).view(np.uint64)
    if config.acc_bits < 64:
        low = low & np.uint64((1 << config.acc_bits) - 1)
        low = low | shift.astype(np.uint64) << np.uint64(config.acc_bits)
    else:
        lanes[:count, 1] = shift.astype(np.uint64)
    lanes[:count, 0] = low
    words = np.zeros((tiles, pow2_ceil(config.side), config.bias_lane_bytes), np.uint8)
    words[:, : config.side] = lanes.view(np.uint8).reshape(tiles, config.side, -1)[..., : config.bias_lane_bytes]
    return words.reshape(tiles, -1)


def place_identity(memory: MemoryMap) -> int:
    """Place the identity weight tile: row r is 1 in lane r."""
    side = memory.config.side
    address = memory.add_words("weight", IDENTITY, np.ones(1, np.int64), np.where(np.eye(side, dtype=bool), 0, -1))
    last = memory.parameters.pop()
    none = np.full((side, side), -1, np.int64)
    memory.parameters.append(ParameterBlock(IDENTITY, "weight", last.address, last.word_bytes, none))
    return address


def place_layer(memory: MemoryMap, geometry: Geometry, tiling: Tiling) -> LayerAddresses:
    """Place a layer's parameters and reserve its output."""
    layer, config, side = geometry.layer, memory.config, geometry.side
    tiles = geometry.out_tiles
    weight = 0
    if layer.weight is not None:
        weight = memory.add_words("weight", layer.name, layer.weight, weight_index(geometry, tiling))
    sizes = [chunk.tiles.size * chunk.rows.size * layer.columns.kernel for chunk in tiling.chunks]
    bias = memory.add_bytes(bias_bytes(layer.bias, layer.shift, tiles, config))
    channels = layer.out_shape[0]
    index = channel_index(channels, tiles, side, ()).reshape(tiles, side)
    memory.parameters.append(ParameterBlock(layer.name, "bias", bias, config.bias_word_bytes, index))
    bound, bounds, base, bounded = 0, None, 0, None
    if isinstance(layer.bound, np.ndarray):
        index = channel_index(channels, tiles, side, layer.out_shape[1:])
        rows, cols = ([slice(s.start, s.start + s.size) for s in part] for part in (tiling.rows, tiling.cols))
        bounds = layout(config, index, rows, cols)
        values, base = stored(config, layer.bound)
        bound = memory.add_words("bound", layer.name, values, bounds.index)
        bounded = values if config.bound_format is BoundFormat.WORD else None
    output = Placement(layer.name, 0, layer.out_shape, geometry.images, config)
    output = Placement(layer.name, memory.reserve(output.size_bytes), layer.out_shape, geometry.images, config)
    first = tuple(sum(sizes[:i]) for i in range(len(sizes)))
    limits = (_limit(config, words) for words in (layer.weight, layer.bias, bounded, np.ones(1, np.int64)))
    return LayerAddresses(weight, first, sum(sizes), bias, bound, bounds, base, output, *limits)


def _limit(config: AcceleratorConfig, words: np.ndarray | None) -> int:
    """Limit of the LOADs of ``words`` (None: there are none, or they are codes) on a machine that checks them."""
    if config.parameter_check is RangeCheck.NONE:
        return 0
    if words is None:
        return config.no_limit
    return min(limit_of(words, config.parameter_check is RangeCheck.WORD), config.no_limit)
