"""A study of small random networks, also run as a process that a test kills: folder, milliseconds."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from golden.data import Images
from golden.qnetwork import QNetwork
from golden.resilience import study
from golden.resilience.bounds import StoredBounds
from golden.resilience.store import Row
from golden.resilience.study import FAULTY, PROTECTED, Settings, Subject
from tests.resilience.networks import network

SETTINGS = Settings("random", rates=(1e-4, 1e-3), maps=6, images=4, memories=(FAULTY, PROTECTED))


def pictures() -> tuple[Images, str]:
    """Four noise images of 32x32, as the study wants them."""
    rng = np.random.default_rng(0)
    return Images(rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8), np.arange(4, dtype=np.int64)), "noise"


def subjects(seed: int = 1, pause: float = 0.0) -> list[Subject]:
    """Two networks that take the corner of a picture; ``pause`` seconds before each is loaded."""

    def load(activation: str) -> tuple[QNetwork, dict[str, StoredBounds] | None]:
        time.sleep(pause)
        return network(seed, 32, activation), None  # type: ignore[arg-type]

    return [
        Subject(name, 32, memory, lambda activation=activation: load(activation))  # type: ignore[misc]
        for name, activation in (("ranger", "saturate"), ("fitact", "clip"))
        for memory in SETTINGS.memories
    ]


def run(folder: Path, settings: Settings = SETTINGS, seed: int = 1, pause: float = 0.0) -> list[Row]:
    """The study in ``folder``."""
    quiet = Console(quiet=True)
    original = study.quantise_images
    study.quantise_images = lambda qnet, images: original(qnet, images)[:, :, :8, :8]
    try:
        return study.run(settings, subjects(seed, pause), folder, quiet, pictures())
    finally:
        study.quantise_images = original


if __name__ == "__main__":
    run(Path(sys.argv[1]), pause=int(sys.argv[2]) / 1000)
