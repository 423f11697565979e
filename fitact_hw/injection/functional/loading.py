"""The load unit's register for the word that comes from memory: an upset of it is one of the buffer that it goes to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fitact_hw.config import AcceleratorConfig
from fitact_hw.fsim.access import memory_word_bytes
from fitact_hw.injection.functional.order import LOADED
from sim.engine.access import AccessTrace

LOADED_WORD = "u_load.word_q"

Flips = Sequence[tuple[str, int, int]]
"""Bits that flip together: fault site, word, mask."""


class Loading:
    """All words that LOADs write, in the order of time: ``cycle``, ``word``, ``buffer`` (in LOADED), int64 each."""

    def __init__(self, config: AcceleratorConfig, accesses: AccessTrace) -> None:
        self.config = config
        self._sites = {name: f"u_buffers.u_{name}.data_mem" for name in LOADED}
        parts = [
            (number, *accesses.writes(accesses.names.index(self._sites[name])))
            for number, name in enumerate(LOADED)
            if self._sites[name] in accesses.names
        ]
        cycle = np.concatenate([cycles for _, _, cycles in parts])
        order = np.argsort(cycle, kind="stable")
        self.cycle = cycle[order]
        self.word = np.concatenate([words for _, words, _ in parts])[order]
        self.buffer = np.concatenate([np.full(len(words), number) for number, words, _ in parts])[order]

    def written(self, cycle: int, mask: int) -> Flips | None:
        """What is wrong in a buffer from the next cycle on if ``mask`` of the register flips in ``cycle``.

        None if it strikes beats of a word of several beats, of which some may have come; or a parameter that the range
        check has still to pass: what that does depends on the word, and it counts.
        """
        place = int(np.searchsorted(self.cycle, cycle))
        if place == len(self.cycle):
            return []
        name = LOADED[self.buffer[place]]
        if self.config.limit_bits and name != "activation":
            return None
        if self.cycle[place] == cycle:
            stored = self._stored(name, mask)
            return [(self._sites[name], int(self.word[place]), stored)] if stored else []
        bits = 8 * memory_word_bytes(self.config, name)
        return [] if bits <= self.config.bus_bits or not mask & (1 << bits) - 1 else None

    def _stored(self, name: str, mask: int) -> int:
        """Bits of the buffer word that hold what ``mask`` flips; there are gaps between the lanes of a bias."""
        side, lane = self.config.side, self.config.buffer_lane_bits(name)
        slot = 8 * self.config.bias_lane_bytes if name == "bias" else lane
        parts = ((mask >> slot * number & (1 << lane) - 1) << lane * number for number in range(side))
        return sum(parts)
