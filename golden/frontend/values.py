"""What a network computes for images, at the nodes that its layers stand for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from golden.frontend.layers import FloatLayer
from golden.frontend.modules import evaluation_mode, float_type, in_one_type
from golden.frontend.tracing import trace_module


class _Keeper(fx.Interpreter):
    """Runs a traced network and keeps the values of some nodes."""

    def __init__(self, module: fx.GraphModule, wanted: set[str]) -> None:
        super().__init__(module)
        self.wanted = wanted
        self.kept: dict[str, np.ndarray] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n.name in self.wanted:
            self.kept[n.name] = value.numpy()
        return value


def layer_values(model: nn.Module, pixels: np.ndarray, layers: Iterable[FloatLayer]) -> dict[str, np.ndarray]:
    """Output of each layer by its name, float32 (float64 if the network is), as ``model`` itself computes it.

    ``pixels``: images (count, channels, rows, columns) as the network takes them.
    """
    model = in_one_type(model)
    node_of = {layer.name: layer.node for layer in layers}
    shape = (int(pixels.shape[1]), int(pixels.shape[2]), int(pixels.shape[3]))
    keeper = _Keeper(trace_module(model, shape), set(node_of.values()))
    with evaluation_mode(model), torch.no_grad():
        keeper.run(torch.from_numpy(pixels).to(float_type(model)))
    return {name: keeper.kept[node] for name, node in node_of.items()}
