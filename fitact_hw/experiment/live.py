"""Which buffer words hold something that will still be read: where an upset can matter at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitact_hw.fsim import BUFFERS, layer_schedule
from fitact_hw.program import Program


@dataclass(frozen=True, eq=False)
class _Space:
    """Instructions that touch one buffer: cycles int64 (n,), touched words bool (n, depth)."""

    start: np.ndarray
    finish: np.ndarray
    reads: np.ndarray
    writes: np.ndarray


class Liveness:
    """Live words of a program's fault-free run, to the precision of whole instructions.

    ``times``: int64 (instructions, 2), start and finish cycle of each instruction. A word is dead when it was never
    written, or is overwritten or never touched again before anything reads it: an upset there is masked. While an
    instruction that touches the word runs, the word counts as live.
    """

    def __init__(self, program: Program, times: np.ndarray) -> None:
        self._spaces: dict[str, _Space] = {}
        schedule = list(layer_schedule(program))
        for name in BUFFERS:
            depth = int(getattr(program.config, f"{name}_words"))
            touching = [item for item in schedule if any(access.space == name for access in item.accesses)]
            numbers = [item.number for item in touching]
            masks = np.zeros((2, len(touching), depth), bool)
            for row, item in enumerate(touching):
                for access in item.accesses:
                    if access.space == name:
                        masks[int(access.write), row, access.words] = True
            self._spaces[name] = _Space(times[numbers, 0], times[numbers, 1], masks[0], masks[1])

    def live(self, structure: str, word: int, cycle: int) -> bool:
        """Whether ``word`` of the buffer ``structure`` (as named by `fitact_hw.sites`) is live in ``cycle``.

        True for everything that is not a buffer.
        """
        space = self._spaces.get(structure.removesuffix("_buffer"))
        if space is None:
            return True
        touched = space.reads[:, word] | space.writes[:, word]
        if bool((touched & (space.start <= cycle) & (cycle <= space.finish)).any()):
            return True
        if not bool((space.writes[:, word] & (space.finish < cycle)).any()):
            return False
        later = np.flatnonzero(touched & (space.start > cycle))
        if not len(later):
            return False
        return bool(space.reads[later[np.argmin(space.start[later])], word])
