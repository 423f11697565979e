"""Graph to fused layers: equal to the network in float64, and clear about what it cannot do."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from golden.frontend.activations import BoundedReLU, activation_names, apply_bounds
from golden.frontend.lowering import import_network, lower
from golden.networks.models import build_model
from golden.qnetwork import INPUT
from golden.search.folded import FoldedNetwork
from tests.golden.conftest import TinyNet


def randomise_norms(model: nn.Module) -> nn.Module:
    """BatchNorm as after training: statistics and gains that differ by channel."""
    torch.manual_seed(3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
            assert module.running_mean is not None
            module.running_mean.normal_(0, 0.1)
    return model.eval()


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "resnet50"])
def test_layers_compute_what_the_network_computes(name: str) -> None:
    model = randomise_norms(build_model(name))
    layers = lower(model)
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        expected = model(x)
        got = FoldedNetwork(layers)(x)
    # parameters are rounded to Q15.16 there
    assert (got - expected).abs().max() < 0.01 * max(1.0, float(expected.abs().max()))


def test_alexnet_layers() -> None:
    layers = lower(build_model("alexnet"))
    assert [layer.name for layer in layers] == [
        "conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool3", "fc1", "fc2", "fc3",
    ]  # fmt: skip
    assert [layer.activation for layer in layers if layer.kind == "conv"] == ["relu"] * 7 + ["linear"]
    assert layers[8].in_shape == (192, 4, 4)
    assert layers[8].kernel == 4
    assert layers[0].source == INPUT


def test_resnet_residuals_read_an_earlier_layer() -> None:
    layers = lower(build_model("resnet50"))
    order = {layer.name: index for index, layer in enumerate(layers)}
    adding = [layer for layer in layers if layer.residual is not None]
    assert len(adding) == 16
    for layer in adding:
        assert layer.activation == "relu"
        assert layer.residual is not None
        assert order[layer.residual] < order[layer.name]
    assert layers[-2].kind == "avgpool"
    assert layers[-2].kernel == 4


def test_bounds_reach_their_layers(tiny_net: TinyNet) -> None:
    x = torch.randn(1, 3, 8, 8)
    names = activation_names(import_network(tiny_net, (3, 8, 8)))
    assert len(names) == 3
    bounds = {name: torch.rand(shape) for name, shape in zip(names, [(8, 8, 8), (8, 8, 8), (16,)], strict=True)}
    bounded = apply_bounds(copy.deepcopy(tiny_net), bounds, "clip")
    layers = {layer.name: layer for layer in lower(bounded, (3, 8, 8))}
    assert layers["conv1"].activation == layers["conv2"].activation == layers["fc1"].activation == "clip"
    np.testing.assert_array_equal(layers["conv2"].bound, bounds[names[1]].numpy())
    assert layers["fc1"].bound is not None
    assert layers["fc1"].bound.shape == (16, 1, 1)
    assert layers["conv2"].residual == "conv1"
    assert layers["fc2"].activation == "linear"
    with torch.no_grad():
        network = FoldedNetwork(list(layers.values()))
        np.testing.assert_allclose(network(x), bounded(x), atol=2e-3)


class Wrapped(nn.Module):
    """A module with one more operation than a convolution, to be refused."""

    def __init__(self, last: nn.Module | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.last = last or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.conv(x))
        return y


def test_functional_forms_are_understood() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.drop = nn.Dropout()
            self.head = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.drop(self.pool(torch.nn.functional.relu(self.conv(x))))
            return self.head(y.view(y.size(0), -1))

    layers = lower(Functional(), (3, 4, 4))
    assert [(layer.kind, layer.activation) for layer in layers] == [
        ("conv", "relu"),
        ("avgpool", "linear"),
        ("conv", "linear"),
    ]


def test_activation_kinds() -> None:
    bound = torch.full((4, 8, 8), 0.5)
    layers = lower(Wrapped(last=BoundedReLU(bound, "saturate")), (3, 8, 8))
    assert layers[0].activation == "saturate"


def test_bounds_of_a_flattened_activation_are_those_of_its_layer() -> None:
    bound = torch.rand(4 * 8 * 8)
    last = nn.Sequential(nn.Flatten(), BoundedReLU(bound, "clip"))
    [layer] = lower(Wrapped(last=last), (3, 8, 8))
    assert layer.activation == "clip"
    assert layer.bound is not None
    np.testing.assert_array_equal(layer.bound.ravel(), bound.double().numpy())


def test_bounds_in_another_arrangement_find_their_neurons() -> None:
    class Rearranged(Wrapped):
        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.last(self.conv(x).permute(0, 2, 3, 1).flatten(1))
            return y

    bound = torch.rand(4 * 8 * 8)
    layers = lower(nn.Sequential(Rearranged(last=BoundedReLU(bound, "clip")), nn.Linear(256, 5)), (3, 8, 8))
    assert layers[0].bound is not None
    np.testing.assert_array_equal(layers[0].bound, bound.double().numpy().reshape(8, 8, 4).transpose(2, 0, 1))
    assert layers[1].weight is not None
    assert layers[1].weight.shape == (5, 4, 8, 8)


def test_a_clip_keeps_its_limit_under_every_scheme() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU6(), nn.Conv2d(4, 4, 1), nn.Hardtanh(0, 2))
    layers = lower(copy.deepcopy(net), (3, 8, 8))
    assert [(layer.activation, float(layer.bound or 0)) for layer in layers] == [("saturate", 6), ("saturate", 2)]
    bounds = {"1": torch.full((4, 8, 8), 7.0), "3": torch.full((4, 8, 8), 1.5)}
    for mode in ("clip", "saturate"):
        bounded = lower(apply_bounds(copy.deepcopy(net), bounds, mode), (3, 8, 8))
        assert [layer.activation for layer in bounded] == ["saturate", "saturate"]
        assert [float(np.max(layer.bound)) for layer in bounded if layer.bound is not None] == [6, 1.5]


def test_layers_that_cost_nothing() -> None:
    """Rearrangements, scales and zeros around are folded into the weights that read them."""
    conv, linear = nn.Conv2d(3, 4, 3), nn.Linear(144, 5)

    class Folded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.linear = conv, linear

        def forward(self, x: Tensor) -> Tensor:
            x = torch.nn.functional.pad(x[:, [2, 0, 1]] / 2, (0, 1, 0, 1))
            y: Tensor = self.linear((self.conv(x).relu() * 3)[:, :, :6].permute(0, 3, 2, 1).flatten(1)[:, :144])
            return y

    layers = lower(Folded(), (3, 7, 7))
    assert [layer.name for layer in layers] == ["conv1", "fc1"]
    assert layers[0].padding == (0, 0, 1, 1)
    assert layers[0].weight is not None
    np.testing.assert_allclose(layers[0].weight, conv.weight.detach().double()[:, [1, 2, 0]] / 2)
