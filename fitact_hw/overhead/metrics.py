"""The comparison as rows: one quantity, its value for every scheme and the noise of its difference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fitact_hw.overhead.cost import CLAMP, CLAMP_OF_SCHEME, LANE, UNITS, Cost
from fitact_hw.overhead.ecp5 import Routed
from fitact_hw.overhead.energy import Energy
from fitact_hw.overhead.mapping import Mapped
from fitact_hw.overhead.schemes import BASELINE
from fitact_hw.overhead.traffic import Traffic

SIGMAS = 2
"""A difference below this many standard errors is called noise."""


@dataclass(frozen=True)
class Metric:
    """One row of the comparison.

    ``noise``: what a difference to unprotected must exceed, in the row's unit; 0: the row is exact.
    """

    group: str
    name: str
    unit: str
    values: dict[str, float]
    noise: dict[str, float] = field(default_factory=dict)
    digits: int = 0

    def change(self, key: str) -> float | None:
        """Fraction by which a scheme exceeds unprotected; None if unprotected has none of it."""
        base = self.values.get(BASELINE.key, 0.0)
        return self.values[key] / base - 1 if base and key in self.values else None

    def within_noise(self, key: str) -> bool:
        """Whether the difference to unprotected is there, but smaller than the noise."""
        difference = abs(self.values[key] - self.values.get(BASELINE.key, 0.0))
        return 0 < difference <= self.noise.get(key, 0.0)


@dataclass(frozen=True)
class Results:
    """Everything measured, by scheme key; traffic and energy by network, then scheme."""

    costs: Mapping[str, Cost]
    routed: Mapping[str, Routed]
    tops: Mapping[str, Routed]
    traffic: Mapping[str, Mapping[str, Traffic]]
    energy: Mapping[str, Mapping[str, Energy]]
    nand2_um2: float


def clamp_of(cost: Cost) -> Mapped:
    """The mapped clamp of a machine: the part of a lane in which schemes differ."""
    return cost.block(CLAMP_OF_SCHEME, CLAMP)


def lane_of(cost: Cost) -> Mapped:
    """A whole lane: the body, the same block in all machines, and the clamp behind its registers."""
    body, clamp = cost.block(LANE), clamp_of(cost)
    slower = max(body, clamp, key=lambda block: block.delay)
    return replace(
        clamp,
        name=LANE,
        area=body.area + clamp.area,
        flop_area=body.flop_area + clamp.flop_area,
        flops=body.flops + clamp.flops,
        cells=body.cells + clamp.cells,
        delay=slower.delay,
        delay_sd=slower.delay_sd,
        abc_delay=max(body.abc_delay, clamp.abc_delay),
        sram_path=body.sram_path,
    )


def all_metrics(results: Results) -> list[Metric]:
    """Every row of the report, in order."""
    return [
        *_area(results),
        *_lane(results),
        *_timing(results),
        *_fpga("ECP5, one lane", results.routed),
        *_fpga("ECP5, whole machine", results.tops),
        *_networks(results),
    ]


def _area(results: Results) -> list[Metric]:
    costs = results.costs
    base = costs[BASELINE.key]

    def row(name: str, values: dict[str, float], unit: str | None = None, exact: bool = False) -> Metric:
        noise = {} if exact else {key: SIGMAS * cost.logic_error(base, unit) for key, cost in costs.items()}
        return Metric("area", name, "um2", values, noise)

    rows = [row(f"logic: {unit}", {key: cost.logic(unit) for key, cost in costs.items()}, unit) for unit in UNITS]
    names = list(dict.fromkeys(buffer.name for cost in costs.values() for buffer in cost.machine.buffers))
    for name in names:
        values = {
            key: sum(b.figures.area for b in cost.machine.buffers if b.name == name) for key, cost in costs.items()
        }
        rows.append(row(f"buffer: {name}", values, exact=True))
    rows.append(row("logic", {key: cost.logic() for key, cost in costs.items()}))
    rows.append(row("memory", {key: cost.memory for key, cost in costs.items()}, exact=True))
    rows.append(row("total", {key: cost.total for key, cost in costs.items()}))
    gates = {key: cost.logic() / results.nand2_um2 / 1000 for key, cost in costs.items()}
    noise = {key: SIGMAS * cost.logic_error(base) / results.nand2_um2 / 1000 for key, cost in costs.items()}
    rows.append(Metric("area", "logic in gate equivalents", "kGE", gates, noise, 1))
    rows.append(Metric("area", "flip-flops", "", {key: cost.flops for key, cost in costs.items()}))
    rows.append(Metric("area", "SRAM", "kbit", {k: c.sram_bits / 1024 for k, c in costs.items()}, digits=1))
    return rows


def _pair_noise(mapped: Mapped, base: Mapped, what: str) -> float:
    errors = [block.mean_error(getattr(block, f"{what}_sd")) for block in (mapped, base)]
    return SIGMAS * math.hypot(*errors)


def _lane(results: Results) -> list[Metric]:
    lanes = {key: lane_of(cost) for key, cost in results.costs.items()}
    base = lanes[BASELINE.key]
    rows = []
    for name, what, unit, digits in (("cell area", "area", "um2", 0), ("longest path", "delay", "ns", 2)):
        values = {key: getattr(lane, what) for key, lane in lanes.items()}
        noise = {key: _pair_noise(lane, base, what) for key, lane in lanes.items()}
        rows.append(Metric("one lane", name, unit, values, noise, digits))
    clamps = {key: clamp_of(cost) for key, cost in results.costs.items()}
    first = clamps[BASELINE.key]
    noise = {key: _pair_noise(clamp, first, "delay") for key, clamp in clamps.items()}
    rows.append(Metric("one lane", "clamp stage", "ns", {k: c.delay for k, c in clamps.items()}, noise, 2))
    return rows


def _timing(results: Results) -> list[Metric]:
    costs = results.costs
    base = costs[BASELINE.key].slowest()
    paths = {key: cost.slowest() for key, cost in costs.items()}
    noise = {key: _pair_noise(path, base, "delay") for key, path in paths.items()}
    checks = {key: cost.check_path() for key, cost in costs.items()}
    period = {key: path.delay for key, path in paths.items()}
    rates = {key: 1000 / value for key, value in period.items()}
    return [
        Metric("timing", f"longest path of any block ({base.name})", "ns", period, noise, 2),
        Metric("timing", "Fmax from it", "MHz", rates, {k: v / period[k] * rates[k] for k, v in noise.items()}, 1),
        Metric(
            "timing",
            "SRAM access + first logic",
            "ns",
            {k: c.sram_path() for k, c in costs.items()},
            noise,
            2,
        ),
        Metric("timing", "range check, loaded word to buffer", "ns", checks, {}, 2),
    ]


def _fpga(group: str, routed: Mapping[str, Routed]) -> list[Metric]:
    machines = {key: value for key, value in routed.items() if key != "pe"}
    if BASELINE.key not in machines:
        return []
    base = machines[BASELINE.key]
    rows = []
    for title, kind in (("LUT", "lut"), ("FF", "ff"), ("DSP", "dsp"), ("RAM blocks", "ram")):
        used = {key: getattr(value, kind) for key, value in machines.items()}
        luts = {key: value.lut_spread + base.lut_spread for key, value in machines.items()}
        rows.append(Metric(group, title, "", used, luts if kind == "lut" else {}))
    rates = {key: value.fmax_mhz for key, value in machines.items()}
    noise = {k: (v.spread * v.fmax_mhz + base.spread * base.fmax_mhz) for k, v in machines.items()}
    clamps = {key: value.clamp_ns for key, value in machines.items()}
    spread = {k: v.clamp_high - v.clamp_ns + base.clamp_high - base.clamp_ns for k, v in machines.items()}
    return [
        *rows,
        Metric(group, "routed Fmax", "MHz", rates, noise, 1),
        Metric(group, "longest path into a clamp", "ns", clamps, spread, 2),
    ]


def _networks(results: Results) -> list[Metric]:
    rows = []
    for name, traffic in results.traffic.items():
        group, energy = f"{name}, one image", results.energy[name]
        rows += [
            Metric(group, "cycles (estimate)", "", {k: t.cycles for k, t in traffic.items()}),
            Metric(group, "DMA", "kB", {k: t.dma_total / 1000 for k, t in traffic.items()}, digits=1),
            Metric(
                group,
                "DMA: bounds",
                "kB",
                {k: t.dma_bytes["bound"] / 1000 for k, t in traffic.items()},
                digits=1,
            ),
            Metric(
                group,
                "bounds in memory",
                "kB",
                {k: t.bound_bytes / 1000 for k, t in traffic.items()},
                digits=1,
            ),
            Metric(group, "energy, chip", "uJ", {k: e.chip for k, e in energy.items()}, digits=1),
            Metric(group, "energy, external memory", "uJ", {k: e.dram for k, e in energy.items()}, digits=1),
        ]
    return rows
