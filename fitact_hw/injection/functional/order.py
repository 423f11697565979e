"""A program as arrays: GEMMs, output tiles, what LOADs bring into the buffers and STOREs take out of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fitact_hw.config import Granularity
from fitact_hw.errors import FitActError
from fitact_hw.fsim.access import (
    BUFFERS,
    NO_ADDRESS,
    activation_words,
    bound_offset,
    bound_places,
    depth,
    dma_addresses,
    gemm_pixels,
    gemm_tiles,
    load_sources,
    memory_word_bytes,
    weight_words,
)
from fitact_hw.isa import AccMode, Buffer, Instruction, Opcode
from fitact_hw.program import Placement, Program
from golden.qnetwork import INPUT

ZERO = -1
"""In place of a memory word: padding."""

LOADED = BUFFERS[: len(Buffer)]
"""Buffers that LOAD fills."""

_GEMM_FIELDS = (
    *("act_base", "kernel_row_stride", "channel_stride", "image_stride", "row_stride", "col_stride", "kernel_cols"),
    *("channel_tiles", "rows", "cols", "weight_base", "weight_stride", "lshift", "acc_base"),
)
_TILE_FIELDS = ("rows", "cols", "act_mode", "neuron_bounds", "layer_bound", "bound_base")


class Unsuitable(FitActError):
    """A program, or a trace, of a form in which only RTL can judge upsets of buffers."""


@dataclass(frozen=True, eq=False)
class Tensors:
    """Activation tensors of a program as one row of words, in the order of their addresses.

    ``first``: int64 (tensors + 1,), number of each tensor's first word.
    """

    placements: tuple[Placement, ...]
    first: np.ndarray

    @staticmethod
    def of(program: Program) -> Tensors:
        """The tensors of ``program``."""
        placements = tuple(sorted(program.tensors.values(), key=lambda item: item.address))
        words = [item.size_bytes // program.config.word_bytes for item in placements]
        return Tensors(placements, np.concatenate([[0], np.cumsum(words, dtype=np.int64)]))

    @cached_property
    def _addresses(self) -> np.ndarray:
        return np.array([item.address for item in self.placements], np.int64)

    def of_word(self, words: np.ndarray) -> np.ndarray:
        """Number of the tensor of each word."""
        return np.searchsorted(self.first, words, side="right") - 1

    def words(self, addresses: np.ndarray) -> np.ndarray:
        """Numbers of the words at byte ``addresses``. Raises Unsuitable for one that is in no tensor."""
        tensor = np.searchsorted(self._addresses, addresses, side="right") - 1
        words = self.first[tensor] + (addresses - self._addresses[tensor]) // self.placements[0].config.word_bytes
        if tensor.min(initial=0) < 0 or (words >= self.first[tensor + 1]).any():
            raise Unsuitable("a transfer of activations leaves its tensor")
        return np.asarray(words)

    def inside(self, addresses: np.ndarray) -> bool:
        """Whether any of these byte addresses is in a tensor."""
        tensor = np.maximum(np.searchsorted(self._addresses, addresses, side="right") - 1, 0)
        ends = self._addresses + np.diff(self.first) * self.placements[0].config.word_bytes
        return bool(((addresses >= self._addresses[tensor]) & (addresses < ends[tensor])).any())


@dataclass(frozen=True, eq=False)
class Stream:
    """What LOADs write into one buffer, in program order.

    ``words``: int32 (writes,), buffer words; ``source``: int32 (writes,), ZERO or the number of the memory word: of
    activations as in :class:`Tensors`, else counted from address 0 in words of the buffer.
    """

    words: np.ndarray
    source: np.ndarray


@dataclass(frozen=True, eq=False)
class Gemms:
    """Fields of all GEMMs in program order, int64 (gemms,) each.

    ``pixels``, ``tiles``: sizes; ``first_tile``: weight tiles before it; ``chain``: its output tile; ``act_shift`` and
    ``weight_shift``: from a buffer word that it reads to the place in the buffer's stream that it then holds.
    """

    fields: dict[str, np.ndarray]
    pixels: np.ndarray
    tiles: np.ndarray
    first_tile: np.ndarray
    chain: np.ndarray
    act_shift: np.ndarray
    weight_shift: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        return self.fields[name]

    def activation_words(self, gemm: np.ndarray, tile: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        """Activation word of each (GEMM, weight tile, pixel); arrays of one shape, or that broadcast."""
        f = self.fields
        position, channel = np.divmod(tile, f["channel_tiles"][gemm])
        row, col = np.divmod(position, f["kernel_cols"][gemm])
        rest, out_col = np.divmod(pixel, f["cols"][gemm])
        image, out_row = np.divmod(rest, f["rows"][gemm])
        tap = row * f["kernel_row_stride"][gemm] + col + channel * f["channel_stride"][gemm]
        place = image * f["image_stride"][gemm] + out_row * f["row_stride"][gemm] + out_col * f["col_stride"][gemm]
        return np.asarray(f["act_base"][gemm] + tap + place)


@dataclass(frozen=True, eq=False)
class Chains:
    """Output tiles of one channel tile in program order: the GEMMs that add up to each, int64 (chains,) each.

    ``first``, ``last``: GEMMs; ``out_first``: output words before it; ``bias``: its place in the stream of biases;
    ``bound_shift`` as in :class:`Gemms`; ``maximum``: bool; ``layer``: number of the tensor that it is stored to.
    """

    fields: dict[str, np.ndarray]
    first: np.ndarray
    last: np.ndarray
    out_first: np.ndarray
    bias: np.ndarray
    bound_shift: np.ndarray
    maximum: np.ndarray
    layer: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        return self.fields[name]

    def bound_places(self, chain: np.ndarray, pixel: np.ndarray, granularity: Granularity) -> np.ndarray:
        """As :func:`fitact_hw.fsim.access.bound_places`, of each (chain, pixel)."""
        rows, cols = self.fields["rows"][chain], self.fields["cols"][chain]
        row, col = np.divmod(pixel % (rows * cols), cols)
        return np.asarray(self.fields["bound_base"][chain] + bound_offset(row, col, cols, granularity))


@dataclass(frozen=True, eq=False)
class Order:
    """A program in its own order. ``stored``: int32 (output words,), tensor word of each, chain after chain;
    ``out_words``: int32, the word of the output buffer that holds it."""

    program: Program
    tensors: Tensors
    streams: dict[str, Stream]
    gemms: Gemms
    chains: Chains
    stored: np.ndarray
    out_words: np.ndarray

    def tiles(self, chain: int) -> tuple[int, int]:
        """First weight tile of a chain, and the one behind its last."""
        first, last = int(self.chains.first[chain]), int(self.chains.last[chain])
        return int(self.gemms.first_tile[first]), int(self.gemms.first_tile[last] + self.gemms.tiles[last])

    @staticmethod
    def of(program: Program) -> Order:
        """Raises Unsuitable for a program of another form than the compiler's."""
        if program.images != 1:
            raise Unsuitable(f"the program works on {program.images} images; compile it for one")
        tensors = Tensors.of(program)
        gemms, chains, streams = _Reader(program, tensors).read()
        stored, out_words = _stored(program, tensors)
        counts = gemms.pixels[chains.last]
        starts = np.cumsum(counts) - counts
        if counts.sum() != len(stored) or not len(stored):
            raise Unsuitable("what GEMMs give and what STOREs take are not equally many words")
        _check_tensors(tensors, stored)
        layer = tensors.of_word(stored[starts])
        if (np.repeat(layer, counts) != tensors.of_word(stored)).any():
            raise Unsuitable("an output tile is stored to several tensors")
        if np.count_nonzero(np.diff(layer)) + 1 != len({*layer.tolist()}):
            raise Unsuitable("the output tiles of a layer do not follow each other")
        for name in ("act_mode", "neuron_bounds", "layer_bound"):
            pairs = {*zip(layer.tolist(), chains[name].tolist(), strict=True)}
            if len(pairs) != len({*layer.tolist()}):
                raise Unsuitable(f"a layer has several {name}")
        found = Chains(
            chains.fields, chains.first, chains.last, starts, chains.bias, chains.bound_shift, chains.maximum, layer
        )
        return Order(program, tensors, streams, gemms, found, stored, out_words)


