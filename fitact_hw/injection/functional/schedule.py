"""When the machine does what a program says: the proof that an access trace is that of the program, access by access.

The array takes a pixel a cycle without a pause within a weight tile, and every other access of the compute unit follows
its pixel in a fixed distance. So the cycle in which each weight tile begins gives the cycles of all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fitact_hw.fsim.access import BUFFERS
from fitact_hw.injection.functional.order import LOADED, Order, Unsuitable
from sim.engine.access import SORTED, AccessTrace

SITES = {f"u_buffers.u_{name}.data_mem": name for name in BUFFERS}
"""Fault site -> buffer."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """When weight tiles (all of a program, in its order) and output words pass.

    ``tile_start``: int64 (tiles,), cycle in which the activation of a tile's first pixel is read; ``weight_start``: the
    same of its first weight row; ``delays``: cycles from a pixel's activation to its access of each other buffer;
    ``stored``: int64 (output words,), cycle in which each is read to be stored; ``gemm``: int64 (tiles,), of each tile.
    """

    order: Order
    tile_start: np.ndarray
    weight_start: np.ndarray
    delays: dict[str, int]
    stored: np.ndarray
    gemm: np.ndarray

    @staticmethod
    def of(order: Order, accesses: AccessTrace) -> Schedule:
        """Raises Unsuitable if any access of the trace is not what the program says: in word, order or content."""
        traces = {
            SITES[path]: _Accesses(keys.view(np.int64))
            for path, keys in zip(accesses.names, accesses.keys, strict=True)
        }
        gemms = order.gemms
        gemm = np.repeat(np.arange(len(gemms.tiles)), gemms.tiles)
        pixels = gemms.pixels[gemm]
        tile_start = traces["activation"].starts(pixels, "activation")
        weight_start = traces["weight"].starts(np.full(len(gemm), order.program.config.side), "weight")
        stored = traces["output"].starts(np.ones(len(order.stored), np.int64), "output")
        schedule = Schedule(order, tile_start, weight_start, {}, stored, gemm)
        for name, trace in traces.items():
            schedule._prove(name, trace)
        return schedule

    def pixels(self, buffer: str, cycles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tile and pixel whose accesses of ``buffer`` (not of weights or output words) are in ``cycles``."""
        issued = cycles - self.delays[buffer]
        tile = np.searchsorted(self.tile_start, issued, side="right") - 1
        return tile, issued - self.tile_start[tile]

    def weight_rows(self, cycles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tile and row whose weight words are read in ``cycles``."""
        tile = np.searchsorted(self.weight_start, cycles, side="right") - 1
        return tile, cycles - self.weight_start[tile]

    def chains(self, buffer: str, cycles: np.ndarray) -> np.ndarray:
        """Output tile for which ``buffer``, not that of output words, is read in ``cycles``."""
        tile, _ = self.weight_rows(cycles) if buffer == "weight" else self.pixels(buffer, cycles)
        return np.asarray(self.order.gemms.chain[self.gemm[tile]])

    def _prove(self, name: str, trace: _Accesses) -> None:
        parts = [*_PREDICTIONS[name](self)]
        words, cycles, places = (np.concatenate([np.zeros(0, np.int64), *(p[k] for p in parts)]) for k in range(3))
        if name not in LOADED:
            written = self._accumulated() if name == "accumulator" else self.order.out_words
        else:
            written = self.order.streams[name].words
        if name not in ("activation", "output"):
            # the first access tells the distance; all others must have the same
            first = trace.first_read() if len(words) else 0
            self.delays[name] = 0 if name == "weight" else first - int(cycles.min(initial=first))
            cycles += self.delays[name]
        self.delays.setdefault(name, 0)
        trace.prove(name, words, cycles, places, written)

    def _tiles(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """GEMM, its tiles int64 (tiles, 1) counted over the program, its pixels int64 (1, pixels)."""
        gemms = self.order.gemms
        for number, (first, tiles, pixels) in enumerate(zip(gemms.first_tile, gemms.tiles, gemms.pixels, strict=True)):
            yield number, first + np.arange(tiles)[:, None], np.arange(pixels)[None, :]

    def _activations(self) -> Iterator[tuple[np.ndarray, ...]]:
        gemms = self.order.gemms
        for number, tile, pixel in self._tiles():
            words = gemms.activation_words(np.array(number), tile - gemms.first_tile[number], pixel)
            yield words.ravel(), (self.tile_start[tile] + pixel).ravel(), words.ravel() + gemms.act_shift[number]

    def _weights(self) -> Iterator[tuple[np.ndarray, ...]]:
        gemms, row = self.order.gemms, np.arange(self.order.program.config.side)[None, :]
        for number, tile, _ in self._tiles():
            place = (tile - gemms.first_tile[number]) * gemms["weight_stride"][number]
            words = gemms["weight_base"][number] + place + row
            yield words.ravel(), (self.weight_start[tile] + row).ravel(), words.ravel() + gemms.weight_shift[number]

    def _sums(self) -> Iterator[tuple[np.ndarray, ...]]:
        """Reads of the accumulator; what each finds was written for the tile before."""
        gemms, written = self.order.gemms, 0
        heads, tails = {*self.order.chains.first.tolist()}, {*self.order.chains.last.tolist()}
        for number, tile, pixel in self._tiles():
            tile = tile[1:] if number in heads else tile
            words = np.broadcast_to(_acc_base(self.order, number) + pixel, (len(tile), pixel.size))
            count = pixel.size
            before = written - count if number not in heads else written
            places = before + np.arange(len(tile))[:, None] * count + pixel
            yield words.ravel(), (self.tile_start[tile] + pixel).ravel(), places.ravel()
            written += count * (int(gemms.tiles[number]) - (number in tails))

    def _accumulated(self) -> np.ndarray:
        """Words of the accumulator in the order in which they are written."""
        tails = {*self.order.chains.last.tolist()}
        parts = [np.zeros(0, np.int64)]
        for number, tile, pixel in self._tiles():
            writes = len(tile) - (number in tails)
            parts.append(np.tile(_acc_base(self.order, number) + pixel.ravel(), writes))
        return np.concatenate(parts)

    def _last_tiles(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """Chain, its last tile, its pixels."""
        gemms, chains = self.order.gemms, self.order.chains
        for number, last in enumerate(chains.last):
            yield number, int(gemms.first_tile[last] + gemms.tiles[last] - 1), np.arange(gemms.pixels[last])

    def _biases(self) -> Iterator[tuple[np.ndarray, ...]]:
        stream = self.order.streams["bias"].words
        for number, tile, pixel in self._last_tiles():
            place = np.full(len(pixel), self.order.chains.bias[number])
            yield stream[place].astype(np.int64), self.tile_start[tile] + pixel, place

    def _bounds(self) -> Iterator[tuple[np.ndarray, ...]]:
        """Reads of the bound buffer: none for a pixel whose bound lies in the word of the pixel before."""
        chains, config = self.order.chains, self.order.program.config
        for number, tile, pixel in self._last_tiles():
            if chains["neuron_bounds"][number]:
                words = chains.bound_places(np.array(number), pixel, config.bounds) // config.bounds_per_lane
                words = np.broadcast_to(words, pixel.shape)
                fresh = fresh_bounds(words, self.order)
                yield words[fresh], self.tile_start[tile] + pixel[fresh], words[fresh] + chains.bound_shift[number]

    def _outputs(self) -> Iterator[tuple[np.ndarray, ...]]:
        yield self.order.out_words.astype(np.int64), self.stored, np.arange(len(self.stored))


def fresh_bounds(words: np.ndarray, order: Order) -> np.ndarray:
    """Pixels whose bound word is read: all that have a bound each, else those with another word than the one before."""
    config = order.program.config
    if config.bounds.value == "neuron" and config.bounds_per_lane == 1:
        return np.arange(len(words))
    return np.append(0, np.flatnonzero(np.diff(words)) + 1)


_PREDICTIONS = {
    "activation": Schedule._activations, "weight": Schedule._weights, "bias": Schedule._biases,
    "bound": Schedule._bounds, "accumulator": Schedule._sums, "output": Schedule._outputs,
}  # fmt: skip
"""Reads of each buffer as the program has them: word, cycle, place of what it finds in the order of the writes."""


def _acc_base(order: Order, gemm: int) -> int:
    return int(order.gemms["acc_base"][gemm])


class _Accesses:
    """Traced accesses of one buffer; ``keys``: int64 SORTED keys."""

    def __init__(self, keys: np.ndarray) -> None:
        self.keys = keys
        self.writes = SORTED.get(keys, "is_write").astype(bool)

    def first_read(self) -> int:
        """Cycle of the first read, 0 if there is none."""
        cycles = SORTED.get(self.keys[~self.writes], "cycle")
        return int(cycles.min()) if len(cycles) else 0

    def read_cycles(self) -> np.ndarray:
        """In the order of time."""
        return np.sort(SORTED.get(self.keys[~self.writes], "cycle"))

    def starts(self, sizes: np.ndarray, name: str) -> np.ndarray:
        """First cycle of each group of reads; ``sizes``: reads of each. Raises Unsuitable if they are not so many."""
        cycles = self.read_cycles()
        if len(cycles) != sizes.sum():
            raise Unsuitable(f"the trace has {len(cycles)} reads of the {name} buffer, the program {sizes.sum()}")
        return cycles[np.cumsum(sizes) - sizes]

    def prove(self, name: str, words: np.ndarray, cycles: np.ndarray, places: np.ndarray, written: np.ndarray) -> None:
        """Reads, int64 (reads,) each, and the words written, in order, are those traced; and each read finds the write
        at its place in that order."""
        word, cycle = SORTED.get(self.keys, "word"), SORTED.get(self.keys, "cycle")
        order = np.flatnonzero(self.writes)
        order = order[np.argsort(cycle[order], kind="stable")]
        if not np.array_equal(word[order], written):
            raise Unsuitable(f"the {name} buffer is written in another order than the program's")
        expected = SORTED.pack(word=words, cycle=cycles, is_write=0)
        rank = np.argsort(expected, kind="stable")
        if not np.array_equal(self.keys[~self.writes], expected[rank]):
            raise Unsuitable(f"the {name} buffer is read otherwise than the program says")
        place = np.full(len(self.keys), -1, np.int64)
        place[order] = np.arange(len(order))
        newest = np.maximum.accumulate(np.where(self.writes, np.arange(len(self.keys)), -1))[~self.writes]
        found = np.where((newest >= 0) & (word[newest] == word[~self.writes]), place[newest], -1)
        if not np.array_equal(found, places[rank]):
            raise Unsuitable(f"the {name} buffer holds something else than the program's order says")
