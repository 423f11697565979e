"""`fitact validate-memory`: fault maps in the machine's memory image through the whole RTL, against the golden model.

The flips go straight into the bytes that the machine reads, found through the program's parameter blocks, so the
comparison also proves that the software study corrupts what the hardware stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig, BoundFormat, Granularity
from fitact_hw.errors import FitActError
from fitact_hw.isa import INSTRUCTION_BYTES, Opcode, offsets
from fitact_hw.networks import load_images, load_networks
from fitact_hw.program import ParameterBlock, Program
from fitact_hw.reporting.provenance import Run, fingerprint, of_machine, of_weights
from fitact_hw.reporting.terminal import bar, noter, terminal, working
from fitact_hw.resilience import tables
from golden.bounds.schemes import CHECKS
from golden.fault_maps import FaultMap, Flips, Memory, corrupt, draw
from golden.parameter_check import checked
from golden.qnetwork import QNetwork
from golden.subjects.names import short_name
from golden.support.files import write_json, write_text
from sim.job import Job
from sim.simulator import Simulator

DEFAULT_RATES = {8: 1e-4, 16: 1e-5, 32: 3e-6}
"""Bit error rate by word width: high enough that most maps change the logits."""


FAULTY = Memory()
"""Weights, biases and bounds lie in the memory that is hit."""


@dataclass(frozen=True)
class MapResult:
    """One network under one fault map: logits int64 (images, classes) of the RTL and of the golden model.

    ``zeroed``: parameters that the golden range check made zero; ``range_hits``: the machine's count of them, which
    counts a parameter each time that it is loaded. Both 0 without a range check.
    """

    scheme: str
    faults: FaultMap
    rtl: np.ndarray
    golden: np.ndarray
    fault_free: np.ndarray
    zeroed: int = 0
    range_hits: int = 0

    @property
    def agrees(self) -> bool:
        """Every logit is the same, and the machine's range check has made words zero if the golden model's has."""
        return bool(np.array_equal(self.rtl, self.golden)) and (self.zeroed > 0) == (self.range_hits > 0)

    @property
    def masked(self) -> bool:
        """The map changed no logit."""
        return bool(np.array_equal(self.golden, self.fault_free))


def apply_map(program: Program, faults: FaultMap, memory: np.ndarray) -> np.ndarray:
    """A copy of the uint8 ``memory`` image with every flip of ``faults`` in the byte that holds it.

    A layer's single bound is no memory word of its own: it stands in each of the layer's GEMM instructions, and
    a flip hits all of them. Raises FitActError if the map names something that the program does not store.
    """
    flipped = memory.copy()
    blocks = {(block.layer, block.kind): block for block in program.parameters}
    for flips in faults.flips:
        kind, layer = flips.segment.kind, flips.segment.layer
        block = blocks.get((layer, "bias" if kind == "shift" else kind))
        if block is not None:
            address, bit = _in_block(block, flips, program.config)
        elif kind == "bound":
            address, bit = _in_instructions(program, flips)
        else:
            raise FitActError(f"the program stores no {kind} of layer {layer!r}: the map is of another network")
        np.bitwise_xor.at(flipped, address + bit // 8, np.left_shift(1, bit % 8).astype(np.uint8))
    return flipped


def _in_block(block: ParameterBlock, flips: Flips, config: AcceleratorConfig) -> tuple[np.ndarray, np.ndarray]:
    """Byte address of the lane, and bit within it, of every flip."""
    lanes = block.index.ravel()
    used = np.flatnonzero(lanes >= 0)
    wanted = flips.segment.places  # a tile of a grouped convolution also has zeros that are no parameters
    place = np.full(int(max(lanes.max(), wanted.max())) + 1, -1, np.int64)
    place[lanes[used]] = used
    if len(np.unique(lanes[used])) != len(used) or (place[wanted] < 0).any():
        raise FitActError(f"layer {block.layer!r} does not store each {block.kind} exactly once: this is a defect")
    in_bias = block.kind == "bias"
    lane_bytes = config.bias_lane_bytes if in_bias else config.word_bits // 8
    word, lane = np.divmod(place[flips.element], block.index.shape[1])
    above = config.acc_bits if flips.segment.kind == "shift" else 0  # a bias word holds the shift above the bias
    return block.address + word * block.word_bytes + lane * lane_bytes, flips.bit + above


def _in_instructions(program: Program, flips: Flips) -> tuple[np.ndarray, np.ndarray]:
    [span] = [span for span in program.spans if span.name == flips.segment.layer]
    users = [
        index
        for index in range(span.first, span.last)
        if program.instructions[index].opcode is Opcode.GEMM and program.instructions[index]["epilogue"]
    ]
    first = offsets(Opcode.GEMM)["layer_bound"]
    address = program.program_address + INSTRUCTION_BYTES * np.repeat(users, len(flips.bit))
    return address, np.tile(flips.bit + first, len(users))


def run_maps(
    simulator: Simulator,
    networks: dict[str, QNetwork],
    images: dict[str, np.ndarray],
    rate: float,
    maps: int,
    seed: int,
    console: Console,
    memory: Memory = FAULTY,
) -> list[MapResult]:
    """``maps`` fault maps at bit error rate ``rate`` through RTL and golden model, for each network by scheme.

    ``images``: int64 (images, channels, rows, columns) by scheme, run as one batch.
    """
    from golden import reference

    check = CHECKS.get(simulator.config.parameter_check.value)
    jobs, expected = [], []
    for scheme, network in networks.items():
        words = images[scheme]
        program = compile_network(network, simulator.config, len(words))
        image = with_images(program, words)
        clean = reference.logits(network, words)
        for index in range(maps):
            faults = draw(network, rate, seed, index, memory)
            jobs.append(Job(program=program, memory=apply_map(program, faults, image)))
            seen, zeroed = (faults, 0) if check is None else checked(network, faults, check)
            logits = reference.logits(corrupt(network, seen), words)
            expected.append(MapResult(scheme, faults, logits, logits, clean, zeroed))
    with bar(console, "corrupted memory, full RTL runs") as progress:
        results = simulator.run(jobs, progress=progress)
    compared = []
    for job, result, item in zip(jobs, results, expected, strict=True):
        rtl = result.tensor(job.program.logits).reshape(len(item.golden), -1)
        compared.append(replace(item, rtl=rtl, range_hits=result.range_hits))
    return compared


def check(console: Console, results: Sequence[MapResult]) -> None:
    """Print agreement by scheme; raises FitActError if a run disagrees."""
    table = Table(title="Fault maps in the memory image: RTL and golden model")
    ranged = any(result.zeroed for result in results)
    headings = (
        "scheme",
        "maps",
        "flipped bits",
        *(("made zero",) if ranged else ()),
        "logits changed",
        "same logits in RTL",
    )
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "scheme" else "right")
    for scheme in dict.fromkeys(result.scheme for result in results):
        part = [result for result in results if result.scheme == scheme]
        flips = ", ".join(str(result.faults.count()) for result in part)
        changed, same = sum(not result.masked for result in part), sum(result.agrees for result in part)
        zeroed = (", ".join(str(result.zeroed) for result in part),) if ranged else ()
        table.add_row(scheme, str(len(part)), flips, *zeroed, str(changed), str(same))
    console.print(table)
    wrong = [result for result in results if not result.agrees]
    if wrong:
        first = wrong[0]
        raise FitActError(
            f"{len(wrong)} of {len(results)} disagree, the first is map {first.faults.index} of {first.scheme}"
        )


def csv_text(results: Sequence[MapResult], word_bits: int, seed: int) -> str:
    """A line for each map: what was flipped and made zero, logits that it changed, logits in which the RTL differs."""
    kinds = ("weight", "bias", "bound")
    columns = ("scheme", "word_bits", "rate", "seed", "map", *(f"{kind}_flips" for kind in kinds), "images", "classes")
    lines = []
    for result in results:
        faults = result.faults
        flips = (faults.count("weight"), faults.count("bias", "shift"), faults.count("bound"))
        changed, wrong = (int((a != result.golden).sum()) for a in (result.fault_free, result.rtl))
        names = (result.scheme, word_bits, faults.rate, seed, faults.index)
        lines.append((*names, *flips, *result.golden.shape, changed, wrong, result.zeroed, result.range_hits))
    ends = ("logits_changed", "logits_that_differ_in_rtl", "parameters_zeroed", "range_hits")
    return tables.csv_text((*columns, *ends), lines)


def run_validate_memory(
    model: str,
    config: AcceleratorConfig,
    schemes: tuple[str, ...],
    maps: int,
    rate: float | None,
    images: int,
    seed: int,
    workers: int,
) -> dict[str, Any]:
    """The command: build, run, compare, print, keep every map in a CSV file under `build/`; returns the counts."""
    from golden.quantisation.quantise import quantise_images

    console, began = terminal(), Run(seed)
    plain = config.bounds is Granularity.NEURON and config.bound_format is BoundFormat.WORD
    if config.bounds.buffered and not plain:
        raise FitActError("fault maps are of bounds per neuron in whole words: leave out bounds and bound_format")
    networks = load_networks(model, config, schemes)
    pictures = load_images(model, images).data.network_input()
    words = {scheme: quantise_images(network, pictures) for scheme, network in networks.items()}
    simulator = Simulator(config, workers=workers, note=noter(console))
    with working(console, "generating and building the simulator (kept for the next run)"):
        simulator.build()
    chosen = DEFAULT_RATES[config.word_bits] if rate is None else rate
    results = run_maps(simulator, networks, words, chosen, maps, seed, console)
    path = Path("build") / short_name(model) / "validate-memory" / f"{config.fingerprint}.csv"
    write_text(path, csv_text(results, config.word_bits, seed))
    prints = {scheme: fingerprint(words[scheme].tobytes()) for scheme in networks}
    record = began.record(**of_machine(config), weights=of_weights(model), images=prints)
    write_json(path.with_suffix(".json"), record)
    console.print(f"every map is in {path}", soft_wrap=True)
    check(console, results)
    console.print(
        f"all {len(results)} agree ({short_name(model)}, {config.word_bits}-bit words, BER {chosen:g}, seed {seed})"
    )
    return {
        "model": model,
        "machine": config.fingerprint,
        "rate": chosen,
        "seed": seed,
        "file": str(path),
        "provenance": record,
        "maps": len(results),
        "differ": 0,
        "logits_changed": {scheme: sum(r.scheme == scheme and not r.masked for r in results) for scheme in networks},
    }
