"""`fitact campaign validate`: the same upsets through the engine and as plain RTL runs, kept as they come."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fitact_hw.campaign.plan import CampaignOptions, Subject, draw_events, identity, load_subjects, timing
from fitact_hw.errors import FitActError
from fitact_hw.faults import FaultEvent
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.plain_run import compare
from fitact_hw.reporting.provenance import Run, of_machine, of_weights
from fitact_hw.reporting.terminal import bar, noter, terminal, working
from golden.support.files import RowWriter, locked, read_rows, write_json
from sim.engine.build import source_fingerprint
from sim.simulator import Progress, Simulator

ROWS = "validation.jsonl"

PROVENANCE = "provenance.json"
"""Where the latest results come from (:mod:`fitact_hw.reporting.provenance`)."""

PART = 50
"""Upsets of a scheme that run together: what a killed process loses at most."""

INJECTIONS, SMALL_INJECTIONS = {"alexnet": 400}, 50
"""Upsets per scheme by default: with five schemes 2 000 on AlexNet and 250 on the others, whose runs are longer."""


def default_injections(model: str) -> int:
    """Upsets per scheme when none are asked for."""
    return INJECTIONS.get(model, SMALL_INJECTIONS)


def run_validation(options: CampaignOptions, workers: int, folder: Path) -> dict[str, Any]:
    """Engine against plain RTL runs on image 0 for every scheme, continuing what ``folder`` has; returns the counts.

    Raises FitActError if ``folder`` belongs to other RTL, weights or options, and if one result differs.
    """
    console, began = terminal(), Run(options.seed)
    note = noter(console)
    with locked(folder):
        engine, subjects = Engine(options.config, note=note), dict(load_subjects(options))  # each is used several times
        simulator = Simulator(options.config, workers=workers, note=note)
        with working(console, "building the simulator and tracing a fault-free run of every scheme"):
            simulator.build()
            timelines = [timing(scheme, engine.facts(s.case(0))) for scheme, s in subjects.items()]
        events = draw_events(options, timelines)
        path, head = folder / ROWS, {"identity": _digest(options, subjects)}
        rows = _kept(path, head)
        writer = RowWriter(path, [head, *rows])
        try:
            for scheme, subject in subjects.items():
                done = {row["number"] for row in rows if row["scheme"] == scheme}
                missing = {number: event for number, event in enumerate(events[scheme]) if number not in done}
                with bar(console, f"{scheme}: engine and plain RTL runs") as progress:
                    for row in _compared(engine, simulator, subject, missing, progress):
                        rows.append({"scheme": scheme, **row})
                        writer.append(rows[-1])
        finally:
            writer.close()
    wrong = 0
    result: dict[str, Any] = {}
    for scheme in subjects:
        found = [row for row in rows if row["scheme"] == scheme and row["number"] < options.faults]
        differing = [row["difference"] for row in found if row["difference"]]
        outcomes, ways = (dict(Counter(row[name] for row in found)) for name in ("outcome", "way"))
        console.print(f"{scheme}: {len(found)} upsets, {len(differing)} differ; {outcomes}; {ways}")
        result[scheme] = {"upsets": len(found), "differ": len(differing), "outcomes": outcomes, "ways": ways}
        for text in differing:
            console.print(f"  {text}")
        wrong += len(differing)
    record = began.record(
        **of_machine(options.config),
        weights=of_weights(options.model),
        programs={scheme: subject.program.fingerprint for scheme, subject in subjects.items()},
    )
    write_json(folder / PROVENANCE, record)
    console.print(f"every upset: {path}")
    if wrong:
        raise FitActError(f"{wrong} upsets end otherwise in plain RTL runs: this is a defect of the engine")
    return {
        "model": options.model,
        "machine": options.config.fingerprint,
        "file": str(path),
        "schemes": result,
        "provenance": record,
    }


def _compared(
    engine: Engine, simulator: Simulator, subject: Subject, events: Mapping[int, FaultEvent], progress: Progress
) -> Iterator[dict[str, Any]]:
    """A row for each numbered event: what it was, the engine's outcome, and how plain RTL differs (None: not)."""
    case = subject.case(0)
    numbers = list(events)
    for start in range(0, len(numbers), PART):
        part = numbers[start : start + PART]

        def step(count: int, _total: int, start: int = start) -> None:
            progress(start + count, len(numbers))

        verdicts, differences = compare(engine, simulator, case, [events[number] for number in part], step)
        texts = {id(item.event): str(item) for item in differences}
        for number, verdict in zip(part, verdicts, strict=True):
            yield {
                "number": number,
                "event": events[number].to_json(),
                "outcome": verdict.outcome.value,
                "way": verdict.mechanism.value,
                "difference": texts.get(id(events[number])),
            }


def _digest(options: CampaignOptions, subjects: Mapping[str, Subject]) -> str:
    """What must be equal for two runs to be one validation."""
    facts = identity(options, subjects, source_fingerprint(options.config))
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _kept(path: Path, head: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of an earlier run; the file's first line, ``head``, names what they belong to."""
    first, *rows = (read_rows(path) if path.exists() else []) or [head]
    if first != head:
        raise FitActError(f"{path} belongs to other RTL, weights or options: remove it or choose another --out")
    return rows
