"""The networks: shapes, sizes and replaceable activations."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from golden.errors import GoldenError
from golden.networks.graphs import stored_graph
from golden.networks.models import build_model
from golden.search.profile import profile
from tests.golden.conftest import random_images


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "activations", "millions"),
    [("alexnet", 7, 2.98), ("vgg16", 15, 15.25), ("resnet50", 49, 23.52)],
)
def test_sizes(name: str, activations: int, millions: float) -> None:
    model = build_model(name).eval()
    assert len(stored_graph(name).activations) == activations
    assert parameters(model) / 1e6 == pytest.approx(millions, abs=0.02)
    with torch.no_grad():
        assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_alexnet_neurons() -> None:
    """One bound per neuron of each layer, as published for these shapes (method.md, training.md)."""
    maxima = profile(build_model("alexnet"), random_images(2))
    shapes = [tuple(value.shape) for value in maxima.values()]
    assert shapes == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (192, 8, 8), (192, 8, 8), (512,), (512,)]
    assert sum(value.numel() for value in maxima.values()) == 140_288


def test_vgg16_neurons_of_convolutions() -> None:
    maxima = profile(build_model("vgg16"), random_images(1))
    assert sum(v.numel() for v in maxima.values() if v.ndim == 3) == 276_480


def test_activations_are_separate_instances() -> None:
    for name in ("alexnet", "resnet50"):
        model = build_model(name)
        modules = [model.get_submodule(activation) for activation in stored_graph(name).activations]
        assert len({id(module) for module in modules}) == len(modules)


def test_seed_decides_the_weights() -> None:
    first, again, other = (next(build_model("alexnet", seed).parameters()) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_unknown_model_lists_the_known() -> None:
    with pytest.raises(GoldenError, match=r"'lenet' .*: known are alexnet, vgg16, resnet50"):
        build_model("lenet")
