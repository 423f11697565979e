"""What buffers hold in the fault-free run of an image: tensors and parameters as words of the machine."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from fitact_hw.fsim.machine import bias_lanes
from fitact_hw.injection.functional.order import Order
from fitact_hw.program import LANE_DTYPES, Program
from golden import reference
from golden.qnetwork import INPUT, QNetwork


class Parameters:
    """Weights, bounds and biases of a program, as they lie in its memory."""

    def __init__(self, program: Program) -> None:
        self.config, self._memory = program.config, program.memory

    @cached_property
    def _words(self) -> np.ndarray:
        size = self.config.word_bytes
        whole = self._memory[: self._memory.size // size * size]
        return whole.view(LANE_DTYPES[self.config.word_bits]).reshape(-1, size * 8 // self.config.word_bits)

    def words(self, numbers: np.ndarray) -> np.ndarray:
        """Words of weights or bounds, int64 (..., side)."""
        return self._words[numbers, : self.config.side].astype(np.int64)

    def biases(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Biases and shifts, int64 (count, side) each."""
        config, size = self.config, self.config.bias_word_bytes
        return bias_lanes(self._memory[: self._memory.size // size * size].reshape(-1, size)[numbers], config)


class Contents:
    """Tensors of one image as words: ``values`` (tensor words, side), of the type of a lane.

    ``memory``: uint8, with the image; ``trace``: outputs of all layers.
    """

    def __init__(self, order: Order, memory: np.ndarray, network: QNetwork, trace: reference.LayerTrace) -> None:
        self.order, self.network, self.trace = order, network, trace
        config = order.program.config
        self.values = np.zeros((int(order.tensors.first[-1]), config.side), LANE_DTYPES[config.word_bits])
        for number, placement in enumerate(order.tensors.placements):
            part = self.values[order.tensors.first[number] : order.tensors.first[number + 1]]
            if placement.name == INPUT:  # perhaps unfolded
                part[...] = placement.read_words(memory)
            else:
                part[...] = placement.as_words(self.trace[placement.name])
        self._totals: dict[int, np.ndarray] = {}

    def activations(self, numbers: np.ndarray) -> np.ndarray:
        """Words int64 (..., side) by their numbers in a stream's source, ZERO for padding."""
        words = self.values[numbers].astype(np.int64)
        words[numbers < 0] = 0
        return words

    def totals(self, tensor: int) -> np.ndarray:
        """What accumulators hold before the bias, int64 (words of the tensor, side), right modulo 2^acc_bits."""
        if tensor not in self._totals:
            placement = self.order.tensors.placements[tensor]
            layer = self.network.layer(placement.name)
            total = reference.accumulate(layer, self.trace[layer.source])
            if layer.residual is not None:
                total = total + (self.trace[layer.residual.source] << layer.residual.lshift)
            self._totals[tensor] = placement.as_words(total)
        return self._totals[tensor]
