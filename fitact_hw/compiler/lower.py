"""From tiled layers to pieces of work: one GEMM each, with its transfers; no order between units yet."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fitact_hw.compiler.bounds import tile_words
from fitact_hw.compiler.layout import LayerAddresses
from fitact_hw.compiler.ring import Region, Ring
from fitact_hw.compiler.tiling import Chunk, Geometry, Span, Tile, Tiling, exact_window
from fitact_hw.compiler.transfers import WindowLoad, linear_load, tile_store, window_load
from fitact_hw.config import RMW_CYCLES, AcceleratorConfig, Granularity
from fitact_hw.isa import AccMode, ActMode, Buffer
from fitact_hw.program import Placement
from golden.bounds.code import BASE_BITS

ACT_MODES = {
    "linear": ActMode.LINEAR,
    "relu": ActMode.RELU,
    "clip": ActMode.CLIP,
    "saturate": ActMode.SATURATE,
}


@dataclass
class Transfer:
    """A LOAD for ``piece``, not before piece ``after`` has finished and piece ``source`` has been stored."""

    fields: dict[str, int]
    piece: int
    after: int
    source: int


@dataclass
class Piece:
    """One GEMM and, if it ends an output tile, its STORE.

    ``needs``: transfers; ``out_after``: piece whose store must have finished.
    """

    layer: int
    gemm: dict[str, int]
    cycles: int
    needs: list[int]
    store: dict[str, int] | None = None
    out_after: int = -1


@dataclass
class Produced:
    """Which piece stores each part of a tensor: int64 (channel tiles, image, row, column parts)."""

    tiling: Tiling
    piece: np.ndarray

    def last(self, tiles: Span, images: Span, rows: Span, cols: Span) -> int:
        """The last piece that stores any part of this region."""
        cut = [slice(tiles.start, tiles.start + tiles.size)]
        for parts, span in zip(
            (self.tiling.images, self.tiling.rows, self.tiling.cols), (images, rows, cols), strict=True
        ):
            hit = [i for i, p in enumerate(parts) if p.start < span.start + span.size and span.start < p.start + p.size]
            cut.append(slice(hit[0], hit[-1] + 1))
        return int(self.piece[tuple(cut)].max())


@dataclass
class Lowering:
    """Lowers layer after layer; keeps what lies in the buffers."""

    config: AcceleratorConfig
    identity_address: int
    tensors: dict[str, Placement]
    pieces: list[Piece] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    produced: dict[str, Produced] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config = self.config
        acts, weights = (np.full(depth, -1, np.int64) for depth in (config.activation_words, config.weight_words))
        self.acts, self.residuals = Ring(acts), Ring(acts)
        self.weights, self.identities = Ring(weights), Ring(weights)
        self.biases = Ring(np.full(config.bias_words, -1, np.int64))
        self.bounds = Ring(np.full(config.bound_words, -1, np.int64))
        self.outputs = Ring(np.full(config.output_words, -1, np.int64))

    def layer(self, number: int, geometry: Geometry, tiling: Tiling, addresses: LayerAddresses) -> None:
        """Append the pieces of one layer."""
        LayerLowering(self, number, geometry, tiling, addresses).run()

    def fill(self, ring: Ring, buffer: Buffer, key: tuple, load: WindowLoad, source: int = -1) -> Region:
        """The region that holds ``key``, loaded if it is not there, used by the piece being made."""
        piece = len(self.pieces)
        region = ring.find(key)
        if region is None:
            region, after = ring.allocate(key, load.words)
            base = region.start
            for fields, size in zip(load.loads, load.sizes, strict=True):
                region.transfers.append(len(self.transfers))
                fields = {"buffer": int(buffer), "buffer_base": base, **fields}
                self.transfers.append(Transfer(fields, piece, after, source))
                base += size
        ring.use(region, piece)
        return region


@dataclass
class LayerLowering:
    """One layer's pieces."""

    context: Lowering
    number: int
    geometry: Geometry
    tiling: Tiling
    addresses: LayerAddresses

    def run(self) -> None:
        """Append all pieces of the layer."""
        context, geometry, tiling, config = self.context, self.geometry, self.tiling, self.context.config
        acts = config.activation_words - tiling.residual_words
        context.acts.limit(0, acts, tiling.act_pitch)
        if tiling.residual_words:
            context.residuals.limit(acts, config.activation_words)
        context.weights.limit(0, geometry.weight_ring, tiling.weight_pitch)
        if geometry.uses_identity:
            context.identities.limit(geometry.weight_ring, config.weight_words)
        if geometry.layer.weight is not None:
            context.weights.reserve(geometry.out_tiles * len(tiling.chunks) * tiling.weight_pitch)
        parts = (len(tiling.images), len(tiling.rows), len(tiling.cols))
        produced = np.zeros((geometry.out_tiles, *parts), np.int64)
        for index, tile in tiling.tiles():
            context.acts.reserve(len(tiling.chunks) * tiling.act_pitch)
            for out_tile in range(geometry.out_tiles):
                self._output(index, tile, out_tile)
                produced[(out_tile, *index)] = len(context.pieces) - 1
        context.produced[geometry.layer.name] = Produced(tiling, produced)

    def _output(self, index: tuple[int, int, int], tile: Tile, out_tile: int) -> None:
        """One output tile of one channel tile: its chunks, then its residual operand."""
        layer, chunks = self.geometry.layer, self.tiling.chunks
        order = list(range(len(chunks)))
        if out_tile % 2 and not self.tiling.resident:
            order.reverse()  # starts with the chunk that the output tile before has just used
        maximum = layer.kind == "maxpool"
        for position, number in enumerate(order):
            mode = (
                (AccMode.MAX if maximum else AccMode.ADD)
                if position
                else (AccMode.MAX_OVERWRITE if maximum else AccMode.OVERWRITE)
            )
            gemm, needs = self._chunk(index, tile, out_tile, number)
            gemm["acc_mode"] = int(mode)
            last = position == len(order) - 1 and layer.residual is None
            self._finish(gemm, needs, index, tile, out_tile, last)
        if layer.residual is not None:
            gemm, needs = self._residual(index, tile, out_tile)
            self._finish(gemm, needs, index, tile, out_tile, True)

    def _source(self, name: str, tiles: Span, images: Span, rows: Span, cols: Span) -> int:
        produced = self.context.produced.get(name)
        return -1 if produced is None else produced.last(tiles, images, rows, cols)

    def _chunk(
        self, index: tuple[int, int, int], tile: Tile, out_tile: int, number: int
    ) -> tuple[dict[str, int], list[int]]:
        """GEMM fields and transfers of one chunk of the contraction."""
        geometry, layer, context = self.geometry, self.geometry.layer, self.context
        chunk = self.tiling.chunks[number]
        pool = layer.weight is None
        weights = self._identity() if pool else self._weights(out_tile, number, chunk)
        first = geometry.first_tiles[out_tile]
        tiles = Span(first + chunk.tiles.start, chunk.tiles.size)
        rows, cols = geometry.row_window(tile.rows, chunk.rows), geometry.col_window(tile.cols)
        step = geometry.row_step
        tensor = context.tensors[layer.source]
        load = window_load(tensor, tiles, tile.images, rows, cols, step)
        taken = Span(rows.first, (rows.count - 1) * step + 1), Span(cols.first, cols.count)
        source = self._source(layer.source, tiles, tile.images, *taken)
        key = (self.number, index, number, first if geometry.moves or pool else -1)
        acts = context.fill(context.acts, Buffer.ACTIVATION, key, load, source)
        gemm = {
            "act_base": acts.start + rows.offset * cols.total + cols.offset,
            "kernel_row_stride": cols.total if chunk.rows.size > 1 else 0,
            "channel_stride": load.channel_stride if tiles.size > 1 else 0,
            "image_stride": load.image_stride if tile.images.size > 1 else 0,
            "row_stride": layer.rows.stride // step * cols.total if tile.rows.size > 1 else 0,
            "col_stride": layer.columns.stride if tile.cols.size > 1 else 0,
            "kernel_rows": chunk.rows.size,
            "kernel_cols": layer.columns.kernel,
            "channel_tiles": tiles.size,
            "weight_base": weights.start,
            "weight_stride": 0 if pool else geometry.side,
        }
        return gemm, [*weights.transfers, *acts.transfers]

    def _residual(self, index: tuple[int, int, int], tile: Tile, out_tile: int) -> tuple[dict[str, int], list[int]]:
        """The residual operand as a GEMM with identity weights and a left shift."""
        layer, context = self.geometry.layer, self.context
        assert layer.residual is not None
        weights = self._identity()
        name, rows, cols = layer.residual.source, exact_window(tile.rows), exact_window(tile.cols)
        load = window_load(context.tensors[name], Span(out_tile, 1), tile.images, rows, cols, 1)
        source = self._source(name, Span(out_tile, 1), tile.images, tile.rows, tile.cols)
        acts = context.fill(context.residuals, Buffer.ACTIVATION, (self.number, index, out_tile), load, source)
        gemm = {
            "act_base": acts.start,
            "image_stride": load.image_stride if tile.images.size > 1 else 0,
            "row_stride": tile.cols.size if tile.rows.size > 1 else 0,
            "col_stride": 1,
            "kernel_rows": 1,
            "kernel_cols": 1,
            "channel_tiles": 1,
            "weight_base": weights.start,
            "acc_mode": int(AccMode.ADD),
            "lshift": layer.residual.lshift,
        }
        return gemm, [*weights.transfers, *acts.transfers]

    def _identity(self) -> Region:
        side = self.geometry.side
        load = WindowLoad(
            (linear_load(self.context.identity_address, side, self.addresses.identity_limit),), (side,), 0, 0
        )
        return self.context.fill(self.context.identities, Buffer.WEIGHT, (self.number,), load)

    def _weights(self, out_tile: int, number: int, chunk: Chunk) -> Region:
        side, addresses = self.geometry.side, self.addresses
        words = chunk.tiles.size * chunk.rows.size * self.geometry.layer.columns.kernel * side
        first = (out_tile * addresses.tiles + addresses.first_tile[number]) * side
        address = addresses.weight + first * self.context.config.word_bytes
        fields = linear_load(address, words, addresses.weight_limit)
        load = WindowLoad((fields,), (words,), 0, 0)
        return self.context.fill(self.context.weights, Buffer.WEIGHT, (self.number, out_tile, number), load)

    def _finish(
        self,
        gemm: dict[str, int],
        needs: list[int],
        index: tuple[int, int, int],
        tile: Tile,
        out_tile: int,
        last: bool,
    ) -> None:
        """Complete and append a piece; the last one of an output tile leaves through the epilogue."""
        context, side = self.context, self.geometry.side
        gemm.update(images=tile.images.size, rows=tile.rows.size, cols=tile.cols.size)
        passes = gemm["kernel_rows"] * gemm["kernel_cols"] * gemm["channel_tiles"]
        piece = Piece(self.number, gemm, passes * max(tile.pixels, side, RMW_CYCLES), needs)
        if last:
            self._epilogue(piece, index, tile, out_tile)
        context.pieces.append(piece)

    def _epilogue(self, piece: Piece, index: tuple[int, int, int], tile: Tile, out_tile: int) -> None:
        context, config, layer, addresses = (
            self.context,
            self.context.config,
            self.geometry.layer,
            self.addresses,
        )
        group = max(1, config.bias_words // 2)
        first = out_tile // group * group
        count = min(group, self.geometry.out_tiles - first)
        fields = linear_load(addresses.bias + first * config.bias_word_bytes, count, addresses.bias_limit)
        load = WindowLoad((fields,), (count,), 0, 0)
        bias = context.fill(context.biases, Buffer.BIAS, (self.number, first), load)
        piece.needs.extend(bias.transfers)
        output, piece.out_after = context.outputs.allocate((self.number, index, out_tile), tile.pixels)
        context.outputs.use(output, len(context.pieces))
        piece.gemm.update(
            epilogue=1,
            act_mode=int(ACT_MODES[layer.activation]),
            bias_base=bias.start + out_tile - first,
            out_base=output.start,
        )
        if isinstance(layer.bound, np.ndarray):
            bounds, place = self._bounds(index, tile, out_tile)
            piece.needs.extend(bounds.transfers)
            base = addresses.bound_base % (1 << BASE_BITS)
            piece.gemm.update(neuron_bounds=1, bound_base=place, layer_bound=base)
        elif layer.bound is not None:
            piece.gemm["layer_bound"] = int(layer.bound)
        piece.store = {"buffer_base": output.start, **tile_store(addresses.output, out_tile, tile)}

    def _bounds(self, index: tuple[int, int, int], tile: Tile, out_tile: int) -> tuple[Region, int]:
        """The region with the bounds of an output tile, and the place of its first bound (bounds of a lane)."""
        context, config, layout = self.context, self.context.config, self.addresses.bounds
        assert layout is not None
        pack, place = config.bounds_per_lane, 0
        if config.bounds is Granularity.CHANNEL:
            group = max(1, config.bound_words // 2) * pack
            start, place = out_tile // group * group // pack, out_tile % group
            words = min(config.bound_words // 2 or 1, len(layout.index) - start)
            key: tuple = (self.number, start)
        else:
            start = int(layout.tile_starts[index[1:]]) + out_tile * layout.channel_tile_words
            words = tile_words(config, tile.rows.size, tile.cols.size)
            key = (self.number, index[1:], out_tile)
        address = self.addresses.bound + start * config.word_bytes
        load = WindowLoad((linear_load(address, words, self.addresses.bound_limit),), (words,), 0, 0)
        region = context.fill(context.bounds, Buffer.BOUND, key, load)
        return region, region.start * pack + place
