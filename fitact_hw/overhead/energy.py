"""Energy of one inference from cited energies per operation; switching activity is not simulated.

Arithmetic and DRAM: M. Horowitz, "Computing's energy problem", ISSCC 2014 (45 nm, 0.9 V): integer add 0.03
/ 0.05 / 0.1 pJ at 8 / 16 / 32 bits, multiply 0.2 pJ at 8 and 3.1 pJ at 32 bits (16 bits: a quarter of 32),
DRAM 1.3 nJ for 64 bits at least. On-chip buffers: the fitted SRAM model. Arithmetic is scaled to the
model's node with node times supply squared; DRAM is not scaled. Clock tree, registers and control are left
out for every scheme alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fitact_hw.config import AcceleratorConfig, Granularity, RangeCheck
from fitact_hw.overhead.cost import BufferCost, Machine
from fitact_hw.overhead.schemes import Scheme
from fitact_hw.overhead.sram import NODES, SramModel
from fitact_hw.overhead.traffic import Traffic

SOURCE = "Horowitz, ISSCC 2014 (operations, DRAM) and the fitted SRAM model; no switching activity"

MULTIPLY_PJ = {8: 0.2, 16: 0.775, 32: 3.1}
ADD_PJ_PER_BIT = 0.1 / 32
DRAM_PJ_PER_BYTE = 1300 / 8
_NODE_NM, _SUPPLY_V = 45, 0.9


@dataclass(frozen=True)
class Energy:
    """Microjoules of one inference: multiply-accumulates, lanes, each buffer, external memory, range check."""

    macs: float
    lanes: float
    buffers: dict[str, float]
    dram: float
    checks: float = 0.0

    @property
    def chip(self) -> float:
        """Everything but the external memory."""
        return self.macs + self.lanes + self.checks + sum(self.buffers.values())

    @property
    def total(self) -> float:
        """With the external memory."""
        return self.chip + self.dram


def _scale(model: SramModel) -> float:
    return model.node_nm / _NODE_NM * (NODES[model.node_nm].supply_v / _SUPPLY_V) ** 2


def mac_pj(config: AcceleratorConfig, model: SramModel) -> float:
    """One multiply-accumulate."""
    return (MULTIPLY_PJ[config.word_bits] + config.acc_bits * ADD_PJ_PER_BIT) * _scale(model)


def lane_pj(config: AcceleratorConfig, scheme: Scheme, model: SramModel) -> float:
    """One output of one lane: bias, rounding and, with bounds, one comparison as wide as the accumulator."""
    adds = 2 + (scheme.bounds is not Granularity.NONE)
    return adds * config.acc_bits * ADD_PJ_PER_BIT * _scale(model) * scheme.copies


def estimate(config: AcceleratorConfig, machine: Machine, traffic: Traffic, model: SramModel) -> Energy:
    """Energy of the traffic of one inference on a scheme's machine."""
    macs = traffic.macs * mac_pj(config, model)
    outputs = traffic.outputs * lane_pj(config, machine.scheme, model)
    # partial sums that the lanes add to the accumulator
    accumulate = config.acc_bits * ADD_PJ_PER_BIT * _scale(model)
    sums = traffic.writes["accumulator"] * config.side * accumulate * machine.scheme.copies
    buffers = {buffer.name: _buffer_pj(buffer, traffic) for buffer in machine.buffers}
    return Energy(
        macs=macs / 1e6,
        lanes=(outputs + sums) / 1e6,
        buffers={name: value / 1e6 for name, value in buffers.items()},
        dram=traffic.dma_total * DRAM_PJ_PER_BYTE / 1e6,
        checks=check_pj(config, machine.scheme, traffic, model) / 1e6,
    )


def check_pj(config: AcceleratorConfig, scheme: Scheme, traffic: Traffic, model: SramModel) -> float:
    """Range check of parameters: an operation as wide as the word for each that is loaded, taken as an addition."""
    if scheme.parameter_check is RangeCheck.NONE:
        return 0.0
    words, biases = traffic.writes["weight"] + traffic.writes["bound"], traffic.writes["bias"]
    bits = config.side * (words * config.word_bits + biases * config.acc_bits)
    return bits * ADD_PJ_PER_BIT * _scale(model)


def _buffer_pj(buffer: BufferCost, traffic: Traffic) -> float:
    """Picojoules of one buffer; its name must be one that the traffic counts."""
    return _of(traffic.reads, buffer) * buffer.figures.read_pj + _of(traffic.writes, buffer) * buffer.figures.write_pj


def _of(words: Mapping[str, float], buffer: BufferCost) -> float:
    return words[buffer.name]
