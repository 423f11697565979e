"""What an alarm of the clamps adds to the lanes: area, and the longest path of the clamp's stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fitact_hw.config import SHIFT_BITS, AcceleratorConfig
from fitact_hw.overhead.cost import CLAMP, LANE, cells
from fitact_hw.overhead.design import elaborate
from fitact_hw.overhead.mapping import PERTURBATIONS, Mapped, map_block
from fitact_hw.overhead.technology import Technology

ALARM = ("fitact_alarm", "fitact_saturating_counter")


@dataclass(frozen=True)
class AlarmCost:
    """At one ``margin`` (bits; None: without an alarm), in gate equivalents and ns.

    ``clamp``: one with all modes; ``lane``: the rest of the lane; ``counter``: the cell that all lanes share, 0 without
    an alarm; ``clamp_ns``, ``lane_ns``, ``counter_ns``: longest paths. ``lanes``: of the machine.
    """

    margin: int | None
    lanes: int
    clamp: float
    lane: float
    counter: float
    clamp_ns: float
    lane_ns: float
    counter_ns: float

    @property
    def total(self) -> float:
        """All lanes with their counter (gate equivalents)."""
        return self.lanes * (self.clamp + self.lane) + self.counter


def alarm_costs(
    config: AcceleratorConfig, technology: Technology, folder: Path, margins: Sequence[int]
) -> list[AlarmCost]:
    """Without an alarm first, then with each of ``margins``; clamps are mapped with every script and averaged.

    Raises SynthesisError.
    """
    files = cells()

    def mapped(top: str, names: Sequence[str], parameters: dict[str, int], scripts: Sequence[str]) -> Mapped:
        wanted = {f"{name}.v": files[f"{name}.v"] for name in names}
        blocks = elaborate(wanted, top, folder, parameters, flatten=top != LANE).blocks
        return map_block(next(block for block in blocks if block.name == top), technology, folder, list(scripts))

    widths = {"DATA_W": config.word_bits, "ACC_W": config.acc_bits}
    scripts = list(PERTURBATIONS)
    lane = mapped(LANE, (LANE, CLAMP), {**widths, "SHIFT_W": SHIFT_BITS}, scripts[:1])
    sizes = {"LANES": config.cols, "TALLY_W": config.cols.bit_length()}
    counter = mapped(ALARM[0], ALARM, sizes, scripts[:1])
    found, nand2 = [], technology.nand2_um2
    for margin in (None, *margins):
        more = {} if margin is None else {"HAS_ALARM": 1, "MARGIN": margin}
        clamp = mapped(CLAMP, (CLAMP,), {**widths, **more}, scripts)
        shared = (0.0, 0.0) if margin is None else (counter.area / nand2, counter.delay)
        found.append(
            AlarmCost(
                margin, config.cols, clamp.area / nand2, lane.area / nand2, shared[0], clamp.delay, lane.delay,
                shared[1],
            )
        )  # fmt: skip
    return found
