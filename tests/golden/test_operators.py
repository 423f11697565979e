"""Operators as users spell them: each network is close to float and exact."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.golden.agreement import agree
from tests.golden.spelled import IMAGE, Case, conv, net


def in_place(m: Any, x: Tensor) -> Tensor:
    x = F.relu(m.a(x))
    skip = x
    x += m.b(x)
    return m.c(skip)


RIGHT: dict[str, Case] = {
    # spellings
    "functional relu": (lambda: net(lambda m, x: m.b(F.relu(m.a(x))), a=conv(3, 4), b=conv(4, 5)), IMAGE),
    "relu method": (lambda: net(lambda m, x: m.b(m.a(x).relu()), a=conv(3, 4), b=conv(4, 5)), IMAGE),
    "relu in place": (lambda: net(lambda m, x: m.b(F.relu_(m.a(x))), a=conv(3, 4), b=conv(4, 5)), IMAGE),
    "every second row and column": (
        lambda: net(lambda m, x: m.b(F.relu(m.a(x))[:, :, ::2, 1::3]), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    "crop": (lambda: net(lambda m, x: m.b(F.relu(m.a(x))[:, 1:, 2:-1, :-3]), a=conv(3, 4), b=conv(3, 5)), IMAGE),
    "space to depth": (lambda: net(lambda m, x: m.b(F.pixel_unshuffle(x, 2)), b=conv(12, 5)), IMAGE),
    "slices side by side": (
        lambda: net(lambda m, x: m.b(torch.cat([x[..., ::2, ::2], x[..., 1::2, 1::2]], 1)), b=conv(6, 5)),
        IMAGE,
    ),
    "channels of zeros": (
        lambda: net(lambda m, x: m.b(F.relu(F.pad(m.a(x), (1, 0, 0, 2, 1, 2)))), a=conv(3, 4), b=conv(7, 5)),
        IMAGE,
    ),
    "channels of zeros around a sequence": (
        lambda: net(lambda m, x: m.b(F.pad(x, (1, 2, 0, 3))[:, :, 2:]), b=nn.Conv1d(5, 4, 3)),
        (2, 9),
    ),
    "maximum with zeros": (
        lambda: net(lambda m, x: m.b(torch.maximum(torch.zeros_like(y := m.a(x)), y)), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    "threshold at 0": (lambda: net(lambda m, x: m.b(F.threshold(m.a(x), 0, 0)), a=conv(3, 4), b=conv(4, 5)), IMAGE),
    "clip in two steps": (
        lambda: net(lambda m, x: m.b(m.a(x).relu().clamp(max=1.5)), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    "images changed in place": (lambda: net(lambda m, x: m.a(F.relu_(x) + 1), a=conv(3, 4)), IMAGE),
    "clamp from 0": (lambda: net(lambda m, x: m.b(torch.clamp(m.a(x), min=0)), a=conv(3, 4), b=conv(4, 5)), IMAGE),
    "view(x.size(0), -1)": (
        lambda: net(lambda m, x: m.b(F.relu(m.a(x)).view(x.size(0), -1)), a=conv(3, 4), b=nn.Linear(256, 5)),
        IMAGE,
    ),
    "reshape(-1, 256)": (
        lambda: net(lambda m, x: m.b(F.relu(m.a(x)).reshape(-1, 256)), a=conv(3, 4), b=nn.Linear(256, 5)),
        IMAGE,
    ),
    "flatten method": (
        lambda: net(lambda m, x: m.b(m.a(x).flatten(1)), a=conv(3, 4), b=nn.Linear(256, 5)),
        IMAGE,
    ),
    "squeeze": (
        lambda: net(lambda m, x: m.b(F.adaptive_avg_pool2d(m.a(x), 1).squeeze()), a=conv(3, 8), b=nn.Linear(8, 5)),
        IMAGE,
    ),
    "matmul and addition": (
        lambda: net(lambda m, x: x.flatten(1) @ m.b.weight.t() + m.b.bias, b=nn.Linear(192, 5)),
        IMAGE,
    ),
    "identity and dropout": (
        lambda: net(
            lambda m, x: m.b(F.dropout(m.d(m.i(m.a(x))), 0.5, m.training)),
            a=conv(3, 4),
            i=nn.Identity(),
            d=nn.Dropout2d(),
            b=conv(4, 5),
        ),
        IMAGE,
    ),
    "addition in place, aliased": (lambda: net(in_place, a=conv(3, 4), b=conv(4, 4), c=conv(4, 5)), IMAGE),
    "size that is added": (lambda: net(lambda m, x: m.a(x) + x.size(1), a=conv(3, 4)), IMAGE),
    "shape that is added": (
        lambda: net(lambda m, x: m.b(F.relu(m.a(x) + x.shape[1] / 10)), a=conv(3, 4), b=conv(4, 4)),
        IMAGE,
    ),
    "cast": (
        lambda: net(lambda m, x: m.b(F.relu(m.a(x.float()).to(x.dtype))), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    "float64 inside": (
        lambda: net(lambda m, x: m.b(m.a(x).double().relu().to(x.dtype)), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    # constants
    "normalised in the network": (
        lambda: net(lambda m, x: m.a((x - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / 0.5), a=conv(3, 5)),
        IMAGE,
    ),
    "scaled and shifted": (lambda: net(lambda m, x: F.relu(2 * m.a(x) - 0.5), a=conv(3, 5)), IMAGE),
    "scaled by channel": (
        lambda: net(lambda m, x: m.b(m.a(x) * torch.arange(1, 5).view(1, 4, 1, 1)), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    "subtracted from a constant": (
        lambda: net(lambda m, x: m.b(F.relu(1 - m.a(x))), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    "negated": (lambda: net(lambda m, x: m.b(F.relu(-F.relu(m.a(x)) + 1)), a=conv(3, 4), b=conv(4, 5)), IMAGE),
    # additions
    "two activated tensors": (
        lambda: net(lambda m, x: m.c(F.relu(m.a(x)) + F.relu(m.b(x))), a=conv(3, 4), b=conv(3, 4), c=conv(4, 5)),
        IMAGE,
    ),
    "a tensor and itself": (
        lambda: net(lambda m, x: m.b(F.relu(m.a(x)) + F.relu(m.a(x))), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    "twice the same value": (
        lambda: net(lambda m, x: (lambda y: m.b(y + y))(F.relu(m.a(x))), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    "three tensors": (
        lambda: net(
            lambda m, x: (lambda y: m.c(F.relu(m.a(y) + m.b(y) + y)))(F.relu(m.s(x))),
            s=conv(3, 4),
            a=conv(4, 4),
            b=conv(4, 4, 1),
            c=conv(4, 5),
        ),
        IMAGE,
    ),
    "difference": (
        lambda: net(lambda m, x: m.c(F.relu(m.a(x) - m.b(x))), a=conv(3, 4), b=conv(3, 4), c=conv(4, 5)),
        IMAGE,
    ),
    "weighted sum": (
        lambda: net(
            lambda m, x: m.c(torch.add(m.a(x), F.relu(m.b(x)), alpha=0.5)), a=conv(3, 4), b=conv(3, 4), c=conv(4, 5)
        ),
        IMAGE,
    ),
    "activated and raw": (
        lambda: net(lambda m, x: (lambda y: m.b(F.relu(y) + y))(m.a(x)), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    "the image itself": (lambda: net(lambda m, x: m.b(F.relu(m.a(x) + x)), a=conv(3, 3), b=conv(3, 5)), IMAGE),
    # BatchNorm
    "BatchNorm before the activation": (
        lambda: net(lambda m, x: m.b(F.relu(m.n(m.a(x)))), a=conv(3, 4), n=nn.BatchNorm2d(4), b=conv(4, 5)),
        IMAGE,
    ),
    "BatchNorm first": (lambda: net(lambda m, x: m.a(m.n(x)), n=nn.BatchNorm2d(3), a=conv(3, 5)), IMAGE),
    "BatchNorm behind an addition": (
        lambda: net(
            lambda m, x: (lambda y: m.c(F.relu(m.n(m.b(y) + y))))(F.relu(m.a(x))),
            a=conv(3, 4),
            b=conv(4, 4),
            n=nn.BatchNorm2d(4),
            c=conv(4, 5),
        ),
        IMAGE,
    ),
    "pre-activation block": (
        lambda: net(
            lambda m, x: (lambda y: m.d(F.relu(m.p(m.c(F.relu(m.o(m.b(F.relu(m.n(y)))))) + y))))(m.a(x)),
            a=conv(3, 4),
            n=nn.BatchNorm2d(4),
            b=conv(4, 4),
            o=nn.BatchNorm2d(4),
            c=conv(4, 4),
            p=nn.BatchNorm2d(4),
            d=conv(4, 5),
        ),
        IMAGE,
    ),
    "BatchNorm behind a pool": (
        lambda: net(
            lambda m, x: m.b(m.n(F.max_pool2d(F.relu(m.a(x)), 2))), a=conv(3, 4), n=nn.BatchNorm2d(4), b=conv(4, 5)
        ),
        IMAGE,
    ),
    "BatchNorm without parameters, of a vector": (
        lambda: net(
            lambda m, x: m.b(F.relu(m.n(m.a(x.flatten(1))))),
            a=nn.Linear(192, 8),
            n=nn.BatchNorm1d(8, affine=False),
            b=nn.Linear(8, 5),
        ),
        IMAGE,
    ),
    # ends
    "softmax": (
        lambda: net(lambda m, x: F.softmax(m.b(F.relu(m.a(x)).flatten(1)), dim=1), a=conv(3, 4), b=nn.Linear(256, 5)),
        IMAGE,
    ),
    "log_softmax": (lambda: net(lambda m, x: F.log_softmax(m.b(x.flatten(1)), dim=-1), b=nn.Linear(192, 5)), IMAGE),
    "sigmoid": (lambda: net(lambda m, x: torch.sigmoid(m.b(x.flatten(1))), b=nn.Linear(192, 5)), IMAGE),
    "map": (lambda: net(lambda m, x: m.b(F.relu(m.a(x))), a=conv(3, 8), b=conv(8, 3, 1)), (3, 6, 10)),
    "activation at the end": (
        lambda: net(lambda m, x: F.relu(m.b(F.relu(m.a(x))) + 1), a=conv(3, 8), b=conv(8, 3, 1)),
        IMAGE,
    ),
    "one tensor in a list": (lambda: net(lambda m, x: [m.a(x)], a=conv(3, 5)), IMAGE),
    "unused branch": (lambda: net(lambda m, x: (m.a(x), torch.sigmoid(m.b(x)))[0], a=conv(3, 5), b=conv(3, 5)), IMAGE),
}


@pytest.mark.parametrize("name", list(RIGHT))
def test_right(name: str) -> None:
    build, shape = RIGHT[name]
    agree(build(), shape)
