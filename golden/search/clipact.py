"""Clip-Act's thresholds: one per layer, zero above it (FT-ClipAct, DATE 2020, arXiv 1912.00941).

Layer by layer, starting at the profiled maximum, an interval search looks for the threshold that maximises
the area under accuracy against fault rate. Layers are searched in the order of execution: what lies before
the layer is then final, and its activations under each fault map are computed once.

Faults strike all layers at once, or only the parameters behind which the searched activation stands, as in the public
toolbox of FitAct's and ProAct's authors (reliable-relu-toolbox): then what lies before is fault-free, one run for all
maps, and a threshold is judged by what it can help.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from golden.bounds.recipes import ThresholdSearch
from golden.data.dataset import DataSet
from golden.frontend.activations import activation_names, apply_bounds
from golden.frontend.lowering import lower_network, supported_network
from golden.networks.evaluate import batches
from golden.qnetwork import INPUT
from golden.search.folded import FoldedNetwork, Parameters, fault_maps
from golden.search.stages import load_stages, save_stages
from golden.support.progress import track


def search(
    model: nn.Module,
    layer_maxima: dict[str, Tensor],
    data: DataSet,
    options: ThresholdSearch,
    checkpoint: Path | None = None,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Thresholds float32 () by activation name, and a record of the search.

    ``model`` is unbounded; if it is an imported network, it becomes bounded. ``data``: training images (a few hundred
    are enough).
    ``checkpoint``: keeps the thresholds of finished layers; a stopped search goes on there.
    """
    began = time.monotonic()
    imported = supported_network(model, data.taken)
    names = activation_names(imported)
    network = FoldedNetwork(lower_network(apply_bounds(imported, layer_maxima, "clip")).layers)
    layers_of = {name: [layer.name for layer in network.layers if layer.call == name] for name in names}
    bounds = {name: layer_maxima[name].float().clone() for name in names}
    done, areas, before = (0, [], 0.0) if checkpoint is None else load_stages(checkpoint, bounds)
    for name in names[:done]:
        network.bounds.update(dict.fromkeys(layers_of[name], bounds[name]))
    runs = (_Runs if options.strike == "all" else _LayerRuns)(network, data, options)
    areas = areas or runs.at_start()
    for number, name in enumerate(track(names[done:], "Clip-Act, layers", len(names), done), done + 1):
        runs.stand_before(layers_of[name][0])
        before_search = runs.at_maximum(areas)
        bounds[name], area = _search_layer(
            runs, network, layers_of[name], float(layer_maxima[name]), before_search, options
        )
        areas.append({"layer": name, "area": area, **runs.facts(before_search)})
        if checkpoint is not None:
            save_stages(checkpoint, bounds, number, areas, before + time.monotonic() - began)
    record = {
        **asdict(options),
        "images": len(data),
        **runs.summary(areas),
        "of_maximum": {name: round(float(bounds[name] / top), 4) for name, top in layer_maxima.items() if top},
        "seconds": round(before + time.monotonic() - began),
    }
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return bounds, record


def _search_layer(
    runs: _Runs, network: FoldedNetwork, layers: list[str], top: float, best: float, options: ThresholdSearch
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

    def __init__(self, network: FoldedNetwork, data: DataSet, options: ThresholdSearch) -> None:
        self._network, self._options, self._at = network, options, 0
        parts = list(batches(data))
        images = [pixels.reshape(len(pixels), *network.layers[0].in_shape) for pixels, _ in parts]
        self._truth = torch.cat([truth for _, truth in parts])
        self._runs = self._start([{INPUT: pixels} for pixels in images])

    def _start(self, values: Values) -> list[list[tuple[Parameters, Values]]]:
        network, options = self._network, self._options
        maps = fault_maps(network, options.rates, options.maps, options.seed)
        return [[(network.decode(words), values) for words in of_rate] for of_rate in maps]

    def stand_before(self, layer: str) -> None:
        """Let every run go on to just before ``layer``, under the bounds as they are."""
        self._advance_to(self._index(layer))

    def at_start(self) -> list[dict[str, Any]]:
        """History before the first layer."""
        return [{"layer": None, "area": self.area()}]

    def at_maximum(self, history: list[dict[str, Any]]) -> float:
        """The area with this layer's bound at its maximum: what the layers before ended with."""
        return float(history[-1]["area"])

    def facts(self, _at_maximum: float) -> dict[str, Any]:
        """What the history of a layer says beside the area found."""
        return {}

    def summary(self, history: list[dict[str, Any]]) -> dict[str, Any]:
        """What the record says of the areas."""
        return {"area_at_maxima": history[0]["area"], "area": history[-1]["area"]}

    def _index(self, layer: str) -> int:
        return next(i for i, known in enumerate(self._network.layers) if known.name == layer)

    @torch.no_grad()
    def _advance_to(self, index: int) -> None:
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


class _LayerRuns(_Runs):
    """The same images under fault maps of one layer: what lies before it is fault-free, one run for all maps."""

    def _start(self, values: Values) -> list[list[tuple[Parameters, Values]]]:
        self._fault_free = self._network.decode(self._network.words)
        return [[(self._fault_free, values)]]

    def stand_before(self, layer: str) -> None:
        """Go on to before the last layer with parameters up to ``layer``, and strike these."""
        network, options = self._network, self._options
        index = self._index(layer)
        struck = next((i for i in range(index, -1, -1) if network.layers[i].name in self._fault_free), None)
        assert struck is not None, "an activation before every parameter"
        (values,) = {id(values): values for of_rate in self._runs for _, values in of_rate}.values()
        self._runs = [[(self._fault_free, values)]]
        self._advance_to(struck)
        values, name = self._runs[0][0][1], network.layers[struck].name
        maps = fault_maps(network, options.rates, options.maps, options.seed, name)
        self._runs = [
            [({**self._fault_free, name: network.decode_layer(name, words)}, values) for words in of_rate]
            for of_rate in maps
        ]

    def at_start(self) -> list[dict[str, Any]]:
        return []

    def at_maximum(self, _history: list[dict[str, Any]]) -> float:
        """Other parameters are struck than in the layer before: the area is taken anew."""
        return self.area()

    def facts(self, at_maximum: float) -> dict[str, Any]:
        return {"area_at_maximum": at_maximum}

    def summary(self, history: list[dict[str, Any]]) -> dict[str, Any]:
        return {"areas": history}
