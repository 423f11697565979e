"""Q15.16: binary point 16 everywhere, so it is the network that must fit: what does not is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from golden.errors import GoldenError
from golden.frontend.layers import FloatLayer
from golden.qnetwork import ACC_BITS, INPUT
from golden.quantisation.points import Q15_16, BinaryPoints, counts_as_zero
from golden.quantisation.ranges import input_peaks
from golden.quantisation.seen import TOP, Seen

WORD_BITS = 32
_ACC_TOP = 2.0 ** (ACC_BITS[WORD_BITS] - 1 - 2 * Q15_16) * (1 - 2.0**-20)
"""What an accumulator holds, as a number."""


def points_q15_16(layers: Sequence[FloatLayer], seen: Mapping[str, Seen]) -> tuple[BinaryPoints, list[str]]:
    """The points, and a note on each tensor that saturates or vanishes on the calibration images.

    ``seen``: what each layer puts out on them, and the images, by name. Raises GoldenError for a layer whose sums can
    wrap on images like these.
    """
    notes = _notes("the input", seen[INPUT], "values on the calibration images")
    for layer in layers:
        if layer.weight is not None:
            notes += _notes(f"{layer.name}'s weights", Seen.of(layer.weight[None]), "weights")
            _check_sums(layer, seen)
        notes += _notes(layer.name, seen[layer.name], "values on the calibration images")
    names = [INPUT, *(layer.name for layer in layers)]
    weights = {layer.name: [Q15_16] for layer in layers if layer.weight is not None}
    return BinaryPoints(WORD_BITS, dict.fromkeys(names, Q15_16), weights), notes


def _notes(what: str, seen: Seen, unit: str) -> list[str]:
    peak = seen.peak
    if peak and counts_as_zero(peak, Q15_16):
        return [f"{what}: all {unit} are 0 in Q15.16 (largest {peak:.3g}, step {2.0**-Q15_16:.3g})"]
    if not seen.beyond:
        return []
    return [f"{what}: {seen.beyond} of {seen.count} {unit} saturate in Q15.16, at +-{TOP:.0f} (largest {peak:.6g})"]


def _check_sums(layer: FloatLayer, seen: Mapping[str, Seen]) -> None:
    assert layer.weight is not None
    magnitudes = np.minimum(np.abs(layer.weight.reshape(len(layer.weight), -1)), TOP)
    peaks = input_peaks(layer, np.minimum(seen[layer.source].peaks, TOP))
    sums = magnitudes @ peaks + np.abs(layer.bias)
    if layer.residual is not None:
        sums += TOP
    worst = int(sums.argmax())
    if sums[worst] > _ACC_TOP:
        raise GoldenError(
            f"layer {layer.name}: bias and sums of channel {worst} can reach {sums[worst]:.3g}, which the accumulator "
            f"of Q15.16 does not hold (at most {_ACC_TOP:.3g}): scale the network down or use 8 or 16 bits"
        )
