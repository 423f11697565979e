"""A run of one image, fault-free or not, that an upset changes."""

from __future__ import annotations

from collections.abc import Sequence

from fitact_hw.injection.functional.array import Array, Deltas
from fitact_hw.injection.functional.changes import Held, Hit, Words
from fitact_hw.injection.functional.contents import Contents
from fitact_hw.injection.functional.epilogues import ChainParameters, Epilogues
from fitact_hw.injection.functional.maxima import Maxima
from fitact_hw.injection.functional.operands import Operands
from fitact_hw.injection.functional.schedule import Schedule
from fitact_hw.injection.functional.sums import Sums


class Run:
    """Everything that the run of one image computes, at chosen places."""

    def __init__(self, schedule: Schedule, chains: ChainParameters, contents: Contents) -> None:
        self.schedule, self.order, self.contents = schedule, schedule.order, contents
        self.epilogues = Epilogues(schedule, chains, contents)
        operands = Operands(schedule, chains.parameters, contents)
        self.array = Array(operands)
        self.sums, self.maxima = Sums(self.epilogues, operands), Maxima(self.epilogues, operands)

    def accumulation(self, chain: int) -> Sums | Maxima:
        """How accumulators of an output tile grow."""
        return self.maxima if self.order.chains.maximum[chain] else self.sums

    def added(self, deltas: Sequence[Deltas]) -> list[Words]:
        """Output words of one layer when the array's results change so."""
        tiles = [int(item.tile[0]) for item in deltas if len(item.tile)]
        if not tiles:
            return []
        return self.accumulation(int(self.order.gemms.chain[self.schedule.gemm[tiles[0]]])).added(deltas)

    def held(self, items: Sequence[Held]) -> list[Words]:
        """Output words of one layer when words of the accumulator flip."""
        return self.accumulation(items[0].chain).held(items)

    def words(self, hits: Sequence[Hit]) -> list[Words]:
        """Output words of one layer when words of one buffer flip."""
        buffer = hits[0].buffer
        if buffer == "activation":
            return self.added([self.array.activation(hit) for hit in hits])
        if buffer == "weight":
            return self.added([self.array.weight(hit) for hit in hits])
        if buffer == "accumulator":
            return self.held([self._held(hit) for hit in hits])
        if buffer == "bound":
            return [part for hit in hits for part in self.epilogues.bound(hit)]
        return [self.epilogues.bias(hit) if buffer == "bias" else self.epilogues.output(hit) for hit in hits]

    def _held(self, hit: Hit) -> Held:
        """An accumulator word is read once before it is written again."""
        tile, pixel = (int(number[0]) for number in self.schedule.pixels("accumulator", hit.cycles[:1]))
        chain = int(self.order.gemms.chain[self.schedule.gemm[tile]])
        return Held(chain, tile, pixel, *hit.lanes(self.order.program.config.acc_bits))