def _check_tensors(tensors: Tensors, stored: np.ndarray) -> None:
    """Every word of every tensor but the input is stored exactly once."""
    count = np.bincount(stored, minlength=int(tensors.first[-1]))
    number = next(k for k, item in enumerate(tensors.placements) if item.name == INPUT)
    expected = np.ones(len(count), np.int64)
    expected[tensors.first[number] : tensors.first[number + 1]] = 0
    if not np.array_equal(count, expected):
        raise Unsuitable("a word of a layer's output is not stored exactly once")


def _stored(program: Program, tensors: Tensors) -> tuple[np.ndarray, np.ndarray]:
    """Tensor word and output buffer word of everything that is stored, in program order."""
    targets, words = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for item in program.instructions:
        if item.opcode is Opcode.STORE:
            addresses = dma_addresses(item, program.config.word_bytes)
            targets.append(tensors.words(addresses))
            words.append(item["buffer_base"] + np.arange(len(addresses)))
    return np.concatenate(targets).astype(np.int32), np.concatenate(words).astype(np.int32)


class _Reader:
    """One pass through the instructions that follows what every word of the loaded buffers holds."""

    def __init__(self, program: Program, tensors: Tensors) -> None:
        self.program, self.config, self.tensors = program, program.config, tensors
        self.held = {name: np.full(depth(self.config, name), -1, np.int64) for name in LOADED}
        self.words: dict[str, list[np.ndarray]] = {name: [np.zeros(0, np.int64)] for name in LOADED}
        self.source: dict[str, list[np.ndarray]] = {name: [np.zeros(0, np.int64)] for name in LOADED}
        self.count = dict.fromkeys(LOADED, 0)
        self.gemms: list[Instruction] = []
        self.shifts: list[tuple[int, int]] = []
        self.chain_of: list[int] = []
        self.spans: list[tuple[int, int]] = []  # GEMMs of each chain
        self.tails: list[tuple[int, int]] = []  # its bias and bound shift

    def read(self) -> tuple[Gemms, Chains, dict[str, Stream]]:
        """Everything but what STOREs do."""
        first = 0
        for item in self.program.instructions:
            if item.opcode is Opcode.LOAD:
                self._load(item)
            elif item.opcode is Opcode.GEMM:
                self._gemm(item)
                self.chain_of.append(len(self.spans))
                if item["epilogue"]:
                    self._check_chain(self.gemms[first:])
                    self.spans.append((first, len(self.gemms) - 1))
                    first = len(self.gemms)
        if first != len(self.gemms) or not self.gemms:
            raise Unsuitable("the last GEMM gives no output")
        streams = {
            name: Stream(*(np.concatenate(part).astype(np.int32) for part in (self.words[name], self.source[name])))
            for name in LOADED
        }
        return self._gemms(), self._chains(), streams

    def _load(self, item: Instruction) -> None:
        name = BUFFERS[item["buffer"]]
        size = memory_word_bytes(self.config, name)
        words, addresses = load_sources(item, size)
        real = addresses != NO_ADDRESS
        source = np.full(len(words), ZERO, np.int64)
        if name == "activation":
            source[real] = self.tensors.words(addresses[real])
        elif self.tensors.inside(addresses[real]):
            raise Unsuitable(f"the {name} buffer is loaded with activations")
        else:
            source[real] = addresses[real] // size
        if not real.all() and name != "activation":
            raise Unsuitable(f"the {name} buffer is loaded with padding")
        self.words[name].append(words)
        self.source[name].append(source)
        self.held[name][words] = self.count[name] + np.arange(len(words))
        self.count[name] += len(words)

    def _shift(self, name: str, words: np.ndarray) -> int:
        """What leads from ``words`` to the places in the stream that they hold: one number for all of them."""
        places = self.held[name][words]
        shift = int(places.flat[0] - words.flat[0])
        if places.min() < 0 or (places - words != shift).any():
            raise Unsuitable(f"a GEMM uses {name} words that were not loaded together")
        return shift

    def _gemm(self, item: Instruction) -> None:
        config = self.config
        self.shifts.append((
            self._shift("activation", activation_words(item)),
            self._shift("weight", weight_words(item, config.side)),
        ))  # fmt: skip
        if item["epilogue"]:
            bias, bound = item["bias_base"], 0
            if item["neuron_bounds"]:
                bound = self._shift("bound", bound_places(item, config.bounds) // config.bounds_per_lane)
            self.tails.append((bias + self._shift("bias", np.array([bias])), bound))
        self.gemms.append(item)

    def _check_chain(self, chain: Sequence[Instruction]) -> None:
        """The first overwrites the accumulator, the others add to it, or take the maximum, at the same words."""
        head, modes = chain[0], [AccMode(item["acc_mode"]) for item in chain]
        rest = {AccMode.OVERWRITE: AccMode.ADD, AccMode.MAX_OVERWRITE: AccMode.MAX}.get(modes[0])
        same = ("acc_base", "images", "rows", "cols")
        if rest is None or any(mode is not rest for mode in modes[1:]):
            raise Unsuitable("a GEMM adds to another output tile, or mixes sums and maxima")
        if any(item[name] != head[name] for item in chain for name in same):
            raise Unsuitable("the GEMMs of an output tile have different shapes")

    def _gemms(self) -> Gemms:
        fields = {name: np.array([item[name] for item in self.gemms], np.int64) for name in _GEMM_FIELDS}
        pixels = np.array([gemm_pixels(item) for item in self.gemms], np.int64)
        tiles = np.array([gemm_tiles(item) for item in self.gemms], np.int64)
        act, weight = np.array(self.shifts, np.int64).T
        return Gemms(fields, pixels, tiles, np.cumsum(tiles) - tiles, np.array(self.chain_of), act, weight)

    def _chains(self) -> Chains:
        first, last = np.array(self.spans, np.int64).T
        tails = [self.gemms[number] for number in last]
        fields = {name: np.array([item[name] for item in tails], np.int64) for name in _TILE_FIELDS}
        bias, bound = np.array(self.tails, np.int64).T
        maximum = np.array([item["acc_mode"] in (AccMode.MAX, AccMode.MAX_OVERWRITE) for item in tails])
        nothing = np.zeros(0, np.int64)
        return Chains(fields, first, last, nothing, bias, bound, maximum, nothing)
