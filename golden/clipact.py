"""Clip-Act's thresholds: one per layer, zero above it (FT-ClipAct, DATE 2020, arXiv 1912.00941).

Layer by layer, starting at the profiled maximum, an interval search looks for the threshold that maximises
the area under accuracy against fault rate (method.md; details of the paper are from memory).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from golden.activations import activation_names, apply_bounds
from golden.data import Images
from golden.evaluate import batches
from golden.folded import FoldedNetwork, accuracy_under_faults
from golden.lowering import lower


@dataclass(frozen=True)
class ClipActSearch:
    """Options. ``rates``: bit error rates of Q15.16 parameter memory, 0 for none; the area is the mean over
    them, so they should be evenly spaced in their logarithm. ``points`` thresholds per ``iterations``."""

    rates: tuple[float, ...] = (0.0, 1e-6, 1e-5)
    maps: int = 2
    iterations: int = 2
    points: int = 4
    seed: int = 1


def search(
    model: nn.Module, layer_maxima: dict[str, Tensor], data: Images, options: ClipActSearch
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Thresholds float32 () by activation name, and a record of the search.

    ``model`` is unbounded and becomes bounded. ``data``: training images (a few hundred are enough).
    """
    names = activation_names(model)
    apply_bounds(model, layer_maxima, "clip")
    network = FoldedNetwork(lower(model))
    layer_of = dict(zip(names, network.bounds, strict=True))
    pixels, truth = next(batches(data, len(data)))

    def area() -> float:
        rates = accuracy_under_faults(network, pixels, truth, options.rates, options.maps, options.seed)
        return float(rates.mean())

    best = start = area()
    for name in track(names, description="Clip-Act", console=Console(stderr=True)):
        layer, top = layer_of[name], float(layer_maxima[name])
        threshold, low, high = top, 0.0, top
        for _ in range(options.iterations):
            step = (high - low) / options.points
            for candidate in np.linspace(low + step, high, options.points):
                if np.isclose(candidate, threshold):
                    continue
                network.bounds[layer] = torch.tensor(candidate, dtype=torch.float32)
                value = area()
                if value > best:
                    best, threshold = value, float(candidate)
            low, high = max(0.0, threshold - step), min(top, threshold + step)
        network.bounds[layer] = torch.tensor(threshold, dtype=torch.float32)
    bounds = {name: network.bounds[layer_of[name]] for name in names}
    record = {**asdict(options), "images": len(data), "area_at_maxima": start, "area": best}
    record["of_maximum"] = {name: round(float(bounds[name] / layer_maxima[name]), 4) for name in names}
    return bounds, record
