"""Energy from switching activity: mapped PE, lane and clamps, simulated with the operands of a network.

The array's and the lanes' share of an inference; buffers and external memory stay with the models of `energy`. Every
simulated netlist must reproduce the golden model's words, or nothing is reported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fitact_hw.config import AcceleratorConfig
from fitact_hw.overhead import energy, jobs
from fitact_hw.overhead.cost import build
from fitact_hw.overhead.design import Block, elaborate
from fitact_hw.overhead.jobs import SynthesisError, cached, digest, run_job
from fitact_hw.overhead.lane_check import BODY, lane_blocks
from fitact_hw.overhead.mapping import PERTURBATIONS, map_job
from fitact_hw.overhead.power.cell_power import BlockEnergy, CellPower
from fitact_hw.overhead.power.streams import Operands, Streams
from fitact_hw.overhead.power.toggles import Netlist
from fitact_hw.overhead.schemes import ACTIVATIONS, BASELINE, clamp_of
from fitact_hw.overhead.sram import SramModel
from fitact_hw.overhead.technology import Technology
from fitact_hw.overhead.traffic import Traffic, measure
from fitact_hw.verilog import leaf_cells
from golden.qnetwork import QNetwork

if TYPE_CHECKING:  # it needs torch
    from golden.frontend.lowering import FloatLayer

COMPARED = ACTIVATIONS

CYCLES = 64
"""Pixels of one stream."""

_CACHE_FORMAT = 1


@dataclass(frozen=True)
class SchemeEnergy:
    """One scheme: energies of a cycle of body and clamp before the last pass and on it, and of one inference (uJ)."""

    body: tuple[BlockEnergy, BlockEnergy]
    clamp: tuple[BlockEnergy, BlockEnergy]
    array_uj: float
    lanes_uj: float
    buffers_uj: float

    @property
    def chip_uj(self) -> float:
        """Array, lanes and buffers."""
        return self.array_uj + self.lanes_uj + self.buffers_uj


@dataclass(frozen=True)
class PowerResult:
    """Of one network on one machine. ``covered``: share of its MACs in the layers that operands were drawn from."""

    network: str
    technology: str
    element: BlockEnergy
    schemes: Mapping[str, SchemeEnergy]
    covered: float
    streams: int
    seed: int
    cited_pj: tuple[float, float]
    sram_nm: int


@dataclass(frozen=True)
class Drawn:
    """Streams of one network: of its PEs, and by scheme of (body, clamp) before the last pass and on it."""

    network: str
    element: Streams
    lanes: Mapping[str, Sequence[tuple[Streams, Streams]]]
    covered: float
    streams: int
    seed: int


def draw(networks: Mapping[str, QNetwork], images: np.ndarray, rows: int, streams: int = 512, seed: int = 1) -> Drawn:
    """Draw operands for an array of ``rows``; every technology is measured with the same.

    ``networks``: the quantised network of each compared scheme; ``images``: its int64 input; ``streams``: a multiple of
    64. Raises SynthesisError.
    """
    if streams < 64 or streams % 64:
        raise SynthesisError(f"--streams {streams}: give a multiple of 64")
    operands = {key: Operands(qnet, images, rows, CYCLES) for key, qnet in networks.items()}
    base = operands[BASELINE.key]
    if not base.layers:
        raise SynthesisError(f"no layer of {base.qnet.name} fills {rows} rows for {CYCLES} pixels: use fewer rows")
    lanes = {key: [of.lanes(streams, seed, last) for last in (False, True)] for key, of in operands.items()}
    return Drawn(base.qnet.name, base.elements(streams, seed), lanes, base.covered, streams, seed)


def evaluate(
    config: AcceleratorConfig,
    drawn: Drawn,
    layers: Sequence[FloatLayer],
    technology: Technology,
    model: SramModel,
    folder: Path,
    progress: Callable[[str], None] = lambda text: None,
) -> PowerResult:
    """Measure. Raises SynthesisError, also if a netlist and the golden model disagree, and CompileError."""
    blocks = lane_blocks(config, folder)
    run = _Runner(technology, folder)
    progress("PE")
    element = run(_element(config, folder), drawn.element, {})
    schemes = {}
    for scheme in COMPARED:
        progress(scheme.title)
        body, clamp = [], []
        for of_body, of_clamp in drawn.lanes[scheme.key]:
            body.append(run(blocks[BODY], of_body, {}))
            # with bounds of neurons the clamp is the same, only its bounds change from pixel to pixel
            clamp.append(run(blocks[clamp_of(scheme).key], of_clamp, {"activate": 1}))
        traffic = measure(drawn.network, layers, scheme, config)
        machine = build(config, scheme, model, folder)
        schemes[scheme.key] = SchemeEnergy(
            body=(body[0], body[1]),
            clamp=(clamp[0], clamp[1]),
            array_uj=traffic.macs * element.pj / 1e6,
            lanes_uj=_lanes_uj(config, traffic, body, clamp),
            buffers_uj=sum(energy.estimate(config, machine, traffic, model).buffers.values()),
        )
    return PowerResult(
        network=drawn.network,
        technology=technology.name,
        element=element,
        schemes=schemes,
        covered=drawn.covered,
        streams=drawn.streams,
        seed=drawn.seed,
        cited_pj=(energy.mac_pj(config, model), energy.lane_pj(config, COMPARED[0], model)),
        sram_nm=model.node_nm,
    )


def _lanes_uj(
    config: AcceleratorConfig, traffic: Traffic, body: Sequence[BlockEnergy], clamp: Sequence[BlockEnergy]
) -> float:
    """All lanes of an inference: nothing holds a lane's registers, so its later stages toggle on every pass."""
    outputs = traffic.writes["output"]
    earlier = traffic.reads["activation"] - outputs
    per_lane = earlier * (body[0].pj + clamp[0].pj) + outputs * (body[1].pj + clamp[1].pj)
    return config.side * per_lane / 1e6


