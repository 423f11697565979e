"""Benchmarks: simulated cycles, exact evaluations; `fitact campaign bench` has injections."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fitact_hw.cli.checks import network
from fitact_hw.cli.command import add
from fitact_hw.cli.options import (
    ModelArgument,
    SchemeOption,
    SeedOption,
    choices,
    folder_option,
    names,
    numbers,
    with_machine,
)
from fitact_hw.cli.panels import BENCHMARKS
from fitact_hw.cli.resilience_commands import FILE_WIDTH, RatesOption, ThreadsOption, WordsOption, rates_of
from fitact_hw.config import AcceleratorConfig
from fitact_hw.reporting.terminal import terminal
from golden.bounds.schemes import DEFAULT

IMAGENET = ("squeezenet", "shufflenet_v2", "mobilenet_v2", "resnet18", "resnet50")
"""Networks of `fitact_hw.bench.imagenet_networks`, which loads torch."""


@with_machine
def bench(
    machine: AcceleratorConfig,
    repeats: Annotated[int, typer.Option(min=1, help="runs of each; the median counts")] = 3,
) -> Any:
    """Simulated cycles/s and MAC/s of the full machine next to a bare PE array, in one run."""
    from fitact_hw.bench.simulation import run_bench

    return run_bench(machine, repeats)


def resilience_bench(
    model: ModelArgument = "alexnet",
    scheme: SchemeOption = DEFAULT.name,
    word: WordsOption = "32",
    rates: RatesOption = None,
    maps: Annotated[int, typer.Option("--maps", min=1, help="fault maps per rate")] = 5,
    images: Annotated[int, typer.Option("--images", min=1, help="random images per map")] = 100,
    repeats: Annotated[int, typer.Option(min=1, help="runs of which the fastest counts")] = 2,
    seed: SeedOption = 1,
    threads: ThreadsOption = None,
    compiled: Annotated[bool, typer.Option("--compile/--no-compile", help="as after a study's first minute")] = True,
) -> Any:
    """Speed of exact evaluation under faults against plain float32 inference of the same network, in one run."""
    network(model, [scheme])
    from fitact_hw.bench.evaluation import run_bench
    from golden.support.threads import use_threads

    use_threads(threads or 1)
    words = numbers(word, int, "--word")
    return run_bench(terminal(FILE_WIDTH), model, scheme, words, rates_of(rates), maps, images, repeats, seed, compiled)


@with_machine
def imagenet_bench(
    machine: AcceleratorConfig,
    networks: Annotated[
        str, typer.Option(help="networks with commas between", callback=choices("--networks", IMAGENET))
    ] = ",".join(IMAGENET),
    seed: SeedOption = 1,
    out: Annotated[Path, folder_option("folder of the page, with its figures in data/")] = Path("build/imagenet"),
) -> Any:
    """Networks at 224x224 and 1000 classes, random weights, one image through the RTL: exact; cycles, time, memory."""
    from fitact_hw.bench.imagenet import run_imagenet_bench

    return run_imagenet_bench(names(networks), machine, seed, out)


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    for function in (bench, resilience_bench, imagenet_bench):
        add(app, BENCHMARKS, function)
