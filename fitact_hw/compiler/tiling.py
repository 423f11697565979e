"""How a layer is cut: output tiles (images x rows x columns), chunks of the contraction, and their cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise, product

import numpy as np

from fitact_hw.compiler.bounds import patch_side, tile_words
from fitact_hw.config import RMW_CYCLES, AcceleratorConfig
from fitact_hw.errors import CompileError
from fitact_hw.isa import Opcode, largest
from golden.qnetwork import Axis, QLayer

LOAD_LATENCY = 24
"""Cycles from the start of a LOAD to its first word, assumed by the cost model."""

PIECE_CYCLES = 8
"""Cycles that one more GEMM costs, assumed by the cost model: instruction fetch, tokens."""

MAX_WORDS = largest(Opcode.LOAD, "cols")
"""Words of one LOAD row."""

MAX_IMAGES = largest(Opcode.GEMM, "images")
"""Images of one GEMM."""


@dataclass(frozen=True)
class Span:
    """``size`` consecutive indices from ``start``."""

    start: int
    size: int


def split(total: int, parts: int) -> tuple[Span, ...]:
    """``total`` indices in ``parts`` spans whose sizes differ by at most one."""
    base, extra = divmod(total, parts)
    starts = [i * base + min(i, extra) for i in range(parts + 1)]
    return tuple(Span(a, b - a) for a, b in pairwise(starts))


@dataclass(frozen=True)
class Window:
    """Input rows (or columns) that an output span needs, as a LOAD brings them in.

    ``before`` zero rows, ``count`` real rows from index ``first``, ``after`` zero rows; the first row that
    the kernel needs is row ``offset`` of these. At least one real row is loaded, needed or not.
    """

    first: int
    count: int
    before: int
    after: int
    offset: int

    @property
    def total(self) -> int:
        """Rows in the buffer."""
        return self.before + self.count + self.after


def exact_window(span: Span) -> Window:
    """Exactly these rows, unpadded."""
    return Window(span.start, span.size, 0, 0, 0)


@dataclass(frozen=True)
class Chunk:
    """The part of the contraction that one GEMM does: input-channel tiles and kernel rows."""

    tiles: Span
    rows: Span


@dataclass(frozen=True)
class Geometry:
    """A layer's sizes on a machine: channel tiles, sides; all that tiling needs to know."""

    layer: QLayer
    config: AcceleratorConfig
    images: int

    @property
    def side(self) -> int:
        """Lanes of a word."""
        return self.config.side

    @property
    def out_tiles(self) -> int:
        """Output-channel tiles."""
        return -(-self.layer.out_shape[0] // self.side)

    @cached_property
    def first_tiles(self) -> tuple[int, ...]:
        """First input-channel tile of each output tile's contraction: groups read only some of them (pools their own
        one), all equally many."""
        if self.layer.weight is None:
            return tuple(range(self.out_tiles))
        return tuple(min(first, self.all_tiles - self.in_tiles) for first, _ in self._reach)

    @cached_property
    def in_tiles(self) -> int:
        """Input-channel tiles of one output tile's contraction (1 for pools: the output's own tile)."""
        return 1 if self.layer.weight is None else max(last - first for first, last in self._reach)

    @property
    def all_tiles(self) -> int:
        """Input-channel tiles."""
        return -(-self.layer.in_shape[0] // self.side)

    @property
    def moves(self) -> bool:
        """Whether output tiles read different input-channel tiles."""
        return len(set(self.first_tiles)) > 1

    @cached_property
    def _reach(self) -> list[tuple[int, int]]:
        """First input-channel tile that each output tile has weights for, and the one behind the last."""
        links = self.layer.links
        if links is None:
            return [(0, self.all_tiles)] * self.out_tiles
        reach = []
        for tile in range(self.out_tiles):
            used = np.flatnonzero(links[tile * self.side : (tile + 1) * self.side].any(axis=0)) // self.side
            reach.append((int(used[0]), int(used[-1]) + 1) if used.size else (0, 1))
        return reach

    @property
    def bound_side(self) -> int:
        """Output rows and columns that share a bound: no tile may cut them."""
        return patch_side(self.config, self.layer)

    def parts(self, extent: int, parts: int) -> tuple[Span, ...]:
        """``extent`` output rows or columns in ``parts`` spans that no shared bound crosses."""
        side = self.bound_side
        if side == 1:
            return split(extent, parts)
        whole = (Span(s.start * side, s.size * side) for s in split(-(-extent // side), parts))
        return tuple(Span(s.start, min(s.size, extent - s.start)) for s in whole)

    def bound_words(self, rows: int, cols: int) -> int:
        """Bound buffer words of an output tile of one channel tile."""
        return tile_words(self.config, rows, cols) if isinstance(self.layer.bound, np.ndarray) else 0

    @property
    def row_step(self) -> int:
        """Input rows from one loaded row to the next: a 1x1 kernel skips the rows between."""
        rows = self.layer.rows
        return rows.stride if rows.kernel == 1 and not rows.padded else 1

    @property
    def uses_identity(self) -> bool:
        """Whether the identity weight tile must lie in the weight buffer."""
        return self.layer.weight is None or self.layer.residual is not None

    @property
    def weight_ring(self) -> int:
        """Weight buffer words that stay for the layer's own weights."""
        return min(self.config.weight_words - (self.side if self.uses_identity else 0), MAX_WORDS)

    @staticmethod
    def window(out: Span, kernel: Span, axis: Axis, extent: int, step: int = 1) -> Window:
        """The input window of output rows (or columns) ``out`` and kernel rows ``kernel``."""
        low = out.start * axis.stride - axis.before + kernel.start
        if step > 1:
            return Window(low, out.size, 0, 0, 0)
        high = low + (out.size - 1) * axis.stride + kernel.size
        if high <= 0:  # only padding; a LOAD reads at least one row, so one that nobody uses follows
            return Window(0, 1, high - low, 0, 0)
        if low >= extent:
            return Window(extent - 1, 1, 0, high - low, 1)
        first, last = max(0, low), min(extent, high)
        return Window(first, last - first, max(0, -low), max(0, high - extent), 0)

    def row_window(self, out: Span, kernel: Span) -> Window:
        """Input rows."""
        return self.window(out, kernel, self.layer.rows, self.layer.in_shape[1], self.row_step)

    def col_window(self, out: Span) -> Window:
        """Input columns; all kernel columns are in one chunk."""
        columns = self.layer.columns
        return self.window(out, Span(0, columns.kernel), columns, self.layer.in_shape[2])


@dataclass(frozen=True)
class Tile:
    """One output tile: images, rows and columns of every output-channel tile."""

    images: Span
    rows: Span
    cols: Span

    @property
    def pixels(self) -> int:
        """Accumulator and output words of one channel tile."""
        return self.images.size * self.rows.size * self.cols.size


@dataclass(frozen=True)
class Tiling:
    """The chosen cut.

    ``act_words``: activation words of all chunks; ``act_pitch``, ``weight_pitch``: buffer words of the
    largest one; ``resident``: all chunks of an output tile fit the activation buffer together;
    ``residual_words`` at that buffer's end are kept for residual operands; ``cycles``: estimated cost.
    """

    images: tuple[Span, ...]
    rows: tuple[Span, ...]
    cols: tuple[Span, ...]
    chunks: tuple[Chunk, ...]
    act_words: int
    act_pitch: int
    weight_pitch: int
    resident: bool
    residual_words: int
    cycles: int = 0

    def tiles(self) -> Iterator[tuple[tuple[int, int, int], Tile]]:
        """Output tiles in order, with their indices."""
        for index in product(range(len(self.images)), range(len(self.rows)), range(len(self.cols))):
            yield index, Tile(self.images[index[0]], self.rows[index[1]], self.cols[index[2]])


def _chunks(geometry: Geometry, row_words: list[int], act_words: int, weight_words: int) -> tuple[Chunk, ...] | None:
    """The contraction in chunks that fit; ``row_words[r]``: words of r kernel rows of one channel tile."""
    layer, tiles = geometry.layer, geometry.in_tiles
    kernel = layer.rows.kernel
    per_row = layer.columns.kernel * geometry.side if layer.weight is not None else 0
    whole = Span(0, kernel)
    together = min(tiles, act_words // row_words[kernel])
    if per_row:
        together = min(together, weight_words // (per_row * kernel))
    if together >= 1:
        return tuple(Chunk(part, whole) for part in split(tiles, -(-tiles // together)))
    for rows in range(kernel - 1, 0, -1):
        if row_words[rows] <= act_words and rows * per_row <= weight_words:
            parts = split(kernel, -(-kernel // rows))
            return tuple(Chunk(Span(tile, 1), part) for tile in range(tiles) for part in parts)
    return None


def _row_words(geometry: Geometry, rows: tuple[Span, ...], cols: tuple[Span, ...], images: int) -> list[int]:
    """Most activation words of one channel tile for 0, 1, ... kernel rows (any position of them)."""
    kernel = geometry.layer.rows.kernel
    edge_rows, edge_cols = {*rows[:2], *rows[-2:]}, {*cols[:2], *cols[-2:]}
    width = max(geometry.col_window(span).total for span in edge_cols)
    result = [0]
    for size in range(1, kernel + 1):
        starts = range(kernel - size + 1)
        result.append(
            images * width * max(geometry.row_window(r, Span(s, size)).total for r in edge_rows for s in starts)
        )
    return result


def _cost(geometry: Geometry, plan: Tiling) -> int:
    """Estimated cycles of one layer."""
    config, layer = geometry.config, geometry.layer
    beats = max(1, config.word_bytes // config.bus_bytes)
    _, tile = next(plan.tiles())
    tile_count = len(plan.images) * len(plan.rows) * len(plan.cols)
    passes = tile_count * geometry.out_tiles
    residual = 1 if layer.residual is not None else 0
    pieces = passes * (len(plan.chunks) + residual)
    positions = layer.area * geometry.in_tiles
    compute = passes * (positions + residual) * max(tile.pixels, geometry.side, RMW_CYCLES) + pieces * PIECE_CYCLES
    reloaded = passes if geometry.moves or layer.weight is None or not plan.resident else tile_count
    words = reloaded * plan.act_words + passes * residual * tile.pixels
    if layer.weight is not None:
        fits = geometry.out_tiles * len(plan.chunks) * plan.weight_pitch <= geometry.weight_ring
        words += positions * geometry.side * (geometry.out_tiles if fits else passes)
    bounds = geometry.bound_words(tile.rows.size, tile.cols.size)
    words += passes * bounds
    load = words * beats + LOAD_LATENCY * pieces
    store = passes * (tile.pixels * beats + LOAD_LATENCY)
    exposed = (tile.pixels + plan.act_pitch) * beats  # the layer after waits for the last store, then for its load
    capacity = config.activation_words - plan.residual_words
    if plan.resident and 2 * plan.act_words > capacity:
        exposed += (tile_count - 1) * plan.act_pitch * beats
    if 2 * bounds > config.bound_words:  # the next tile's bounds wait until this tile's are used
        exposed += passes * (bounds * beats + LOAD_LATENCY)
    slots = min(capacity // plan.act_pitch, geometry.weight_ring // plan.weight_pitch)
    if slots == 1 or 2 * tile.pixels > config.output_words or plan.residual_words == tile.pixels:
        exposed += max(compute, load) // 2
    elif slots < 4:
        exposed += pieces * 2 * PIECE_CYCLES
    return max(compute, load, store) + exposed


def _plan(geometry: Geometry, parts: tuple[int, int, int]) -> Tiling | None:
    """The tiling with that many image, row and column parts, or None if it does not fit the buffers."""
    config, layer = geometry.config, geometry.layer
    images = split(geometry.images, parts[0])
    rows, cols = geometry.parts(layer.out_shape[1], parts[1]), geometry.parts(layer.out_shape[2], parts[2])
    pixels = images[0].size * rows[0].size * cols[0].size
    if pixels > min(config.accumulator_words, config.output_words) or images[0].size > MAX_IMAGES:
        return None
    if geometry.bound_words(rows[0].size, cols[0].size) > config.bound_words:
        return None
    row_words = _row_words(geometry, rows, cols, images[0].size)
    best: Tiling | None = None
    for slots in (2, 1) if layer.residual is not None else (0,):
        capacity = min(config.activation_words - slots * pixels, MAX_WORDS)
        for share in (4, 2, 1):
            chunks = _chunks(geometry, row_words, capacity // share, geometry.weight_ring // share)
            if chunks is None:
                continue
            words = [chunk.tiles.size * row_words[chunk.rows.size] for chunk in chunks]
            per_row = layer.columns.kernel * geometry.side
            weights = max(c.tiles.size * c.rows.size * per_row for c in chunks) if layer.weight is not None else 1
            resident = max(words) * len(chunks) <= capacity
            plan = Tiling(images, rows, cols, chunks, sum(words), max(words), weights, resident, slots * pixels)
            plan = replace(plan, cycles=_cost(geometry, plan))
            if best is None or plan.cycles < best.cycles:
                best = plan
    return best


def _part_counts(total: int) -> list[int]:
    """Part counts that give different largest part sizes, up to ``total``."""
    return sorted({-(-total // size) for size in range(1, total + 1)})


def choose_tiling(geometry: Geometry) -> Tiling:
    """The cheapest tiling. Raises CompileError, naming the buffer and the least depth, if none fits."""
    layer, config = geometry.layer, geometry.config
    _check_least(geometry)
    _, rows, cols = layer.out_shape
    limit = min(config.accumulator_words, config.output_words)
    best: Tiling | None = None
    row_counts, col_counts = (_part_counts(-(-extent // geometry.bound_side)) for extent in (rows, cols))
    for col_parts in col_counts:
        for image_parts, row_parts in product(_part_counts(geometry.images), row_counts):
            if geometry.bound_side == 1 and geometry.images * rows * cols > limit * image_parts * row_parts * col_parts:
                continue
            plan = _plan(geometry, (image_parts, row_parts, col_parts))
            if plan is not None and (best is None or plan.cycles < best.cycles):
                best = plan
        if best is not None and col_parts >= 2:
            break
    assert best is not None  # single pixels fit, or _check_least would have raised
    return best


def _check_least(geometry: Geometry) -> None:
    """The smallest tiles (single pixels, or pixels that share a bound) with one kernel row must fit."""
    layer, config, side = geometry.layer, geometry.config, geometry.bound_side
    rows, cols = (geometry.parts(extent, -(-extent // side)) for extent in layer.out_shape[1:])
    pixel = _row_words(geometry, rows, cols, 1)[1]
    kernel = layer.columns.kernel if layer.weight is not None else 0
    needs = {
        "activation_words": pixel + (rows[0].size * cols[0].size if layer.residual is not None else 0),
        "weight_words": geometry.side * (kernel + geometry.uses_identity),
    }
    for name, least in needs.items():
        depth = getattr(config, name)
        if depth < least:
            raise CompileError(f"layer {layer.name!r} cannot be tiled: {name}={depth} must be at least {least}")
