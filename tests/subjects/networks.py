"""Small networks of several input shapes, and noise for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.subjects.data import Data, from_arrays
from golden.subjects.make import import_checked, write_subject
from golden.subjects.stored import StoredSubject


class Functional(nn.Module):
    """Its ReLU is a function, called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(20, 16), nn.Linear(16, 12)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.second(F.relu(self.first(x)))))


def grey() -> nn.Module:
    """Of 1x8x8 images, 10 classes."""
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10))


def tall() -> nn.Module:
    """Of 3x40x24 images, 7 classes."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 12, 3, stride=2), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 7)),
    )


def sequence() -> nn.Module:
    """Of 4x30 sequences, 3 classes."""
    return nn.Sequential(nn.Conv1d(4, 6, 5), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(78, 3))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "grey": (grey, (1, 8, 8)),
    "tall": (tall, (3, 40, 24)),
    "mlp": (Functional, (20,)),
    "sequence": (sequence, (4, 30)),
}
"""Name -> what makes it, and the shape that it takes."""


def network(name: str) -> nn.Module:
    """Always with the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return NETWORKS[name][0]().eval()


def noise(name: str, count: int = 40, labelled: bool = False) -> Data:
    """Normally distributed images, always the same; labels are what they are."""
    rng = np.random.default_rng(5)
    arrays: dict[str, Any] = {"images": rng.standard_normal((count, *NETWORKS[name][1])).astype(np.float32)}
    if labelled:
        arrays["labels"] = rng.integers(0, 3, count)
    return from_arrays(arrays, "noise")


def subject(name: str, folder: Path, labelled: bool = False) -> StoredSubject:
    """A subject of one of these networks."""
    return write_subject(import_checked(network(name), noise(name, labelled=labelled)), folder, f"tests:{name}")
