"""The training recipe: Muon and AdamW, linear decay, progressive resolution, label smoothing.

On a CPU several single-threaded processes share gradients (measured faster than one process with as
many threads); on a GPU one process does it all. Every epoch ends in a checkpoint that appears under its
name only when complete, and the newest one is resumed.
"""

from __future__ import annotations

import csv
import json
import os
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional as F

from golden.data.augment import Augmenter, resize
from golden.data.cifar10 import Images
from golden.data.dataset import standardise, to_tensor
from golden.data.sets import CIFAR10, class_count
from golden.errors import GoldenError, WeightsError
from golden.networks.evaluate import accuracy
from golden.networks.models import CifarNetwork, build_model
from golden.support.files import replacing
from golden.support.output import output
from golden.support.precision import mixed_precision
from golden.support.processes import apart_from_main
from golden.support.progress import progress
from golden.support.threads import use_threads
from golden.training.optim import Muon, split_parameters

CHECKPOINT = "checkpoint.pt"
LOG = "log.csv"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the outcome of a training run.

    ``low_resolution`` pixels for the first ``low_fraction`` of the epochs, then ``middle_resolution`` up to
    ``middle_fraction`` (none if that is smaller), then 32. ``validation`` images at the end of the
    training set are held out for choosing hyper-parameters later. ``dataset``: a name of :mod:`golden.data.sets`.
    """

    model: str = "alexnet"
    dataset: str = CIFAR10
    epochs: int = 15
    batch: int = 1000
    muon_lr: float = 0.2
    adam_lr: float = 0.003
    weight_decay: float = 0.01
    momentum: float = 0.6
    label_smoothing: float = 0.1
    warmup_fraction: float = 0.05
    shift: int = 4
    low_resolution: int = 24
    low_fraction: float = 0.6
    middle_resolution: int = 24
    middle_fraction: float = 0.0
    validation: int = 2000
    seed: int = 1

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2:
            raise GoldenError(f"epochs {self.epochs} and batch {self.batch} must be positive")
        class_count(self.dataset)

    def resolution(self, epoch: int) -> int:
        """Side of the training images in pixels."""
        if epoch < round(self.low_fraction * self.epochs):
            return self.low_resolution
        return self.middle_resolution if epoch < round(self.middle_fraction * self.epochs) else 32

    def rate(self, done: float) -> float:
        """Factor on the learning rates at ``done`` (0..1): short warm-up, then linear to zero."""
        if done < self.warmup_fraction:
            return done / self.warmup_fraction
        return (1 - done) / (1 - self.warmup_fraction)


RECIPES = {
    "alexnet": Recipe(),
    "vgg16": Recipe(model="vgg16", epochs=20, batch=500, muon_lr=0.1),
    "resnet50": Recipe(
        model="resnet50",
        epochs=9,
        batch=500,
        muon_lr=0.1,
        low_resolution=16,
        low_fraction=0.66,
        middle_fraction=0.88,
    ),
}


def forward(model: CifarNetwork, images: Tensor) -> Tensor:
    """Logits for images of any size: as ``model(images)`` at 32 pixels, adapted below.

    Smaller images round up in the pools and their features are stretched to the size that the
    classifier expects, so that one set of weights serves every resolution.
    """
    if images.shape[-1] == 32:
        return model(images)
    for module in model.features:
        pool = isinstance(module, nn.MaxPool2d)
        images = F.max_pool2d(images, 2, ceil_mode=True) if pool else module(images)
    side = model.feature_side
    if images.shape[-1] != side:
        images = F.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)
    return model.classifier(images.flatten(1))


def train(recipe: Recipe, data: Images, folder: str | Path, processes: int | None = None) -> Path:
    """Train (or resume) and return the final checkpoint's path.

    ``data``: the whole training set; its last ``recipe.validation`` images are only validated on.
    ``processes``: default one per core without a GPU, else one. Raises GoldenError if ``folder``
    holds a checkpoint of another recipe, or none of the training is possible.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if len(data) <= recipe.validation + recipe.batch:
        raise GoldenError(f"{len(data)} training images are too few for this recipe")
    cuda = torch.cuda.is_available()
    count = 1 if cuda else (processes or os.cpu_count() or 1)
    images = Augmenter.pad(to_tensor(data.images), recipe.shift).share_memory_()
    labels = torch.as_tensor(data.labels).share_memory_()
    load_checkpoint(folder / CHECKPOINT, recipe)
    rendezvous = folder / f"rendezvous.{os.getpid()}"
    validation, quiet = data.part(len(data) - recipe.validation), output().quiet
    arguments = (count, recipe, images, labels, validation, folder, rendezvous, quiet)
    try:
        if count == 1:
            _worker(0, *arguments)
        else:
            with apart_from_main():
                started = mp.start_processes(_worker, arguments, nprocs=count, join=False, start_method="spawn")
            while not started.join():
                pass
    finally:
        rendezvous.unlink(missing_ok=True)
    return folder / CHECKPOINT


