"""Commands of the golden model: models and train. `python -m golden --help` has every option of each step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def models() -> None:
    """List the networks and their committed weights."""
    from fitact_hw.experiment.inputs import model_summary

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


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    for function in (models, train):
        app.command()(function)
