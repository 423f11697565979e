"""When the layers of a fault-free run end, and the same moment in the run of another scheme."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fitact_hw.faults import FaultEvent, Upset


@dataclass(frozen=True)
class Timeline:
    """When a scheme's fault-free run at batch 1 does what.

    ``ends``: int64, cycle at which each of ``layers`` ends; ``cycles``: of the whole run.
    """

    scheme: str
    layers: tuple[str, ...]
    ends: np.ndarray
    cycles: int


def same_moment(cycle: int, source: Timeline, target: Timeline) -> int:
    """The cycle of ``target`` that lies in the same layer, at the same fraction of it.

    Schemes differ in DMA traffic (FitAct loads bounds), so equal cycle numbers would hit different work.
    """
    layer = min(int(np.searchsorted(source.ends, cycle, side="right")), len(source.ends) - 1)
    begin, end = _span(source, layer)
    fraction = min(1.0, (cycle - begin) / max(1, end - begin))
    begin, end = _span(target, layer)
    return min(target.cycles - 1, begin + int(fraction * (end - begin)))


def same_moments(source: Timeline, target: Timeline) -> np.ndarray:
    """:func:`same_moment` of every cycle of ``source``: int64 (source.cycles,), ascending."""
    found = np.empty(source.cycles, np.int64)
    last = len(source.ends) - 1
    for layer in range(last + 1):
        begin, end = _span(source, layer)
        until = source.cycles if layer == last else end
        fraction = np.minimum(1.0, np.arange(until - begin) / max(1, end - begin))
        start, stop = _span(target, layer)
        found[begin:until] = np.minimum(target.cycles - 1, start + (fraction * (stop - start)).astype(np.int64))
    return found


def moved(event: FaultEvent, base: Timeline, target: Timeline) -> FaultEvent:
    """``event`` of the run ``base`` at the same moment of the run ``target``."""
    return replace(event, upsets=tuple(_moved(upset, base, target) for upset in event.upsets))


def _moved(upset: Upset, base: Timeline, target: Timeline) -> Upset:
    """A stuck bit stays so for as many cycles; one that is so from the start of a run, from its start."""
    cycle = same_moment(upset.cycle, base, target) if upset.cycle or upset.flips else 0
    last = None if upset.last is None else upset.last - upset.cycle + cycle
    return replace(upset, cycle=cycle, last=last)


def _span(reference: Timeline, layer: int) -> tuple[int, int]:
    begin = int(reference.ends[layer - 1]) if layer else 0
    return begin, int(reference.ends[layer])


def layer_at(reference: Timeline, cycle: int) -> str:
    """Name of the layer that the machine works on in ``cycle``."""
    index = min(int(np.searchsorted(reference.ends, cycle, side="right")), len(reference.layers) - 1)
    return reference.layers[index]
