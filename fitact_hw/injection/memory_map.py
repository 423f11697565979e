"""From differing bytes of memory to differing elements of layer outputs, and whether the golden model may take over.

The activation buffer holds copies of memory words: which, and whether the array has read them yet, is here as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitact_hw.fsim.access import load_sources
from fitact_hw.injection.tail import Change, FaultyRun
from fitact_hw.isa import Buffer, Opcode
from fitact_hw.program import LANE_DTYPES, Placement, Program
from golden.qnetwork import INPUT, QNetwork
from sim.engine.access import SORTED, AccessTrace
from sim.engine.layout import BLOCK_BYTES
from sim.engine.library import MemoryDifference

NEVER = np.iinfo(np.int64).max

ACTIVATION = "u_buffers.u_activation.data_mem"


def load_stream(program: Program, buffer: Buffer = Buffer.ACTIVATION) -> tuple[np.ndarray, np.ndarray]:
    """Writes of an activation, weight or bound buffer in program order: word, memory address (-1: zero), int64."""
    words, addresses = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for instruction in program.instructions:
        if instruction.opcode is not Opcode.LOAD or instruction["buffer"] != int(buffer):
            continue
        written, source = load_sources(instruction, program.config.word_bytes)
        words.append(written)
        addresses.append(source)
    return np.concatenate(words), np.concatenate(addresses)


class LoadedWords:
    """Every load of an activation word in a fault-free run.

    ``word``, ``address`` (bytes), ``cycle``, ``next_cycle`` and ``next_reads`` (the word's next access, if any) of
    each, ordered by address. Empty if the buffer's words are not whole 32-bit words or have check bits, which the
    comparison does not know.
    """

    def __init__(self, program: Program, accesses: AccessTrace) -> None:
        self.bytes = program.config.lane_word_bits // 8
        number = accesses.names.index(ACTIVATION)
        self.first_bit = sum(accesses.depths[:number])
        keys = accesses.keys[number].view(np.int64)
        word, cycle = SORTED.get(keys, "word"), SORTED.get(keys, "cycle")
        is_write = SORTED.get(keys, "is_write").astype(bool)
        same = np.append(word[1:] == word[:-1], False)
        next_cycle = np.where(same, np.roll(cycle, -1), NEVER)
        next_reads = same & np.roll(~is_write, -1)
        order = np.flatnonzero(is_write)
        order = order[np.argsort(cycle[order], kind="stable")]
        words, addresses = load_stream(program)
        plain = program.config.lane_word_bits % 32 == 0 and "activation" not in program.config.protected
        usable = plain and np.array_equal(words, word[order])
        keep = np.argsort(addresses, kind="stable") if usable else np.zeros(0, np.int64)
        order, self.address = order[keep], addresses[keep]
        self.word, self.cycle = word[order], cycle[order]
        self.next_cycle, self.next_reads = next_cycle[order], next_reads[order]

    def held(self, address: int, cycle: int) -> list[int] | None:
        """Live-set bits of the words that hold memory word ``address`` in ``cycle``; None if one was read already.

        A load that is still under way counts as none: with equal registers it delivers what memory holds.
        """
        if not len(self.address):
            return None
        first, last = np.searchsorted(self.address, address), np.searchsorted(self.address, address, side="right")
        bits = []
        loaded = [i for i in range(first, last) if self.cycle[i] < cycle]
        for i in loaded:
            if self.next_reads[i] and self.next_cycle[i] < cycle:
                return None
            if self.next_reads[i]:
                bits.append(self.first_bit + int(self.word[i]))
        return bits


def consumers(network: QNetwork) -> dict[str, tuple[str, ...]]:
    """Layer name (or INPUT) -> layers that read it."""
    readers: dict[str, list[str]] = {INPUT: [], **{layer.name: [] for layer in network.layers}}
    for layer in network.layers:
        readers[layer.source].append(layer.name)
        if layer.residual is not None:
            readers[layer.residual.source].append(layer.name)
    return {name: tuple(found) for name, found in readers.items()}


@dataclass(frozen=True, eq=False)
class Handover:
    """A faulty run that differs from the fault-free one in layer outputs only, as the remaining layers read them.

    ``held``: words of the activation buffer that must hold faulty data: (bit in the live sets, fault-free content,
    faulty content).
    """

    run: FaultyRun
    held: tuple[tuple[int, bytes, bytes], ...] = ()


@dataclass(frozen=True, eq=False)
class _Word:
    """A memory word that differs: fault-free and faulty content, uint8 (2, word bytes), and its last write."""

    address: int
    content: np.ndarray
    written: int


class MemoryMap:
    """When the fault-free run of a program reads and writes every word of its tensors.

    ``requests`` and ``writes`` come from :class:`sim.engine.library.Library`; the same for every image.
    """

    def __init__(
        self, network: QNetwork, program: Program, accesses: AccessTrace, requests: np.ndarray, writes: np.ndarray
    ) -> None:
        self.network, self.program = network, program
        self.loaded = LoadedWords(program, accesses)
        self.word_bytes = program.config.word_bytes
        words = -(-program.memory_bytes // self.word_bytes)
        self.first_read = np.full(words, NEVER, np.int64)
        self.last_write = np.full(words, -1, np.int64)
        for request in requests[::-1]:  # earlier bursts overwrite later ones
            first, size = int(request["address"]), int(request["bytes"])
            self.first_read[first // self.word_bytes : -(-(first + size) // self.word_bytes)] = int(request["cycle"])
        np.maximum.at(
            self.last_write, (writes["address"] // self.word_bytes).astype(np.int64), writes["cycle"].astype(np.int64)
        )
        self.consumers = consumers(network)
        self.order = [layer.name for layer in network.layers]
        self.ends = {name: self._end(program.tensors[name]) for name in self.order}

    def _end(self, placement: Placement) -> int:
        first = placement.address // self.word_bytes
        return int(self.last_write[first : first + placement.size_bytes // self.word_bytes].max())

    def _tensor_of(self, address: int) -> str | None:
        for name in self.order:
            placement = self.program.tensors[name]
            if placement.address <= address < placement.address + placement.size_bytes:
                return name
        return None

    def _done(self, name: str, cycle: int) -> bool:
        """Whether nothing reads layer ``name`` after ``cycle`` any more (the logits are read by the host)."""
        return name != self.order[-1] and all(self.ends[reader] <= cycle for reader in self.consumers[name])

    def handover(self, cycle: int, difference: MemoryDifference) -> Handover | None:
        """What the golden model must continue with; None if only the RTL can tell.

        ``difference`` in ``cycle``, with the machine's registers equal to the fault-free ones. The golden model takes
        over when every differing word is an element of a layer's output that is final, and that the array has not used
        yet or nothing will use again; layers behind the first differing one must be complete where they differ. A word
        that lies in the activation buffer already, unused, is listed in :attr:`Handover.held`: the caller must check
        that the live buffer words differ exactly there.
        """
        changed: dict[str, list[_Word]] = {}
        for block, content, written in zip(
            difference.blocks.tolist(), difference.contents, difference.written.tolist(), strict=True
        ):
            for offset in range(0, BLOCK_BYTES, self.word_bytes):
                part = content[:, offset : offset + self.word_bytes]
                if np.array_equal(part[0], part[1]):
                    continue
                name = self._tensor_of(block + offset)
                if name is None:
                    return None
                changed.setdefault(name, []).append(_Word(block + offset, part, written))
        read_again = [name for name in self.order if name in changed and not self._done(name, cycle)]
        held: list[tuple[int, bytes, bytes]] = []
        for number, name in enumerate(read_again):
            if number and self.ends[name] > cycle:
                return None
            for word in changed[name]:
                copies = self._copies(word, cycle)
                if copies is None:
                    return None
                held += copies
        changes = [change for name in read_again if (change := self._change(name, changed[name])) is not None]
        fixed = frozenset(name for name in self.order if self.ends[name] <= cycle)
        return Handover(FaultyRun(changes, fixed), tuple(held))

    @property
    def settled(self) -> bool:
        """Whether no word of a layer's output is read before it is written for the last time."""
        places = [self.program.tensors[name] for name in self.order]
        spans = [(item.address // self.word_bytes, item.size_bytes // self.word_bytes) for item in places]
        return all(
            (self.first_read[first : first + count] > self.last_write[first : first + count]).all()
            for first, count in spans
        )

    def _copies(self, word: _Word, cycle: int) -> list[tuple[int, bytes, bytes]] | None:
        """Copies of a differing memory word in the activation buffer; None if it is not final or was used."""
        number = word.address // self.word_bytes
        first_read = int(self.first_read[number])
        if self.last_write[number] > cycle:
            return None
        if first_read > cycle:
            return []
        bits = self.loaded.held(word.address, cycle) if word.written < first_read else None
        if bits is None:
            return None
        before, after = (word.content[k, : self.loaded.bytes].tobytes() for k in (0, 1))
        return [(bit, before, after) for bit in bits]

    def _change(self, name: str, words: list[_Word]) -> Change | None:
        """Elements of a layer's output that differ; None if there are none."""
        placement = self.program.tensors[name]
        channels, rows, cols = placement.shape
        config = self.program.config
        index, values = [], []
        for item in words:
            number = (item.address - placement.address) // self.word_bytes
            tile, _, row, col = np.unravel_index(number, (placement.tiles, placement.images, rows, cols))
            expected, found = (item.content[k].view(LANE_DTYPES[config.word_bits])[: config.side] for k in (0, 1))
            for lane in np.flatnonzero(expected != found):
                channel = int(tile) * config.side + int(lane)
                if channel < channels:  # padding lanes meet zero weights only
                    index.append((channel * rows + int(row)) * cols + int(col))
                    values.append(int(found[lane]))
        return Change(name, np.array(index), np.array(values)) if index else None
