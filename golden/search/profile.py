"""Profiling of fault-free activations, and the bounds that follow from it directly.

The profile is the element-wise running maximum over the whole training set: one value per neuron, and a
neuron of a convolution is one (channel, row, column), not a channel. Ranger's layer bound is its maximum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from golden.data.dataset import DataSet
from golden.errors import GoldenError
from golden.frontend.activations import Recorder
from golden.frontend.lowering import supported_network
from golden.frontend.modules import evaluation_mode
from golden.networks.evaluate import BATCH, batches
from golden.support.progress import track


@torch.no_grad()
def profile(model: nn.Module, data: DataSet, batch: int = BATCH) -> dict[str, Tensor]:
    """Largest fault-free activation of each neuron, float32 (*neurons), by the name of the activation call.

    ``model`` must have its ordinary ReLUs, and stays as it is. A neuron that never fires gets 0. Raises
    UnsupportedError naming all operators that are not supported.
    """
    if len(data) == 0:
        raise GoldenError("profiling needs at least one image")
    network = supported_network(model, data.taken)
    maxima: dict[str, Tensor] = {}

    def visit(name: str, x: Tensor) -> None:
        # over the images only: each neuron keeps its own maximum; as rows in memory order, 15 times as fast
        rows = x.permute(0, 2, 3, 1) if x.dim() == 4 else x
        largest = rows.flatten(1).amax(dim=0).relu().view(rows.shape[1:])
        largest = largest.permute(2, 0, 1) if x.dim() == 4 else largest
        maxima[name] = torch.maximum(maxima[name], largest) if name in maxima else largest

    with evaluation_mode(network), Recorder(network, visit):
        total = -(-len(data) // batch)
        for pixels, _ in track(batches(data, batch), "profile", total):
            network(pixels)
    return {name: value.contiguous() for name, value in maxima.items()}


def layer_bounds(neuron_maxima: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Ranger's bounds: the largest activation of each layer, float32 ()."""
    return {name: value.amax() for name, value in neuron_maxima.items()}


@dataclass(frozen=True)
class BoundStatistics:
    """``neurons``: activations per image. ``above``: share of fault-free activations above their bound.
    ``mean``: mean bound by activation name."""

    neurons: int
    above: float
    mean: dict[str, float]


@torch.no_grad()
def statistics(model: nn.Module, bounds: Mapping[str, Tensor], data: DataSet) -> BoundStatistics:
    """How far the bounds are from fault-free activations of the unprotected ``model`` on ``data``."""
    network = supported_network(model, data.taken)
    above, neurons = 0, {}

    def visit(name: str, x: Tensor) -> None:
        nonlocal above
        above += int((x > bounds[name]).sum())
        neurons[name] = x[0].numel()

    with evaluation_mode(network), Recorder(network, visit):
        for pixels, _ in batches(data):
            network(pixels)
    total = sum(neurons.values())
    return BoundStatistics(
        total,
        above / (total * len(data)),
        {name: float(bound.mean()) for name, bound in bounds.items()},
    )


def subset(data: DataSet, count: int, seed: int) -> DataSet:
    """``count`` images drawn without replacement."""
    chosen = np.random.default_rng(seed).permutation(len(data))[:count]
    return data.at(chosen)
