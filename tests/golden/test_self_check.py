"""The checks that are always on notice what they are there for: a graph or a layer that computes something else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.errors import UnsupportedError
from golden.frontend.activations import BoundedReLU, apply_bounds
from golden.frontend.check import _share, check_import, check_layers, probe
from golden.frontend.layers import FloatLayer
from golden.frontend.lowering import import_network, lower_network
from golden.frontend.network import GraphNetwork
from tests.golden.spelled import conv, net

IMAGE = (3, 9, 8)
IMAGES = probe(IMAGE, 3)


def module() -> nn.Module:
    """Two activations, one of them clipped, a shortcut, both pools, padding that differs from side to side."""
    return net(
        lambda m, x: m.d(
            F.avg_pool2d(F.relu(m.b(y := F.relu6(4 * m.a(F.pad(x, (0, 1, 1, 0))))) + m.c(y)), (3, 2), 1, (1, 1))
        ),
        a=conv(3, 4, padding=0), b=conv(4, 4), c=conv(4, 4, 1), d=conv(4, 3, 1),
    )  # fmt: skip


@lru_cache(maxsize=1)
def imported() -> GraphNetwork:
    return import_network(module(), IMAGE)


def network() -> GraphNetwork:
    return copy.deepcopy(imported())


def test_nothing_to_complain_about() -> None:
    check_import(module(), network(), IMAGES)
    check_layers(network(), lower_network(network()), IMAGES)
    kinds = {layer.kind for layer in lower_network(network()).layers}
    assert kinds == {"conv", "avgpool"}


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize(("factor", "refused"), [(3e-3, True), (2e-6, False)])
def test_another_weight_is_noticed_and_rounding_is_not(factor: float, double: bool, refused: bool) -> None:
    """In float32 differences of 1e-4 are rounding, in float64 those of 1e-7."""
    own, graph = module(), network()
    if double:
        own, factor = own.double(), factor * 1e-3
    own.get_parameter("a.weight").data *= 1 + factor
    if refused:
        with pytest.raises(UnsupportedError, match="computes something else than its graph"):
            check_import(own, graph.double(), IMAGES)
    else:
        check_import(own, graph.double(), IMAGES)


def test_one_wrong_output_of_one_image_is_enough() -> None:
    """In either direction, and not a number where there should be one."""
    for wrong in (1.0, -1.0, torch.nan, torch.inf):

        class Wrong(nn.Module):
            def __init__(self, inner: nn.Module, value: float) -> None:
                super().__init__()
                self.inner, self.value = inner, value

            def forward(self, x: Tensor) -> Tensor:
                y: Tensor = self.inner(x).clone()
                y.view(-1)[7] += self.value
                return y

        graph = network()
        graph.forward = Wrong(copy.deepcopy(graph), wrong).forward  # type: ignore[method-assign]
        with pytest.raises(UnsupportedError, match="computes something else"):
            check_import(module(), graph, IMAGES)


def test_shares_are_of_the_largest_output() -> None:
    ones = torch.ones(2, 3)
    assert _share(torch.tensor([4.0, -8.0, 0.5]), torch.tensor([4.0, -8.0, 1.5])) == pytest.approx(1 / 8)
    assert _share(torch.tensor([4.0, -8.0, 0.5]), torch.tensor([3.0, -8.0, 0.5])) == pytest.approx(1 / 8)
    assert _share(ones * torch.inf, ones) == 0.0, "what overflows in the network itself is left out"
    assert _share(ones, ones * torch.nan) == torch.inf
    assert _share(0 * ones, ones) == 1.0


def changed(name: str, change: Callable[[FloatLayer], FloatLayer]) -> None:
    """The layers of the network with one of them changed are refused, and it is named."""
    graph = network()
    lowered = lower_network(graph)
    lowered.layers[:] = [change(layer) if layer.name == name else layer for layer in lowered.layers]
    with pytest.raises(UnsupportedError, match=f"layer {name} computes something else than "):
        check_layers(graph, lowered, IMAGES)


def test_a_changed_layer_is_named() -> None:
    layers = {layer.name: layer for layer in lower_network(network()).layers}
    [shortcut] = [name for name, layer in layers.items() if layer.residual]
    [pool] = [name for name, layer in layers.items() if layer.kind == "avgpool"]
    [clipped] = [name for name, layer in layers.items() if layer.limit]
    last = next(reversed(layers))
    for name in (clipped, shortcut, last):
        changed(name, lambda layer: replace(layer, weight=np.asarray(layer.weight) * (1 + 1e-5)))
        changed(name, lambda layer: replace(layer, bias=layer.bias + 1e-4))
    changed(shortcut, lambda layer: replace(layer, residual=None))
    changed(shortcut, lambda layer: replace(layer, activation="linear"))
    changed(clipped, lambda layer: replace(layer, limit=None))
    changed(clipped, lambda layer: replace(layer, padding=(0, 0, 1, 1)))
    changed(clipped, lambda layer: replace(layer, padding=(1, 1, 0, 0)))
    changed(pool, lambda layer: replace(layer, padding=(2, 2, 0, 0)))


def test_bounds_are_left_out_on_both_sides_and_come_back() -> None:
    """A value at its bound may be cut off by rounding; what saturates by itself still does."""
    graph = network()
    bounds = {name: torch.full((), 0.3) for name in graph.graph.activations}
    bounded = apply_bounds(copy.deepcopy(graph), bounds, "clip")
    assert isinstance(bounded, GraphNetwork)
    check_import(module(), bounded, IMAGES)
    lowered = lower_network(bounded)
    check_layers(bounded, lowered, IMAGES)
    kept = [part.bound for part in bounded.modules() if isinstance(part, BoundedReLU)]
    assert [float(bound) for bound in kept] == pytest.approx([0.3] * len(bounds))
    clipped = [part for part in bounded.modules() if isinstance(part, BoundedReLU) and part.limit]
    clipped[0].limit = 3.0
    with pytest.raises(UnsupportedError, match="computes something else"):
        check_import(module(), bounded, IMAGES)


def test_a_small_sum_of_large_terms_is_judged_in_float64() -> None:
    """Its float32 output is noise, and so is its difference; beyond 5 % it would be another network anyway."""
    head = nn.Linear(4000, 1, bias=False)
    graph = copy.deepcopy(import_network(head, (4000,)))  # it shares its parameters with the module
    images = np.random.default_rng(0).standard_normal((4, 4000))
    weight = head.weight.detach().double().numpy()[0]
    # images that are nearly at right angles to the weights
    images -= np.outer(images @ weight * (1 - 1e-4), weight) / (weight @ weight)
    with torch.no_grad():
        x = torch.from_numpy(images)
        noise = head(x.float()).double() - copy.deepcopy(head).double()(x)
        outputs = copy.deepcopy(head).double()(x)
    assert 2e-4 < float(noise.abs().max() / outputs.abs().max()) < 0.04, "float32 rounds that much"
    [name] = {name for op in graph.graph.ops for name in op.tensors.values()}
    check_import(head, graph, images)
    graph.tensor(name).data *= 1.001
    with pytest.raises(UnsupportedError, match="computes something else"):
        check_import(head, graph, images)
