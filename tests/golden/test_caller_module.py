"""Whatever a caller hands over is read as it computes, refused by name, and left as it was."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from golden.errors import UnsupportedError
from golden.frontend.lowering import lower
from golden.quantisation.quantise import calibrate, quantise

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
    with pytest.raises(UnsupportedError, match="GELU"):
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
    net[0].forward = lambda x: torch.ones(1, 8, 8, 8) + x.sum()


@pytest.mark.parametrize("call", list(CALLS))
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (forward_hook, r"module 0 \(Conv2d\) has a forward hook"),
        (forward_pre_hook, r"module 3 \(MaxPool2d\) has a forward hook"),
        (of_the_whole, r"module Sequential \(Sequential\) has a forward hook"),
        (replaced_forward, r"module 0 \(Conv2d\) has had its forward replaced"),
        (lambda net: nn.utils.spectral_norm(net[0]), r"module 0 \(Conv2d\) has a forward hook"),
        (lambda net: nn.utils.parametrizations.weight_norm(net[0]), r"operator ParametrizedConv2d"),
    ],
)
def test_what_no_trace_shows_is_refused(change: Callable[[nn.Sequential], object], message: str, call: str) -> None:
    net = network()
    change(net)
    with pytest.raises(UnsupportedError, match=message):
        CALLS[call](net)


def test_a_global_hook_is_refused() -> None:
    handle = nn.modules.module.register_module_forward_hook(lambda _module, _inputs, _output: None)
    try:
        with pytest.raises(UnsupportedError, match="global forward hook"):
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
    with pytest.raises(UnsupportedError, match=r"kernel \(3, 1\)"):
        lower(nn.Sequential(nn.Conv2d(3, 4, [3, 1])), (3, 8, 8))  # type: ignore[arg-type]


class Sized(nn.Module):
    """Adds a size, which is a number and no tensor."""

    def __init__(self, attribute: bool) -> None:
        super().__init__()
        self.conv, self.attribute = nn.Conv2d(3, 4, 1), attribute

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y + (x.shape[1] if self.attribute else x.size(1))


@pytest.mark.parametrize("attribute", [False, True])
def test_an_added_size_is_no_image(attribute: bool) -> None:
    with pytest.raises(UnsupportedError, match=r"operator (add|getattr)"):
        lower(Sized(attribute), (3, 8, 8))


class Counting(nn.Module):
    """Behaves differently each time: no trace can be right."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.calls = nn.Conv2d(3, 4, 1), 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        y: Tensor = self.conv(x)
        return y + y.detach().relu() if self.calls > 1 else y


def test_a_network_that_is_not_its_trace_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="Counting computes something else than its trace shows"):
        lower(Counting(), (3, 8, 8))
