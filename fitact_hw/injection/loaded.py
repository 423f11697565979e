"""Which word of memory every word of the activation buffer holds, and whether the array has read it yet."""

from __future__ import annotations

import numpy as np

from fitact_hw.fsim.access import dma_addresses, load_rows, load_words
from fitact_hw.isa import Buffer, Opcode
from fitact_hw.program import Program
from sim.engine.access import SORTED, AccessTrace

ACTIVATION = "u_buffers.u_activation.data_mem"

_NEVER = np.iinfo(np.int64).max


def load_stream(program: Program, buffer: Buffer = Buffer.ACTIVATION) -> tuple[np.ndarray, np.ndarray]:
    """Writes of an activation, weight or bound buffer in program order: word, memory address (-1: zero), int64."""
    words, addresses = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for instruction in program.instructions:
        if instruction.opcode is not Opcode.LOAD or instruction["buffer"] != int(buffer):
            continue
        base, count = instruction["buffer_base"], load_words(instruction)
        source = np.full(count, -1, np.int64)
        source[load_rows(instruction)[0] - base] = dma_addresses(instruction, program.config.word_bytes)
        words.append(np.arange(base, base + count))
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
        next_cycle = np.where(same, np.roll(cycle, -1), _NEVER)
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
