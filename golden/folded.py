"""A fast float emulation of the Q15.16 machine, for searches that need many faulty evaluations.

Parameters are those the machine stores (BatchNorm folded, Q15.16), values saturate where a word does; sums
are float32. Exact results come from :mod:`golden.reference` only.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.errors import GoldenError
from golden.lowering import FloatLayer
from golden.qnetwork import INPUT
from golden.quantise import Q15_16, to_fixed

WORD_BITS = 32
_TOP = 2.0 ** (WORD_BITS - 1 - Q15_16)


def draw_flips(bit_count: int, rate: float, generator: np.random.Generator) -> np.ndarray:
    """Positions of flipped bits, int64, sorted: each of ``bit_count`` bits flips with probability ``rate``.

    Their number is binomial over the whole bit space, and they are drawn without replacement: no layer is
    too small to be hit and no two flips cancel.
    """
    if not 0 <= rate <= 1:
        raise GoldenError(f"bit error rate {rate} is not within 0..1")
    count = int(generator.binomial(bit_count, rate))
    return np.sort(generator.choice(bit_count, size=count, replace=False, shuffle=False))


def flip_bits(words: np.ndarray, positions: Iterable[int] | np.ndarray) -> np.ndarray:
    """A copy of 32-bit ``words`` (int32, flat) with the given bits inverted.

    Bit 0 is the lowest of word 0.
    """
    positions = np.asarray(positions, dtype=np.int64)
    flipped = words.copy().view(np.uint32)
    masks = np.left_shift(np.uint32(1), (positions % WORD_BITS).astype(np.uint32), dtype=np.uint32)
    np.bitwise_xor.at(flipped, positions // WORD_BITS, masks)
    return flipped.view(np.int32)


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
        values = torch.from_numpy(words.astype(np.float32) * np.float32(2.0**-Q15_16))
        self.parameters_of = {
            name: (
                values[start:end].view(shape).contiguous(memory_format=torch.channels_last),
                values[end : end + shape[0]],
            )
            for name, (start, end, shape) in self._slots.items()
        }

    def forward(self, x: Tensor) -> Tensor:
        """Images float32 (batch, 3, rows, columns) to logits (batch, classes)."""
        values = {INPUT: x}
        for layer in self.layers:
            values[layer.name] = self._evaluate(layer, values)
        return values[self.layers[-1].name].flatten(1)

    def _evaluate(self, layer: FloatLayer, values: dict[str, Tensor]) -> Tensor:
        x = values[layer.source]
        if layer.kind == "maxpool":
            y = F.max_pool2d(F.pad(x, (layer.padding,) * 4), layer.kernel, layer.stride)
        elif layer.kind == "avgpool":
            y = F.avg_pool2d(x, layer.kernel, layer.stride, layer.padding)
        else:
            weight, bias = self.parameters_of[layer.name]
            y = F.conv2d(x, weight, bias, layer.stride, layer.padding)
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


@torch.no_grad()
def accuracy_under_faults(
    network: FoldedNetwork,
    pixels: Tensor,
    truth: Tensor,
    rates: Iterable[float],
    maps: int,
    seed: int,
) -> np.ndarray:
    """Accuracy float64 (rates, maps). Fault maps depend only on seed, rate and map number, so they are the
    same for every scheme. ``pixels`` float32 (images, 3, rows, columns), ``truth`` int64 (images,)."""
    rates = list(rates)
    result = np.zeros((len(rates), maps))
    try:
        for i, rate in enumerate(rates):
            for j in range(maps if rate else 1):  # without faults all maps are the same
                generator = np.random.default_rng([seed, i, j])
                network.load(flip_bits(network.words, draw_flips(network.bit_count, rate, generator)))
                result[i, j:] = float((network(pixels).argmax(1) == truth).double().mean())
    finally:
        network.load(network.words)
    return result
