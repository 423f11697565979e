"""`fitact bench`: simulation speed of the machine on AlexNet, next to a bare PE array built the same way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from fitact_hw.networks import load_images, load_networks
from fitact_hw.reporting.provenance import Run, of_machine, of_weights
from fitact_hw.reporting.terminal import bar, noter, terminal
from golden.bounds.schemes import DEFAULT
from golden.support.files import write_json
from sim.bare.bench import bench, describe
from sim.job import Job

BENCH_MODEL, BENCH_SCHEME, BENCH_IMAGES = "alexnet", DEFAULT.name, 4
RESULT = Path("build") / "bench.json"


def run_bench(config: AcceleratorConfig, repeats: int) -> dict[str, Any]:
    """Measure, print, keep the figures in build/bench.json and return them. Raises FitActError if a run fails."""
    from golden.quantisation.quantise import quantise_images

    console, began = terminal(), Run()
    network = load_networks(BENCH_MODEL, config, (BENCH_SCHEME,))[BENCH_SCHEME]
    images = load_images(BENCH_MODEL, BENCH_IMAGES).data.network_input()
    program = compile_network(network, config, BENCH_IMAGES)
    job = Job(program=program, memory=with_images(program, quantise_images(network, images)))
    with bar(console, "bare array and machine in turn") as progress:
        result = bench(job, repeats=repeats, note=noter(console), progress=progress)
    for line in describe(result):
        console.print(line)
    result["provenance"] = began.record(
        **of_machine(config), weights=of_weights(BENCH_MODEL), program=program.fingerprint
    )
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    write_json(RESULT, result)
    noter(console)(f"samples and figures: {RESULT}")
    return result
