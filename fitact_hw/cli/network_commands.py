"""Commands of the golden model: models, train, average, export, post-train, accuracy."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from fitact_hw.cli.checks import data_set, finite, network
from fitact_hw.cli.command import add
from fitact_hw.cli.options import (
    ALL,
    FoundSchemesOption,
    ModelArgument,
    SeedOption,
    choices,
    folder_option,
    given_file_option,
    given_folder_option,
    known_schemes,
    names,
    one_of,
)
from fitact_hw.cli.panels import NETWORKS
from fitact_hw.errors import FitActError
from fitact_hw.reporting.command import command_line
from fitact_hw.reporting.network_tables import print_accuracy, print_bounds
from fitact_hw.reporting.terminal import terminal
from golden.bounds.granularity import SHARED
from golden.bounds.schemes import DEFAULT
from golden.data.sets import CIFAR10, SETS
from golden.networks.artefacts import WEIGHTS_FOLDER

SourceOption = Annotated[
    str | None, typer.Option("--cifar10", help="CIFAR-10 packs: files or a folder [FITACT_CIFAR10]")
]
RootOption = Annotated[Path | None, folder_option("folder of the CIFAR-10 archive [data, in the build root]")]
WeightsOption = Annotated[Path, given_folder_option("folder of weights, bounds, binary points and manifest")]
DownloadOption = Annotated[bool, typer.Option(help="fetch CIFAR-10 if FITACT_CIFAR10 names none")]
ProcessesOption = Annotated[int | None, typer.Option(min=1, help="CPU processes [one per core]")]
ExactImagesOption = Annotated[
    int | None, typer.Option(min=1, help="images at 8, 16 and 32 bits, where each is slower [all]")
]

# Options of post-training; those not given are the network's and the scheme's own.
SlopeOption = Annotated[float | None, typer.Option(help="slope of the smooth form", callback=finite("--k"))]
BoundWeightOption = Annotated[
    float | None, typer.Option(help="weight of the bounds in the loss", callback=finite("--zeta"))
]
AcceptedDropOption = Annotated[
    float | None,
    typer.Option(help="accepted drop of clean accuracy (0.003: 0.3 points)", callback=finite("--delta")),
]
BoundRateOption = Annotated[
    float | None, typer.Option(help="Adam's rate, as a fraction of the starting bound", callback=finite("--lr"))
]
StageEpochsOption = Annotated[int | None, typer.Option(min=1, help="epochs of post-training, per stage")]
EpochImagesOption = Annotated[int | None, typer.Option(min=1, help="training images per epoch of post-training")]

GRANULARITIES = tuple(granularity.value for granularity in SHARED)


def models() -> Any:
    """List the networks and their committed weights."""
    from fitact_hw.networks import model_summary

    console, found = terminal(), model_summary()
    for summary in found:
        console.print(summary.line, soft_wrap=True)
    return found


def train(
    model: ModelArgument = "alexnet",
    dataset: Annotated[
        str, typer.Option(help="cifar10 or cifar100", callback=one_of("--dataset", SETS), metavar="NAME")
    ] = CIFAR10,
    epochs: Annotated[int | None, typer.Option(min=1, help="epochs [the recipe's]")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="seed of initialisation and data order [the recipe's]")
    ] = None,
    weights: Annotated[
        Path | None,
        folder_option("where the result goes [build/<model>/weights; of cifar100 build/subjects/<model>-cifar100]"),
    ] = None,
    folder: Annotated[
        Path | None, folder_option("checkpoints and log, resumed if present [build/<model>/train]")
    ] = None,
    processes: ProcessesOption = None,
    only: Annotated[bool, typer.Option("--only", help="stop after training, for `average` and `export`")] = False,
    cifar10: SourceOption = None,
    root: RootOption = None,
    download: DownloadOption = True,
) -> Any:
    """Train a network, learn the bounds of every scheme, measure all of it. Resumes where it was stopped.

    The committed files stay as they are; `--weights golden/weights` replaces them. On CIFAR-100 the result is a
    subject's folder, which every command takes in place of a name.
    """
    data_set(cifar10, root, download, dataset)
    from golden.data.sets import load_set
    from golden.training import train as training

    name = model if dataset == CIFAR10 else f"{model}-{dataset}"
    run = folder or _run_folder(name)
    recipe = training.recipe_for(model, epochs=epochs, seed=seed, dataset=dataset)
    checkpoint = training.train(recipe, load_set(dataset, True, cifar10, root, download), run, processes)
    terminal().print(f"trained {name}: {checkpoint}", soft_wrap=True)
    if only:
        return {"model": model, "checkpoint": checkpoint}
    if dataset != CIFAR10:
        return _subject(checkpoint, recipe.seed, dataset, root, weights or Path("build") / "subjects" / name)
    target = weights or Path("build") / model / "weights"
    stored = export(model, run, target, cifar10, root)
    bounds = post_train(model, scheme=ALL, weights=target, out=target, cifar10=cifar10, root=root)
    measured = accuracy(model, target, processes, cifar10=cifar10, root=root)
    return {**stored, "checkpoint": checkpoint, "bounds": bounds, "accuracy": measured}


def _subject(checkpoint: Path, seed: int, dataset: str, root: Path | None, target: Path) -> Any:
    """A subject of a trained network, with the bounds of every scheme that it has not got yet."""
    from fitact_hw.cli.subject_commands import bounds
    from golden.data.cifar100 import ARCHIVE, load_images
    from golden.search.find import bounded_schemes
    from golden.training.subject import subject_of_run

    training, test = (load_images(train, root) for train in (True, False))
    made, top1 = subject_of_run(checkpoint, training, test, ARCHIVE.title, training.classes, target)
    missing = [scheme.name for scheme in bounded_schemes(()) if scheme.name not in made.schemes]
    found = bounds(str(target), ",".join(missing), seed) if missing else {}
    terminal().print(
        f"{target}: {top1:.2%} of {len(test):,} test images right in float; `fitact check {target}` says what "
        "integers lose",
        soft_wrap=True,
        markup=False,
    )
    return {"folder": target, "dataset": dataset, "checkpoint": checkpoint, "top1": top1, "bounds": found}


def average(
    checkpoint: Annotated[list[Path], given_file_option("checkpoint of the run; give several")],
    folder: Annotated[Path, folder_option("where the mean goes; `export --folder` takes it from there")],
) -> Any:
    """Average checkpoints of one training run (stochastic weight averaging)."""
    from golden.training.averaging import average_checkpoints

    path = average_checkpoints(checkpoint, folder)
    terminal().print(f"averaged {len(checkpoint)} checkpoints: {path}", soft_wrap=True)
    return {"checkpoints": checkpoint, "mean": path}


def export(
    model: ModelArgument = "alexnet",
    folder: Annotated[Path | None, given_folder_option("folder of the training run [build/<model>/train]")] = None,
    weights: Annotated[Path, folder_option("where weights, binary points and manifest go")] = WEIGHTS_FOLDER,
    cifar10: SourceOption = None,
    root: RootOption = None,
) -> Any:
    """Store a finished training run's weights and log, and calibrate the binary points."""
    if not (folder or _run_folder(model)).is_dir():
        raise FitActError(f"{_run_folder(model)} does not exist: run `fitact train {model}` first, or name --folder")
    data_set(cifar10, root)
    from fitact_hw.reporting.provenance import Run, fingerprint
    from golden.data.cifar10 import load_images
    from golden.training import release
    from golden.training.train import CHECKPOINT

    began, source = Run(), (folder or _run_folder(model)) / CHECKPOINT
    training = load_images(True, cifar10, root)

    def origin() -> dict[str, Any]:
        return began.record(checkpoint=fingerprint(source.read_bytes()), images=training.digest)

    release.export(model, source, training, weights, origin)
    terminal().print(f"stored {weights / model}.npz and its binary points", soft_wrap=True)
    return {"model": model, "weights": weights}


