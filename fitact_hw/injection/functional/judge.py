"""Upsets of buffers as changes of one layer's output, for one program and one image after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fitact_hw.injection.case import Case
from fitact_hw.injection.functional.changes import Hit, Words, change_of
from fitact_hw.injection.functional.check import check_image
from fitact_hw.injection.functional.contents import Contents
from fitact_hw.injection.functional.epilogues import ChainParameters, Epilogues
from fitact_hw.injection.functional.maxima import Maxima
from fitact_hw.injection.functional.order import Order
from fitact_hw.injection.functional.schedule import SITES, Schedule
from fitact_hw.injection.functional.sums import Operands, Sums
from fitact_hw.injection.tail import Change
from fitact_hw.program import Program
from golden import reference
from sim.engine.access import AccessTrace

Flips = Sequence[tuple[str, int, int]]
"""Bits that flip together: fault site, word, mask."""


class FunctionalProgram:
    """What holds for all images of a program. Raises Unsuitable if ``accesses`` are not those of a program that the
    compiler made: then RTL must judge."""

    def __init__(self, program: Program, accesses: AccessTrace) -> None:
        self.order = Order.of(program)
        self.schedule = Schedule.of(self.order, accesses)
        self.accesses, self.chains = accesses, ChainParameters(self.order)
        self.checked = False

    def image(self, case: Case) -> FunctionalImage:
        """For one image. ``case``: of this program."""
        return FunctionalImage(self, case)

    def treats(self, cycle: int, flips: Flips) -> bool:
        """Whether ``flips`` in ``cycle`` are judged here: all in one buffer without protection (parity and SECDED count
        what is read), and each word read for one layer only."""
        buffers = {SITES.get(site) for site, _, _ in flips}
        if len(buffers) > 1 or None in buffers or buffers & self.order.program.config.protected.keys():
            return False
        return all(len({*self._layers(hit).tolist()}) == 1 for hit in self._hits(cycle, flips))

    def _hits(self, cycle: int, flips: Flips) -> list[Hit]:
        """What ``flips`` in ``cycle`` change that is read, all in buffers."""
        reads = ((site, word, mask, self.accesses.reads(site, word, cycle)) for site, word, mask in flips)
        return [Hit(SITES[site], word, mask, cycles) for site, word, mask, cycles in reads if len(cycles)]

    def _layers(self, hit: Hit) -> np.ndarray:
        """Tensors of the layers for which the word of ``hit`` is read first and last."""
        cycles = hit.cycles[[0, -1]]
        if hit.buffer == "output":
            return self.order.tensors.of_word(self.order.stored[np.searchsorted(self.schedule.stored, cycles)])
        return np.asarray(self.order.chains.layer[self.schedule.chains(hit.buffer, cycles)])

    def hits(self, cycle: int, flips: Flips) -> list[list[Hit]]:
        """What ``flips`` in ``cycle`` change that is read: those for one layer together, the layers in their order."""
        found: dict[int, list[Hit]] = {}
        for hit in self._hits(cycle, flips):
            found.setdefault(int(self._layers(hit)[0]), []).append(hit)
        order = self.order.chains.layer.tolist()
        return [found[tensor] for tensor in sorted(found, key=order.index)]


class FunctionalImage:
    """Judges upsets in the run of one image. Raises EngineError if program and golden model do not agree on it."""

    def __init__(self, program: FunctionalProgram, case: Case) -> None:
        self.program, self.case = program, case
        self._run = _Run(program, Contents(program.order, case.memory, case.network, case.trace))
        check_image(self._run.epilogues, self._run.sums, self._run.maxima, whole=not program.checked)
        program.checked = True

    def judge(self, cycle: int, flips: Flips) -> list[Change]:
        """What ``flips`` in ``cycle`` change in the outputs of layers. The program must treat them.

        One change or none; as many as there are layers in the rare case that neighbouring words are read for several.
        """
        layers = self.program.hits(cycle, flips)
        if len(layers) > 1:
            return self._in_several(layers)
        change = self._run.change(layers[0]) if layers else None
        return [] if change is None else [change]

    def _in_several(self, layers: Sequence[Sequence[Hit]]) -> list[Change]:
        """Each layer on top of what those before it have changed."""
        case, run, changes = self.case, self._run, []
        outputs: dict[str, np.ndarray] = {}
        for hits in layers:
            change = run.change(hits)
            if change is not None:
                outputs[change.layer] = change.applied(run.contents.trace[change.layer])
                changes.append(Change.between(change.layer, case.trace[change.layer], outputs[change.layer]))
                trace = reference.run(case.network, case.image, outputs)
                run = _Run(self.program, Contents(self.program.order, case.memory, case.network, trace))
        return changes


class _Run:
    """A run of one image, fault-free or not, that an upset changes."""

    def __init__(self, program: FunctionalProgram, contents: Contents) -> None:
        self.order, self.schedule, self.contents = program.order, program.schedule, contents
        self.epilogues = Epilogues(self.schedule, program.chains, contents)
        operands = Operands(self.epilogues)
        self.sums, self.maxima = Sums(self.epilogues, operands), Maxima(self.epilogues, operands)

    def change(self, hits: Sequence[Hit]) -> Change | None:
        """What ``hits`` in one layer change of its output."""
        return change_of(self.order, self.contents.values, self._words(hits))

    def _words(self, hits: Sequence[Hit]) -> list[Words]:
        buffer = hits[0].buffer
        if buffer == "output":
            return [self.epilogues.output(hit) for hit in hits]
        if buffer == "bias":
            return [self.epilogues.bias(hit) for hit in hits]
        if buffer == "bound":
            return [part for hit in hits for part in self.epilogues.bound(hit)]
        chain = self.schedule.chains(buffer, hits[0].cycles[:1])[0]
        arithmetic: Sums | Maxima = self.maxima if self.order.chains.maximum[chain] else self.sums
        if buffer == "activation":
            return arithmetic.activation(hits)
        return arithmetic.weight(hits) if buffer == "weight" else arithmetic.accumulator(hits)
