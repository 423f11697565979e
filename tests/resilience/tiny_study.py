"""A study of small random networks, also run as a process that a test kills: folder, milliseconds, workers."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from fitact_hw.resilience import study
from fitact_hw.resilience.pool import Processes
from fitact_hw.resilience.store import Row
from fitact_hw.resilience.subjects import FAULTY, PROTECTED, Settings, Subject
from golden.data.cifar10 import Images
from golden.data.dataset import DataSet
from golden.qnetwork import Activation, QNetwork
from golden.quantisation.quantise import quantise_images
from tests.exact.networks import network

SETTINGS = Settings("random", rates=(1e-4, 1e-3), maps=6, images=4, memories=(FAULTY, PROTECTED))


def pictures() -> tuple[Images, str]:
    """Four noise images of 32x32, as the study wants them."""
    rng = np.random.default_rng(0)
    return Images(rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8), np.arange(4, dtype=np.int64)), "noise"


def load(seed: int, activation: Activation, pause: float) -> tuple[QNetwork, None]:
    """A random network, after a while."""
    time.sleep(pause)
    return network(seed, 32, activation), None


def corner(qnet: QNetwork, images: DataSet) -> np.ndarray:
    """The networks take 8x8 pixels of a picture."""
    return quantise_images(qnet, images.images[:, :8, :8])


def subjects(seed: int = 1, pause: float = 0.0) -> list[Subject]:
    """Two networks, each with bounds in both kinds of memory; ``pause`` seconds before each is loaded."""
    kinds: tuple[tuple[str, Activation], ...] = (("ranger", "saturate"), ("fitact", "clip"))
    return [
        Subject(name, 32, memory, partial(load, seed, activation, pause), corner)
        for name, activation in kinds
        for memory in SETTINGS.memories
    ]


def run(folder: Path, settings: Settings = SETTINGS, seed: int = 1, pause: float = 0.0, workers: int = 1) -> list[Row]:
    """The study in ``folder``, on the first ``settings.images`` pictures."""
    images, source = pictures()
    chosen = (images.part(0, settings.images), source)
    return study.run(settings, subjects(seed, pause), folder, Console(quiet=True), chosen, Processes(workers))


if __name__ == "__main__":
    from tests.resilience import tiny_study  # workers do not load the program that is run, so nothing may be of it

    tiny_study.run(Path(sys.argv[1]), pause=int(sys.argv[2]) / 1000, workers=int(sys.argv[3]))
