"""FitAct's post-training: weights frozen, only the bound of each neuron is learned (arXiv 2112.13544).

``min over bounds of CrossEntropy + zeta * mean(bound**2)`` with the smooth activation and Adam, subject to a
drop of the clean accuracy of at most ``delta``, which is measured with the hard form that hardware computes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F

from golden.activations import SmoothBoundedReLU, activation_names, apply_bounds, replace_modules
from golden.bounds import subset
from golden.data import Images
from golden.errors import GoldenError
from golden.evaluate import accuracy, batches


@dataclass(frozen=True)
class PostTraining:
    """Options. ``k``: slope of the smooth form. ``zeta``: weight of bounds in the loss. ``delta``: largest
    accepted drop of hard-form accuracy on validation images (0.003 is 0.3 points). ``lr``: Adam's rate on
    bounds as a fraction of their start. ``images`` of the training set are used per epoch; the drop is
    checked ``checks`` times an epoch."""

    k: float = 20.0
    zeta: float = 1.0
    delta: float = 0.003
    lr: float = 0.005
    epochs: int = 2
    images: int = 8_000
    batch: int = 250
    checks: int = 3
    seed: int = 1

    def __post_init__(self) -> None:
        if min(self.k, self.lr) <= 0 or min(self.zeta, self.delta) < 0 or min(self.epochs, self.checks) < 1:
            raise GoldenError(f"post-training options are out of range: {self}")


class _ScaledBound(SmoothBoundedReLU):
    """Bound = start * scale: a step of Adam is then the same fraction of a small bound and of a large one.

    The objective is unchanged; with absolute steps neurons that rarely fire would be driven to zero.
    """

    def __init__(self, start: Tensor, k: float) -> None:
        super().__init__(start, k)
        del self.bound
        self.start: Tensor
        self.register_buffer("start", start.detach().clone())
        self.scale = nn.Parameter(torch.ones_like(start))

    @property
    def current(self) -> Tensor:
        return self.start * self.scale

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()  # bfloat16 is too coarse for k * (bound - x)
        return torch.relu(x) * torch.sigmoid(self.k * (self.current - x))


def post_train(
    model: nn.Module,
    start: dict[str, Tensor],
    training: Images,
    validation: Images,
    options: PostTraining,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Learned bounds float32 (*neurons) by activation name, and a record of options and history.

    ``model`` has ordinary ReLUs and is not changed. ``start``: profiled maximum of each neuron. The bounds
    returned are the last that met the constraint (the start itself if none did).
    """
    frozen = copy.deepcopy(model).eval().requires_grad_(False)
    names = activation_names(frozen)
    if set(names) != set(start):
        raise GoldenError("post-training needs a starting bound for every activation")
    modules = {name: _ScaledBound(start[name], options.k) for name in names}
    smooth = replace_modules(copy.deepcopy(frozen), modules)
    scales = [module.scale for module in modules.values()]
    optimiser = torch.optim.Adam(scales, lr=options.lr)
    count = sum(scale.numel() for scale in scales)
    limit = accuracy(frozen, validation) - options.delta

    def bounds() -> dict[str, Tensor]:
        return {name: module.current.detach().clone() for name, module in modules.items()}

    best = bounds()
    history: list[dict[str, float]] = []
    steps = -(-min(options.images, len(training)) // options.batch)
    every = max(1, steps // options.checks)
    bar = track(range(options.epochs * steps), description="post-training", console=Console(stderr=True))
    epoch_batches: Iterator[tuple[Tensor, Tensor]] = iter(())
    for step in bar:
        if step % steps == 0:
            part = subset(training, options.images, options.seed + step)
            epoch_batches = batches(part, options.batch)
        pixels, truth = next(epoch_batches)
        with torch.autocast(pixels.device.type, torch.bfloat16):
            logits = smooth(pixels).float()
        penalty = torch.stack([module.current.square().sum() for module in modules.values()]).sum() / count
        loss = F.cross_entropy(logits, truth)
        optimiser.zero_grad(set_to_none=True)
        (loss + options.zeta * penalty).backward()
        optimiser.step()
        with torch.no_grad():
            for scale in scales:
                scale.clamp_(min=0)
        if (step + 1) % every == 0:
            candidate = bounds()
            hard = accuracy(apply_bounds(copy.deepcopy(frozen), candidate, "clip"), validation)
            shrunk = float(sum(bound.sum() for bound in candidate.values()))
            history.append(
                {
                    "step": step + 1,
                    "loss": round(float(loss.detach()), 4),
                    "hard_accuracy": round(hard, 4),
                    "mean_bound": round(shrunk / count, 4),
                }
            )
            if hard < limit:
                break
            best = candidate
    record = {**asdict(options), "optimiser": "Adam on bound / start", "clean_limit": round(limit, 4)}
    return best, {**record, "history": history}
