"""Every activation is bounded or refused by name: none is left unprotected silently."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.data.cifar10 import Images
from golden.errors import GoldenError, UnsupportedError
from golden.frontend.activations import BoundedReLU, activation_names, apply_bounds
from golden.frontend.lowering import lower
from golden.networks.evaluate import accuracy
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

REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "function": (lambda: Net(F.relu, nn.ReLU()), r"relu is the function relu"),
    "both functions": (lambda: Net(F.relu, torch.relu), r"relu is the function relu.*; relu_1 is the function relu"),
    "method": (lambda: Net(nn.ReLU(), relu_method), r"relu is the function relu"),
    "in place": (lambda: Net(nn.ReLU(), torch.relu_), r"relu_ is the function relu"),
    "shared": (lambda: Net(SHARED, SHARED), r"r1_1 calls r1 again \(give each call its own nn.ReLU\)"),
    "shared, other shape": (lambda: Net(SHARED, SHARED, 8, 16), "r1_1 calls r1 again"),
    "shared, broadcast": (lambda: Net(SHARED, SHARED, 1, 16), "r1_1 calls r1 again"),
    "other module": (lambda: Net(nn.ReLU(), nn.LeakyReLU()), "r2 is LeakyReLU"),
    "other function": (lambda: Net(nn.ReLU(), F.silu), "silu is the function silu"),
    "clip": (lambda: Net(nn.ReLU(), lambda x: x.clamp(0, 6)), "clamp is the function clamp"),
}


@pytest.mark.parametrize("kind", list(REFUSED))
def test_what_cannot_be_bounded_is_refused_by_name(kind: str) -> None:
    build, message = REFUSED[kind]
    for call in (
        lambda: activation_names(build()),
        lambda: profile(build(), DATA),
        lambda: apply_bounds(build(), {"r1": torch.ones(())}, "clip"),
        lambda: statistics(build(), {}, DATA),
    ):
        with pytest.raises(UnsupportedError, match=f"activations of Net that cannot be bounded: .*{message}"):
            call()


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
    for layer, name in zip(bounded, activation_names(net), strict=True):
        np.testing.assert_array_equal(layer.bound, maxima[name].numpy())
    assert not [module for module in net.modules() if isinstance(module, nn.ReLU)]


def test_bounds_that_do_not_belong_are_named() -> None:
    with pytest.raises(GoldenError, match="do not match: r2"):
        apply_bounds(Net(nn.ReLU(), nn.ReLU()), {"r1": torch.ones(())}, "clip")


def test_data_dependent_control_flow_is_refused() -> None:
    class Branching(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) if x.sum() > 0 else x

    with pytest.raises(UnsupportedError, match=r"Branching cannot be traced by torch.fx: [^\n]*\Z"):
        profile(Branching(nn.ReLU(), nn.ReLU()), DATA)


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
