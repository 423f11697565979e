"""The instruction stream: order of pieces and transfers, SYNCs, dependency tokens.

The stream's order is one that a machine doing one instruction after the other could follow, and every token
that an instruction takes is given by an earlier one; so in-order dispatch into queues of any depth cannot
deadlock.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from fitact_hw.compiler.lower import Lowering, Piece, Transfer
from fitact_hw.compiler.tiling import LOAD_LATENCY
from fitact_hw.config import AcceleratorConfig
from fitact_hw.isa import Instruction, Opcode

LOAD, COMPUTE, STORE = range(3)
"""The units in the order of the token chain."""

PREFETCH_CYCLES = 600
PREFETCH_PIECES = 3
"""A load enters the stream this much ahead of its GEMM; more would only fill the load queue."""

TOKEN_WINDOW = 64
"""A token refers at most this many instructions back, so that the 8-bit token counters cannot overflow."""


@dataclass
class Operation:
    """An instruction without tokens; ``waits[u]``: last operation of unit u that must have finished."""

    unit: int
    opcode: Opcode
    fields: dict[str, int]
    layer: int
    waits: dict[int, int]


class Scheduler:
    """Puts the pieces of a whole network into one stream."""

    def __init__(self, config: AcceleratorConfig, lowering: Lowering) -> None:
        self.config = config
        self.pieces: list[Piece] = lowering.pieces
        self.transfers: list[Transfer] = lowering.transfers
        self.operations: list[Operation] = []
        self._count = [0, 0, 0]
        starts = np.concatenate([[0], np.cumsum([piece.cycles for piece in self.pieces])])
        self._start: list[int] = starts.tolist()
        self._syncs: list[tuple[int, int]] = []  # (slot, last piece whose store it waits for), both ascending
        self._stored: list[int] = [j for j, piece in enumerate(self.pieces) if piece.store is not None]

    def run(self) -> list[Operation]:
        """The stream, without FINISH."""
        early, late = self._slots()
        load_op: dict[int, int] = {}
        gemm_op: list[int] = []
        store_op: dict[int, int] = {}
        sync_op: dict[int, int] = {}
        syncs = dict(self._syncs)

        def put_loads(numbers: list[int]) -> None:
            for number in sorted(numbers):
                item = self.transfers[number]
                waits = {}
                if item.after >= 0:
                    waits[COMPUTE] = gemm_op[item.after]
                if item.source >= 0:
                    slot = next_sync(self._syncs, item.source)
                    assert slot is not None
                    waits[COMPUTE] = max(waits.get(COMPUTE, -1), sync_op[slot])
                load_op[number] = self._put(LOAD, Opcode.LOAD, item.fields, self.pieces[item.piece].layer, waits)

        for j, piece in enumerate(self.pieces):
            put_loads(early[j])
            if j in syncs:
                sync_op[j] = self._put(COMPUTE, Opcode.SYNC, {}, piece.layer, {STORE: store_op[syncs[j]]})
            put_loads(late[j])
            waits = {LOAD: max(load_op[number] for number in piece.needs)}
            if piece.out_after >= 0:
                waits[STORE] = store_op[piece.out_after]
            gemm_op.append(self._put(COMPUTE, Opcode.GEMM, piece.gemm, piece.layer, waits))
            if piece.store is not None:
                waits = {COMPUTE: gemm_op[j]}
                store_op[j] = self._put(STORE, Opcode.STORE, piece.store, piece.layer, waits)
        return self.operations

    def _put(self, unit: int, opcode: Opcode, fields: dict[str, int], layer: int, waits: dict[int, int]) -> int:
        self.operations.append(Operation(unit, opcode, dict(fields), layer, waits))
        self._count[unit] += 1
        return self._count[unit] - 1

    def _slots(self) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        """Transfers in front of each piece: those that need none of its SYNC, and those that may."""
        early: dict[int, list[int]] = defaultdict(list)
        late: dict[int, list[int]] = defaultdict(list)
        floor: dict[int, int] = defaultdict(int)
        for number, item in enumerate(self.transfers):
            ahead = max(self._start[item.piece] - PREFETCH_CYCLES, 0)
            wanted = max(item.piece - PREFETCH_PIECES, 0)
            wanted = min(item.piece, max(wanted, item.after + 1, bisect_right(self._start, ahead) - 1))
            buffer = item.fields["buffer"]  # loads of one buffer stay in order
            wanted = floor[buffer] = max(wanted, floor[buffer])
            if item.source < 0:
                early[wanted].append(number)
                continue
            slot = next_sync(self._syncs, item.source)
            if slot is None:
                slot = self._add_sync(item, wanted)
            wanted = floor[buffer] = max(wanted, slot)
            late[wanted].append(number)
        return early, late

    def _done_slot(self, piece: int) -> int:
        """First slot at which the store of ``piece`` has probably finished."""
        gemm = self.pieces[piece].gemm
        words = gemm["images"] * gemm["rows"] * gemm["cols"]
        beats = max(1, self.config.word_bytes // self.config.bus_bytes)
        ready = self._start[piece + 1] + 2 * self.config.side + words * beats + 2 * LOAD_LATENCY
        return bisect_left(self._start, ready)

    def _add_sync(self, item: Transfer, wanted: int) -> int:
        """Slot of a new SYNC for ``item``: late enough not to stall, early enough not to delay the load."""
        slot = min(item.piece, max(self._done_slot(item.source), wanted))
        last = self._syncs[-1][0] if self._syncs else -1
        slot = max(slot, item.source + 1)
        source = item.source
        nearest = bisect_right(self._stored, source)
        while nearest < len(self._stored) and self._stored[nearest] < slot:
            if self._done_slot(self._stored[nearest]) > slot:
                break
            source = self._stored[nearest]
            nearest += 1
        if last >= slot:
            # the last SYNC stands late enough but waits for less: let it wait for this store as well
            slot = last
            self._syncs[-1] = (slot, max(source, self._syncs[-1][1]))
        else:
            self._syncs.append((slot, source))
        return slot


def next_sync(syncs: list[tuple[int, int]], source: int) -> int | None:
    """Slot of the first SYNC that waits for the store of piece ``source`` or a later one."""
    place = bisect_left(syncs, source, key=lambda item: item[1])
    return syncs[place][0] if place < len(syncs) else None


def with_tokens(operations: list[Operation]) -> list[Instruction]:
    """Turn waits into token flags: consumers take tokens in the order in which producers give them.

    A wait for operation d of a unit is covered by any earlier wait of the same unit for d or later. Each wait
    that is not covered becomes one push on the producer and one pop on the consumer.
    """
    fields = [dict(op.fields) for op in operations]
    position: list[list[int]] = [[], [], []]
    covered: dict[tuple[int, int], int] = defaultdict(lambda: -1)
    for number, op in enumerate(operations):
        for producer, needed in op.waits.items():
            channel = (producer, op.unit)
            if needed <= covered[channel]:
                continue
            needed = max(needed, len(position[producer]) - TOKEN_WINDOW)
            covered[channel] = needed
            downstream = op.unit > producer
            fields[number]["pop_prev" if downstream else "pop_next"] = 1
            fields[position[producer][needed]]["push_next" if downstream else "push_prev"] = 1
        position[op.unit].append(number)
    return [Instruction(op.opcode, values) for op, values in zip(operations, fields, strict=True)]
