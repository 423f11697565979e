"""More networks of :mod:`tests.golden.zoo`: of CIFAR, of signals, and what came after 2019."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CifarBlock(nn.Module):
    """ResNet20's, with shortcut A: every second pixel, channels of zeros."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.more = (outputs - inputs) // 2
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        shortcut = x
        if self.stride != 1:
            shortcut = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more, self.more), "constant", 0)
        out += shortcut
        return F.relu(out)


class ResNet20(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, 1, 1, bias=False), nn.BatchNorm2d(4)
        self.layers = nn.Sequential(CifarBlock(4, 4, 1), CifarBlock(4, 8, 2), CifarBlock(8, 16, 2))
        self.linear = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layers(F.relu(self.bn1(self.conv1(x))))
        out = F.avg_pool2d(out, out.size()[3])
        y: Tensor = self.linear(out.view(out.size(0), -1))
        return y


def network_in_network() -> nn.Module:
    """1x1 convolutions after each larger one; classes are averaged maps."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 6, 1), nn.ReLU(), nn.Conv2d(6, 5, 1), nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True), nn.Dropout(), nn.Conv2d(5, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 10, 1),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


def all_convolutional() -> nn.Module:
    """Strided convolutions in the place of pools."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 9, 3), nn.ReLU(),
        nn.Conv2d(9, 9, 3, stride=2), nn.ReLU(), nn.Conv2d(9, 7, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


class Causal(nn.Module):
    """A temporal convolutional network's block: dilated, what reaches into the future is cut off."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.cut = 2 * dilation
        self.conv1 = nn.Conv1d(inputs, outputs, 3, padding=self.cut, dilation=dilation)
        self.conv2 = nn.Conv1d(outputs, outputs, 3, padding=self.cut, dilation=dilation)
        self.downsample = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else None
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.conv1(x)[:, :, : -self.cut].contiguous())
        out = self.relu(self.conv2(out)[:, :, : -self.cut].contiguous())
        y: Tensor = self.relu(out + (x if self.downsample is None else self.downsample(x)))
        return y


class Temporal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tcn, self.linear = nn.Sequential(Causal(2, 5, 1), Causal(5, 5, 2)), nn.Linear(5, 10)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(self.tcn(x)[:, :, -1])
        return y


def eegnet() -> nn.Module:
    """EEGNet with ReLUs: along time, then over all electrodes channel by channel, then separable."""
    return nn.Sequential(
        nn.Conv2d(1, 4, (1, 8), padding="same", bias=False), nn.BatchNorm2d(4),
        nn.Conv2d(4, 8, (7, 1), groups=4, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d((1, 4)),
        nn.Dropout(0.25), nn.Conv2d(8, 8, (1, 5), padding="same", groups=8, bias=False),
        nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d((1, 2)), nn.Flatten(),
        nn.Linear(32, 4),
    )  # fmt: skip


class PointNet(nn.Module):
    """Points one by one, then the largest of each feature."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(3, 8, 1), nn.BatchNorm1d(8), nn.ReLU(), nn.Conv1d(8, 12, 1), nn.BatchNorm1d(12), nn.ReLU()
        )
        self.head = nn.Sequential(nn.Linear(12, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.amax(self.features(x), 2)
        return F.log_softmax(self.head(x), dim=-1)


class Residual(nn.Module):
    """ConvMixer's: what a module makes of its input is added to it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.fn = inner

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fn(x) + x
        return y


def convmixer() -> nn.Module:
    """ConvMixer with ReLUs: BatchNorm behind each of them."""
    mixer = nn.Sequential(nn.Conv2d(8, 8, 5, groups=8, padding="same"), nn.ReLU(), nn.BatchNorm2d(8))
    return nn.Sequential(
        nn.Conv2d(3, 8, kernel_size=2, stride=2), nn.ReLU(), nn.BatchNorm2d(8), Residual(mixer), nn.Conv2d(8, 8, 1),
        nn.ReLU(), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(8, 10),
    )  # fmt: skip


class RepVGGBlock(nn.Module):
    """As it is trained: 3x3, 1x1 and identity, each with BatchNorm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rbr_identity = nn.BatchNorm2d(channels)
        self.rbr_dense = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))
        self.rbr_1x1 = nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels))
        self.nonlinearity = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.nonlinearity(self.rbr_dense(x) + self.rbr_1x1(x) + self.rbr_identity(x))
        return y


def repvgg() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), RepVGGBlock(6), RepVGGBlock(6), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 10),
    )  # fmt: skip


class Ghost(nn.Module):
    """GhostNet's: cheap depthwise copies beside the convolution, as many as are wanted."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        first = -(-outputs // 2)
        self.outputs = outputs
        self.primary_conv = nn.Sequential(nn.Conv2d(inputs, first, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU())
        cheap = nn.Conv2d(first, first, 3, 1, 1, groups=first, bias=False)
        self.cheap_operation = nn.Sequential(cheap, nn.BatchNorm2d(first), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.primary_conv(x)
        return torch.cat([x1, self.cheap_operation(x1)], dim=1)[:, : self.outputs, :, :]


def ghostnet() -> nn.Module:
    return nn.Sequential(Ghost(3, 7), Ghost(7, 5), nn.AvgPool2d(6), nn.Flatten(), nn.Linear(5, 10))


class Focus(nn.Module):
    """YOLOv5's first layer: space to depth by slices; then a partial stage whose halves meet again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(12, 8, 3, padding=1)
        self.left, self.right = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 3, padding=1)
        self.head = nn.Conv2d(8, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
        x = self.conv(torch.cat(parts, 1)).relu()
        y: Tensor = self.head(torch.cat((self.left(x), self.right(x).relu()), 1))
        return y


MORE: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "ResNet20": (ResNet20, (3, 12, 12)),
    "network in network": (network_in_network, (3, 11, 11)),
    "all convolutional": (all_convolutional, (3, 11, 13)),
    "temporal convolutions": (Temporal, (2, 23)),
    "EEGNet": (eegnet, (1, 7, 32)),
    "PointNet": (PointNet, (3, 17)),
    "ConvMixer": (convmixer, (3, 10, 10)),
    "RepVGG": (repvgg, (3, 9, 9)),
    "GhostNet": (ghostnet, (3, 6, 6)),
    "YOLOv5's start": (Focus, (3, 10, 8)),
}
