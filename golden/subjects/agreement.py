"""What quantisation costs: integer against float, layer by layer and class by class, on the user's images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from golden.data.dataset import DataSet
from golden.frontend.check import evaluate
from golden.frontend.layers import FloatLayer
from golden.qnetwork import INPUT, QNetwork
from golden.quantisation.quantise import quantise_images
from golden.reference import run
from golden.support.progress import track

_ELEMENTS = 1 << 24
"""Values of all layers that are compared at a time."""


@dataclass(frozen=True)
class Agreement:
    """``snr``: signal-to-noise ratio of the input and of each layer's output in dB, power of the float values over that
    of their differences, infinite where there are none; ``float_right`` and ``integer_right``: images in the class of
    their label; ``same``: images that both put in the same class; ``images``: of all these.

    ``worst``: the layer that loses most on its own, in dB below the worst tensor that it reads.
    """

    snr: dict[str, float]
    images: int
    float_right: int
    integer_right: int
    same: int
    worst: str
    loss: float


def compare(layers: Sequence[FloatLayer], qnet: QNetwork, data: DataSet) -> Agreement:
    """``layers`` in float64 beside ``qnet``, which was made of them, on ``data``."""
    size = sum(int(np.prod(layer.out_shape)) for layer in layers)
    batch = max(1, min(16, _ELEMENTS // size))
    signal, noise = (dict.fromkeys((INPUT, *(layer.name for layer in layers)), 0.0) for _ in range(2))
    classes: list[np.ndarray] = []
    words: list[np.ndarray] = []
    starts = range(0, len(data), batch)
    for start in track(list(starts), "integer beside float", len(starts)):
        pixels = data.part(start, start + batch).network_input()
        pixels = pixels.reshape(len(pixels), *qnet.input_shape)
        trace = run(qnet, quantise_images(qnet, pixels))
        signal[INPUT] += float(np.square(pixels).sum())
        noise[INPUT] += float(np.square(trace[INPUT] * 2.0**-qnet.input_frac - pixels).sum())
        for layer, output in evaluate(layers, torch.from_numpy(pixels)):
            exact = output.numpy()
            difference = trace[layer.name] * 2.0 ** -qnet.layer(layer.name).frac_out - exact
            signal[layer.name] += float(np.square(exact).sum())
            noise[layer.name] += float(np.square(difference).sum())
        classes.append(exact.reshape(len(exact), -1).argmax(1))
        words.append(trace[layers[-1].name].reshape(len(exact), -1).argmax(1))
    ours, theirs = np.concatenate(classes), np.concatenate(words)
    snr = {name: _decibels(signal[name], noise[name]) for name in signal}
    losses = {layer.name: _loss(layer, snr) for layer in layers if signal[layer.name]}
    worst = max(losses, key=lambda name: losses[name])
    return Agreement(
        snr,
        len(data),
        int((ours == data.labels).sum()),
        int((theirs == data.labels).sum()),
        int((ours == theirs).sum()),
        worst,
        losses[worst],
    )


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal else float("-inf")


def _loss(layer: FloatLayer, snr: dict[str, float]) -> float:
    before = min(snr[name] for name in (layer.source, layer.residual) if name is not None)
    return min(before, _CEILING) - min(snr[layer.name], _CEILING)


_CEILING = 200.0
"""dB that count for exact values."""
