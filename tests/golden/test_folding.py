"""How values lie in a layer's output: references against NumPy, and networks in which each of them matters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.errors import UnsupportedError
from golden.frontend.layers import FloatLayer
from golden.frontend.lowering import import_network, lower
from golden.frontend.refs import NO_PADS, Ref
from tests.golden.agreement import agree
from tests.golden.spelled import IMAGE, conv, net

SOURCE = (3, 2, 4)


def value(ref: Ref, output: np.ndarray) -> np.ndarray:
    """What ``ref`` stands for, from the layer's output (channels, rows, columns)."""
    if ref.places is not None:
        return output.ravel()[ref.places].reshape(-1, 1, 1) * ref.factor
    chosen = output if ref.channels is None else output[ref.channels]
    top, left, bottom, right = ref.pads
    return np.pad(chosen, ((0, 0), (top, bottom), (left, right))) * ref.factor


@pytest.mark.parametrize("seed", range(40))
def test_chains_of_steps(seed: int) -> None:
    """Each step is that of NumPy on what it was before."""
    rng = np.random.default_rng(seed)
    source = SOURCE if seed % 4 else (6, 1, 1)
    output = rng.standard_normal(source)
    ref, expected = Ref("layer", source), output
    for _ in range(4):
        step = rng.integers(5)
        if step == 0:
            ref, expected = ref.scaled(factor := float(rng.choice([-2.0, 0.5]))), expected * factor
        elif step == 1 and ref.places is None:
            pads = tuple(int(n) for n in rng.integers(0, 3, 4))
            ref = ref.padded(pads)  # type: ignore[arg-type]
            expected = np.pad(expected, ((0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
        elif step == 2:
            index = rng.integers(0, len(expected), int(rng.integers(1, len(expected) + 1)))
            ref, expected = ref.choose(index), expected[index]
        elif step == 3 and ref.pads == NO_PADS:
            some = rng.permutation(expected.size)[: int(rng.integers(1, expected.size + 1))]
            whole = bool(rng.integers(2))
            ref = ref.gather(None if whole else some)
            expected = (expected.ravel() if whole else expected.ravel()[some]).reshape(-1, 1, 1)
        elif step == 4:
            ref = ref.in_order() if ref.places is None else ref
        assert ref.shape == expected.shape
        np.testing.assert_array_equal(value(ref, output), expected)
        if ref.pads == NO_PADS:
            np.testing.assert_array_equal(output.ravel()[ref.all_places()] * ref.factor, expected.ravel())
        every = sorted(ref.all_places().tolist()) == list(range(output.size))
        assert ref.whole == (every and ref.pads == NO_PADS)


def test_plain_is_the_output_itself() -> None:
    plain = Ref("layer", SOURCE)
    assert plain.plain
    for other in (plain.scaled(2), plain.padded((0, 0, 1, 0)), plain.choose(np.array([1])), plain.gather(None)):
        assert not other.plain
        assert other.arranged == (other.factor == 2)
    assert plain.scaled(2).scaled(0.5).plain
    assert plain.gather(None).in_order().plain, "the order of memory"
    assert not plain.gather(np.arange(24)[::-1]).in_order().plain
    flat = Ref("layer", (5, 1, 1))
    assert flat.gather(None).plain
    assert replace(flat.gather(np.array([1, 0, 2, 3, 4]))).channels is not None


Y = Callable[[Any, Tensor], Tensor]


def of(function: Y, *inputs: int) -> Callable[[], nn.Module]:
    """A convolution and an activation, ``function`` of them, and a convolution of as many channels."""
    channels = inputs[0] if inputs else 4
    return lambda: net(
        lambda m, x: m.b(function(m, F.relu(m.a(x)))), a=conv(3, 4), b=conv(channels, 3, 1), c=conv(4, 4, 1)
    )


RIGHT: dict[str, Callable[[], nn.Module]] = {
    "a value and its channels in another order": of(lambda m, y: y + y.flip(1)),
    "two orders of channels": of(lambda m, y: y[:, [1, 0, 3, 2]] + y[:, [2, 3, 0, 1]]),
    "a value and a multiple of it": of(lambda m, y: y + 3 * y),
    "two multiples": of(lambda m, y: 0.5 * y + 3 * y),
    "padded on two sides": of(lambda m, y: F.pad(y, (1, 0, 0, 0)) + F.pad(y, (0, 1, 0, 0))),
    "a vector and itself reversed": lambda: net(
        lambda m, x: (lambda y: m.b(y + y.flip(1)))(F.relu(m.a(x)).flatten(1)), a=conv(3, 4), b=nn.Linear(256, 3)
    ),
    "one channel twice": of(lambda m, y: y[:, [0, 0, 2, 1, 1]], 5),
    "scaled, padded and pooled": of(lambda m, y: F.avg_pool2d(F.pad(2 * y, (1, 0, 2, 0)), 2)),
    "padded, then a padded convolution": of(lambda m, y: F.conv2d(F.pad(y, (1, 0, 0, 2)), m.c.weight, m.c.bias, 1, 1)),
    "negative multiple and maximum": of(lambda m, y: F.max_pool2d(-0.5 * y, 2)),
    "padded negative multiple and maximum": of(lambda m, y: F.max_pool2d(F.pad(m.c(y), (0, 1, 0, 1)), 2)),
    "padded and flattened": lambda: net(
        lambda m, x: m.b(F.pad(F.relu(m.a(x)), (1, 0, 0, 0)).flatten(1)), a=conv(3, 4), b=nn.Linear(4 * 8 * 9, 3)
    ),
    "read before and behind its activation": of(lambda m, y: (lambda z: F.relu(z) + z)(m.c(y))),
    "read before and behind its norm": lambda: net(
        lambda m, x: (lambda y: m.b(F.relu(m.n(y)) + y))(m.a(x)), a=conv(3, 4), n=nn.BatchNorm2d(4), b=conv(4, 3)
    ),
    "activated twice": of(lambda m, y: F.relu(F.relu(m.c(y)) - 0.1)),
    "norm behind an activation": of(lambda m, y: F.relu(F.relu(m.c(y)) * torch.tensor([1.0, 2, 3, 4]).view(4, 1, 1))),
    "sum scaled by channel": of(lambda m, y: F.relu((m.c(y) + y) * torch.tensor([1.0, 2, -3, 4]).view(4, 1, 1))),
    "sum shifted": of(lambda m, y: F.relu((m.c(y) + y) + torch.tensor([0.1, 0.2, -0.3, 0.4]).view(4, 1, 1))),
    "sum of a sum": of(lambda m, y: F.relu((m.c(y) + y) + 0.5 * y)),
    "sum with a rearranged value": of(lambda m, y: F.relu(m.c(y) + y.flip(1))),
    "sum of two rearranged values": of(lambda m, y: F.relu(m.c(y).flip(1) + 0.5 * y)),
    "negative scale of a pool": of(lambda m, y: F.max_pool2d(y, 2) * -1.0),
    "scales behind a pool": of(lambda m, y: F.max_pool2d(y, 2) * torch.tensor([1.0, 2, 3, 4]).view(4, 1, 1)),
    "shifted pool": of(lambda m, y: F.max_pool2d(y, 2) + 0.5),
    "clip behind an average of 5": lambda: net(
        lambda m, x: m.b(torch.clamp(F.avg_pool2d(4 * m.a(x), (1, 5)), 0, 0.5)), a=conv(3, 4), b=conv(4, 3, 1)
    ),
    "negative divisor, activated": of(lambda m, y: F.relu(F.avg_pool2d(m.c(y), 2, divisor_override=-3))),
    "negative divisor, maximum": of(lambda m, y: F.max_pool2d(F.avg_pool2d(y, 2, divisor_override=-3), 2)),
    "rectangular average": of(lambda m, y: F.avg_pool2d(y, (2, 5), (2, 1))),
    "concatenated with itself in another order": of(lambda m, y: torch.cat([y, y.flip(1), 2 * y], 1), 12),
    "output in another order": lambda: net(lambda m, x: m.b(F.relu(m.a(x))).flip(1), a=conv(3, 4), b=conv(4, 3)),
    "output scaled": lambda: net(lambda m, x: F.max_pool2d(m.b(F.relu(m.a(x))), 2) * 2, a=conv(3, 4), b=conv(4, 3)),
    "strided 1x1 of a flattened vector": lambda: net(
        lambda m, x: m.b(F.relu(m.a(x)).flatten(1)[:, :, None, None]), a=conv(3, 4), b=nn.Conv2d(256, 3, 1, stride=2)
    ),
    "padded vector": lambda: net(
        lambda m, x: m.b(F.pad(F.avg_pool2d(F.relu(m.a(x)), 4).flatten(1)[:, :, None, None], (1, 0, 0, 1))),
        a=conv(3, 4), b=conv(16, 3, 2, padding=0),
    ),
    "grouped, three wide": lambda: net(lambda m, x: m.b(F.relu(m.a(x))), a=conv(3, 6), b=nn.Conv2d(6, 4, 1, groups=2)),
    "strides that differ, padded": lambda: net(
        lambda m, x: m.b(F.relu(m.a(x))), a=nn.Conv2d(3, 4, (3, 2), (2, 1), (0, 1)), b=conv(4, 3)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(RIGHT))
def test_right(name: str) -> None:
    agree(RIGHT[name](), IMAGE, words=(16,))


def test_a_branch_that_nobody_reads_makes_no_layer_but_a_shortcut_does() -> None:
    def used(m: Any, x: Tensor) -> Tensor:
        y = F.relu(m.a(x))
        m.d(y)
        return m.c(F.relu(m.b(y) + m.s(y)))

    parts = {name: conv(4 if name != "a" else 3, 4, 1) for name in "abcds"}
    layers = lower(net(used, **parts), IMAGE)
    assert len(layers) == 4
    assert [layer.residual is not None for layer in layers] == [False, False, True, False]


def test_padded_maximum_of_what_may_be_negative() -> None:
    """Of a shortcut's sum without an activation, and of a pool of it; an average of what is activated may be padded."""
    for function in (lambda m, y: m.c(y) + y, lambda m, y: F.avg_pool2d(m.c(y), 2)):
        with pytest.raises(UnsupportedError, match="values that may be negative"):
            lower(of(lambda m, y, f=function: F.max_pool2d(f(m, y), 3, 2, 1))(), IMAGE)  # type: ignore[misc]
    agree(of(lambda m, y: F.max_pool2d(F.avg_pool2d(y, 2), 3, 1, 1))(), IMAGE, words=(16,))


def test_bounds_of_a_scaled_value_are_those_of_its_layer() -> None:
    """The average's layer divides by 8 where the network divides by 5: limits and bounds move with it."""
    module = net(
        lambda m, x: m.b(m.r(F.avg_pool2d(m.a(x), (1, 5)))), a=conv(3, 4), r=nn.ReLU6(), b=conv(4, 3, 1)
    )  # fmt: skip
    [pool] = [layer for layer in lower(module, IMAGE) if layer.kind == "avgpool"]
    assert pool.limit == pytest.approx(6 * 5 / 8)
    assert pool.bound == pytest.approx(6 * 5 / 8)


def layer_of(network: list[FloatLayer], name: str) -> FloatLayer:
    return next(layer for layer in network if layer.name == name)


def test_dilation_and_groups_leave_zeros_where_nothing_is_read() -> None:
    module = nn.Conv2d(4, 6, (2, 3), groups=2, dilation=(3, 2), bias=False)
    weight = module.weight.detach().double().numpy()
    [layer] = lower(nn.Sequential(module), (4, 9, 9))
    expected = np.zeros((6, 4, 4, 5))
    for out in range(6):
        for own in range(2):
            for row in range(2):
                for col in range(3):
                    expected[out, out // 3 * 2 + own, 3 * row, 2 * col] = weight[out, own, row, col]
    np.testing.assert_array_equal(layer.weight, expected)
    assert import_network(nn.Sequential(module), (4, 9, 9)).graph.ops[0].options["groups"] == 2
