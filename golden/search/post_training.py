"""Post-training: weights frozen, only bounds are learned (FitAct, arXiv 2112.13544; ProAct, arXiv 2406.06313).

``min over bounds of Loss + zeta * mean(bound**2)`` with the smooth activation and Adam, subject to a drop of the
clean accuracy of at most ``delta``, which is measured with the hard form that hardware computes. FitAct learns
all bounds at once with cross entropy; ProAct layer by layer, and with knowledge distillation.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.bounds.recipes import PostTraining
from golden.data.dataset import DataSet
from golden.errors import GoldenError
from golden.frontend.activations import Recorder, SmoothBoundedReLU, activation_names, apply_bounds, replace_modules
from golden.frontend.lowering import supported_network
from golden.frontend.network import GraphNetwork
from golden.networks.evaluate import accuracy, batches
from golden.search.profile import subset
from golden.search.stages import load_stages, save_stages
from golden.support.precision import mixed_precision
from golden.support.progress import track

_ACTIVATIONS_PER_BATCH = 150_000_000
"""Limits the memory of one step: some 20 bytes are kept for each neuron and image."""


def batch_of(options: PostTraining, neurons: int) -> int:
    """Images per step for a network with that many neurons."""
    return options.batch or max(8, min(250, _ACTIVATIONS_PER_BATCH // neurons))


class _ScaledBound(SmoothBoundedReLU):
    """Bound = start * scale: a step of Adam is then the same fraction of a small bound and of a large one.

    The objective is unchanged; with absolute steps neurons that rarely fire would be driven to zero.
    ``group``: int64 of ``start``'s shape; neurons of a group have one scale.
    """

    def __init__(self, start: Tensor, k: float, group: Tensor | None = None) -> None:
        super().__init__(start, k)
        del self.bound
        self.start: Tensor
        self.group: Tensor | None
        self.register_buffer("start", start.detach().clone())
        self.register_buffer("group", None if group is None else group.flatten())
        scales = torch.ones_like(start) if group is None else start.new_ones(int(group.max()) + 1)
        self.scale = nn.Parameter(scales, requires_grad=False)

    @property
    def current(self) -> Tensor:
        if self.group is None:
            return self.start * self.scale
        return self.start * self.scale.index_select(0, self.group).view_as(self.start)

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()  # bfloat16 is too coarse for k * (bound - x)
        return torch.relu(x) * torch.sigmoid(self.k * (self.current - x))


def post_train(
    model: nn.Module,
    start: dict[str, Tensor],
    training: DataSet,
    validation: DataSet,
    options: PostTraining,
    stages: Sequence[Sequence[str]] = (),
    checkpoint: Path | None = None,
    groups: Mapping[str, Tensor] | None = None,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Learned bounds float32, in the shapes of ``start``, by activation name; and a record of options, history and the
    accuracy (0..1) of the smooth form with the first and with the learned bounds, on all of ``validation``.

    ``model`` has ordinary ReLUs and is not changed. ``start``: profiled maximum, () of a layer or (*neurons).
    ``stages``: activations that are learned together, one group after the other (default: all in one).
    ``checkpoint``: file that keeps what is learned after each stage, and from which a stopped run goes on (one for
    each model, start, images and options); removed at the end. ``groups``: int64 in the shapes of ``start``, neurons
    with the same index share what is learned (default: none do). The bounds returned are the last that met the
    constraint (the start itself if none did). Raises GoldenError if a bound is missing or a stage names an
    unknown activation.
    """
    network = supported_network(model, training.taken)
    names = activation_names(network)
    stages = stages or [names]
    if set(names) != set(start) or not {name for stage in stages for name in stage} <= set(names):
        raise GoldenError("post-training needs a starting bound for every activation, and stages of activations")
    began = time.monotonic()
    learner = _Learner(network, start, training, validation, options, groups or {})
    smooth_before = accuracy(learner.smooth, validation)
    scales = {name: module.scale for name, module in learner.modules.items()}
    done, history, before = (0, [], 0.0) if checkpoint is None else load_stages(checkpoint, scales)
    quiet = len(stages) == 1
    for number, stage in enumerate(track(stages, "post-training, stages", quiet=quiet)):
        if number < done:
            continue
        allowed = options.delta * (number + 1) / len(stages)  # the first stages must not use it all up
        history += learner.learn(stage, number, learner.clean - allowed, show=quiet)
        if checkpoint is not None:
            save_stages(checkpoint, scales, number + 1, history, before + time.monotonic() - began)
    limit = round(learner.clean - options.delta, 4)
    record = {**asdict(options), "optimiser": "Adam on bound / start", "clean_limit": limit}
    facts = {"batch": learner.batch, "stages": len(stages), "seconds": round(before + time.monotonic() - began)}
    smooth = {"before": round(smooth_before, 4), "after": round(accuracy(learner.smooth, validation), 4)}
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return learner.bounds(), {**record, **facts, "smooth_accuracy": smooth, "history": history}


