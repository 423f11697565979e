"""Single-event upsets for every protection scheme: the same places and moments, through the native engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import FitActError
from fitact_hw.faults import FaultEvent, Shape, Storage, sample
from fitact_hw.injection.timeline import Timeline, layer_at
from fitact_hw.injection.verdict import Verdict
from fitact_hw.sites import list_sites
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
"""Row of the outcome table -> structures of `fitact_hw.sites` that it draws from."""

FIRST_DRAWS, MOST_DRAWS = 64, 65_536
"""Points of (bit, cycle) that are drawn at first, and at most, in search of live ones."""


def structure_sites(config: AcceleratorConfig) -> dict[str, Sequence[Storage]]:
    """Sites of each row of the outcome table that this machine has."""
    sites = list_sites(config)
    groups = {name: [site for site in sites if site.structure in members] for name, members in STRUCTURES.items()}
    return {name: group for name, group in groups.items() if group}


def points(
    sites: Mapping[str, Sequence[Storage]], cycles: int, seed: int, shape: Shape = Shape.SINGLE
) -> Iterator[FaultEvent]:
    """At most MOST_DRAWS random upsets of ``shape``, drawn as they are needed.

    Uses that a longer list of `sample` starts with the shorter one.
    """
    done, count = 0, FIRST_DRAWS
    while done < MOST_DRAWS:
        yield from sample(sites, count, cycles, seed, shape=shape)[done:]
        done, count = count, min(2 * count, MOST_DRAWS)


def is_live(event: FaultEvent, accesses: AccessTrace) -> bool:
    """Whether a word that ``event`` hits is read before it is written again; True for what is no buffer."""
    return any(
        upset.site not in accesses.names or accesses.next_read(upset.site, upset.word, upset.cycle) is not None
        for upset in event.upsets
    )


@dataclass(frozen=True)
class Draw:
    """``events``: of the base scheme; ``live``: structure -> (upsets kept, points of (bit, cycle) drawn for them)."""

    events: list[FaultEvent]
    live: dict[str, tuple[int, int]]


def draw(
    sites: Mapping[str, Sequence[Storage]],
    cycles: int,
    accesses: AccessTrace,
    count: int,
    seed: int,
    shape: Shape = Shape.SINGLE,
) -> Draw:
    """``count`` upsets of ``shape``, evenly for each structure of ``sites``.

    Points are uniform over (bit, cycle) of each structure, kept when the fault-free run, ``cycles`` long with
    ``accesses``, reads the word before it writes it again; the share that is kept turns the outcome shares into
    probabilities per upset. The run should be that of a scheme that uses every buffer (FitAct).
    """
    wanted = {name: count // len(sites) + (index < count % len(sites)) for index, name in enumerate(sites)}
    chosen: list[FaultEvent] = []
    live: dict[str, tuple[int, int]] = {}
    for name, number in wanted.items():
        kept: list[FaultEvent] = []
        drawn = 0
        for event in points({name: sites[name]}, cycles, seed, shape):
            if len(kept) == number:
                break
            drawn += 1
            if is_live(event, accesses):
                kept.append(event)
        if len(kept) < number:
            raise FitActError(f"{name}: only {len(kept)} of {MOST_DRAWS} points are live: ask for fewer upsets")
        chosen += kept
        live[name] = (len(kept), drawn)
    return Draw(chosen, live)


def upset_id(scheme: str, number: int) -> str:
    """What `fitact replay --fault` takes."""
    return f"{scheme}-{number:04d}"


def make_row(
    timeline: Timeline, number: int, image: int, event: FaultEvent, verdict: Verdict, fault_free_top1: int, program: str
) -> dict[str, Any]:
    """The record of one upset: everything needed to judge and to repeat it; ``program``: fingerprint."""
    return {
        "id": upset_id(timeline.scheme, number),
        "scheme": timeline.scheme,
        "image": image,
        "structure": event.structure,
        "layer": layer_at(timeline, event.cycle),
        "event": event.to_json(),
        "outcome": verdict.outcome.value,
        "code": verdict.code,
        "cycles": verdict.cycles,
        "fault_free_cycles": timeline.cycles,
        "top1": int(verdict.logits.reshape(-1).argmax()),
        "fault_free_top1": fault_free_top1,
        "logits": verdict.logits.reshape(-1).tolist(),
        "violation": verdict.violation,
        "corrected_words": verdict.corrected_words,
        "detected_words": verdict.detected_words,
        "way": verdict.mechanism.value,
        "program": program,
    }
