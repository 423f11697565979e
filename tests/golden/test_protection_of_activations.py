"""Every activation is bounded or refused by name: none is left unprotected silently."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.bounds.recipes import PostTraining, ThresholdSearch
from golden.data.cifar10 import Images
from golden.errors import GoldenError, UnsupportedError
from golden.frontend.activations import BoundedReLU, Mode, activation_names, apply_bounds
from golden.frontend.lowering import import_network, lower
from golden.networks.evaluate import accuracy
from golden.search.clipact import search
from golden.search.post_training import post_train
from golden.search.profile import profile, statistics

DATA = Images(np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8), np.zeros(8, np.int64))


class Net(nn.Module):
    """Two convolutions of ``a`` and ``b`` channels, each with an activation of its own."""

    def __init__(self, first: Callable[[Tensor], Tensor], second: Callable[[Tensor], Tensor], a: int = 8, b: int = 8):
        super().__init__()
        torch.manual_seed(1)
        self.c1, self.c2 = nn.Conv2d(3, a, 3, padding=1), nn.Conv2d(a, b, 3, padding=1)
        self.r1, self.r2 = first, second
        self.pool, self.fc = nn.MaxPool2d(8), nn.Linear(b * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.r2(self.c2(self.r1(self.c1(x))))
        y: Tensor = self.fc(torch.flatten(self.pool(x), 1))
        return y


def relu_method(x: Tensor) -> Tensor:
    return x.relu()


SHARED = nn.ReLU()


class Twice(Net):
    """One module, called again under its only name."""

    def __init__(self) -> None:
        super().__init__(nn.ReLU(), nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        x = self.r1(self.c2(self.r1(self.c1(x))))
        y: Tensor = self.fc(torch.flatten(self.pool(x), 1))
        return y


CALLS: dict[str, tuple[Callable[[], nn.Module], list[str]]] = {
    "modules": (lambda: Net(nn.ReLU(), nn.ReLU()), ["r1", "r2"]),
    "function": (lambda: Net(F.relu, nn.ReLU()), ["relu", "r2"]),
    "both functions": (lambda: Net(F.relu, torch.relu), ["relu", "relu#2"]),
    "method": (lambda: Net(nn.ReLU(), relu_method), ["r1", "relu"]),
    "in place": (lambda: Net(nn.ReLU(), torch.relu_), ["r1", "relu"]),
    "shared": (lambda: Net(SHARED, SHARED), ["r1", "r2"]),
    "shared, other shape": (lambda: Net(SHARED, SHARED, 8, 16), ["r1", "r2"]),
    "shared, broadcast": (lambda: Net(SHARED, SHARED, 1, 16), ["r1", "r2"]),
    "called twice": (Twice, ["r1", "r1#2"]),
    "clip": (lambda: Net(nn.ReLU(), lambda x: x.clamp(0, 6)), ["r1", "clamp"]),
    "ReLU6": (lambda: Net(nn.ReLU(), nn.ReLU6()), ["r1", "r2"]),
}
"""Networks, and the names of their activation calls."""


@pytest.mark.parametrize("kind", list(CALLS))
@pytest.mark.parametrize("mode", ["clip", "saturate"])
def test_every_call_has_a_profile_and_a_bound_of_its_own(kind: str, mode: Mode) -> None:
    build, names = CALLS[kind]
    net = build()
    maxima = profile(net, DATA)
    assert list(maxima) == names
    network = import_network(net, DATA.taken)
    assert activation_names(network) == names
    layers = [layer for layer in lower(apply_bounds(network, maxima, mode)) if layer.activation != "linear"]
    assert [layer.call for layer in layers] == names
    for layer, (name, bound) in zip(layers, maxima.items(), strict=True):
        limited = kind in ("clip", "ReLU6") and name == names[1]
        assert layer.activation == ("saturate" if limited else mode)
        np.testing.assert_array_equal(layer.bound, np.minimum(bound.numpy(), 6 if limited else np.inf))


@pytest.mark.parametrize("kind", [kind for kind in CALLS if kind not in ("modules", "ReLU6")])
def test_calls_that_are_no_modules_are_named_where_modules_are_replaced(kind: str) -> None:
    build, names = CALLS[kind]
    net = build()
    other = names[1:] if names[0] == "r1" else [name for name in names if name != "r2"]
    line = rf"activations {re.escape(', '.join(other))} of \w+ are no ReLU modules of their own .*import_network"
    with pytest.raises(UnsupportedError, match=line):
        apply_bounds(net, profile(net, DATA), "clip")
    assert not any(isinstance(module, BoundedReLU) for module in net.modules())


def test_other_activations_are_refused_by_name_all_at_once() -> None:
    def both(x: Tensor) -> Tensor:
        return F.silu(F.leaky_relu(x))

    for call in (
        lambda: profile(Net(nn.GELU(), both), DATA),
        lambda: statistics(Net(nn.GELU(), both), {}, DATA),
        lambda: post_train(Net(nn.GELU(), both), {}, DATA, DATA, PostTraining()),
        lambda: search(Net(nn.GELU(), both), {}, DATA, ThresholdSearch()),
    ):
        with pytest.raises(UnsupportedError, match="gelu") as caught:
            call()
        kinds = [problem.split(" ")[0] for problem in caught.value.problems]
        assert kinds == ["gelu", "leaky_relu", "silu"]
        assert all("test_protection_of_activations.py:" in problem for problem in caught.value.problems)


def test_what_is_not_imported_has_no_calls() -> None:
    with pytest.raises(UnsupportedError, match=r"Net is not imported, so its activation calls are not known"):
        activation_names(Net(nn.ReLU(), nn.ReLU()))


class Renamed(nn.Module):
    """One ReLU under two names, called once, under the name that is not its first."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.ModuleDict({"act": nn.ReLU()})
        self.conv, self.pool, self.fc = nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(8), nn.Linear(64, 10)
        self.second = nn.Sequential(self.conv, self.first["act"])
        self.third = self.first["act"]

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc(torch.flatten(self.pool(self.third(self.conv(x))), 1))
        return y


