"""Commands of the golden model: models, train, post-train; `python -m golden --help` has each step's options."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from fitact_hw.cli.options import SeedOption
from golden.__main__ import AcceptedDrop, BoundRate, BoundWeight, EpochImages, Slope, StageEpochs
from golden.networks.artefacts import WEIGHTS_FOLDER


def models() -> None:
    """List the networks and their committed weights."""
    from fitact_hw.networks import model_summary

    for line in model_summary():
        print(line)


def train(
    model: Annotated[str, typer.Argument(help="network to train")] = "alexnet",
    epochs: Annotated[int | None, typer.Option(min=1, help="epochs [the recipe's]")] = None,
    seed: Annotated[int | None, typer.Option(help="seed of initialisation and data order [the recipe's]")] = None,
    weights: Annotated[Path | None, typer.Option(help="where the result goes [build/<model>/weights]")] = None,
    download: Annotated[bool, typer.Option(help="fetch CIFAR-10 if FITACT_CIFAR10 names none")] = True,
) -> None:
    """Train a network, learn the bounds of every scheme, measure all of it. Resumes where it was stopped.

    The committed files stay as they are; `--weights golden/weights` replaces them.
    """
    from golden import __main__ as golden

    target = weights or Path("build") / model / "weights"
    golden.train(model=model, epochs=epochs, seed=seed, download=download)
    golden.export(model=model, weights=target)
    golden.bounds(model=model, weights=target)
    golden.accuracy(model=model, weights=target)
    print(f"weights, bounds and accuracy are in {target}")


def post_train(
    model: Annotated[str, typer.Argument(help="network with stored weights")] = "alexnet",
    scheme: Annotated[str, typer.Option(help="ranger, clipact, proact, fitact, or all")] = "fitact",
    weights: Annotated[Path, typer.Option(help="folder of the weights")] = WEIGHTS_FOLDER,
    out: Annotated[Path | None, typer.Option(help="where the result goes [build/<model>/weights]")] = None,
    k: Slope = None,
    zeta: BoundWeight = None,
    delta: AcceptedDrop = None,
    lr: BoundRate = None,
    epochs: StageEpochs = None,
    images: EpochImages = None,
    factor: Annotated[
        float | None, typer.Option(help="FitAct without learning: the profiled maxima of the neurons times this")
    ] = None,
    granularity: Annotated[
        str, typer.Option(help="FitAct: what shares a learned bound: layer, channel, patch (2x2) or neuron")
    ] = "neuron",
    seed: SeedOption = 1,
    download: Annotated[bool, typer.Option(help="fetch CIFAR-10 if FITACT_CIFAR10 names none")] = False,
) -> None:
    """Learn the bounds of a scheme anew from the stored weights: accuracy before and after, dead neurons, time.

    The committed bounds stay as they are; `--out golden/weights` replaces them.
    """
    from golden.bounds.granularity import find_granularity
    from golden.bounds.schemes import find_scheme
    from golden.data.cifar10 import load_images
    from golden.search.find import find_bounds, options_for

    schemes = [] if scheme == "all" else [find_scheme(scheme).name]
    changes = {"k": k, "zeta": zeta, "delta": delta, "lr": lr, "epochs": epochs, "images": images}
    options = replace(options_for(model, seed, factor, **changes), granularity=find_granularity(granularity))
    target = out or Path("build") / model / ("weights" if granularity == "neuron" else f"weights-{granularity}")
    training = load_images(True, None, Path("build/data"), download)
    record = find_bounds(model, training, options, schemes, weights, target, Path("build/profiles"))
    _print_bounds(record)
    print(f"bounds, options and history are in {target} ({model}_bounds.npz, manifest.json)")


def _print_bounds(record: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    neurons, silent = record["neurons"], record["neurons_that_never_fire"]
    table = Table(
        title="top-1 in % on the validation images (smooth: the form learned; hard: what the hardware computes)",
        caption="hard, before: as without bounds, for the search starts from the largest fault-free activations",
    )
    headings = ("hard, before", "hard, after", "smooth, before", "smooth, after", "seconds", "neurons with bound 0")
    for heading in ("scheme", *headings):
        table.add_column(heading, justify="left" if heading == "scheme" else "right")
    for scheme, facts in record.items():
        if not isinstance(facts, dict) or "validation_accuracy" not in facts:
            continue
        of, smooth = facts["validation_accuracy"], facts.get("smooth_accuracy", {})
        values = (of["unprotected"], of["hard"], smooth.get("before"), smooth.get("after"))
        shown = ["-" if value is None else f"{100 * value:.2f}" for value in values]
        table.add_row(scheme, *shown, str(facts["seconds"]), f"{facts['neurons_with_bound_0']:,}")
    console = Console()
    console.print(table)
    console.print(
        f"{silent:,} of {neurons:,} neurons fire for none of the {record['profile']['images']:,} training images"
    )


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    for function in (models, train, post_train):
        app.command()(function)
