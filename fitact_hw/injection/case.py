"""What the engine strikes: a program with one image in its memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fitact_hw.compiler import with_images
from fitact_hw.errors import FitActError
from fitact_hw.program import Program
from golden import reference
from golden.qnetwork import QNetwork


class EngineError(FitActError):
    """Machine, program and golden model do not fit together: a defect, or a program of another network."""


@dataclass(frozen=True, eq=False)
class Case:
    """``program`` of ``network`` for one image, and that ``image``: int64 (1, C, H, W), quantised."""

    network: QNetwork
    program: Program
    image: np.ndarray

    @cached_property
    def memory(self) -> np.ndarray:
        """uint8 memory at start."""
        return with_images(self.program, self.image)

    @cached_property
    def trace(self) -> reference.LayerTrace:
        """Golden outputs of every layer (batch 1)."""
        return reference.run(self.network, self.image)

    def ready(self) -> Case:
        """This case with memory and trace made: ahead of a clock that runs, or of forks that share them."""
        _ = self.memory, self.trace
        return self

    @property
    def logits(self) -> np.ndarray:
        """Fault-free logits of the golden model, int64 (1, classes)."""
        return self.trace[self.program.logits].reshape(1, -1)
