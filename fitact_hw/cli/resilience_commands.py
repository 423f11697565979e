"""Commands about bit errors in parameter memory: resilience, granularity, fault-map and resilience-bench."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from fitact_hw.cli.options import SeedOption, names
from fitact_hw.errors import FitActError

if TYPE_CHECKING:
    from fitact_hw.resilience.pool import Processes

ModelArgument = Annotated[str, typer.Argument(help="network: see `fitact models`")]
WordsOption = Annotated[str, typer.Option("--word", help="word widths in bits, e.g. 32 or 8,32 (32: Q15.16)")]
RatesOption = Annotated[
    str | None,
    typer.Option("--rates", help="bit error rates, e.g. 1e-7,1e-6 [6 for 32 bits, 3 for 8 and 16]"),
]
MapsOption = Annotated[int, typer.Option("--maps", min=1, help="fault maps per rate, the same for all networks")]
ImagesOption = Annotated[int, typer.Option("--images", min=1, help="test images (needs FITACT_CIFAR10)")]
BoundsOption = Annotated[
    str, typer.Option("--bounds", help="memory of the bounds: faulty, protected, or both as faulty,protected")
]
WeightsOption = Annotated[
    Path | None, typer.Option("--weights", help="folder of weights and bounds, e.g. what post-train wrote [committed]")
]
ThreadsOption = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads [1]: more are slower")]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="processes, of --threads each; results do not depend on it [one a core, if memory allows; GPU: 1]",
    ),
]


def _numbers(text: str, kind: type, what: str) -> tuple[Any, ...]:
    try:
        found = tuple(dict.fromkeys(kind(part) for part in text.split(",") if part.strip()))
    except ValueError:
        found = ()
    if not found:
        raise FitActError(f"{what} {text!r} must be numbers separated by commas")
    return found


def _rates(text: str | None) -> tuple[float, ...]:
    """Empty: the defaults of the word width."""
    return () if text is None else _numbers(text, float, "--rates")


def _console() -> Console:
    """The terminal, or a file that is wide enough for the tables."""
    return Console(width=None if sys.stdout.isatty() else 160)


def _processes(workers: int | None, threads: int | None) -> Processes:
    from fitact_hw.resilience.pool import Processes, default_processes

    default = default_processes()
    return Processes(workers or default.count, threads or default.threads)


def resilience(
    model: ModelArgument = "alexnet",
    schemes: Annotated[str | None, typer.Option(help="schemes, e.g. ranger,fitact [all with stored bounds]")] = None,
    word: WordsOption = "32",
    rates: RatesOption = None,
    maps: MapsOption = 20,
    images: ImagesOption = 1000,
    seed: SeedOption = 1,
    bounds: BoundsOption = "faulty",
    weights: WeightsOption = None,
    out: Annotated[Path | None, typer.Option(help="result folder [build/<model>/resilience]")] = None,
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Accuracy against bit error rate in parameter memory for every protection scheme; resumable."""
    from fitact_hw.resilience.experiments import run_resilience
    from fitact_hw.resilience.subjects import Settings

    settings = Settings(
        model=model,
        schemes=names(schemes or ""),
        words=_numbers(word, int, "--word"),
        rates=_rates(rates),
        maps=maps,
        images=images,
        seed=seed,
        memories=names(bounds),
        weights=str(weights or ""),
    )
    run_resilience(settings, out or Path("build") / model / "resilience", _console(), _processes(workers, threads))


def granularity(
    model: ModelArgument = "alexnet",
    source: Annotated[str, typer.Option(help="scheme whose neuron bounds are grouped")] = "fitact",
    learned: Annotated[
        list[Path] | None,
        typer.Option(help="also bounds learned for their groups: a folder of `post-train --granularity`; repeatable"),
    ] = None,
    word: WordsOption = "32",
    rates: RatesOption = None,
    maps: MapsOption = 20,
    images: ImagesOption = 1000,
    seed: SeedOption = 1,
    bounds: BoundsOption = "faulty",
    weights: WeightsOption = None,
    out: Annotated[Path | None, typer.Option(help="result folder [build/<model>/granularity]")] = None,
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Accuracy against bytes of bound storage: layer, channel, 2x2-patch, neuron; words and 4-bit codes."""
    from fitact_hw.resilience.experiments import run_granularity
    from fitact_hw.resilience.subjects import Settings

    settings = Settings(
        model=model,
        words=_numbers(word, int, "--word"),
        rates=_rates(rates),
        maps=maps,
        images=images,
        seed=seed,
        memories=names(bounds),
        weights=str(weights or ""),
    )
    folder = out or Path("build") / model / "granularity"
    run_granularity(settings, folder, _console(), _processes(workers, threads), source, learned or ())


def fault_map(
    model: ModelArgument = "alexnet",
    scheme: Annotated[str, typer.Option(help="protection scheme")] = "fitact",
    rate: Annotated[float, typer.Option(help="bit error rate of the study")] = 1e-6,
    number: Annotated[int, typer.Option("--map", min=0, help="number of the map: column `map` of _maps.csv")] = 0,
    word: Annotated[int, typer.Option("--word", help="word width in bits (32: Q15.16)")] = 32,
    bounds: Annotated[str, typer.Option("--bounds", help="memory of the bounds: faulty or protected")] = "faulty",
    images: Annotated[int, typer.Option("--images", min=0, help="evaluate it on so many test images")] = 0,
    seed: SeedOption = 1,
    weights: WeightsOption = None,
    out: Annotated[Path | None, typer.Option(help="CSV of all flips [build/<model>/fault-maps/...]")] = None,
) -> None:
    """One fault map of a study again: every flipped bit of the memory and, with --images, how many stay correct."""
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
    run_replay(settings, number, images, out or Path("build") / model / "fault-maps" / name, _console())


def resilience_bench(
    model: ModelArgument = "alexnet",
    scheme: Annotated[str, typer.Option(help="protection scheme")] = "fitact",
    word: WordsOption = "32",
    rates: RatesOption = None,
    maps: Annotated[int, typer.Option("--maps", min=1, help="fault maps per rate")] = 5,
    images: Annotated[int, typer.Option("--images", min=1, help="random images per map")] = 100,
    repeats: Annotated[int, typer.Option(min=1, help="runs of which the fastest counts")] = 2,
    seed: SeedOption = 1,
    threads: ThreadsOption = None,
    compiled: Annotated[bool, typer.Option("--compile/--no-compile", help="as after a study's first minute")] = True,
) -> None:
    """Speed of exact evaluation under faults against plain float32 inference of the same network, in one run."""
    from fitact_hw.bench.evaluation import run_bench
    from golden.support.threads import use_threads

    use_threads(threads or 1)
    words, given = _numbers(word, int, "--word"), _rates(rates)
    run_bench(_console(), model, scheme, words, given, maps, images, repeats, seed, compiled)


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    for function in (resilience, granularity, fault_map, resilience_bench):
        app.command()(function)
