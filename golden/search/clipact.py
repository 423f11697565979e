"""Clip-Act's thresholds: one per layer, zero above it (FT-ClipAct, DATE 2020, arXiv 1912.00941).

Layer by layer, starting at the profiled maximum, an interval search looks for the threshold that maximises
the area under accuracy against fault rate. Layers are searched in the order of execution: what lies before
the layer is then final, and its activations under each fault map are computed once.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from golden.data.dataset import DataSet
from golden.frontend.activations import activation_names, apply_bounds
from golden.frontend.lowering import lower
from golden.networks.evaluate import batches
from golden.qnetwork import INPUT
from golden.search.folded import FoldedNetwork, Parameters, fault_maps
from golden.search.stages import load_stages, save_stages
from golden.support.progress import track


@dataclass(frozen=True)
class ClipActSearch:
    """Options. ``rates``: bit error rates of Q15.16 parameter memory, 0 for none; the area is the mean over
    them, so they should be evenly spaced in their logarithm. ``points`` thresholds per ``iterations``, each
    judged on ``images`` training images under ``maps`` fault maps per rate."""

    rates: tuple[float, ...] = (0.0, 1e-6, 1e-5)
    maps: int = 2
    iterations: int = 2
    points: int = 4
    images: int = 150
    seed: int = 1


def search(
    model: nn.Module,
    layer_maxima: dict[str, Tensor],
    data: DataSet,
    options: ClipActSearch,
    checkpoint: Path | None = None,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Thresholds float32 () by activation name, and a record of the search.

    ``model`` is unbounded and becomes bounded. ``data``: training images (a few hundred are enough).
    ``checkpoint``: keeps the thresholds of finished layers; a stopped search goes on there.
    """
    began = time.monotonic()
    names = activation_names(model)
    apply_bounds(model, layer_maxima, "clip")
    network = FoldedNetwork(lower(model, data.taken))
    layers_of = {name: [layer.name for layer in network.layers if layer.call == name] for name in names}
    bounds = {name: layer_maxima[name].float().clone() for name in names}
    done, areas, before = (0, [], 0.0) if checkpoint is None else load_stages(checkpoint, bounds)
    for name in names[:done]:
        network.bounds.update(dict.fromkeys(layers_of[name], bounds[name]))
    runs = _Runs(network, data, options)
    areas = areas or [{"layer": None, "area": runs.area()}]
    for number, name in enumerate(track(names[done:], "Clip-Act, layers", len(names), done), done + 1):
        runs.advance_to(layers_of[name][0])
        bounds[name], area = _search_layer(
            runs, network, layers_of[name], float(layer_maxima[name]), areas[-1]["area"], options
        )
        areas.append({"layer": name, "area": area})
        if checkpoint is not None:
            save_stages(checkpoint, bounds, number, areas, before + time.monotonic() - began)
    record = {
        **asdict(options),
        "images": len(data),
        "area_at_maxima": areas[0]["area"],
        "area": areas[-1]["area"],
        "of_maximum": {name: round(float(bounds[name] / top), 4) for name, top in layer_maxima.items() if top},
        "seconds": round(before + time.monotonic() - began),
    }
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return bounds, record


def _search_layer(
    runs: _Runs, network: FoldedNetwork, layers: list[str], top: float, best: float, options: ClipActSearch
) -> tuple[Tensor, float]:
    """The threshold in (0, ``top``] with the largest area, if that is above ``best``, the area at ``top``; its area.

    The layers of the activation (several where it stands behind a concatenation) are left with that threshold.
    """
    threshold, low, high = top, 0.0, top
    if not top:  # it never fires
        return torch.zeros(()), best
    for _ in range(options.iterations):
        step = (high - low) / options.points
        for candidate in np.linspace(low + step, high, options.points):
            if np.isclose(candidate, threshold):
                continue
            network.bounds.update(dict.fromkeys(layers, torch.tensor(candidate, dtype=torch.float32)))
            value = runs.area()
            if value > best:
                best, threshold = value, float(candidate)
        low, high = max(0.0, threshold - step), min(top, threshold + step)
    found = torch.tensor(threshold, dtype=torch.float32)
    network.bounds.update(dict.fromkeys(layers, found))
    return found, best


Values = list[dict[str, Tensor]]
"""Tensors that are alive at some layer, for each batch of images."""


class _Runs:
    """The same images under every fault map, each run standing before the same layer."""

    def __init__(self, network: FoldedNetwork, data: DataSet, options: ClipActSearch) -> None:
        self._network, self._at = network, 0
        parts = list(batches(data))
        images = [pixels.reshape(len(pixels), *network.layers[0].in_shape) for pixels, _ in parts]
        self._truth = torch.cat([truth for _, truth in parts])
        maps = fault_maps(network, options.rates, options.maps, options.seed)
        self._runs: list[list[tuple[Parameters, Values]]] = [
            [(network.decode(words), [{INPUT: pixels} for pixels in images]) for words in of_rate] for of_rate in maps
        ]

    @torch.no_grad()
    def advance_to(self, layer: str) -> None:
        """Let every run go on to just before ``layer``, under the bounds as they are."""
        index = next(i for i, known in enumerate(self._network.layers) if known.name == layer)
        self._runs = [
            [(parameters, self._advance(parameters, values, index)) for parameters, values in of_rate]
            for of_rate in self._runs
        ]
        self._at = index

    @torch.no_grad()
    def area(self) -> float:
        """Mean over the rates of the mean accuracy of their maps."""
        last = self._network.layers[-1].name
        means = []
        for of_rate in self._runs:
            hits = []
            for parameters, values in of_rate:
                ends = self._advance(parameters, values, len(self._network.layers))
                top1 = torch.cat([end[last].flatten(1).argmax(1) for end in ends])
                hits.append(float((top1 == self._truth).double().mean()))
            means.append(np.mean(hits))
        return float(np.mean(means))

    def _advance(self, parameters: Parameters, values: Values, index: int) -> Values:
        self._network.parameters_of = parameters
        return [self._network.advance(part, self._at, index) for part in values]