def _element(config: AcceleratorConfig, folder: Path) -> Block:
    files = {"fitact_pe.v": leaf_cells()["fitact_pe.v"]}
    parameters = {"DATA_W": config.word_bits, "ACC_W": config.acc_bits}
    return elaborate(files, "fitact_pe", folder, parameters, flatten=True).blocks[0]


class _Runner:
    """Maps a block (once), simulates it with streams, and turns toggles into energy."""

    def __init__(self, technology: Technology, folder: Path) -> None:
        self._technology, self._folder, self._power = technology, folder, CellPower(technology)
        self._netlists: dict[str, Netlist] = {}

    def __call__(self, block: Block, streams: Streams, constants: Mapping[str, int]) -> BlockEnergy:
        parts = [(name, _hash(values)) for name, values in streams.stimulus.items()]
        key = digest(
            "power", _CACHE_FORMAT, jobs.yosys_version(), self._technology.digest, block.rtlil, parts, dict(constants)
        )
        found = cached(self._folder, key, lambda: asdict(self._measure(block, streams, constants)))
        return BlockEnergy(**found)

    def _measure(self, block: Block, streams: Streams, constants: Mapping[str, int]) -> BlockEnergy:
        if block.key not in self._netlists:
            job = map_job(self._technology, list(PERTURBATIONS)[:1], files=["block.il"])
            mapped = run_job(job, {"block.il": block.rtlil})["runs"][0]
            self._netlists[block.key] = Netlist(mapped["cells"], mapped["ports"], self._technology.library)
        netlist = self._netlists[block.key]
        shape = next(iter(streams.stimulus.values())).shape
        stimulus = streams.stimulus | {name: np.full(shape, value) for name, value in constants.items()}
        known = {name: values for name, values in stimulus.items() if name in netlist.inputs}
        activity = netlist.run(known, streams.start)
        name = next(name for name in activity.outputs if name.split(".")[-1] == streams.output)
        simulated = activity.outputs[name][streams.latency :]
        wrong = int((simulated != streams.expected[: len(simulated)]).sum())
        if wrong:
            raise SynthesisError(f"{block.name}: {wrong} of {simulated.size} simulated words differ from golden")
        return self._power.block(netlist, activity.toggles)


def _hash(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:24]
