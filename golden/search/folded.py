"""A fast float emulation of the Q15.16 machine, for searches that need many faulty evaluations.

Parameters are those the machine stores (BatchNorm folded, Q15.16), values saturate where a word does; sums
are float32. Exact results come from :mod:`golden.reference` only.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from golden.fault_maps import Segment, draw_flips, hit_words
from golden.frontend.check import apply_window
from golden.frontend.layers import FloatLayer
from golden.qnetwork import INPUT, last_uses
from golden.quantisation.quantise import Q15_16, to_fixed

WORD_BITS = 32
_TOP = 2.0 ** (WORD_BITS - 1 - Q15_16)

Parameters = dict[str, tuple[Tensor, Tensor]]
"""Weight (outputs, inputs, rows, columns) and bias (outputs,) by layer name, float32."""


class FoldedNetwork(nn.Module):
    """Executes float layers. ``words``: int32, weights then biases of each layer, as stored in memory.

    Bounds are kept apart, in ``bounds`` by layer name: float32, () or (channels, rows, columns).
    """

    def __init__(self, layers: list[FloatLayer]) -> None:
        super().__init__()
        self.layers = layers
        self.bounds = {
            layer.name: torch.from_numpy(np.asarray(layer.bound, np.float32))
            for layer in layers
            if layer.bound is not None
        }
        self._last_use = last_uses((layer.source, layer.residual) for layer in layers)
        parts, self._slots, start = [], {}, 0
        for layer in layers:
            if layer.weight is not None:
                parts += [layer.weight.ravel(), layer.bias]
                self._slots[layer.name] = (start, start + layer.weight.size, layer.weight.shape)
                start += layer.weight.size + layer.bias.size
        self.words = to_fixed(np.concatenate(parts), Q15_16, WORD_BITS).astype(np.int32)
        self.load(self.words)

    @property
    def bit_count(self) -> int:
        """Bits of parameter memory."""
        return int(self.words.size) * WORD_BITS

    def load(self, words: np.ndarray) -> None:
        """Use these parameters (int32, flat) from now on."""
        self.parameters_of = self.decode(words)

    def decode(self, words: np.ndarray) -> Parameters:
        """The float parameters of each layer that these words (int32, flat) mean."""
        return {name: self.decode_layer(name, words[self.words_of(name)]) for name in self._slots}

    def decode_layer(self, name: str, words: np.ndarray) -> tuple[Tensor, Tensor]:
        """Weight and bias of one layer that its words (int32, weights then biases) mean."""
        shape = self._slots[name][2]
        values = torch.from_numpy(words.astype(np.float32) * np.float32(2.0**-Q15_16))
        weights, biases = values[: -shape[0]], values[-shape[0] :]
        return weights.view(shape).contiguous(memory_format=torch.channels_last), biases

    def words_of(self, name: str) -> slice:
        """Where the words of a layer with parameters stand in ``words``."""
        start, end, shape = self._slots[name]
        return slice(start, end + shape[0])

    def forward(self, x: Tensor) -> Tensor:
        """Images float32 (batch, 3, rows, columns) to logits (batch, classes)."""
        return self.advance({INPUT: x}, 0, len(self.layers))[self.layers[-1].name].flatten(1)

    def advance(self, values: dict[str, Tensor], first: int, last: int) -> dict[str, Tensor]:
        """Evaluate layers ``first`` to ``last`` (exclusive) on the tensors that are alive before them.

        Returns the tensors that are alive afterwards (those that a later layer reads, and the output);
        ``values`` stays as it is.
        """
        values = dict(values)
        for index in range(first, last):
            layer = self.layers[index]
            values[layer.name] = self._evaluate(layer, values)
            for name in self._last_use.get(index, ()):
                del values[name]
        return values

    def _evaluate(self, layer: FloatLayer, values: dict[str, Tensor]) -> Tensor:
        x = values[layer.source]
        y = apply_window(layer, x, *self.parameters_of.get(layer.name, ()))
        if layer.residual is not None:
            y = y + values[layer.residual]
        if layer.activation == "linear":
            return y.clamp(-_TOP, _TOP)
        if layer.activation == "relu":
            return y.clamp(0, _TOP)
        bound = self.bounds[layer.name]
        if layer.activation == "saturate":
            return torch.minimum(y.relu(), bound)
        return y.relu() * (y <= bound)


def fault_maps(
    network: FoldedNetwork, rates: Iterable[float], maps: int, seed: int, layer: str | None = None
) -> list[list[np.ndarray]]:
    """Corrupted words (int32, flat) by rate and map: ``maps`` for each rate, one for a rate of 0.

    Of the whole memory, or of ``layer`` alone. They depend only on seed, rate number, map number and layer, so they
    are the same for every scheme; those of a study (:func:`golden.fault_maps.draw`) depend on the rate itself. Raises
    GoldenError for an impossible rate.
    """
    part = slice(None) if layer is None else network.words_of(layer)
    fault_free = network.words[part]
    memory = Segment(layer or "parameters", "weight", int(fault_free.size), WORD_BITS)
    of_layer = [] if layer is None else [int(part.start)]

    def corrupted(rate: float, generator: np.random.Generator) -> np.ndarray:
        words = fault_free.copy()
        for flips in draw_flips((memory,), rate, generator):
            elements, values = hit_words(words, flips)
            words[elements] = values
        return words

    return [
        [corrupted(rate, np.random.default_rng([seed, i, j, *of_layer])) for j in range(maps if rate else 1)]
        for i, rate in enumerate(rates)  # without faults all maps are the same
    ]
