"""Whatever a caller hands over is read as it computes, refused by name, and left as it was."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from golden.errors import UnsupportedError
from golden.frontend.lowering import lower
from golden.quantisation.quantise import calibrate, quantise
from tests.golden.agreement import agree

IMAGES = np.random.default_rng(0).normal(0, 1, (4, 3, 8, 8))


def network(pool: nn.Module | None = None) -> nn.Sequential:
    torch.manual_seed(0)
    head = nn.LazyLinear(5)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), pool or nn.MaxPool2d(2), nn.Flatten(), head
    )
    net(torch.zeros(2, 3, 8, 8))
    return net


CALLS: dict[str, Callable[[nn.Module], Any]] = {
    "lower": lambda net: lower(net, (3, 8, 8)),
    "calibrate": lambda net: calibrate(net, IMAGES, 8),
    "quantise": lambda net: quantise(net, calibrate(copy.deepcopy(net), IMAGES, 16)),
}


@pytest.mark.parametrize("call", list(CALLS))
def test_modes_parameters_and_images_stay(call: str) -> None:
    net = network().train()
    net[1].eval()
    before, images = copy.deepcopy(net.state_dict()), IMAGES.copy()
    modes = [module.training for module in net.modules()]
    needs = [parameter.requires_grad for parameter in net.parameters()]
    CALLS[call](net)
    assert [module.training for module in net.modules()] == modes
    assert [parameter.requires_grad for parameter in net.parameters()] == needs
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])
    np.testing.assert_array_equal(IMAGES, images)


def test_modes_stay_when_something_is_refused() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GELU()).train()
    with pytest.raises(UnsupportedError, match="gelu"):
        lower(net, (3, 8, 8))
    assert net.training


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("word_bits", [8, 16, 32])
def test_other_floating_point_types_are_read_exactly(kind: torch.dtype, word_bits: int) -> None:
    rounded = network().to(kind)
    single = copy.deepcopy(rounded).float()
    kept = {name: value.dtype for name, value in rounded.state_dict().items()}
    for a, b in zip(lower(rounded, (3, 8, 8)), lower(single, (3, 8, 8)), strict=True):
        if a.weight is not None and b.weight is not None:
            np.testing.assert_allclose(a.weight, b.weight, rtol=1e-6)
    points = calibrate(rounded, IMAGES, word_bits)
    assert points == calibrate(single, IMAGES, word_bits)
    words = [layer.weight for layer in quantise(rounded, points).layers if layer.weight is not None]
    others = [layer.weight for layer in quantise(single, points).layers if layer.weight is not None]
    assert all(np.abs(a - b).max() <= (1 if kind is torch.float64 else 0) for a, b in zip(words, others, strict=True))
    assert {name: value.dtype for name, value in rounded.state_dict().items()} == kept


def test_mixed_types_are_read_too() -> None:
    net = network()
    net[5].double()
    with pytest.raises(RuntimeError):
        net.eval()(torch.zeros(1, 3, 8, 8))  # torch itself does not run it
    assert len(lower(net, (3, 8, 8))) == 3


def test_complex_parameters_are_refused() -> None:
    net = network()
    net.register_parameter("phase", nn.Parameter(torch.zeros(2, dtype=torch.complex64)))
    with pytest.raises(UnsupportedError, match=r"parameter phase is torch\.complex64"):
        lower(net, (3, 8, 8))


def forward_hook(net: nn.Sequential) -> None:
    net[0].register_forward_hook(lambda _module, _inputs, output: output * 2)


def forward_pre_hook(net: nn.Sequential) -> None:
    net[3].register_forward_pre_hook(lambda _module, inputs: (inputs[0] + 1,))


def of_the_whole(net: nn.Sequential) -> None:
    net.register_forward_hook(lambda _module, _inputs, output: -output)


def replaced_forward(net: nn.Sequential) -> None:
    conv = net[0]
    assert isinstance(conv, nn.Conv2d)
    conv.forward = lambda x: nn.functional.conv2d(x, 2 * conv.weight, padding=1).relu() + 1  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize(
    "change",
    [
        forward_hook,
        forward_pre_hook,
        of_the_whole,
        replaced_forward,
        lambda net: nn.utils.spectral_norm(net[0]),
        lambda net: nn.utils.weight_norm(net[0]),
        lambda net: nn.utils.parametrizations.weight_norm(net[0]),
        lambda net: prune.random_unstructured(net[0], "weight", 0.5),
    ],
)
def test_hooks_and_parametrisations_are_part_of_the_network(change: Callable[[nn.Sequential], object]) -> None:
    net = network()
    change(net)
    agree(net, (3, 8, 8), words=(16,))


def test_a_global_hook_is_refused() -> None:
    def double(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        return 2 * output if isinstance(output, Tensor) else output

    handle = nn.modules.module.register_module_forward_hook(double)
    try:
        with pytest.raises(UnsupportedError, match="computes something else than its graph"):
            lower(network(), (3, 8, 8))
    finally:
        handle.remove()


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d([2, 2]),  # type: ignore[arg-type]
        nn.MaxPool2d((2, 2)),
        nn.MaxPool2d([2]),  # type: ignore[arg-type]
        nn.MaxPool2d(2, stride=[2, 2]),  # type: ignore[arg-type]
        nn.MaxPool2d(2, 2, padding=[0, 0]),  # type: ignore[arg-type]
        nn.MaxPool2d(2, dilation=[1, 1]),  # type: ignore[arg-type]
        nn.AvgPool2d([2, 2]),  # type: ignore[arg-type]
        nn.AvgPool2d(2, [2, 2], [0, 0]),  # type: ignore[arg-type]
    ],
)
def test_lists_are_taken_where_torch_takes_them(pool: nn.Module) -> None:
    layers = lower(network(pool), (3, 8, 8))
    assert (layers[1].kernel, layers[1].stride, layers[1].out_shape) == (2, 2, (8, 4, 4))


def test_convolutions_with_lists() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, [3, 3], stride=[2, 2], padding=[1, 1], dilation=[1, 1])  # type: ignore[arg-type]
    [layer] = lower(nn.Sequential(conv, nn.ReLU()), (3, 8, 8))
    assert (layer.kernel, layer.stride, layer.padding) == (3, 2, 1)
    [layer] = lower(nn.Sequential(nn.Conv2d(3, 4, [3, 1])), (3, 8, 8))  # type: ignore[arg-type]
    assert layer.kernel == (3, 1)


class Alternating(nn.Module):
    """Behaves differently each time: no graph can be right."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.calls = nn.Conv2d(3, 4, 1), 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        y: Tensor = self.conv(x)
        return y + self.calls


class OfTheBatch(nn.Module):
    """Depends on the number of images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y / len(x)


class Unregistered(nn.Module):
    """Keeps a layer in a list, where torch does not find it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.others = nn.Conv2d(3, 4, 1), [nn.Conv2d(4, 4, 1), nn.ReLU()]

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        for other in self.others:
            x = other(x)
        return x


@pytest.mark.parametrize("build", [Alternating, OfTheBatch])
def test_a_network_that_is_not_its_graph_is_refused(build: Callable[[], nn.Module]) -> None:
    with pytest.raises(UnsupportedError, match="computes something else than its graph"):
        lower(build(), (3, 8, 8))


def test_modules_that_are_not_registered_are_part_of_the_network() -> None:
    agree(Unregistered(), (3, 8, 8), words=(16,))
