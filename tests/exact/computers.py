"""The same work on computers that can less."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from golden.exact.evaluator import FAULT_FREE, Evaluator
from golden.fault_maps import corrupt, draw
from tests.exact.networks import inputs, network

without_compiler_or_cache = pytest.mark.parametrize(
    ("variable", "value"), [("CXX", "no-such-compiler"), ("TORCHINDUCTOR_CACHE_DIR", "file/cache")]
)
"""What makes torch's C++ toolchain fail, for :func:`printed`."""


def printed(program: str, folder: Path, variable: str = "TORCHINDUCTOR_CACHE_DIR", value: str = "cache") -> list[str]:
    """Words that a new Python process prints, with an own cache of torch and ``variable`` a path in ``folder``."""
    (folder / "file").write_text("not a folder")
    settings = {"TORCHINDUCTOR_CACHE_DIR": str(folder / "cache"), variable: str(folder / value)}
    command = [sys.executable, "-c", program]
    return subprocess.check_output(command, env={**os.environ, **settings}, text=True).split()


def logits_under_faults(word_bits: int, rate: float) -> np.ndarray:
    """Of a small network, without faults and under three maps."""
    qnet, images = network(2, word_bits), inputs(2, word_bits, 4)
    evaluator = Evaluator(qnet, torch.device("cpu"))
    patches = [evaluator.patch(corrupt(qnet, draw(qnet, rate, 1, index))) for index in range(3)]
    return evaluator.logits(images, [FAULT_FREE, *patches])
