"""Upsets of live bits only: of words that the fault-free run reads before it writes them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import FitActError
from fitact_hw.faults import FaultEvent, Shape, Storage, faults
from fitact_hw.injection.timeline import Timeline, moved
from fitact_hw.sites import list_sites
from golden.bounds.granularity import Granularity
from golden.bounds.schemes import UNPROTECTED
from golden.bounds.schemes import known as schemes_by_name
from sim.engine.access import AccessTrace

STRUCTURES = {
    "activation_buffer": ("activation_buffer",),
    "weight_buffer": ("weight_buffer",),
    "bias_buffer": ("bias_buffer",),
    "bound_buffer": ("bound_buffer",),
    "accumulator_buffer": ("accumulator_buffer",),
    "output_buffer": ("output_buffer",),
    "pe_registers": ("pe_weight", "pe_shadow", "pe_activation", "pe_psum", "pe_control"),
}
"""Group of a sample of live bits -> structures of `fitact_hw.sites` that it draws from."""

MOST_POINTS = 1 << 18
"""Points of (bit, cycle) of one structure that are drawn at most in search of live ones."""


def structure_sites(config: AcceleratorConfig) -> dict[str, Sequence[Storage]]:
    """Sites of each of STRUCTURES that this machine has."""
    sites = list_sites(config)
    groups = {name: [site for site in sites if site.structure in members] for name, members in STRUCTURES.items()}
    return {name: group for name, group in groups.items() if group}


def base_scheme(schemes: Sequence[str]) -> str:
    """The scheme whose run decides what is live: the first of those that use the bound buffer most."""
    known, declared = list(Granularity), schemes_by_name()

    def use(name: str) -> tuple[int, int]:
        scheme = declared.get(name, UNPROTECTED)
        return known.index(scheme.granularity), known.index(scheme.hardware)

    return max(schemes, key=use)


def is_live(event: FaultEvent, accesses: AccessTrace) -> bool:
    """Whether a word that ``event`` hits is read before it is written again; True for what is no buffer."""
    return any(
        upset.site not in accesses.names or accesses.next_read(upset.site, upset.word, upset.cycle) is not None
        for upset in event.upsets
    )


def has_live(sites: Sequence[Storage], accesses: AccessTrace) -> bool:
    """Whether anything in ``sites`` is ever live."""
    return any(
        site.path not in accesses.names or accesses.live_cycles(accesses.names.index(site.path)).any() for site in sites
    )


@dataclass(frozen=True)
class LiveDraw:
    """``events``: of the base scheme's run; ``drawn``: structure -> points of (bit, cycle) drawn for them.

    ``dead``: structure -> those of them that are not live.
    """

    events: list[FaultEvent]
    drawn: dict[str, int]
    dead: dict[str, list[FaultEvent]]

    def read_in(self, base: Timeline, target: Timeline, accesses: AccessTrace) -> dict[str, int]:
        """Structure -> how many dead points, at the same moment of the run ``target`` with ``accesses``, are live."""
        return {
            name: sum(is_live(moved(event, base, target), accesses) for event in events)
            for name, events in self.dead.items()
        }


def draw(
    sites: Mapping[str, Sequence[Storage]],
    cycles: int,
    accesses: AccessTrace,
    count: int,
    seed: int,
    shape: Shape = Shape.SINGLE,
    most: int = MOST_POINTS,
) -> LiveDraw:
    """``count`` upsets of ``shape``; the structures of ``sites`` take turns.

    Points are uniform over (bit, cycle) of each structure, kept when the fault-free run, ``cycles`` long with
    ``accesses``, reads the word before it writes it again. A longer list starts with the shorter one. Raises
    FitActError if a structure has too few live ones among ``most``.
    """
    kept: dict[str, list[FaultEvent]] = {}
    dead: dict[str, list[FaultEvent]] = {}
    for index, name in enumerate(sites):
        wanted = count // len(sites) + (index < count % len(sites))
        kept[name], dead[name] = [], []
        points = islice(faults({name: sites[name]}, cycles, seed, shape=shape), most)
        while len(kept[name]) < wanted:
            event = next(points, None)
            if event is None:
                raise FitActError(f"{name}: only {len(kept[name])} of {most} points are live: ask for fewer upsets")
            (kept if is_live(event, accesses) else dead)[name].append(event)
    names = list(sites)
    events = [kept[names[number % len(names)]][number // len(names)] for number in range(count)]
    return LiveDraw(events, {name: len(kept[name]) + len(dead[name]) for name in names}, dead)
