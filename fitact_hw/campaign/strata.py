"""Strata of a campaign: live points of a structure while some layers run, with their exact share of all points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fitact_hw.campaign.plan import Storages
from fitact_hw.faults import FaultEvent, Storage
from fitact_hw.injection.functional.registers import register_of
from fitact_hw.injection.live_points import LivePoints, Window

PARTS = 12
"""Strata of a buffer, about: its layers in groups of about equally many live points."""

BUFFER_SUFFIX = "_buffer"
"""Structures that are divided by layer: they hold nearly all bits, and what an upset does depends on the layer."""

DATA = 0.9
"""Share of a structure's bits that are judged without a simulation, if its upsets are spread over all images."""


@dataclass(frozen=True)
class Stratum:
    """``points``: live (bit, cycle) points of ``structure`` while the layers ``first`` to ``last`` run, from cycle
    ``begin`` up to ``end`` of the base run; ``images``: how many of them its upsets are spread over."""

    structure: str
    first: str
    last: str
    begin: int
    end: int
    points: int
    images: int

    @property
    def name(self) -> str:
        """Its own, whatever other strata there are."""
        return f"{self.structure}/{self.begin}-{self.end}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Population:
    """``strata`` of ``points`` (bit, cycle) points in all; those in no stratum are dead under every scheme."""

    strata: tuple[Stratum, ...]
    points: int
    bits: dict[str, int]
    """Storage bits of each structure."""

    @property
    def shares(self) -> np.ndarray:
        """float64 (strata,): of all points."""
        return np.array([stratum.points / self.points for stratum in self.strata])

    @property
    def cycles(self) -> int:
        """Of the base run."""
        return self.points // sum(self.bits.values())

    def share_of(self, structure: str) -> float:
        """Of all points, dead ones included."""
        return self.bits[structure] / sum(self.bits.values())

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"strata": [item.to_json() for item in self.strata], "points": self.points, "bits": self.bits}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Population:
        """Inverse of :meth:`to_json`."""
        return Population(tuple(Stratum(**item) for item in value["strata"]), value["points"], value["bits"])


def _spans(live: LivePoints, storages: Sequence[Any], divided: bool) -> Iterator[tuple[int, int, int, Window]]:
    """First and last layer, number of the last cycle's end and live points of each stratum of a structure."""
    base = live.base
    ends = [*base.ends[:-1].tolist(), base.cycles]
    if not divided:
        yield 0, len(ends) - 1, 0, live.window(storages, 0, base.cycles)
        return
    begins = [0, *ends[:-1]]
    points = [live.window(storages, begin, end).points for begin, end in zip(begins, ends, strict=True)]
    least, first, kept = sum(points) / PARTS, 0, 0
    for layer, count in enumerate(points):
        kept += count
        if layer == len(ends) - 1 or kept >= least > 0:
            yield first, layer, begins[first], live.window(storages, begins[first], ends[layer])
            first, kept = layer + 1, 0


def _is_data(structure: str, storages: Sequence[Storage]) -> bool:
    """Whether (nearly) all bits of a structure are in buffers or in registers of data."""
    bits = sum(item.depth * item.width for item in storages)
    data = sum(item.depth * item.width for item in storages if register_of(item.path))
    return structure.endswith(BUFFER_SUFFIX) or data >= DATA * bits


def make_strata(live: LivePoints, storages: Storages, images: int, few: int, bits: dict[str, int]) -> Population:
    """All strata that have a live point. Upsets of data are spread over all ``images``; those of control over ``few``,
    since they are simulated, which takes a fault-free run of each image and scheme."""
    found, layers = [], live.base.layers
    for structure, group in storages.items():
        used = images if _is_data(structure, group) else min(images, few)
        for first, last, begin, window in _spans(live, group, structure.endswith(BUFFER_SUFFIX)):
            if window.points:
                end = live.base.cycles if last == len(layers) - 1 else int(live.base.ends[last])
                found.append(Stratum(structure, layers[first], layers[last], begin, end, window.points, used))
    return Population(tuple(found), sum(bits.values()) * live.base.cycles, bits)


def draw(
    stratum: Stratum, live: LivePoints, storages: Storages, seed: int, numbers: Sequence[int]
) -> list[tuple[FaultEvent, int]]:
    """Upset and image of the draws with these ``numbers``, counted from 0 within the stratum.

    Points are uniform. Images take turns, each block of them in an order of its own, so that any number of draws
    spreads evenly. Both depend on ``seed``, the stratum and the number alone.
    """
    if not numbers:
        return []
    window = live.window(storages[stratum.structure], stratum.begin, stratum.end)
    name = stratum.name.encode()
    most = max(numbers) + 1
    points = np.random.default_rng([seed, 1, *name]).integers(stratum.points, size=most)
    order = np.random.default_rng([seed, 2, *name])
    blocks = -(-most // stratum.images)
    images = np.concatenate([order.permutation(stratum.images) for _ in range(blocks)])
    return [(window.event(stratum.structure, int(points[n])), int(images[n])) for n in numbers]
