"""Single-event upsets for every protection scheme: the same places and moments, full RTL runs, outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fitact_hw.compiler import with_images
from fitact_hw.errors import FitActError
from fitact_hw.experiment.live import Liveness
from fitact_hw.faults import HANG_FACTOR, FaultEvent, Outcome, Shape, Storage, classify, sample
from fitact_hw.program import Program
from fitact_hw.sites import list_sites
from golden.qnetwork import QNetwork
from sim.bench import Simulator
from sim.job import Job, RunResult, Status
from sim.trace import instruction_times, layer_times

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
"""Points of (bit, cycle) that are drawn at first, and at most, in search of useful ones."""

FEWEST_IMAGES = 4
FAULTS_PER_IMAGE = 16
"""Upsets use at least FEWEST_IMAGES images, and one more for every FAULTS_PER_IMAGE upsets."""


@dataclass(frozen=True)
class Timeline:
    """When a scheme's fault-free run at batch 1 does what.

    ``ends``: int64, cycle at which each of ``layers`` ends; ``cycles``: of the whole run.
    """

    scheme: str
    layers: tuple[str, ...]
    ends: np.ndarray
    cycles: int


@dataclass(frozen=True)
class Reference(Timeline):
    """One scheme's fault-free behaviour at batch 1.

    ``memories``: image index -> memory at start; ``logits``: image index -> int64 (1, classes) of the golden model;
    ``liveness``: of its buffer words.
    """

    program: Program
    memories: dict[int, np.ndarray]
    logits: dict[int, np.ndarray]
    liveness: Liveness


def fault_images(images: int, faults: int) -> int:
    """Number of images that the upsets are spread over."""
    return min(images, max(FEWEST_IMAGES, -(-faults // FAULTS_PER_IMAGE)))


def structure_sites(program: Program) -> dict[str, Sequence[Storage]]:
    """Sites of each row of the outcome table that this machine has."""
    sites = list_sites(program.config)
    groups = {name: [site for site in sites if site.structure in members] for name, members in STRUCTURES.items()}
    return {name: group for name, group in groups.items() if group}


def make_reference(
    network: QNetwork,
    program: Program,
    qimages: np.ndarray,
    count: int,
    golden_logits: np.ndarray,
    fault_free: RunResult,
) -> Reference:
    """Bundle a scheme's fault-free facts.

    ``qimages`` int64 (B, C, H, W); ``golden_logits`` int64 (B, classes); ``fault_free``: traced RTL run of image 0.
    """
    assert fault_free.events is not None
    times = layer_times(program, fault_free.events)
    return Reference(
        scheme=network.scheme,
        program=program,
        memories={k: with_images(program, qimages[k : k + 1]) for k in range(count)},
        logits={k: golden_logits[k : k + 1] for k in range(count)},
        layers=tuple(time.name for time in times),
        ends=np.array([time.finish for time in times], np.int64),
        cycles=fault_free.cycles,
        liveness=Liveness(program, instruction_times(program, fault_free.events)),
    )


def same_moment(cycle: int, source: Timeline, target: Timeline) -> int:
    """The cycle of ``target`` that lies in the same layer, at the same fraction of it.

    Schemes differ in DMA traffic (FitAct loads bounds), so equal cycle numbers would hit different work.
    """
    layer = min(int(np.searchsorted(source.ends, cycle, side="right")), len(source.ends) - 1)
    begin, end = _span(source, layer)
    fraction = min(1.0, (cycle - begin) / max(1, end - begin))
    begin, end = _span(target, layer)
    return min(target.cycles - 1, begin + int(fraction * (end - begin)))


def _span(reference: Timeline, layer: int) -> tuple[int, int]:
    begin = int(reference.ends[layer - 1]) if layer else 0
    return begin, int(reference.ends[layer])


def layer_at(reference: Timeline, cycle: int) -> str:
    """Name of the layer that the machine works on in ``cycle``."""
    index = min(int(np.searchsorted(reference.ends, cycle, side="right")), len(reference.layers) - 1)
    return reference.layers[index]


def points(
    sites: dict[str, Sequence[Storage]], cycles: int, seed: int, shape: Shape = Shape.SINGLE
) -> Iterator[FaultEvent]:
    """At most MOST_DRAWS random upsets of ``shape``, drawn as they are needed.

    Uses that a longer list of `sample` starts with the shorter one.
    """
    done, count = 0, FIRST_DRAWS
    while done < MOST_DRAWS:
        yield from sample(sites, count, cycles, seed, shape=shape)[done:]
        done, count = count, min(2 * count, MOST_DRAWS)


@dataclass(frozen=True)
class Draw:
    """``events``: scheme -> its upsets; ``live``: structure -> (upsets kept, points of (bit, cycle) drawn for them)."""

    events: dict[str, list[FaultEvent]]
    live: dict[str, tuple[int, int]]


def draw(references: Sequence[Reference], base: Reference, count: int, seed: int, shape: Shape = Shape.SINGLE) -> Draw:
    """``count`` upsets of ``shape`` for each scheme: the same bits, and the same moments of the same layers.

    Points are uniform over (bit, cycle) of each structure, kept when ``base`` still reads the word; the share that is
    kept turns the outcome shares into probabilities per upset. ``base`` should use every buffer (FitAct).
    """
    sites = structure_sites(base.program)
    wanted = {name: count // len(sites) + (index < count % len(sites)) for index, name in enumerate(sites)}
    chosen: list[FaultEvent] = []
    live: dict[str, tuple[int, int]] = {}
    for name, number in wanted.items():
        kept: list[FaultEvent] = []
        drawn = 0
        for event in points({name: sites[name]}, base.cycles, seed, shape):
            if len(kept) == number:
                break
            drawn += 1
            if any(base.liveness.live(name, upset.word, event.cycle) for upset in event.upsets):
                kept.append(event)
        if len(kept) < number:
            raise FitActError(f"{name}: only {len(kept)} of {MOST_DRAWS} points are live: ask for fewer upsets")
        chosen += kept
        live[name] = (len(kept), drawn)
    events = {
        reference.scheme: [
            replace(
                event,
                upsets=tuple(replace(upset, cycle=same_moment(upset.cycle, base, reference)) for upset in event.upsets),
            )
            for event in chosen
        ]
        for reference in references
    }
    return Draw(events, live)


def make_job(reference: Reference, image: int, event: FaultEvent) -> Job:
    """The run of one upset on one image."""
    watchdog = HANG_FACTOR * reference.cycles
    return Job(
        program=reference.program,
        memory=reference.memories[image],
        upsets=event.upsets,
        watchdog=watchdog,
        limit_cycles=watchdog + watchdog // 2,
    )


def make_row(reference: Reference, number: int, image: int, event: FaultEvent, result: RunResult) -> dict[str, Any]:
    """The record of one upset: everything needed to judge and to repeat it."""
    outcome, logits = judge(reference, image, result)
    return {
        "id": f"{reference.scheme}-{number:04d}",
        "scheme": reference.scheme,
        "image": image,
        "structure": event.structure,
        "layer": layer_at(reference, event.cycle),
        "event": event.to_json(),
        "outcome": outcome.value,
        "code": result.code,
        "cycles": result.cycles,
        "fault_free_cycles": reference.cycles,
        "top1": int(logits.reshape(-1).argmax()),
        "fault_free_top1": int(reference.logits[image].reshape(-1).argmax()),
        "logits": logits.reshape(-1).tolist(),
        "violation": result.violation,
        "corrected_words": result.corrected_words,
        "detected_words": result.detected_words,
        "program": reference.program.fingerprint,
    }


def judge(reference: Reference, image: int, result: RunResult) -> tuple[Outcome, np.ndarray]:
    """Outcome class and logits, int64 (1, classes), of a run."""
    logits = result.tensor(reference.program.logits).reshape(1, -1)
    finished = result.status is Status.DONE
    return classify(finished, result.code, logits, reference.logits[image], result.detected), logits


def run_upsets(
    simulator: Simulator,
    references: Sequence[Reference],
    events: dict[str, list[FaultEvent]],
    keep: Callable[[dict[str, Any]], None],
    progress: Callable[[int, int], None],
    chunk: int = 64,
) -> list[dict[str, Any]]:
    """Simulate all upsets; ``keep`` gets each row as soon as its chunk of runs is done."""
    plan = [
        (reference, number, number % len(reference.memories), event)
        for reference in references
        for number, event in enumerate(events[reference.scheme])
    ]
    # runs of the same memory follow each other, so that they can share their fault-free beginning
    plan.sort(key=lambda item: (references.index(item[0]), item[2], item[3].cycle))
    rows = []
    for start in range(0, len(plan), chunk):
        part = plan[start : start + chunk]
        jobs = [make_job(reference, image, event) for reference, _, image, event in part]

        def advance(done: int, _: int, start: int = start) -> None:
            progress(start + done, len(plan))

        results = simulator.run(jobs, progress=advance)
        for (reference, number, image, event), result in zip(part, results, strict=True):
            row = make_row(reference, number, image, event, result)
            keep(row)
            rows.append(row)
    return sorted(rows, key=lambda row: row["id"])
