"""Range check of stored parameters: a word beyond the largest fault-free one of its layer is read as zero.

Limits come from the fault-free parameters, one for the weights, biases and bounds of each layer: nothing is trained.
After RandBET's weight clipping (Stutz et al., 2020, arXiv 2006.13977), but a word outside is zeroed, not limited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from golden.bounds.limits import limit_of
from golden.bounds.schemes import ParameterCheck
from golden.bounds.stored import StoredBounds
from golden.fault_maps import FaultMap, Flips, hit_words
from golden.fault_maps import stored_bounds as bounds_as_words
from golden.qnetwork import QNetwork


def limits(words: np.ndarray, check: ParameterCheck) -> tuple[int, int]:
    """Least and largest word that passes: +-max |word|, or what its number of magnitude bits can hold."""
    limit = limit_of(words, check.exact)
    return (-limit, limit) if check.exact else (-(1 << limit), (1 << limit) - 1)


def checked(
    qnet: QNetwork, faults: FaultMap, check: ParameterCheck, stored: Mapping[str, StoredBounds] | None = None
) -> tuple[FaultMap, int]:
    """The map as the machine sees it behind the check, and how many words the check zeroed.

    A zeroed word has every bit flipped that is set in the fault-free one. Not checked are shifts, bounds kept as codes,
    and a bound of a whole layer: the machine has it from an instruction, not from a LOAD. Raises GoldenError if the map
    was drawn for another network.
    """
    stored = bounds_as_words(qnet) if stored is None else stored
    seen, hits = [], 0
    for flips in faults.flips:
        words = _words(qnet, flips, stored)
        if words is None:
            seen.append(flips)
            continue
        elements, values = hit_words(words, flips)
        least, most = limits(words, check)
        zeroed = elements[(values < least) | (values > most)]
        hits += len(zeroed)
        if behind := _zeroing(flips, words, zeroed):
            seen.append(behind)
    return replace(faults, flips=tuple(seen)), hits


def _words(qnet: QNetwork, flips: Flips, stored: Mapping[str, StoredBounds]) -> np.ndarray | None:
    segment = flips.segment
    if segment.kind == "shift":
        return None
    if segment.kind == "bound":
        kept = stored[segment.layer]
        return kept.raw if kept.base is None and kept.group is not None else None
    words: np.ndarray = getattr(qnet.layer(segment.layer), segment.kind)
    return words


def _zeroing(flips: Flips, words: np.ndarray, zeroed: np.ndarray) -> Flips | None:
    """``flips`` without those in the words ``zeroed``, and with those that make them zero; None if none is left."""
    kept = ~np.isin(flips.element, zeroed)
    bits = np.arange(flips.segment.bits)
    place, bit = np.nonzero(words.reshape(-1)[zeroed].astype(np.int64)[:, None] >> bits & 1)
    element = np.concatenate([flips.element[kept], zeroed[place]])
    if not len(element):
        return None
    return Flips(flips.segment, element, np.concatenate([flips.bit[kept], bits[bit]]))
