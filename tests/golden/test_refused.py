"""What no layer can do is refused in one line that names the operator and its place, all of them at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.errors import UnsupportedError
from golden.frontend.activations import BoundedReLU
from golden.frontend.lowering import import_network, lower
from golden.quantisation.quantise import calibrate
from tests.golden.agreement import normal
from tests.golden.spelled import IMAGE, conv, net


def behind(last: nn.Module | Callable[[Tensor], Tensor]) -> Callable[[], nn.Module]:
    """A convolution, ``last``, and a convolution again."""
    if isinstance(last, nn.Module):
        return lambda: net(lambda m, x: m.b(m.last(m.a(x))), a=conv(3, 4), b=conv(4, 5), last=last)
    return lambda: net(lambda m, x: m.b(last(m.a(x))), a=conv(3, 4), b=conv(4, 5))


def squeeze_and_excite(m: Any, x: Tensor) -> Tensor:
    y = F.relu(m.a(x))
    return m.b(y * torch.sigmoid(m.s(y.mean((2, 3), keepdim=True))))


def branching(m: Any, x: Tensor) -> Tensor:
    return m.a(x) if x.sum() > 0 else m.a(-x)


BAD: dict[str, tuple[Callable[[], nn.Module], str]] = {
    # activations
    "sigmoid": (behind(nn.Sigmoid()), r"sigmoid in the middle of the network \("),
    "GELU": (behind(nn.GELU()), r"gelu \(last, spelled.py:\d+: .*\) is not supported"),
    "SiLU": (behind(F.silu), r"silu \("),
    "LeakyReLU": (behind(nn.LeakyReLU()), r"leaky_relu \(last, "),
    "PReLU": (behind(nn.PReLU()), r"prelu \(last, "),
    "Hardswish": (behind(nn.Hardswish()), r"hardswish \(last, "),
    "clamp to -1..1": (behind(lambda x: x.clamp(-1, 1)), r"clamp from -1.0 to 1.0: only from 0 on \("),
    "clamp from above": (behind(lambda x: x.clamp(max=1)), r"clamp from None to 1.0: only from 0 on \("),
    "Softplus": (behind(nn.Softplus()), r"softplus \("),
    # products and normalisations
    "squeeze and excite": (
        lambda: net(squeeze_and_excite, a=conv(3, 4), s=conv(4, 4, 1), b=conv(4, 5)),
        r"sigmoid in the middle of the network \(mul, spelled.py:\d+",
    ),
    "GroupNorm": (behind(nn.GroupNorm(2, 4)), r"group_norm \(last, "),
    "LayerNorm": (behind(nn.LayerNorm([4, 8, 8])), r"layer_norm \(last, "),
    "InstanceNorm": (behind(nn.InstanceNorm2d(4)), r"norm.* \(last, "),
    "BatchNorm without statistics": (
        behind(nn.BatchNorm2d(4, track_running_stats=False)),
        r"norm_legit \(last, ",
    ),
    "LocalResponseNorm": (behind(nn.LocalResponseNorm(3)), r"of two tensors that depend on the image \(last"),
    "constant that differs from place to place": (
        behind(lambda x: x + torch.arange(8.0)),
        r"add with a constant that differs from place to place within a channel",
    ),
    "constant that does not fit": (behind(lambda x: x * 2 / x), r"of two tensors that depend on the image"),
    # windows
    "transposed convolution": (behind(nn.ConvTranspose2d(4, 4, 2)), r"conv_transpose2d.* \(last, "),
    "reflect padding": (
        behind(nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")),
        r"pad of \[1, 1, 1, 1\] with reflect",
    ),
    "circular padding": (behind(nn.CircularPad2d(1)), r"pad of \[1, 1, 1, 1\] with circular"),
    "padding with ones": (behind(lambda x: F.pad(x, (1, 1), value=1.0)), r"with constant 1.0: only zeros around"),
    "cropping": (behind(lambda x: F.pad(x, (-1, -1))), r"pad of \[-1, -1\]"),
    "flipped rows": (behind(lambda x: x.flip(2)), r"rearrangement .*from \(4, 8, 8\) to \(4, 8, 8\)"),
    "dilated max": (behind(nn.MaxPool2d(2, dilation=2)), r"max_pool2d with dilation"),
    "max, padded, of negative values": (
        behind(nn.MaxPool2d(3, padding=1)),
        r"with padding on values that may be negative",
    ),
    "max with indices": (behind(lambda x: F.max_pool2d(x, 2, return_indices=True)[1].float()), r"max_pool2d"),
    "average without the padding": (
        behind(nn.AvgPool2d(3, padding=1, count_include_pad=False)),
        r"leaves out the padding",
    ),
    "average with ceil_mode": (
        behind(nn.AvgPool2d(3, 2, ceil_mode=True)),
        r"ceil_mode, whose last mean is over fewer values",
    ),
    "adaptive average of different windows": (
        behind(nn.AdaptiveAvgPool2d(3)),
        r"from 8x8 to 3x3, whose windows differ in size",
    ),
    "upsampling": (behind(nn.Upsample(scale_factor=2)), r"upsample_nearest2d.* \(last, "),
    "mean over channels": (
        behind(lambda x: x.mean(1, keepdim=True).expand(-1, 4, -1, -1)),
        r"mean over dimensions \[1\]",
    ),
    "concatenated rows": (behind(lambda x: torch.cat([x, x], 2)), r"cat along dimension 2: only along channels"),
    "linear on the last axis": (
        behind(lambda x: F.linear(x, torch.eye(8))),
        r"linear on inputs of shape \(4, 8, 8\): flatten them",
    ),
    "softmax in the middle": (behind(lambda x: x.softmax(1)), r"softmax in the middle of the network"),
    "softmax over rows": (
        lambda: net(lambda m, x: m.a(x).softmax(2), a=conv(3, 4)),
        r"softmax along dimension 2: only along classes",
    ),
    # the batch
    "batches mixed": (lambda: net(lambda m, x: m.a(x).reshape(1, -1), a=conv(3, 4)), r"mixes the images of a batch"),
    "mean over the batch": (lambda: net(lambda m, x: m.a(x - x.mean(0)), a=conv(3, 4)), r"mean"),
    "images swapped": (lambda: net(lambda m, x: m.a(x.flip(0)), a=conv(3, 4)), r"flip mixes the images of a batch"),
    # structure
    "LSTM": (
        lambda: net(lambda m, x: m.l(m.a(x).flatten(2))[0], a=conv(3, 4), l=nn.LSTM(64, 4, batch_first=True)),
        r"lstm|cannot run",
    ),
    "attention": (
        lambda: net(
            lambda m, x: m.t(m.a(x).flatten(2)), a=conv(3, 4), t=nn.TransformerEncoderLayer(64, 2, 32, batch_first=True)
        ),
        r"cannot run: .*layer_norm",
    ),
    "two outputs": (
        lambda: net(lambda m, x: (m.a(x), m.a(x) + 1), a=conv(3, 4)),
        r"must take one tensor and return one",
    ),
    "a dictionary": (
        lambda: net(lambda m, x: {"out": m.a(x), "aux": x}, a=conv(3, 4)),
        r"must take one tensor and return one",
    ),
    "nothing but a constant": (
        lambda: net(lambda m, x: torch.ones(2, 3), a=conv(3, 4)),
        r"does not depend on its images",
    ),
    "no layer": (lambda: net(lambda m, x: x), r"holds no layer"),
    "data-dependent control flow": (
        lambda: net(branching, a=conv(3, 4)),
        r"control flow depends on data at test_refused.py:\d+: return m.a\(x\) if x.sum\(\) > 0",
    ),
    "chance": (lambda: net(lambda m, x: m.a(F.dropout(x, 0.5, True)), a=conv(3, 4)), r"dropout|bernoulli|rand"),
    "an error of its own": (
        lambda: net(lambda m, x: m.a(x)[:, 9999].relu_() if x.shape[0] else m.nothing(x), a=conv(5, 4)),
        r"Spelled does not take images of 3x8x8: .* at test_refused.py:\d+",
    ),
    "bounds of another shape": (
        behind(BoundedReLU(torch.ones(4, 8, 7), "clip")),
        r"does not take images|bounds of shape",
    ),
}


@pytest.mark.parametrize("name", list(BAD))
def test_refused_by_name(name: str) -> None:
    build, message = BAD[name]
    with pytest.raises(UnsupportedError, match=message) as caught:
        lower(build(), IMAGE)
    assert "\n" not in str(caught.value)
    with pytest.raises(UnsupportedError):
        calibrate(build(), normal(IMAGE), 8)


@pytest.mark.parametrize(
    ("taken", "line"),
    [
        ((8, 8), r"does not take images of 8x8: it takes 1x8x8; give them an axis of channels, images\[:, None\]"),
        ((8, 8, 1), r"does not take images of 8x8x1: it takes 1x8x8; put channels first, images.transpose"),
        ((64, 1), r"does not take images of 64x1: .* at \w+.py:\d+: "),
    ],
)
def test_images_that_lie_otherwise_are_told_how_they_should(taken: tuple[int, ...], line: str) -> None:
    network = net(lambda m, x: m.b(m.a(x).flatten(1)), a=conv(1, 2), b=nn.Linear(128, 5))
    with pytest.raises(UnsupportedError, match=line):
        import_network(network, taken)
    vector = net(lambda m, x: m.a(x), a=nn.Linear(64, 5))
    with pytest.raises(UnsupportedError, match=r"it takes 64; flatten them"):
        import_network(vector, (1, 8, 8))


def test_all_problems_are_listed_at_once() -> None:
    def many(m: Any, x: Tensor) -> Tensor:
        y = F.gelu(m.a(x))
        y = F.silu(m.b(y))
        return m.c(y * y)

    with pytest.raises(UnsupportedError) as caught:
        lower(net(many, a=conv(3, 4), b=conv(4, 4), c=conv(4, 5)), IMAGE)
    assert [problem.split(" ")[0] for problem in caught.value.problems] == ["gelu", "silu", "mul"]
    assert all("spelled.py:" in problem for problem in caught.value.problems)


def test_only_the_first_of_what_follows_from_an_unknown_operator_is_named() -> None:
    def one(m: Any, x: Tensor) -> Tensor:
        parts = F.gelu(m.a(x)).view(2, 2, 2, 8, 8).transpose(1, 4).relu()
        return m.b(parts.flatten(1))

    network = net(one, a=conv(3, 4), b=nn.Linear(256, 5))
    assert [op.kind for op in import_network(network, IMAGE).graph.ops].count("unknown") > 1
    with pytest.raises(UnsupportedError) as caught:
        lower(network, IMAGE)
    [problem] = caught.value.problems
    assert problem.startswith("gelu")
