"""Common to the tests of golden: seeded inputs, a small network with every kind of layer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from golden.data.cifar10 import Images
from golden.networks.models import build_model, conv_block, linear_block
from golden.networks.zoo import save_weights
from golden.search.folded import FoldedNetwork, fault_maps


class TinyNet(nn.Module):
    """Two convolutions with BatchNorm, a residual addition, both pools, two linear layers; 8x8 images."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv_block(3, 8))
        self.branch = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.average = nn.AvgPool2d(2)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(*linear_block(8 * 4, 16))
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.relu(self.branch(x) + x)
        return self.head(self.classifier(self.flatten(self.average(self.pool(x)))))


@pytest.fixture
def tiny_net() -> TinyNet:
    """Untrained, but with BatchNorm statistics and affine parameters that are not the identity."""
    torch.manual_seed(7)
    net = TinyNet()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            module.running_mean = torch.randn_like(module.bias) * 0.1
            module.running_var = torch.rand_like(module.bias) + 0.5
    return net.eval()


def random_images(count: int, seed: int = 0) -> Images:
    """Smooth random images uint8 (count, 32, 32, 3), learnable: the label is the brightest colour's code."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count)
    colour = np.random.default_rng(99).integers(0, 200, (10, 1, 1, 3))[labels]
    return Images((colour + rng.integers(0, 56, (count, 32, 32, 3))).astype(np.uint8), labels)


@torch.no_grad()
def accuracy_under_faults(
    network: FoldedNetwork,
    pixels: Tensor,
    truth: Tensor,
    rates: Iterable[float],
    maps: int,
    seed: int,
) -> np.ndarray:
    """Accuracy float64 (rates, maps). ``pixels`` float32 (images, 3, rows, columns), ``truth`` int64 (images,)."""
    rates = list(rates)
    result = np.zeros((len(rates), maps))
    try:
        for i, words_of_rate in enumerate(fault_maps(network, rates, maps, seed)):
            for j, words in enumerate(words_of_rate):
                network.load(words)
                result[i, j:] = float((network(pixels).argmax(1) == truth).double().mean())
    finally:
        network.load(network.words)
    return result


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Images, Path]:
    """40 images, and a folder with an untrained AlexNet that claims 8 of them for validation."""
    folder = tmp_path / "stored"
    save_weights("alexnet", build_model("alexnet", 3).eval(), {"recipe": {"validation": 8}}, folder)
    return random_images(40), folder