class _Learner:
    """A network with the smooth form at its current bounds, and the frozen one that it started from."""

    def __init__(
        self,
        network: GraphNetwork,
        start: dict[str, Tensor],
        training: DataSet,
        validation: DataSet,
        options: PostTraining,
        groups: Mapping[str, Tensor],
    ) -> None:
        self.options, self.training = options, training
        self.validation = validation.part(0, options.validation)
        self.frozen = copy.deepcopy(network).eval().requires_grad_(False)
        self.modules = {
            name: _ScaledBound(start[name], options.k, groups.get(name)) for name in activation_names(network)
        }
        self.smooth = replace_modules(copy.deepcopy(self.frozen), self.modules).eval()
        self.clean = accuracy(self.frozen, self.validation)
        self.batch = batch_of(options, _neurons(self.frozen, training))

    def bounds(self) -> dict[str, Tensor]:
        """Copies of the current bounds."""
        return {name: module.current.detach().clone() for name, module in self.modules.items()}

    def learn(self, stage: Sequence[str], number: int, limit: float, show: bool) -> list[dict[str, Any]]:
        """Learn the bounds of ``stage``; the last that keep the accuracy at ``limit`` stay. Returns the history."""
        options = self.options
        scales = [self.modules[name].scale for name in stage]
        best = [scale.detach().clone() for scale in scales]
        for scale in scales:
            scale.requires_grad_(True)
        optimiser, backoffs = torch.optim.Adam(scales, lr=options.lr), 0
        steps = -(-min(options.images, len(self.training)) // self.batch)
        every = max(1, steps // options.checks)
        history: list[dict[str, Any]] = []
        epoch_batches: Iterator[tuple[Tensor, Tensor]] = iter(())
        for step in track(range(options.epochs * steps), "post-training", quiet=not show):
            if step % steps == 0:
                part = subset(self.training, options.images, options.seed + 1_000 * number + step)
                epoch_batches = batches(part, self.batch)
            loss = self._step(stage, optimiser, *next(epoch_batches))
            if (step + 1) % every == 0:
                hard = accuracy(apply_bounds(copy.deepcopy(self.frozen), self.bounds(), "clip"), self.validation)
                mean = torch.cat([self.modules[name].current.detach().flatten() for name in stage]).mean()
                facts = {"loss": round(loss, 4), "hard_accuracy": round(hard, 4), "mean_bound": round(float(mean), 4)}
                history.append({"stage": number, "step": step + 1, **facts})
                if hard >= limit:
                    best = [scale.detach().clone() for scale in scales]
                    continue
                backoffs += 1
                if backoffs > options.backoffs:
                    break
                _restore(scales, best)
                optimiser = torch.optim.Adam(scales, lr=options.lr / 2**backoffs)
        for scale in scales:
            scale.requires_grad_(False)
        _restore(scales, best)
        return history

    def _step(self, stage: Sequence[str], optimiser: torch.optim.Optimizer, pixels: Tensor, truth: Tensor) -> float:
        """One update; returns the loss without the bounds' part."""
        options = self.options
        with mixed_precision(pixels.device):
            logits = self.smooth(pixels).float()
            with torch.no_grad():
                teacher = self.frozen(pixels).float() if options.distil else None
        loss = (1 - options.distil) * F.cross_entropy(logits, truth)
        if teacher is not None:
            loss = loss + options.distil * distillation(logits, teacher, options.temperature)
        current = [self.modules[name].current for name in stage]
        penalty = torch.stack([bound.square().sum() for bound in current]).sum() / sum(b.numel() for b in current)
        optimiser.zero_grad(set_to_none=True)
        (loss + options.zeta * penalty).backward()
        optimiser.step()
        with torch.no_grad():
            for name in stage:
                self.modules[name].scale.clamp_(min=0)
        return float(loss.detach())


@torch.no_grad()
def _restore(scales: Sequence[Tensor], kept: Sequence[Tensor]) -> None:
    for scale, value in zip(scales, kept, strict=True):
        scale.copy_(value)


def distillation(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of softened distributions, times temperature squared (Hinton et al. 2015).

    Both float32 (batch, classes); the mean over the batch is returned.
    """
    softened = F.log_softmax(logits / temperature, 1), F.log_softmax(teacher / temperature, 1)
    return F.kl_div(*softened, reduction="batchmean", log_target=True) * temperature**2


@torch.no_grad()
def _neurons(network: GraphNetwork, data: DataSet) -> int:
    """Activations per image."""
    counts: list[int] = []
    with Recorder(network, lambda _name, x: counts.append(x[0].numel())):
        network(data.part(0, 1).tensor().to(next(iter(network.state_dict().values())).device))
    return sum(counts)
