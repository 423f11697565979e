"""Upsets of buffers and of registers of data as changes of layer outputs, for a program and its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from fitact_hw.injection.case import Case
from fitact_hw.injection.functional.changes import Hit, Words, change_of
from fitact_hw.injection.functional.check import check_image
from fitact_hw.injection.functional.contents import Contents
from fitact_hw.injection.functional.epilogues import ChainParameters
from fitact_hw.injection.functional.loading import LOADED_WORD, Flips, Loading
from fitact_hw.injection.functional.order import Order
from fitact_hw.injection.functional.protection import Decoded, decoded, guarded, zeroed
from fitact_hw.injection.functional.registers import Registers, register_of, runs_on_time
from fitact_hw.injection.functional.run import Run
from fitact_hw.injection.functional.schedule import SITES, Schedule
from fitact_hw.injection.tail import Change, FaultyRun
from fitact_hw.program import Program
from golden import reference
from sim.engine.access import AccessTrace


class FunctionalProgram:
    """What holds for all images of a program. Raises Unsuitable if ``accesses`` are not those of a program that the
    compiler made: then RTL must judge."""

    def __init__(self, program: Program, accesses: AccessTrace) -> None:
        self.order = Order.of(program)
        self.schedule = Schedule.of(self.order, accesses)
        self.accesses, self.chains = accesses, ChainParameters(self.order)
        self.on_time = runs_on_time(self.schedule)
        self.checked = False

    @cached_property
    def _loading(self) -> Loading:
        return Loading(self.order.program.config, self.accesses)

    def image(self, case: Case) -> FunctionalImage:
        """For one image. ``case``: of this program."""
        return FunctionalImage(self, case)

    def treats(self, cycle: int, flips: Flips) -> bool:
        """Whether ``flips`` in ``cycle`` are judged here: in one register of data, or in one buffer and each word read
        for one layer only. Of memories with parity or SECDED, what gets through them."""
        found = self.decoded(cycle, flips)
        if guarded(self.order.program.config, flips):
            if found is None:
                return False
            flips = found.flips
        if len(flips) == 1 and register_of(flips[0][0]):
            return self.on_time
        moved = self._moved(cycle, flips)
        sites = None if moved is None else {site for site, _, _ in moved[1]}
        if found and not flips:
            return True
        if moved is None or sites is None or len(sites) > 1 or not sites <= SITES.keys():
            return False
        layers = [{*self._layers(hit).tolist()} for hit in self._hits(*moved)]
        if (self.order.program.config.clamp_alarm or (found and found.lost)) and len(set().union(*layers)) > 1:
            return False  # hits are counted in one layer, and what a lost lane held is that of the fault-free run
        return all(len(found) == 1 for found in layers)

    def decoded(self, cycle: int, flips: Flips) -> Decoded | None:
        """As :func:`fitact_hw.injection.functional.protection.decoded`; None also of a machine without protection."""
        config = self.order.program.config
        return decoded(config, self.accesses, cycle, flips) if config.protected else None

    def _moved(self, cycle: int, flips: Flips) -> tuple[int, Flips] | None:
        """Of the word that is being loaded: the same as an upset of its buffer, None if that cannot be told."""
        if len(flips) == 1 and flips[0][0] == LOADED_WORD:
            found = self._loading.written(cycle, flips[0][2])
            return None if found is None else (cycle + 1, found)
        return cycle, flips

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
        moved = self._moved(cycle, flips)
        for hit in self._hits(*moved) if moved else ():
            found.setdefault(int(self._layers(hit)[0]), []).append(hit)
        order = self.order.chains.layer.tolist()
        return [found[tensor] for tensor in sorted(found, key=order.index)]


class FunctionalImage:
    """Judges upsets in the run of one image. Raises EngineError if program and golden model do not agree on it."""

    def __init__(self, program: FunctionalProgram, case: Case) -> None:
        self.program, self.case = program, case
        self._run = self._run_of(case.trace)
        self._registers = Registers(self._run)
        check_image(self._run, whole=not program.checked)
        program.checked = True

    def _run_of(self, trace: reference.LayerTrace) -> Run:
        program, case = self.program, self.case
        contents = Contents(program.order, case.memory, case.network, trace)
        return Run(program.schedule, program.chains, contents)

    def judge(self, cycle: int, flips: Flips) -> FaultyRun:
        """What ``flips`` in ``cycle`` change in the outputs of layers. The program must treat them.

        One change or none; as many as there are layers in the rare case that neighbouring words are read for several.
        """
        registers = [(site, mask) for site, _, mask in flips if register_of(site)]
        if registers:
            return self._changed(self._registers.words(*registers[0], cycle))
        found = self.program.decoded(cycle, flips)
        layers = self.program.hits(cycle, found.flips if found else flips)
        if found and found.lost:
            layers = [self._zeroed(hits, found) for hits in layers]
        layers = [hits for hits in layers if hits]
        if len(layers) > 1:
            return FaultyRun(self._in_several(layers))
        return self._changed(self._run.words(layers[0]) if layers else [])

    def _zeroed(self, hits: Sequence[Hit], found: Decoded) -> list[Hit]:
        """With what is lost as the bits that are set there; a word without one changes nothing."""
        sites = {name: site for site, name in SITES.items()}
        masks = [zeroed(self._run, hit, found.lost.get((sites[hit.buffer], hit.word), ())) for hit in hits]
        return [replace(hit, mask=mask) for hit, mask in zip(hits, masks, strict=True) if mask]

    def _changed(self, parts: Sequence[Words]) -> FaultyRun:
        change = change_of(self._run.contents, parts)
        hits = sum(part.clamp_hits for part in parts)
        return FaultyRun([] if change is None else [change], clamp_hits=hits)

    def _in_several(self, layers: Sequence[Sequence[Hit]]) -> list[Change]:
        """Each layer on top of what those before it have changed."""
        case, run, changes = self.case, self._run, []
        outputs: dict[str, np.ndarray] = {}
        for hits in layers:
            change = change_of(run.contents, run.words(hits))
            if change is not None:
                outputs[change.layer] = change.applied(run.contents.trace[change.layer])
                changes.append(Change.between(change.layer, case.trace[change.layer], outputs[change.layer]))
                run = self._run_of(reference.run(case.network, case.image, outputs))
        return changes
