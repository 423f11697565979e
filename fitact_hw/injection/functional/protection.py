"""What parity and SECDED make of an upset of a protected buffer: what is counted, what is lost, what gets through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitact_hw.config import AcceleratorConfig, Protection
from fitact_hw.injection.functional.changes import Hit
from fitact_hw.injection.functional.loading import Flips
from fitact_hw.injection.functional.run import Run
from fitact_hw.injection.functional.schedule import SITES
from sim.engine.access import AccessTrace

LOSES = ("activation", "weight", "bias", "bound", "output")
"""Buffers of which a lost lane is judged without RTL: those whose words need not be summed up anew."""


@dataclass(frozen=True)
class Decoded:
    """``flips`` of data bits that get through the code, with all data bits of lanes that are lost; ``lost``: (site,
    word) -> these lanes, which read as zero. ``corrected``, ``detected``: words that the machine counts."""

    flips: Flips
    lost: dict[tuple[str, int], tuple[int, ...]]
    corrected: int
    detected: int


def guarded(config: AcceleratorConfig, flips: Flips) -> bool:
    """Whether anything of a protected buffer is struck, its read register among it."""
    paths = tuple(f"u_buffers.u_{name}." for name in config.protected)
    return any(site.startswith(paths) for site, _, _ in flips)


def decoded(config: AcceleratorConfig, accesses: AccessTrace, cycle: int, flips: Flips) -> Decoded | None:
    """What becomes of ``flips`` in memories of protected buffers in ``cycle``; None where RTL must tell.

    A lane is a code word. Parity loses it for an odd number of wrong bits and misses an even one; SECDED gives it back
    for one and loses it for two (more may look like one). The memory stays wrong, so each read up to the next write
    counts once: as detected if a lane is lost, else as corrected if one is (docs/reference/machine.md).
    """
    through: list[tuple[str, int, int]] = []
    lost: dict[tuple[str, int], tuple[int, ...]] = {}
    corrected = detected = 0
    for site, word, mask in flips:
        buffer = SITES.get(site, "")
        kind = config.protected.get(buffer)
        if kind is None:
            return None
        width, data = config.buffer_lane_bits(buffer), config.side * config.buffer_lane_bits(buffer)
        gone, kept, fixed = [], 0, False
        for lane, count in _lanes(config, buffer, mask).items():
            part = mask & ((1 << width) - 1) << lane * width & (1 << data) - 1
            if kind is Protection.SECDED and count > 2:
                return None
            if (kind is Protection.PARITY and count % 2) or (kind is Protection.SECDED and count == 2):
                gone.append(lane)
            elif kind is Protection.PARITY:
                kept |= part
            else:
                fixed = True
        reads = len(accesses.reads(site, word, cycle))
        detected += reads * bool(gone)
        corrected += reads * (fixed and not gone)
        for lane in gone:
            kept |= ((1 << width) - 1) << lane * width
        if kept:
            through.append((site, word, kept))
        if gone:
            lost[site, word] = tuple(sorted(gone))
    if any(SITES[site] not in LOSES for site, _ in lost):
        return None
    return Decoded(through, lost, corrected, detected)


def _lanes(config: AcceleratorConfig, buffer: str, mask: int) -> dict[int, int]:
    """Lane -> wrong bits: check bits of all lanes lie above the data of all lanes."""
    width, checks = config.buffer_lane_bits(buffer), config.check_bits(buffer)
    data = config.side * width
    counts: dict[int, int] = {}
    while mask:
        bit = mask.bit_length() - 1
        mask ^= 1 << bit
        lane = bit // width if bit < data else (bit - data) // checks
        counts[lane] = counts.get(lane, 0) + 1
    return counts


def zeroed(run: Run, hit: Hit, lanes: tuple[int, ...]) -> int:
    """The mask of ``hit`` with what lost ``lanes`` hold in ``run`` in place of all their bits: then they are zero."""
    config = run.order.program.config
    width = config.buffer_lane_bits(hit.buffer)
    mask = hit.mask
    for lane, value in zip(lanes, _content(run, hit, np.array(lanes)), strict=True):
        mask &= ~(((1 << width) - 1) << lane * width)
        mask |= (value & (1 << width) - 1) << lane * width
    return mask


def _content(run: Run, hit: Hit, lanes: np.ndarray) -> list[int]:
    """What ``lanes`` of the word of ``hit`` hold when it is read."""
    operands, schedule, order = run.sums.operands, run.schedule, run.order
    cycles = hit.cycles[:1]
    if hit.buffer == "activation":
        tile, _ = schedule.pixels("activation", cycles)
        values = operands.activation_word(hit.word, int(tile[0]))[lanes]
    elif hit.buffer == "weight":
        tile, _ = schedule.weight_rows(cycles)
        values = operands.weight_word(hit.word, int(tile[0]))[lanes]
    elif hit.buffer == "output":
        place = np.searchsorted(schedule.stored, cycles)
        values = run.contents.values[order.stored[place][:, None], lanes][0]
    else:
        chain, _ = run.epilogues.chains_of(hit.buffer, cycles)
        if hit.buffer == "bound":
            number = order.streams["bound"].source[hit.word + order.chains.bound_shift[chain]]
            values = operands.parameters.words(number)[0, lanes]
        else:
            acc_bits = order.program.config.acc_bits
            bias, shift = run.epilogues.chains.biases(chain, lanes)
            return [(int(b) & (1 << acc_bits) - 1) | int(s) << acc_bits for b, s in zip(bias[0], shift[0], strict=True)]
    return [int(value) for value in values]
