"""Commands of the golden model: models and train."""

from __future__ import annotations

from typing import Annotated

import typer

from fitact_hw.cli.options import SeedOption


def models() -> None:
    """List the networks and their committed weights."""
    from fitact_hw.experiment.inputs import model_summary

    for line in model_summary():
        print(line)


def train(
    model: Annotated[str, typer.Argument(help="network to train")] = "alexnet",
    seed: SeedOption = 1,
) -> None:
    """Train a network on CIFAR-10 and learn the bounds of every scheme (FITACT_CIFAR10 or a download)."""
    from golden.__main__ import train as golden_train

    golden_train(model=model, seed=seed)


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    for function in (models, train):
        app.command()(function)
