"""The networks, as ordinary ``nn.Module`` classes for CIFAR-10 and CIFAR-100 (float32 input (batch, 3, 32, 32)).

Every non-linearity is a module instance of its own, so that a bounded one can take its place
(:mod:`golden.search.profile`), and each is created in the order in which it is executed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from golden.networks.registry import NETWORKS, check_model

CLASS_COUNT = 10
"""Of CIFAR-10, for which the stored weights are."""


def conv_block(channels_in: int, channels_out: int) -> list[nn.Module]:
    """3x3 convolution, BatchNorm, ReLU. The convolution needs no bias: BatchNorm has one."""
    conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(channels_out), nn.ReLU()]


def linear_block(features_in: int, features_out: int) -> list[nn.Module]:
    """Fully connected layer, BatchNorm, ReLU."""
    return [nn.Linear(features_in, features_out, bias=False), nn.BatchNorm1d(features_out), nn.ReLU()]


class CifarNetwork(nn.Module):
    """``features``, ending in ``feature_side`` x ``feature_side`` positions, then ``classifier``."""

    feature_side: int
    features: nn.Sequential
    classifier: nn.Sequential

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, 3, 32, 32) to logits (batch, classes)."""
        logits: Tensor = self.classifier(self.flatten(self.features(x)))
        return logits


class AlexNet(CifarNetwork):
    """AlexNet for 32x32 images: five convolutions, three fully connected layers (3.0 M parameters)."""

    feature_side = 4

    def __init__(self, classes: int = CLASS_COUNT) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *conv_block(3, 64),
            nn.MaxPool2d(2),
            *conv_block(64, 128),
            nn.MaxPool2d(2),
            *conv_block(128, 256),
            *conv_block(256, 192),
            *conv_block(192, 192),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            *linear_block(192 * self.feature_side**2, 512),
            *linear_block(512, 512),
            nn.Linear(512, classes),
        )


class Vgg16(CifarNetwork):
    """VGG16 with BatchNorm: 13 convolutions (Simonyan and Zisserman 2015), three small FC layers."""

    feature_side = 1
    plan = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))

    def __init__(self, classes: int = CLASS_COUNT) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width, repeats in self.plan:
            for _ in range(repeats):
                layers += conv_block(channels, width)
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(*linear_block(512, 512), *linear_block(512, 512), nn.Linear(512, classes))


class Bottleneck(nn.Module):
    """Residual block 1x1, 3x3, 1x1 (He et al. 2016); the stride sits in the 3x3 convolution."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        channels_out = width * self.expansion
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, channels_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels_in, rows, columns) to (batch, 4 * width, rows / stride, columns / stride)."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        out: Tensor = self.relu3(self.bn3(self.conv3(y)) + self.shortcut(x))
        return out


class ResNet50(CifarNetwork):
    """ResNet50 with the usual CIFAR stem: one 3x3 convolution of stride 1 and no max pool."""

    feature_side = 1
    plan = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))

    def __init__(self, classes: int = CLASS_COUNT) -> None:
        super().__init__()
        layers: list[nn.Module] = conv_block(3, 64)
        channels = 64
        for width, repeats, stride in self.plan:
            for index in range(repeats):
                layers.append(Bottleneck(channels, width, stride if index == 0 else 1))
                channels = width * Bottleneck.expansion
        layers.append(nn.AdaptiveAvgPool2d(1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Linear(channels, classes))


MODELS: dict[str, Callable[[int], CifarNetwork]] = dict(zip(NETWORKS, (AlexNet, Vgg16, ResNet50), strict=True))


def build_model(name: str, seed: int = 0, classes: int = CLASS_COUNT) -> CifarNetwork:
    """A freshly initialised network of so many classes. Raises GoldenError for an unknown name, listing the known."""
    check_model(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MODELS[name](classes)
