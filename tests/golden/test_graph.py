"""Graphs: kept in files, executed as networks whose every activation call is a module."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.data.cifar10 import Images
from golden.errors import GoldenError, UnsupportedError
from golden.frontend.activations import BoundedReLU, activation_names, apply_bounds
from golden.frontend.graph import Graph
from golden.frontend.lowering import import_network, lower
from golden.frontend.network import GraphNetwork
from golden.networks.graphs import made_graph, stored_graph
from golden.networks.registry import NETWORKS
from golden.networks.zoo import load_model, load_network
from golden.quantisation.quantise import calibrate, quantise
from golden.search.profile import profile
from tests.golden.agreement import normal

DATA = Images(np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8), np.zeros(8, np.int64))


class Shared(nn.Module):
    """One ReLU at two places, a function, another name of the same module, and a block that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.a, self.b, self.c, self.d = (nn.Conv2d(i, o, 3, padding=1) for i, o in ((3, 4), (4, 8), (8, 8), (8, 8)))
        self.relu = nn.ReLU(inplace=True)
        self.other = self.relu
        self.block = nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU())
        self.fc = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.other(self.b(self.relu(self.a(x))))
        x = self.block(self.block(F.relu(self.c(x))) + x)
        y: Tensor = self.fc(torch.flatten(F.max_pool2d(self.d(x).relu_(), 8), 1))
        return y


def test_every_call_of_an_activation_has_bounds_of_its_own() -> None:
    net = Shared()
    network = import_network(net, (3, 32, 32))
    assert activation_names(network) == list(network.graph.activations)
    assert len(set(activation_names(network))) == 6
    maxima = profile(network, DATA)
    pixels = torch.from_numpy(normal((3, 32, 32), 2)).float()
    with torch.no_grad():
        expected = net(pixels)
        assert torch.allclose(network(pixels), expected, atol=1e-5)
    bounded = apply_bounds(copy.deepcopy(network), maxima, "clip")
    layers = lower(bounded, (3, 32, 32))
    assert [layer.call for layer in layers if layer.call] == activation_names(network)
    for layer in layers:
        if layer.call:
            assert layer.activation == "clip"
            np.testing.assert_array_equal(layer.bound, maxima[layer.call].numpy())
    points = calibrate(network, pixels.numpy(), 16)
    assert [layer.activation for layer in quantise(bounded, points).layers].count("clip") == 6


def test_a_network_that_is_protected_in_part_is_refused() -> None:
    network = import_network(Shared(), (3, 32, 32))
    points = calibrate(network, normal((3, 32, 32)), 16)
    network.block.add_module("1", BoundedReLU(torch.ones(()), "clip"))  # type: ignore[union-attr]
    others = ", ".join(name for name in activation_names(network) if name != "block.1")
    with pytest.raises(UnsupportedError, match=f"activations {others} of Shared have no bounds, others have"):
        quantise(network, points, scheme="fitact")


def test_a_function_that_stays_unprotected_is_refused_too() -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)
            self.bounded = BoundedReLU(torch.ones(()), "clip")

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = F.relu(self.b(self.bounded(self.a(x))))
            return y

    points = calibrate(Half(), normal((3, 8, 8)), 8)
    with pytest.raises(UnsupportedError, match="activations relu of Half have no bounds, others have"):
        quantise(Half(), points)


@pytest.mark.parametrize("name", NETWORKS)
def test_stored_graphs_are_those_of_the_classes(name: str) -> None:
    made, stored = made_graph(name), stored_graph(name)
    assert stored.to_json() == made.to_json(places=False)
    assert stored.activations == load_network(name).activation_calls
    assert set(stored.activations) == {key for key, part in load_model(name).named_modules() if type(part) is nn.ReLU}


@pytest.mark.parametrize("scheme", ["unprotected", "fitact"])
def test_a_stored_network_computes_what_its_module_does(scheme: str) -> None:
    network, module = load_network("alexnet", scheme), load_model("alexnet", scheme)
    pixels = torch.from_numpy(normal((3, 32, 32), 4)).float()
    with torch.no_grad():
        assert torch.allclose(network(pixels), module(pixels), atol=1e-4)
    kept = {key for key in module.state_dict() if not key.endswith("num_batches_tracked")}
    assert set(network.state_dict()) == kept


def test_a_graph_survives_a_file() -> None:
    network = import_network(Shared(), (3, 32, 32))
    again = Graph.from_json(json.loads(json.dumps(network.graph.to_json())))
    assert again.to_json() == network.graph.to_json()
    copied = GraphNetwork(again, network.state_dict())
    pixels = torch.from_numpy(normal((3, 32, 32), 2)).float()
    with torch.no_grad():
        assert torch.equal(copied(pixels), network(pixels))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.pop("output"),
        lambda data: data.update(output="nothing"),
        lambda data: data["ops"].pop(0),
        lambda data: data["ops"][1].update(kind="magic"),
        lambda data: data["ops"][1].update(shape=[1, 2]),
        lambda data: data.update(ops=None),
    ],
)
def test_a_damaged_graph_is_refused(damage: object) -> None:
    data = stored_graph("alexnet").to_json()
    damage(data)  # type: ignore[operator]
    with pytest.raises(GoldenError, match="a network's graph is damaged"):
        Graph.from_json(data)
