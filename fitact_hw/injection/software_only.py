"""What an injection costs that only software does: the denominator of published speed-ups."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from golden import reference
from golden.qnetwork import QNetwork


def software_seconds(network: QNetwork, image: np.ndarray, batch: int, runs: int) -> float:
    """Seconds per injection of software-only injection: the whole golden network with one flipped weight.

    ``image`` int64 (1, C, H, W); ``batch`` images go through the same corrupted network and count as one injection
    each, as tools that batch their images count them.
    """
    rng = np.random.default_rng(0)
    layers = [layer for layer in network.layers if layer.weight is not None]
    images = np.repeat(image, batch, axis=0)
    spent = 0.0
    for number in range(runs):
        layer = layers[number % len(layers)]
        began = time.perf_counter()
        assert layer.weight is not None
        weight = layer.weight.copy()
        weight.reshape(-1)[rng.integers(weight.size)] ^= 1 << int(rng.integers(network.word_bits - 1))
        reference.run(network, images, {layer.name: replace(layer, weight=weight)})
        spent += time.perf_counter() - began
    return spent / (runs * batch)
