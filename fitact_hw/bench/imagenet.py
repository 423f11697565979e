"""`fitact imagenet-bench`: networks at 224x224 and 1000 classes through the whole RTL, every layer compared.

Each network has a process of its own, so that memory is that of one network.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fitact_hw.bench.imagenet_networks import SHAPE, build
from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import FitActError
from fitact_hw.reporting.provenance import Run, of_machine, summary
from fitact_hw.reporting.terminal import noter, terminal, working
from golden.frontend.graph import Graph
from golden.frontend.lowering import import_network
from golden.plain_reference import reference_network
from golden.qnetwork import INPUT
from golden.quantisation.quantise import calibrate, quantise, quantise_images, word_name
from golden.support.files import read_json, write_json, write_text
from sim.job import EVERYTHING, Job, Status
from sim.simulator import Simulator

CALIBRATION_IMAGES = 2
RESULT, PAGE = "imagenet.json", "imagenet.md"


class Stages:
    """Wall and processor seconds of named steps of this process, and its peak memory after each (MiB)."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self.peak_mib: dict[str, int] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        wall, cpu = time.monotonic(), time.process_time()
        yield
        self.seconds[name] = round(time.monotonic() - wall, 1)
        self.cpu_seconds[name] = round(time.process_time() - cpu, 1)
        self.peak_mib[name] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def measure(name: str, config: AcceleratorConfig, seed: int) -> dict[str, Any]:
    """One network with random weights and one random image: compiled, run, compared. Raises FitActError if a layer of
    the RTL differs from the independent reference."""
    stage, rng = Stages(), np.random.default_rng(seed)
    net = build(name, seed)
    images = rng.standard_normal((CALIBRATION_IMAGES, *SHAPE))
    with stage("front end"):
        network = import_network(net, SHAPE)
    with stage("calibration"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        points = calibrate(network, images, config.word_bits)
    with stage("compile"):
        qnet = quantise(network, points, name)
        program = compile_network(qnet, config, 1)
    words = quantise_images(qnet, images[:1])
    with stage("reference"):
        expected = reference_network(qnet, words)
    del expected[INPUT]
    job = Job(program=program, memory=with_images(program, words), keep=(EVERYTHING,))
    with stage("rtl"):
        [done] = Simulator(config).run([job])
    if done.status is not Status.DONE or done.violation:
        raise FitActError(f"{name}: the run ended with {done.status.value}, code {done.code} {done.violation}")
    for layer, value in expected.items():
        if not np.array_equal(done.tensor(layer), value):
            raise FitActError(f"{name}: layer {layer} of the RTL differs from the independent reference: a defect")
    stage.cpu_seconds["rtl"] = round(done.cpu_seconds, 1)
    return {
        "parameters": sum(p.numel() for p in net.parameters()),
        "side": config.side,
        "layers": len(qnet.layers),
        "macs": qnet.macs,
        "useful_macs": useful_macs(network.graph, {name: p.numel() for name, p in network.named_parameters()}),
        "elements": sum(value.size for value in expected.values()),
        "cycles": done.cycles,
        "instructions": len(program.instructions),
        "memory_mib": round(program.memory.size / 2**20, 1),
        "seconds": stage.seconds,
        "cpu_seconds": stage.cpu_seconds,
        "peak_mib": stage.peak_mib["compile"],
        "exact": True,
    }


def useful_macs(graph: Graph, weights: Mapping[str, int]) -> int:
    """Multiply-accumulates of the network as it is written: without the zeros that stand for groups."""
    return sum(weights[op.tensors["weight"]] * op.shape[1] * op.shape[2] for op in graph.ops if op.kind == "conv")


def run_imagenet_bench(names: tuple[str, ...], config: AcceleratorConfig, seed: int, out: Path) -> dict[str, Any]:
    """The command: measure, print, write; figures of other networks that ``out`` holds already stay."""
    console = terminal()
    path = out / "data" / RESULT
    result: dict[str, Any] = read_json(path) if path.is_file() else {}
    for name in names:
        began = Run(seed)
        note = f"{name}: front end, calibration, compiler, reference, RTL"
        with working(console, note), _one_process() as process:
            found = process.submit(measure, name, config, seed).result()
        result[name] = found | {"provenance": began.record(**of_machine(config)), "word_bits": config.word_bits}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, result)
        write_text(out / PAGE, page(result))
        noter(console)(f"{name}: exact on {found['layers']} layers, {found['cycles']} cycles, {path}")
    console.print(page(result), markup=False, soft_wrap=True)
    return result


def _one_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


COLUMNS = (
    *("network", "machine", "parameters, M", "GMAC", "layers", "values compared, M", "cycles, M", "array use"),
    *("to a program, s", "peak, MiB", "program and data, MiB", "RTL, s"),
)

HEAD = """# Networks at ImageNet's size

Random weights, one random image of 224x224, 1000 classes: from `torch.export` to the whole RTL. Every element of every
layer equals an independent reference in plain NumPy (`golden/plain_reference.py`). Made by `fitact imagenet-bench`;
figures, with seconds and memory of each step, in [imagenet.json](data/imagenet.json).
"""

NOTES = f"""
* machine: side of the array and word. GMAC: useful multiply-accumulates, without a group's zeros. Array use: these by
  all that the array could do in the cycles of the whole program.
* to a program: front end, calibration on {CALIBRATION_IMAGES} images, quantisation and compiler, one process; peak: the
  most memory that it held. Program and data: the machine's memory. RTL: the simulator. All seconds are the processor's,
  since the runs shared their computer with others; wall time is in the file.

## Runs
"""


def page(result: Mapping[str, Any]) -> str:
    """The table as Markdown."""
    lines = []
    for name, row in sorted(result.items(), key=lambda item: item[1]["useful_macs"]):
        side = row["side"]
        use = row["useful_macs"] / (row["cycles"] * side * side)
        program = sum(row["cpu_seconds"][step] for step in ("front end", "calibration", "compile"))
        cells = (
            *(name, f"{side}x{side} {word_name(row['word_bits'])}", f"{row['parameters'] / 1e6:.1f}"),
            *(f"{row['useful_macs'] / 1e9:.2f}", str(row["layers"]), f"{row['elements'] / 1e6:.1f}"),
            *(f"{row['cycles'] / 1e6:.2f}", f"{100 * use:.0f} %", f"{program:.0f}", str(row["peak_mib"])),
            *(f"{row['memory_mib']:.0f}", f"{row['cpu_seconds']['rtl']:.0f}"),
        )
        lines.append(f"| {' | '.join(cells)} |")
    head = [f"| {' | '.join(COLUMNS)} |", "|---|---|" + "---:|" * (len(COLUMNS) - 2)]
    runs = [f"* {name}: {summary(row['provenance'])}" for name, row in sorted(result.items())]
    return "\n".join([HEAD, *head, *lines, NOTES, *runs, ""])