def load_checkpoint(path: Path, recipe: Recipe | None = None) -> dict[str, Any] | None:
    """The checkpoint at ``path``, or None if there is none.

    Raises WeightsError if it is damaged or was made by another recipe than ``recipe``. Only the number of
    epochs may differ: that shortens or stretches the rest of the schedule, and the log says which applied.
    """
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        known = {field.name for field in fields(Recipe)}
        made_by = Recipe(**{key: value for key, value in state["recipe"].items() if key in known})
    except Exception as error:  # torch.load raises many unrelated types for a damaged file
        raise WeightsError(f"{path} is not a readable checkpoint: delete it to start again") from error
    if recipe is not None and replace(made_by, epochs=recipe.epochs) != recipe:
        raise WeightsError(f"{path} was made by another recipe ({made_by}): use another folder")
    return state


def load_trained(path: Path) -> CifarNetwork:
    """The network of a checkpoint, in evaluation mode."""
    state = load_checkpoint(path)
    if state is None:
        raise WeightsError(f"no checkpoint at {path}")
    recipe = state["recipe"]
    model = build_model(recipe["model"], classes=class_count(recipe.get("dataset", CIFAR10)))
    model.load_state_dict(state["model"])
    return model.eval()


def _worker(
    rank: int,
    count: int,
    recipe: Recipe,
    images: Tensor,
    labels: Tensor,
    validation: Images,
    folder: Path,
    rendezvous: Path,
    quiet: bool,
) -> None:
    cuda = torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    if count > 1:
        use_threads(1)
        dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=count)
    model = _place(build_model(recipe.model, recipe.seed, class_count(recipe.dataset)), device)
    matrices, others = split_parameters(model)
    optimisers: list[torch.optim.Optimizer] = [
        Muon(matrices, recipe.muon_lr, recipe.momentum),
        torch.optim.AdamW(others, recipe.adam_lr, weight_decay=recipe.weight_decay),
    ]
    initial_rates = [recipe.muon_lr, recipe.adam_lr]
    state = load_checkpoint(folder / CHECKPOINT, recipe)
    log: list[dict[str, Any]] = []
    if state is not None:
        model.load_state_dict(state["model"])
        for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        log = state["log"]
    usable = len(labels) - recipe.validation
    augmenter = Augmenter(images[:usable], labels[:usable], recipe.shift, recipe.seed)
    steps = usable // recipe.batch
    silent = quiet or rank != 0
    console = Console(stderr=True, quiet=silent)
    with progress(console, "steps", disable=silent) as shown:
        bar = shown.add_task("train", total=recipe.epochs * steps, completed=len(log) * steps)
        for epoch in range(len(log), recipe.epochs):
            started = time.time()
            model.train()
            side = recipe.resolution(epoch)
            order = augmenter.order(epoch)
            totals = np.zeros(3)
            for step in range(steps):
                factor = recipe.rate((epoch * steps + step + 0.5) / (recipe.epochs * steps))
                for optimiser, rate in zip(optimisers, initial_rates, strict=True):
                    optimiser.param_groups[0]["lr"] = rate * factor
                whole = order[step * recipe.batch : (step + 1) * recipe.batch]
                pixels, truth = augmenter.batch(whole[rank::count], epoch)
                pixels = standardise(pixels.to(device), validation.mean, validation.std)
                totals += _step(model, optimisers, resize(pixels, side), truth.to(device), recipe, count)
                shown.update(bar, advance=1, description=f"epoch {epoch + 1}/{recipe.epochs}")
            _average(list(model.buffers()), count)
            if rank == 0:
                log.append(
                    {
                        "epoch": epoch + 1,
                        "of": recipe.epochs,
                        "pixels": side,
                        "loss": round(float(totals[0] / totals[2]), 4),
                        "train_accuracy": round(float(totals[1] / totals[2]), 4),
                        "validation_accuracy": round(accuracy(model, validation, side, forward), 4),
                        "seconds": round(time.time() - started, 1),
                    }
                )
                state = {
                    "recipe": asdict(recipe),
                    "model": {key: value.contiguous() for key, value in model.state_dict().items()},
                    "optimisers": [optimiser.state_dict() for optimiser in optimisers],
                    "log": log,
                }
                save_run(folder, state)
                console.print(json.dumps(log[-1]), soft_wrap=True)
            if count > 1:
                dist.barrier()
    if count > 1:
        dist.destroy_process_group()


