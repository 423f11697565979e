"""The shipped networks as graphs, kept beside their weights: reading one takes no export, which takes seconds.

`python -m golden.networks.graphs` writes them anew, after a change of :mod:`golden.networks.models`.
"""

from __future__ import annotations

import json
from functools import cache

from golden.errors import WeightsError
from golden.frontend.graph import Graph
from golden.frontend.lowering import import_network
from golden.frontend.network import GraphNetwork
from golden.networks.artefacts import read_artefact, write_artefact
from golden.networks.models import build_model
from golden.networks.registry import NETWORKS, check_model

TAKEN = (3, 32, 32)
"""Shape of the images that the shipped networks take."""


def made_graph(name: str) -> Graph:
    """The graph of a network as its class gives it."""
    return import_network(build_model(name), TAKEN).graph


@cache
def stored_graph(name: str) -> Graph:
    """The same from its file. Raises GoldenError for an unknown name, WeightsError for a damaged file."""
    check_model(name)
    try:
        return Graph.from_json(json.loads(read_artefact(f"{name}_graph.json")))
    except ValueError as error:
        raise WeightsError(f"{name}_graph.json is damaged ({error})") from error


def untrained_network(name: str) -> GraphNetwork:
    """A freshly initialised network as a graph. Raises GoldenError for an unknown name."""
    return GraphNetwork(stored_graph(name), build_model(name).state_dict()).eval()


def write_graphs() -> None:
    """Write the graphs of all shipped networks."""
    for name in NETWORKS:
        text = json.dumps(made_graph(name).to_json(places=False), separators=(",", ":"))
        write_artefact(f"{name}_graph.json", (text + "\n").encode(), {"model": name})


if __name__ == "__main__":
    write_graphs()
