"""What the array multiplies: activations and weights at places of the program."""

from __future__ import annotations

import numpy as np

from fitact_hw.injection.functional.contents import Contents, Parameters
from fitact_hw.injection.functional.schedule import Schedule


class Operands:
    """What the array reads at some places of the program, in the fault-free run."""

    def __init__(self, schedule: Schedule, parameters: Parameters, contents: Contents) -> None:
        self.schedule, self.parameters, self.contents = schedule, parameters, contents
        self.order, self.gemms = schedule.order, schedule.order.gemms

    def within(self, tile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """GEMM of each weight tile, and its number there."""
        gemm = self.schedule.gemm[tile]
        return gemm, tile - self.gemms.first_tile[gemm]

    def activations(self, tile: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        """Activation words int64 (..., side) of weight tiles (numbers in the program) and pixels."""
        gemm, number = self.within(tile)
        words = self.gemms.activation_words(gemm, number, pixel)
        source = self.order.streams["activation"].source[words + self.gemms.act_shift[gemm]]
        return self.contents.activations(source)

    def weights(self, tile: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Weight words int64 (..., side) of weight tiles and their rows."""
        gemm, number = self.within(tile)
        words = self.gemms["weight_base"][gemm] + number * self.gemms["weight_stride"][gemm] + row
        return self.parameters.words(self.order.streams["weight"].source[words + self.gemms.weight_shift[gemm]])

    def activation_word(self, word: int, tile: int) -> np.ndarray:
        """Content int64 (side,) of a word of the activation buffer when ``tile`` passes."""
        place = word + self.gemms.act_shift[self.schedule.gemm[tile]]
        return self.contents.activations(self.order.streams["activation"].source[place : place + 1])[0]

    def weight_word(self, word: int, tile: int) -> np.ndarray:
        """The same of the weight buffer."""
        place = word + self.gemms.weight_shift[self.schedule.gemm[tile]]
        return self.parameters.words(self.order.streams["weight"].source[place])

    def all_pixels(self, tile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Every pixel of each of ``tile``: which of them (0, 1, ...), and the pixel."""
        counts = self.gemms.pixels[self.schedule.gemm[tile]]
        which = np.repeat(np.arange(len(tile)), counts)
        return which, np.arange(len(which)) - (np.cumsum(counts) - counts)[which]
