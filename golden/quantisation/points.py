"""Words with power-of-two scales: how a value becomes a word, and which binary point suits it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from golden.errors import GoldenError, WeightsError
from golden.qnetwork import ACC_BITS

Q15_16 = 16
"""The binary point of every tensor at 32 bits."""
MAX_SHIFT = 63
FINEST = 30
"""Finest binary point of a weight, unless its whole layer is smaller: what is 0 there counts as 0."""


@dataclass(frozen=True)
class BinaryPoints:
    """Binary points by layer name: of each layer's output, and of its weights (one per output channel
    or one for all). ``activation`` also holds :data:`golden.qnetwork.INPUT`.

    ``input_shape``: of one image as the network takes it. ``notes``: what was lost on the
    calibration images, one line each.
    """

    word_bits: int
    activation: dict[str, int]
    weight: dict[str, list[int]]
    input_shape: tuple[int, ...] = (3, 32, 32)
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON file."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> BinaryPoints:
        """Inverse of :meth:`to_json`. Raises WeightsError if the data are not of that form."""
        try:
            return BinaryPoints(
                int(data["word_bits"]),
                {str(key): int(value) for key, value in data["activation"].items()},
                {str(key): [int(f) for f in value] for key, value in data["weight"].items()},
                tuple(int(size) for size in data.get("input_shape", BinaryPoints.input_shape)),
                tuple(str(note) for note in data.get("notes", ())),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise WeightsError(f"binary points are incomplete ({error!r})") from error


def word_name(word_bits: int) -> str:
    """What reports call words of a width: int8, int16, Q15.16."""
    return "Q15.16" if word_bits == 32 else f"int{word_bits}"


def check_word(word_bits: int) -> None:
    """Raise GoldenError unless the word is 8, 16 or 32 bits."""
    if word_bits not in ACC_BITS:
        raise GoldenError(f"word of {word_bits} bits is not supported: choose from 8, 16, 32")


def to_fixed(value: np.ndarray, frac: np.ndarray | int, bits: int) -> np.ndarray:
    """Round half up to int64 at binary point ``frac``, saturating to ``bits`` (float64 arithmetic)."""
    top = float(2 ** (bits - 1))
    scaled = np.floor(np.asarray(value, np.float64) * np.exp2(np.asarray(frac, np.float64)) + 0.5)
    # 2**63 - 1 has no float64; the word is at most 32 bits and biases are checked before
    return np.clip(scaled, -top, top - 1).astype(np.int64)


def counts_as_zero(peak: float, finest: int = FINEST) -> bool:
    """Whether values of at most ``peak`` all become 0 at the finest binary point."""
    return peak * 2.0**finest < 0.5


def best_frac(values: np.ndarray, bits: int, finest: int = FINEST) -> int:
    """Binary point with the smallest squared quantisation error of ``values`` (the smaller on a tie), at most
    ``finest``; ``bits - 1`` if they count as zero. Raises GoldenError if one is not finite."""
    values = np.asarray(values, np.float64).ravel()
    candidates = candidate_fracs(float(np.abs(values).max(initial=0.0)), bits, finest)
    if len(candidates) == 1:
        return candidates[0]
    return candidates[int(np.argmin([squared_error(values, frac, bits) for frac in candidates]))]


def candidate_fracs(peak: float, bits: int, finest: int = FINEST) -> range:
    """The binary points among which the best for values of at most ``peak`` is. Raises GoldenError if that is no
    number."""
    if not np.isfinite(peak):
        raise GoldenError("values that are NaN or infinite have no binary point")
    if counts_as_zero(peak, finest):
        return range(bits - 1, bits)
    # Clipping beyond 4 bits of the peak never pays; this keeps the search to a few candidates.
    unclipped = int(np.floor(np.log2((2 ** (bits - 1) - 1) / peak)))
    return range(min(finest, unclipped - 1), min(finest, unclipped + 4) + 1)


def squared_error(values: np.ndarray, frac: int, bits: int) -> float:
    """Sum of the squared quantisation errors of float64 ``values``."""
    return float(np.square(to_fixed(values, frac, bits) * 2.0**-frac - values).sum())