def _place(model: CifarNetwork, device: torch.device) -> CifarNetwork:
    """On the device, channels last: measured a quarter faster on CPUs."""
    return model.to(device=device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _step(
    model: CifarNetwork,
    optimisers: list[torch.optim.Optimizer],
    pixels: Tensor,
    truth: Tensor,
    recipe: Recipe,
    count: int,
) -> np.ndarray:
    """One update; returns (summed loss, hits, images) of this process's part of the batch."""
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    with mixed_precision(pixels.device):
        logits = forward(model, pixels).float()
    loss = F.cross_entropy(logits, truth, label_smoothing=recipe.label_smoothing)
    for optimiser in optimisers:
        optimiser.zero_grad(set_to_none=True)
    loss.backward()
    _average([parameter.grad for parameter in model.parameters() if parameter.grad is not None], count)
    for optimiser in optimisers:
        optimiser.step()
    hits = int((logits.detach().argmax(1) == truth).sum())
    return np.array([loss.item() * len(truth), hits, len(truth)], dtype=float)


def _average(tensors: list[Tensor], count: int) -> None:
    """Replace each float tensor by its mean over all processes, in one message."""
    floats = [tensor for tensor in tensors if tensor.is_floating_point()]
    if count == 1 or not floats:
        return
    flat = torch.cat([tensor.detach().float().flatten() for tensor in floats]) / count
    dist.all_reduce(flat)
    for tensor, mean in zip(floats, flat.split([tensor.numel() for tensor in floats]), strict=True):
        tensor.detach().copy_(mean.view(tensor.shape))


def save_run(folder: Path, state: dict[str, Any]) -> Path:
    """Write the checkpoint and the log in it; the checkpoint is whole or absent, whenever the process dies."""
    log = state["log"]
    with replacing(folder / CHECKPOINT) as stream:
        torch.save(state, stream)
    with (folder / LOG).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(log[0]))
        writer.writeheader()
        writer.writerows(log)
    return folder / CHECKPOINT


def recipe_for(model: str, **changes: Any) -> Recipe:
    """The recipe of a model with some fields changed (those given as None keep their value)."""
    if model not in RECIPES:
        build_model(model)
        raise GoldenError(f"no training recipe for {model!r}: known are {', '.join(sorted(RECIPES))}")
    return replace(RECIPES[model], **{key: value for key, value in changes.items() if value is not None})
