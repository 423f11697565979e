"""``python -m golden``: training, bounds and accuracy from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from golden.errors import GoldenError
from golden.networks.artefacts import WEIGHTS_FOLDER

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

Model = Annotated[str, typer.Option(help="alexnet, vgg16 or resnet50")]
Source = Annotated[
    str | None, typer.Option("--cifar10", help="CIFAR-10 packs: files or a folder (else FITACT_CIFAR10)")
]
Root = Annotated[Path, typer.Option(help="folder of the official CIFAR-10 archive")]
Weights = Annotated[Path, typer.Option(help="folder of weights, bounds, binary points and manifest")]
Download = Annotated[bool, typer.Option(help="fetch the official archive if it is missing")]

# Options of post-training; those not given are the network's and the scheme's own.
Slope = Annotated[float | None, typer.Option(help="slope of the smooth form")]
BoundWeight = Annotated[float | None, typer.Option(help="weight of the bounds in the loss")]
AcceptedDrop = Annotated[float | None, typer.Option(help="accepted drop of clean accuracy (0.003: 0.3 points)")]
BoundRate = Annotated[float | None, typer.Option(help="Adam's rate, as a fraction of the starting bound")]
StageEpochs = Annotated[int | None, typer.Option(min=1, help="epochs of post-training, per stage")]
EpochImages = Annotated[int | None, typer.Option(min=1, help="training images per epoch of post-training")]


@app.command()
def train(
    model: Model = "alexnet",
    folder: Annotated[Path | None, typer.Option(help="checkpoints and log; resumed if present")] = None,
    epochs: int | None = None,
    seed: int | None = None,
    processes: Annotated[int | None, typer.Option(help="CPU processes that share gradients")] = None,
    cifar10: Source = None,
    root: Root = Path("build/data"),
    download: Download = False,
) -> None:
    """Train a network and keep a checkpoint per epoch."""
    from golden.data.cifar10 import load_images
    from golden.training.train import recipe_for
    from golden.training.train import train as run

    recipe = recipe_for(model, epochs=epochs, seed=seed)
    target = folder or Path("build") / model / "train"
    path = run(recipe, load_images(True, cifar10, root, download), target, processes)
    typer.echo(f"trained {model}: {path}")


@app.command()
def average(
    checkpoint: Annotated[list[Path], typer.Option(help="checkpoint of the run; give several")],
    folder: Annotated[Path, typer.Option(help="where the mean goes; `export --folder` takes it from there")],
) -> None:
    """Average checkpoints of one training run (stochastic weight averaging)."""
    from golden.training.averaging import average_checkpoints

    typer.echo(f"averaged {len(checkpoint)} checkpoints: {average_checkpoints(checkpoint, folder)}")


@app.command()
def export(
    model: Model = "alexnet",
    folder: Annotated[Path | None, typer.Option(help="folder of the training run")] = None,
    weights: Weights = WEIGHTS_FOLDER,
    cifar10: Source = None,
    root: Root = Path("build/data"),
) -> None:
    """Store a finished training run's weights and log, and calibrate the binary points."""
    from golden.data.cifar10 import load_images
    from golden.training.release import export as run
    from golden.training.train import CHECKPOINT

    source = (folder or Path("build") / model / "train") / CHECKPOINT
    run(model, source, load_images(True, cifar10, root), weights)
    typer.echo(f"stored {weights / model}.npz and its binary points")


@app.command()
def bounds(
    model: Model = "alexnet",
    schemes: Annotated[str, typer.Option(help="schemes, e.g. proact,fitact [all]")] = "",
    weights: Weights = WEIGHTS_FOLDER,
    out: Annotated[Path | None, typer.Option(help="where the result goes [the folder of the weights]")] = None,
    k: Slope = None,
    zeta: BoundWeight = None,
    delta: AcceptedDrop = None,
    lr: BoundRate = None,
    epochs: StageEpochs = None,
    images: EpochImages = None,
    seed: int = 1,
    cache: Annotated[Path | None, typer.Option(help="folder that keeps the profile")] = Path("build/profiles"),
    cifar10: Source = None,
    root: Root = Path("build/data"),
) -> None:
    """Find the bounds of every scheme for the stored network. Options not given: the network's defaults.

    The options of post-training apply to FitAct and ProAct alike.
    """
    from golden.data.cifar10 import load_images
    from golden.search.find import find_bounds, options_for

    changes = {"k": k, "zeta": zeta, "delta": delta, "lr": lr, "epochs": epochs, "images": images}
    options = options_for(model, seed, **changes)
    wanted = _names(schemes)
    record = find_bounds(model, load_images(True, cifar10, root), options, wanted, weights, out, cache)
    typer.echo(json.dumps(record, indent=1))


@app.command()
def accuracy(
    model: Model = "alexnet",
    weights: Weights = WEIGHTS_FOLDER,
    processes: Annotated[int | None, typer.Option(help="default: one per core")] = None,
    exact_images: Annotated[
        int | None, typer.Option(min=1, help="images at 8, 16 and 32 bits, where each is slower [all]")
    ] = None,
    schemes: Annotated[
        str, typer.Option(help="measure only these again, e.g. proact,fitact, and keep the other figures")
    ] = "",
    cifar10: Source = None,
    root: Root = Path("build/data"),
) -> None:
    """Measure every scheme in float and at 8, 16 and 32 bits on the test images."""
    from golden.data.cifar10 import JPEG_PACK, find_packs, load_images, load_lossless
    from golden.training.release import measure

    jpeg = JPEG_PACK in find_packs(cifar10)
    test_sets = {"test_jpeg" if jpeg else "test": load_images(False, cifar10, root)}
    if (lossless := load_lossless(False, cifar10)) is not None:
        test_sets["test_lossless_part"] = lossless
    command = f"python -m golden accuracy --model {model}" + (f" --exact-images {exact_images}" if exact_images else "")
    result = measure(model, test_sets, weights, command, processes, exact_images, _names(schemes))
    typer.echo(json.dumps(result, indent=1))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


@app.callback()
def main() -> None:
    """FitAct golden model."""


if __name__ == "__main__":
    try:
        app(standalone_mode=True)
    except GoldenError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None
