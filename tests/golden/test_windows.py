"""Pools, convolutions and rearrangements of every form: each network is close to float and exact."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.golden.agreement import agree
from tests.golden.spelled import IMAGE, Case, conv, net


def shuffle(x: Tensor, groups: int) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


def halves(m: Any, x: Tensor) -> Tensor:
    a, b = m.a(x).chunk(2, dim=1)
    return m.b(a) + m.c(b)


def dense(m: Any, x: Tensor) -> Tensor:
    y = torch.cat([x, F.relu(m.a(x))], 1)
    y = torch.cat([y, F.relu(m.b(y))], 1)
    return m.c(y)


RIGHT: dict[str, Case] = {
    # pools
    "average over 3x3": (
        lambda: net(lambda m, x: m.b(F.avg_pool2d(F.relu(m.a(x)), 3, 2)), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    "average over 3x3, padded": (
        lambda: net(lambda m, x: m.b(F.avg_pool2d(F.relu(m.a(x)), 3, 2, 1)), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    "average over 7x7": (
        lambda: net(
            lambda m, x: m.b(F.adaptive_avg_pool2d(F.relu(m.a(x)), 1).flatten(1)), a=conv(3, 4), b=nn.Linear(4, 5)
        ),
        (3, 7, 7),
    ),
    "average over 5x7, activated": (
        lambda: net(lambda m, x: m.b(F.relu(F.adaptive_avg_pool2d(m.a(x), (1, 1)))), a=conv(3, 4), b=conv(4, 5, 1)),
        (3, 5, 7),
    ),
    "average to 3x3, overlapping": (
        lambda: net(lambda m, x: m.b(F.adaptive_avg_pool2d(F.relu(m.a(x)), 3)), a=conv(3, 4), b=conv(4, 5)),
        (3, 7, 7),
    ),
    "average at the end": (lambda: net(lambda m, x: F.adaptive_avg_pool2d(m.a(x), 1), a=conv(3, 5)), (3, 7, 7)),
    "average and addition": (
        lambda: net(
            lambda m, x: (lambda y: m.c(F.avg_pool2d(y, 3, 1, 1) + m.b(y)))(F.relu(m.a(x))),
            a=conv(3, 4),
            b=conv(4, 4),
            c=conv(4, 5),
        ),
        IMAGE,
    ),
    "average and max": (
        lambda: net(lambda m, x: m.b(F.max_pool2d(F.avg_pool2d(F.relu(m.a(x)), 3, 1), 2)), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    "divisor of its own": (
        lambda: net(lambda m, x: m.b(F.avg_pool2d(F.relu(m.a(x)), 2, divisor_override=3)), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    "mean over rows and columns": (
        lambda: net(lambda m, x: m.b(F.relu(m.a(x)).mean([2, 3])), a=conv(3, 8), b=nn.Linear(8, 5)),
        IMAGE,
    ),
    "mean over -1 and -2": (
        lambda: net(lambda m, x: m.b(F.relu(m.a(x)).mean((-1, -2), keepdim=True)), a=conv(3, 8), b=conv(8, 5, 1)),
        (3, 6, 5),
    ),
    "sum over rows and columns": (
        lambda: net(lambda m, x: m.b(F.relu(m.a(x)).sum([2, 3])), a=conv(3, 8), b=nn.Linear(8, 5)),
        IMAGE,
    ),
    "max over rows and columns": (
        lambda: net(lambda m, x: m.b(m.a(x).amax((2, 3))), a=conv(3, 8), b=nn.Linear(8, 5)),
        IMAGE,
    ),
    "adaptive max": (
        lambda: net(lambda m, x: m.b(F.adaptive_max_pool2d(m.a(x), 2)), a=conv(3, 4), b=conv(4, 5, 1)),
        IMAGE,
    ),
    "max 3x3, stride 2, padded": (
        lambda: net(lambda m, x: m.b(F.max_pool2d(F.relu(m.a(x)), 3, 2, 1)), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    "max with ceil_mode": (
        lambda: net(lambda m, x: m.b(F.max_pool2d(F.relu(m.a(x)), 3, 2, ceil_mode=True)), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    "max of 2x3": (
        lambda: net(lambda m, x: m.b(F.max_pool2d(m.a(x), (2, 3), (1, 2))), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    "pool module with lists": (
        lambda: net(lambda m, x: m.b(m.p(m.a(x))), a=conv(3, 4), p=nn.MaxPool2d([2, 2]), b=conv(4, 5)),  # type: ignore[arg-type]
        IMAGE,
    ),
    # convolutions
    "grouped": (lambda: net(lambda m, x: m.b(F.relu(m.a(x))), a=conv(4, 8, groups=2), b=conv(8, 5)), (4, 8, 8)),
    "depthwise and pointwise": (
        lambda: net(
            lambda m, x: m.c(F.relu(m.b(F.relu(m.a(x))))), a=conv(3, 8, 1), b=conv(8, 8, groups=8), c=conv(8, 5, 1)
        ),
        IMAGE,
    ),
    "depthwise, two of each": (
        lambda: net(lambda m, x: m.b(F.relu(m.a(x))), a=conv(3, 6, groups=3), b=conv(6, 5, 1)),
        IMAGE,
    ),
    "padding same": (
        lambda: net(lambda m, x: m.b(F.relu(m.a(x))), a=conv(3, 4, 4, padding="same"), b=conv(4, 5)),
        IMAGE,
    ),
    "padding valid": (lambda: net(lambda m, x: m.a(x), a=conv(3, 4, 3, padding="valid")), IMAGE),
    "asymmetric zero pad": (
        lambda: net(
            lambda m, x: m.b(F.relu(m.a(F.pad(x, (0, 1, 2, 0))))), a=conv(3, 4, stride=2, padding=0), b=conv(4, 5)
        ),
        IMAGE,
    ),
    "zero pad of activations": (
        lambda: net(
            lambda m, x: m.b(F.max_pool2d(F.pad(F.relu(m.a(x)), (0, 1, 0, 1)), 3, 2)), a=conv(3, 4), b=conv(4, 5)
        ),
        IMAGE,
    ),
    "zero pad before a max of negative values": (
        lambda: net(lambda m, x: m.b(F.max_pool2d(F.pad(m.a(x), (0, 1, 0, 1)), 3, 2)), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    "zero pad and activation": (
        lambda: net(lambda m, x: m.b(F.relu(F.pad(m.a(x), (1, 1, 1, 1)))), a=conv(3, 4), b=conv(4, 5)),
        IMAGE,
    ),
    "1x3 and 3x1": (
        lambda: net(
            lambda m, x: m.b(F.relu(m.a(x))),
            a=nn.Conv2d(3, 4, (1, 3), padding=(0, 1)),
            b=nn.Conv2d(4, 5, (3, 1), stride=(2, 1)),
        ),
        IMAGE,
    ),
    "strides 2 and 3": (lambda: net(lambda m, x: m.a(x), a=nn.Conv2d(3, 5, 3, stride=(2, 3))), (3, 9, 11)),
    "dilated": (
        lambda: net(
            lambda m, x: m.b(F.relu(m.a(x))),
            a=conv(3, 4, dilation=2, padding=2),
            b=conv(4, 5, dilation=(1, 3), padding=0),
        ),
        IMAGE,
    ),
    "non-square image": (
        lambda: net(
            lambda m, x: m.b(F.max_pool2d(F.relu(m.a(x)), 2).flatten(1)), a=conv(3, 4), b=nn.Linear(4 * 3 * 5, 5)
        ),
        (3, 6, 10),
    ),
    "one-dimensional": (
        lambda: net(
            lambda m, x: m.c(F.adaptive_avg_pool1d(F.relu(m.n(m.b(F.max_pool1d(F.relu(m.a(x)), 2)))), 1).squeeze(-1)),
            a=nn.Conv1d(2, 4, 5, stride=2, padding=2),
            b=nn.Conv1d(4, 8, 3, dilation=2),
            n=nn.BatchNorm1d(8),
            c=nn.Linear(8, 5),
        ),
        (2, 40),
    ),
    "flattened sequence": (
        lambda: net(lambda m, x: m.b(F.relu(m.a(x)).flatten(1)), a=nn.Conv1d(2, 4, 3), b=nn.Linear(4 * 10, 5)),
        (2, 12),
    ),
    "MLP": (lambda: net(lambda m, x: m.b(F.relu(m.a(x))), a=nn.Linear(20, 16), b=nn.Linear(16, 5)), (20,)),
    "linear layers on non-square maps": (
        lambda: net(lambda m, x: m.b(F.relu(m.a(x.flatten(1)))), a=nn.Linear(30, 16), b=nn.Linear(16, 5)),
        (1, 5, 6),
    ),
    "one weight for two layers": (lambda: net(lambda m, x: m.a(F.relu(m.a(F.relu(m.a(x))))), a=conv(3, 3)), IMAGE),
    # rearrangements
    "halves": (lambda: net(halves, a=conv(3, 8), b=conv(4, 5), c=conv(4, 5)), IMAGE),
    "sliced channels": (lambda: net(lambda m, x: m.b(m.a(x)[:, 1:4]), a=conv(3, 6), b=conv(3, 5)), IMAGE),
    "channel shuffle": (
        lambda: net(lambda m, x: m.b(shuffle(F.relu(m.a(x)), 2)), a=conv(3, 6), b=conv(6, 6, groups=3)),
        IMAGE,
    ),
    "channels reversed": (lambda: net(lambda m, x: m.a(x.flip(1)), a=conv(3, 5)), IMAGE),
    "channels last before flattening": (
        lambda: net(lambda m, x: m.b(F.relu(m.a(x)).permute(0, 2, 3, 1).flatten(1)), a=conv(3, 4), b=nn.Linear(256, 5)),
        IMAGE,
    ),
    "activation behind flattening": (
        lambda: net(
            lambda m, x: m.b(F.relu(m.n(m.a(x).flatten(1)))), a=conv(3, 4), n=nn.Identity(), b=nn.Linear(256, 5)
        ),
        IMAGE,
    ),
    "shuffled and activated": (
        lambda: net(lambda m, x: m.b(F.relu(shuffle(m.a(x), 2))), a=conv(3, 6), b=conv(6, 5)),
        IMAGE,
    ),
    # concatenation
    "Fire module": (
        lambda: net(
            lambda m, x: (lambda s: m.c(torch.cat([F.relu(m.a(s)), F.relu(m.b(s))], 1)))(F.relu(m.s(x))),
            s=conv(3, 4, 1),
            a=conv(4, 5, 1),
            b=conv(4, 6),
            c=conv(11, 5),
        ),
        IMAGE,
    ),
    "Inception": (
        lambda: net(
            lambda m, x: m.d(torch.cat([m.a(x), F.relu(m.b(x)), F.max_pool2d(F.relu(m.c(x)), 3, 1, 1)], 1)),
            a=conv(3, 3, 1),
            b=conv(3, 5),
            c=conv(3, 2),
            d=conv(10, 5),
        ),
        IMAGE,
    ),
    "dense block": (lambda: net(dense, a=conv(3, 4), b=conv(7, 4), c=conv(11, 5)), IMAGE),
    "concatenated vectors": (
        lambda: net(
            lambda m, x: m.c(torch.cat([F.relu(m.a(x.flatten(1))), F.relu(m.b(x.flatten(1)))], 1)),
            a=nn.Linear(48, 6),
            b=nn.Linear(48, 7),
            c=nn.Linear(13, 5),
        ),
        (3, 4, 4),
    ),
    # clips
    "ReLU6": (lambda: net(lambda m, x: m.b(m.r(3 * m.a(x))), a=conv(3, 4), r=nn.ReLU6(), b=conv(4, 5)), IMAGE),
    "ReLU6, functional": (lambda: net(lambda m, x: m.b(F.relu6(5 * m.a(x))), a=conv(3, 4), b=conv(4, 5)), IMAGE),
    "clip to 1": (lambda: net(lambda m, x: m.b(torch.clamp(m.a(x), 0, 1)), a=conv(3, 4), b=conv(4, 5)), IMAGE),
    "hardtanh from 0": (lambda: net(lambda m, x: m.b(F.hardtanh(m.a(x), 0, 0.5)), a=conv(3, 4), b=conv(4, 5)), IMAGE),
    "clip behind an average": (
        lambda: net(lambda m, x: m.b(F.relu6(5 * F.avg_pool2d(m.a(x), 3))), a=conv(3, 4), b=conv(4, 5)),
        (3, 9, 9),
    ),
}


@pytest.mark.parametrize("name", list(RIGHT))
def test_right(name: str) -> None:
    build, shape = RIGHT[name]
    agree(build(), shape)