class Backwards(Net):
    """Activations defined in another order than that of execution."""

    def __init__(self) -> None:
        super().__init__(nn.ReLU(), nn.ReLU())
        first, second = self.r1, self.r2
        del self.r1, self.r2
        self.r2, self.r1 = second, first


@pytest.mark.parametrize("build", [Renamed, Backwards, lambda: Net(nn.ReLU(inplace=True), nn.ReLU())])
@pytest.mark.parametrize("mode", ["clip", "saturate"])
def test_every_layer_with_an_activation_is_bounded(build: Callable[[], nn.Module], mode: str) -> None:
    net = build()
    maxima = profile(net, DATA)
    apply_bounds(net, maxima, mode)  # type: ignore[arg-type]
    layers = lower(net)
    bounded = [layer for layer in layers if layer.activation != "linear"]
    assert [layer.activation for layer in bounded] == [mode] * len(maxima)
    # in the order of execution, each with the bounds of its own place
    for layer, name in zip(bounded, maxima, strict=True):
        np.testing.assert_array_equal(layer.bound, maxima[name].numpy())
    assert not [module for module in net.modules() if isinstance(module, nn.ReLU)]


def test_bounds_that_do_not_belong_are_named() -> None:
    with pytest.raises(GoldenError, match="do not match: r2"):
        apply_bounds(Net(nn.ReLU(), nn.ReLU()), {"r1": torch.ones(())}, "clip")


def test_data_dependent_control_flow_is_refused() -> None:
    class Branching(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) if x.sum() > 0 else x

    with pytest.raises(UnsupportedError, match=r"Branching cannot be exported: .*depends on data[^\n]*\Z"):
        profile(Branching(nn.ReLU(), nn.ReLU()), DATA)


def test_bounds_of_a_vector_fit_channels_of_one_place() -> None:
    x = torch.randn(3, 4, 1, 1)
    bound = torch.rand(4)
    expected = torch.minimum(x.relu(), bound.view(4, 1, 1))
    for shape in ((4,), (4, 1, 1)):
        module = BoundedReLU(bound.view(shape), "saturate")
        assert torch.equal(module(x), expected)
        assert torch.equal(module(x.flatten(1)), expected.flatten(1))
    with pytest.raises(RuntimeError):
        module(torch.zeros(3, 2, 4))


def test_measuring_leaves_a_network_in_its_mode() -> None:
    net = Net(nn.ReLU(), nn.ReLU()).train()
    net.c2.eval()
    before = {name: module.training for name, module in net.named_modules()}
    maxima = profile(net, DATA)
    statistics(net, maxima, DATA)
    accuracy(net, DATA)
    assert {name: module.training for name, module in net.named_modules()} == before
    bounded = apply_bounds(net, maxima, "clip")
    assert isinstance(bounded.get_submodule("r1"), BoundedReLU)