def post_train(
    model: ModelArgument = "alexnet",
    scheme: FoundSchemesOption = DEFAULT.name,
    weights: WeightsOption = WEIGHTS_FOLDER,
    out: Annotated[Path | None, folder_option("where the result goes [build/<model>/weights]")] = None,
    k: SlopeOption = None,
    zeta: BoundWeightOption = None,
    delta: AcceptedDropOption = None,
    lr: BoundRateOption = None,
    epochs: StageEpochsOption = None,
    images: EpochImagesOption = None,
    factor: Annotated[
        float | None,
        typer.Option(
            help="FitAct without learning: the profiled maxima of the neurons times this", callback=finite("--factor")
        ),
    ] = None,
    granularity: Annotated[
        str,
        typer.Option(
            help="FitAct: what shares a learned bound: layer, channel, patch (2x2) or neuron",
            callback=choices("--granularity", GRANULARITIES),
        ),
    ] = "neuron",
    strike: Annotated[
        str,
        typer.Option(
            help="Clip-Act: faults in all layers while it searches, or in the searched layer (five rates, ten draws)",
            callback=choices("--strike", ("all", "layer")),
        ),
    ] = "all",
    seed: SeedOption = 1,
    cache: Annotated[
        Path | None,
        folder_option("folder of profiles and unfinished searches [in the build root]"),
    ] = None,
    cifar10: SourceOption = None,
    root: RootOption = None,
    download: DownloadOption = False,
) -> Any:
    """Learn the bounds of schemes anew from the stored weights: accuracy before and after, dead neurons, time.

    The committed bounds stay as they are; `--out golden/weights` replaces them.
    """
    network(model, weights=weights)
    data_set(cifar10, root, download)
    from fitact_hw.reporting.provenance import Run, of_weights
    from golden.bounds.granularity import find_granularity
    from golden.data.cifar10 import load_images
    from golden.search.find import find_bounds, options_for
    from golden.search.profiled import profiles_folder

    schemes = [] if scheme == ALL else list(names(scheme))
    changes = {"k": k, "zeta": zeta, "delta": delta, "lr": lr, "epochs": epochs, "images": images}
    options = options_for(model, seed, factor, strike == "layer", find_granularity(granularity), **changes)
    target = out or Path("build") / model / ("weights" if granularity == "neuron" else f"weights-{granularity}")
    began, training = Run(seed), load_images(True, cifar10, root, download)
    origin = partial(began.record, weights=of_weights(model, weights), images=training.digest)
    record = find_bounds(model, training, options, schemes, weights, target, cache or profiles_folder(), origin)
    console = terminal()
    print_bounds(console, record)
    console.print(f"bounds, options and history are in {target} ({model}_bounds.npz, manifest.json)", soft_wrap=True)
    return {"model": model, "folder": target, "bounds": record}


