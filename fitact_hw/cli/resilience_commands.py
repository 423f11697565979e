"""Commands about bit errors in parameter memory: resilience, granularity and fault-map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer
from rich.console import Console

from fitact_hw.cli.checks import network, positive_rate, study_images
from fitact_hw.cli.command import add
from fitact_hw.cli.options import (
    ProtectionsOption,
    SchemeOption,
    SeedOption,
    choices,
    file_option,
    folder_option,
    given_folder_option,
    known_rates,
    known_scheme,
    known_word,
    known_words,
    names,
    numbers,
)
from fitact_hw.cli.own_networks import NetArgument, results_folder, with_network
from fitact_hw.cli.panels import BIT_ERRORS
from fitact_hw.reporting.terminal import terminal
from golden.bounds.schemes import DEFAULT, find_protection
from golden.networks.registry import check_grouped, learned_granularity

if TYPE_CHECKING:
    from fitact_hw.resilience.pool import Processes


FILE_WIDTH = 160
"""Columns of tables that go to a file or a pipe: a column for each bit error rate."""

Memory = Literal["faulty", "protected"]
MEMORIES: tuple[str, ...] = get_args(Memory)

WordsOption = Annotated[
    str, typer.Option("--word", help="word widths in bits, e.g. 32 or 8,32 (32: Q15.16)", callback=known_words)
]
RatesOption = Annotated[
    str | None,
    typer.Option(
        "--rates", help="bit error rates, e.g. 1e-7,1e-6 [6 for 32 bits, 3 for 8 and 16]", callback=known_rates
    ),
]
MapsOption = Annotated[int, typer.Option("--maps", min=1, help="fault maps per rate, the same for all networks")]
ImagesOption = Annotated[
    int,
    typer.Option(
        "--images", min=1, help="test images (of a shipped network: needs FITACT_CIFAR10)", callback=study_images
    ),
]
BoundsOption = Annotated[
    str,
    typer.Option(
        "--bounds",
        help="memory of the bounds: faulty, protected, or both as faulty,protected",
        callback=choices("--bounds", MEMORIES),
    ),
]
WeightsOption = Annotated[
    Path | None, given_folder_option("folder of weights and bounds, e.g. what post-train wrote [committed]")
]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, max=1024, help="CPU threads [1]: more are slower")
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="processes, of --threads each; results do not depend on it [one a core, if memory allows; GPU: 1]",
    ),
]


def rates_of(text: str | None) -> tuple[float, ...]:
    """Empty: the defaults of the word width."""
    return () if text is None else numbers(text, float, "--rates")


def _console() -> Console:
    return terminal(FILE_WIDTH)


def _processes(workers: int | None, threads: int | None) -> Processes:
    from fitact_hw.resilience.pool import Processes, default_processes

    default = default_processes()
    return Processes(workers or default.count, threads or default.threads)


@with_network
def resilience(
    model: NetArgument = "alexnet",
    schemes: ProtectionsOption = "",
    word: WordsOption = "32",
    rates: RatesOption = None,
    maps: MapsOption = 20,
    images: ImagesOption = 1000,
    seed: SeedOption = 1,
    bounds: BoundsOption = "faulty",
    weights: WeightsOption = None,
    out: Annotated[Path | None, folder_option("result folder [build/<model>/resilience]")] = None,
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
) -> Any:
    """Accuracy against bit error rate in parameter memory for every protection scheme; resumable."""
    network(model, tuple(find_protection(name)[0].name for name in names(schemes)), weights)
    from fitact_hw.resilience.experiments import run_resilience
    from fitact_hw.resilience.subjects import Settings

    settings = Settings(
        model=model,
        schemes=names(schemes),
        words=numbers(word, int, "--word"),
        rates=rates_of(rates),
        maps=maps,
        images=images,
        seed=seed,
        memories=names(bounds),
        weights=str(weights or ""),
    )
    folder = out or results_folder(model) / "resilience"
    summaries = run_resilience(settings, folder, _console(), _processes(workers, threads))
    return {"folder": folder, "summaries": summaries}


@with_network
def granularity(
    model: NetArgument = "alexnet",
    source: Annotated[
        str, typer.Option(help="scheme whose neuron bounds are grouped", callback=known_scheme)
    ] = DEFAULT.name,
    learned: Annotated[
        list[Path] | None,
        given_folder_option("also bounds learned for their groups: a folder of `post-train --granularity`; repeatable"),
    ] = None,
    word: WordsOption = "32",
    rates: RatesOption = None,
    maps: MapsOption = 20,
    images: ImagesOption = 1000,
    seed: SeedOption = 1,
    bounds: BoundsOption = "faulty",
    weights: WeightsOption = None,
    out: Annotated[Path | None, folder_option("result folder [build/<model>/granularity]")] = None,
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
) -> Any:
    """Accuracy against bytes of bound storage: layer, channel, 2x2-patch, neuron; words and 4-bit codes."""
    network(model, [source], weights)
    check_grouped(source)
    for folder in learned or ():
        learned_granularity(model, source, folder)
    from fitact_hw.resilience.experiments import run_granularity
    from fitact_hw.resilience.subjects import Settings

    settings = Settings(
        model=model,
        words=numbers(word, int, "--word"),
        rates=rates_of(rates),
        maps=maps,
        images=images,
        seed=seed,
        memories=names(bounds),
        weights=str(weights or ""),
    )
    folder = out or results_folder(model) / "granularity"
    summaries = run_granularity(settings, folder, _console(), _processes(workers, threads), source, learned or ())
    return {"folder": folder, "summaries": summaries}


@with_network
def fault_map(
    model: NetArgument = "alexnet",
    scheme: SchemeOption = DEFAULT.name,
    rate: Annotated[float, typer.Option(help="bit error rate of the study", callback=positive_rate)] = 1e-6,
    number: Annotated[int, typer.Option("--map", min=0, help="number of the map: column `map` of _maps.csv")] = 0,
    word: Annotated[int, typer.Option("--word", help="word width in bits (32: Q15.16)", callback=known_word)] = 32,
    bounds: Annotated[Memory, typer.Option("--bounds", help="memory of the bounds")] = "faulty",
    images: Annotated[
        int, typer.Option("--images", min=0, help="evaluate it on so many test images", callback=study_images)
    ] = 0,
    seed: SeedOption = 1,
    weights: WeightsOption = None,
    out: Annotated[Path | None, file_option("CSV of all flips [build/<model>/fault-maps/...]")] = None,
) -> Any:
    """One fault map of a study again: every flipped bit of the memory and, with --images, how many stay correct."""
    network(model, [scheme], weights)
    from fitact_hw.resilience.replay import run_replay
    from fitact_hw.resilience.subjects import Settings
    from golden.support.threads import use_threads

    use_threads(1)
    settings = Settings(
        model=model,
        schemes=(scheme,),
        words=(word,),
        rates=(rate,),
        seed=seed,
        memories=(bounds,),
        weights=str(weights or ""),
    )
    name = f"{scheme}_{word}bit_{rate}_map{number}_seed{seed}_{bounds}.csv"
    return run_replay(settings, number, images, out or results_folder(model) / "fault-maps" / name, _console())


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    for function in (resilience, granularity, fault_map):
        add(app, BIT_ERRORS, function)
