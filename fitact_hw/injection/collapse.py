"""Fault collapsing: which upsets never matter, and which are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from fitact_hw.faults import FaultEvent, Upset
from fitact_hw.injection.facts import Facts


@dataclass(frozen=True)
class Start:
    """What stands for one or several equivalent events: bits that flip in ``cycle``, (site, word, mask) each.

    ``actions``: instead, of an event that is not over at once; only RTL tells what comes of it.
    """

    cycle: int
    flips: tuple[tuple[str, int, int], ...]
    actions: tuple[Upset, ...] = ()

    @property
    def sites(self) -> list[str]:
        """What it strikes."""
        return [site for site, _, _ in self.flips] + [upset.site for upset in self.actions]

    @property
    def lot(self) -> float:
        """A number from 0 to 1 that belongs to it, as good as random."""
        digest = hashlib.sha256(repr((self.cycle, self.flips)).encode()).digest()
        return int.from_bytes(digest[:8]) / (1 << 64)


def collapse(facts: Facts, events: Sequence[FaultEvent], prune: bool) -> tuple[dict[Start, list[int]], list[int]]:
    """What must be judged and for which events (by number), and the events that never matter.

    ``prune``: False leaves all but upsets after the end.
    """
    starts: dict[Start, list[int]] = {}
    dead = []
    for index, event in enumerate(events):
        start = _start(facts, event, prune)
        if start is None:
            dead.append(index)
        else:
            starts.setdefault(start, []).append(index)
    return starts, dead


def _start(facts: Facts, event: FaultEvent, prune: bool) -> Start | None:
    """When the event first matters and which bits it flips then; None if it never does."""
    if min(upset.cycle for upset in event.upsets) >= facts.cycles:
        return None
    if not event.at_once:
        return Start(min(upset.cycle for upset in event.upsets), (), event.upsets)
    masks: dict[tuple[str, int], int] = {}
    cycles = []
    for upset in event.upsets:
        cycle: int | None = upset.cycle
        mask = upset.mask
        if prune and upset.site in facts.accesses.names:
            cycle = facts.accesses.next_read(upset.site, upset.word, upset.cycle)
        elif prune and upset.site in facts.tokens.names:
            cycle, mask = facts.tokens.moved(upset.site, upset.mask, upset.cycle) or (None, 0)
        if cycle is not None:
            masks[upset.site, upset.word] = masks.get((upset.site, upset.word), 0) ^ mask
            cycles.append(cycle)
    flips = tuple(sorted((site, word, mask) for (site, word), mask in masks.items() if mask))
    return Start(min(cycles), flips) if flips else None
