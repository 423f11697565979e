"""From an ``nn.Module`` to fused float layers: imported, fused and compared, step by step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from golden.errors import GoldenError
from golden.frontend.aten import import_module
from golden.frontend.check import check_import, check_layers, probe
from golden.frontend.fuse import Lowered, fuse
from golden.frontend.layers import FloatLayer
from golden.frontend.network import GraphNetwork


def import_network(model: nn.Module, taken: Sequence[int]) -> GraphNetwork:
    """``model`` as a graph whose activation calls are modules, for images of shape ``taken``, (channels, rows, columns)
    or what the network takes.

    ``model`` stays as it is. Raises UnsupportedError in one line for what torch.export cannot follow and for a network
    that computes something else than its graph; operators without a counterpart stay in the graph, as ``unknown``.
    """
    if isinstance(model, GraphNetwork):
        return model
    network = import_module(model, tuple(int(size) for size in taken))
    if not any(op.kind == "unknown" for op in network.graph.ops):
        for count in (3, 1):  # neither is the number of images of the export
            check_import(model, network, probe(network.graph.taken, count))
    return network


def supported_network(model: nn.Module, taken: Sequence[int]) -> GraphNetwork:
    """The same, but UnsupportedError names all operators without a counterpart, with their places."""
    network = import_network(model, taken)
    if any(op.kind == "unknown" for op in network.graph.ops):
        lower_network(network)
    return network


def lower(model: nn.Module, input_shape: Sequence[int] = (3, 32, 32)) -> list[FloatLayer]:
    """Fused float layers of ``model`` in execution order, for images of ``input_shape``; the last one gives the logits.

    ``model`` stays as it is. Raises UnsupportedError naming all operators without a counterpart and their places,
    GoldenError for parameters that are NaN or infinite.
    """
    return lower_network(import_network(model, input_shape)).layers


def lower_network(network: GraphNetwork) -> Lowered:
    """The same of an imported network, with the operations that each layer stands for."""
    lowered = fuse(network)
    for layer in lowered.layers:
        for what, values in (("weight", layer.weight), ("bias", layer.bias)):
            if values is not None and not np.isfinite(values).all():
                raise GoldenError(f"layer {layer.name} ({layer.node}) has a {what} that is NaN or infinite")
    return lowered


__all__ = ["check_layers", "import_network", "lower", "lower_network", "supported_network"]