def accuracy(
    model: ModelArgument = "alexnet",
    weights: WeightsOption = WEIGHTS_FOLDER,
    processes: ProcessesOption = None,
    exact_images: ExactImagesOption = None,
    schemes: Annotated[
        str,
        typer.Option(
            help="measure only these again, e.g. proact,fitact, and keep the other figures", callback=known_schemes
        ),
    ] = "",
    cifar10: SourceOption = None,
    root: RootOption = None,
) -> Any:
    """Measure every scheme in float and at 8, 16 and 32 bits on the test images."""
    network(model, names(schemes), weights)
    data_set(cifar10, root)
    from fitact_hw.reporting.provenance import Run, of_weights
    from golden.data.cifar10 import JPEG_PACK, find_packs, load_images, load_lossless
    from golden.training.release import measure

    jpeg = JPEG_PACK in find_packs(cifar10)
    test_sets = {"test_jpeg" if jpeg else "test": load_images(False, cifar10, root)}
    if (lossless := load_lossless(False, cifar10)) is not None:
        test_sets["test_lossless_part"] = lossless
    began = Run(command=command_line("accuracy", model, options={"exact-images": exact_images, "schemes": schemes}))
    prints = {name: data.digest for name, data in test_sets.items()}
    origin = partial(began.record, weights=of_weights(model, weights), images=prints)
    result = measure(model, test_sets, weights, origin, processes, exact_images, names(schemes))
    print_accuracy(terminal(), result)
    return result


def _run_folder(model: str) -> Path:
    return Path("build") / model / "train"


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    for function in (models, train, average, export, post_train, accuracy):
        add(app, NETWORKS, function)
