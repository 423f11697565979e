"""The fault-free part: every image through the RTL, every element of every layer against the golden model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitact_hw.program import Program
from golden.qnetwork import QNetwork


@dataclass(frozen=True)
class LayerRow:
    """One line of the layer table; cycles are for one program run (all its images)."""

    name: str
    kind: str
    shape: tuple[int, int, int]
    macs: int
    cycles: int
    utilisation: float
    elements: int
    differing: int

    @property
    def exact(self) -> bool:
        """RTL equals golden on every element."""
        return self.differing == 0


def batches(count: int, batch: int) -> list[np.ndarray]:
    """Image indices of each program run; the last run repeats its first image to fill the batch."""
    runs = []
    for start in range(0, count, batch):
        index = np.arange(start, min(start + batch, count))
        runs.append(np.concatenate([index, np.full(batch - len(index), index[0])]))
    return runs


def layer_table(
    network: QNetwork,
    program: Program,
    layer_cycles: dict[str, int],
    differing: dict[str, int],
    images: int,
) -> list[LayerRow]:
    """Combine cycles (of one run) and mismatches (over ``images`` images) into the layer table."""
    slots = program.config.rows * program.config.cols
    spans = {span.name: span for span in program.spans}
    table = []
    for layer in network.layers:
        cycles = layer_cycles[layer.name]
        macs = spans[layer.name].macs
        table.append(
            LayerRow(
                name=layer.name,
                kind=layer.kind,
                shape=layer.out_shape,
                macs=macs // program.images,
                cycles=cycles,
                utilisation=macs / (cycles * slots) if cycles else 0.0,
                elements=int(np.prod(layer.out_shape)) * images,
                differing=differing[layer.name],
            )
        )
    return table
