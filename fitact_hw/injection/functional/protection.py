"""Upsets of protected buffers that their code corrects: data and control stay as they are, only words are counted."""

from __future__ import annotations

from fitact_hw.config import BUFFER_NAMES, AcceleratorConfig, Protection
from fitact_hw.injection.functional.loading import Flips
from sim.engine.access import AccessTrace

_BUFFERS = {f"u_buffers.u_{name}.data_mem": name for name in BUFFER_NAMES}


def corrected_words(config: AcceleratorConfig, accesses: AccessTrace, cycle: int, flips: Flips) -> int | None:
    """How often the machine counts a corrected word after ``flips`` in ``cycle``; None where it does more than that.

    SECDED gives every lane back that has one wrong bit, among its data or check bits, and leaves the memory wrong: each
    read up to the next write counts once (docs/reference/machine.md).
    """
    count = 0
    for site, word, mask in flips:
        buffer = _BUFFERS.get(site, "")
        if config.protected.get(buffer) is not Protection.SECDED or _most(config, buffer, mask) > 1:
            return None
        count += len(accesses.reads(site, word, cycle))
    return count


def _most(config: AcceleratorConfig, buffer: str, mask: int) -> int:
    """The largest number of bits of ``mask`` in one lane: check bits of all lanes lie above the data of all lanes."""
    width, checks = config.buffer_lane_bits(buffer), config.check_bits(buffer)
    data = config.side * width
    counts: dict[int, int] = {}
    while mask:
        bit = mask.bit_length() - 1
        mask ^= 1 << bit
        lane = bit // width if bit < data else (bit - data) // checks
        counts[lane] = counts.get(lane, 0) + 1
    return max(counts.values(), default=0)
