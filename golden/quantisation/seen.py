"""What layers put out on the calibration images: taken some images at a time, nothing but sums and maxima are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from golden.errors import GoldenError
from golden.frontend.check import evaluate
from golden.frontend.layers import FloatLayer
from golden.qnetwork import INPUT
from golden.quantisation.points import Q15_16, candidate_fracs, squared_error
from golden.support.progress import track

TOP = 2.0 ** (31 - Q15_16)
"""Where Q15.16 saturates."""

_ELEMENTS = 1 << 24
"""Of all layers together, in one batch of images."""


@dataclass(frozen=True, eq=False)
class Seen:
    """``peaks``: largest magnitude of each element, float64 of a layer's shape; ``beyond``: how many of ``count``
    values Q15.16 does not hold."""

    peaks: np.ndarray
    beyond: int
    count: int

    @staticmethod
    def of(values: np.ndarray) -> Seen:
        """Of (images, ...)."""
        beyond = int(np.count_nonzero((values >= TOP) | (values < -TOP)))
        return Seen(np.abs(values).max(axis=0).astype(np.float64), beyond, values.size)

    def and_of(self, other: Seen | None) -> Seen:
        """Of the images of both."""
        if other is None:
            return self
        return Seen(np.maximum(self.peaks, other.peaks), self.beyond + other.beyond, self.count + other.count)

    @property
    def peak(self) -> float:
        """The largest magnitude of all."""
        return float(self.peaks.max(initial=0.0))


def observe(layers: Sequence[FloatLayer], pixels: np.ndarray) -> dict[str, Seen]:
    """By layer name, and of the images. Raises GoldenError, naming the layer, for what is NaN or infinite."""
    seen: dict[str, Seen] = {}
    for part in _parts(layers, pixels, "calibration, range of values"):
        seen[INPUT] = Seen.of(part).and_of(seen.get(INPUT))
        for layer, values in _outputs(layers, part):
            if not np.isfinite(values).all():
                raise GoldenError(f"layer {layer.name} ({layer.node}) is NaN or infinite on the calibration images")
            seen[layer.name] = Seen.of(values).and_of(seen.get(layer.name))
    return seen


def best_points(
    layers: Sequence[FloatLayer], pixels: np.ndarray, seen: Mapping[str, Seen], bits: int, finest: int
) -> dict[str, int]:
    """The binary point with the smallest squared error of the images and of each convolution's output, by name."""
    made = [INPUT, *(layer.name for layer in layers if layer.kind == "conv")]
    candidates = {name: candidate_fracs(seen[name].peak, bits, finest) for name in made}
    errors = {name: np.zeros(len(fracs)) for name, fracs in candidates.items()}

    def add(name: str, values: np.ndarray) -> None:
        values = values.astype(np.float64).ravel()
        errors[name] += [squared_error(values, frac, bits) for frac in candidates[name]]

    for part in _parts(layers, pixels, "calibration, binary points"):
        add(INPUT, part)
        for layer, values in _outputs(layers, part):
            if layer.kind == "conv":
                add(layer.name, values)
    return {name: candidates[name][int(np.argmin(errors[name]))] for name in made}


def _outputs(layers: Sequence[FloatLayer], pixels: np.ndarray) -> Iterator[tuple[FloatLayer, np.ndarray]]:
    for layer, values in evaluate(layers, torch.from_numpy(pixels).float()):
        yield layer, values.numpy()


def _parts(layers: Sequence[FloatLayer], pixels: np.ndarray, title: str) -> Iterator[np.ndarray]:
    elements = sum(int(np.prod(layer.out_shape)) for layer in layers)
    batch = max(1, _ELEMENTS // elements)
    starts = range(0, len(pixels), batch)
    for start in track(starts, title, quiet=len(starts) < 4):
        yield pixels[start : start + batch]
