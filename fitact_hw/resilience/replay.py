"""One fault map of a study again: every flipped bit, and what it does to the accuracy."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from fitact_hw.reporting.provenance import Run, of_weights
from fitact_hw.resilience.study import evaluation_images
from fitact_hw.resilience.subjects import FAULTY, Settings, Subject, scheme_subjects
from fitact_hw.resilience.tables import csv_text
from fitact_hw.resilience.work import CLEAN, Group, Worker, fingerprint
from golden.fault_maps import FaultMap, Kind, Memory, corrupt, draw, stored_bounds
from golden.qnetwork import QNetwork
from golden.subjects.names import short_name
from golden.support.files import beside, write_json, write_text
from golden.support.progress import progress

_SHOWN = 20


@dataclass(frozen=True)
class FlippedBit:
    """One bit of the faulty memory. ``index``: place in the tensor (weights: output, input, kernel row, column; bounds:
    channel, row, column); ``before`` and ``after``: the whole word, a two's complement integer, under all flips."""

    layer: str
    kind: str
    index: str
    bit: int
    before: int
    after: int


def flipped_bits(qnet: QNetwork, faults: FaultMap) -> list[FlippedBit]:
    """Every flip of a map, in the order of the memory. Raises GoldenError if the map is of another network."""
    faulty = corrupt(qnet, faults)
    old_bounds, new_bounds = stored_bounds(qnet), stored_bounds(faulty)
    found = []
    for flips in faults.flips:
        layer, kind = flips.segment.layer, flips.segment.kind
        if kind == "bound":
            before, after = old_bounds[layer].raw, new_bounds[layer].raw
        else:
            before, after = getattr(qnet.layer(layer), kind), getattr(faulty.layer(layer), kind)
        for element, bit in zip(flips.element.tolist(), flips.bit.tolist(), strict=True):
            place = tuple(int(i) for i in np.unravel_index(element, before.shape))
            words = int(before[place]), int(after[place])
            found.append(FlippedBit(layer, kind, " ".join(map(str, place)), bit, *words))
    return found


def run_replay(settings: Settings, number: int, images: int, out: Path, console: Console) -> dict[str, Any]:
    """Draw map ``number`` of the only scheme, word width and rate of ``settings``; list its flips in ``out`` (CSV) and,
    with ``images``, evaluate it and the fault-free network. Returns what was found; it is also in a JSON file beside
    ``out``, with where it comes from."""
    began = Run(settings.seed)
    (subject,) = scheme_subjects(settings)
    (rate,) = settings.rates
    loaded = subject.load()
    qnet, _ = loaded
    faults = draw(qnet, rate, settings.seed, number, Memory(bounds=subject.memory == FAULTY))
    bits = flipped_bits(qnet, faults)
    write_text(out, csv_text([field.name for field in fields(FlippedBit)], map(astuple, bits)))
    table = Table(
        title=f"{short_name(settings.model)}, {subject.name}: map {number} at BER {rate}, seed {settings.seed}"
    )
    for field in fields(FlippedBit):
        table.add_column(field.name, justify="left" if field.type == "str" else "right")
    for bit in bits[:_SHOWN]:
        table.add_row(*map(str, astuple(bit)))
    console.print(table)
    names: dict[Kind, str] = {"weight": "weights", "bias": "biases", "bound": "bounds"}
    counts = ", ".join(f"{faults.count(kind)} in {name}" for kind, name in names.items())
    console.print(f"{len(bits)} flipped bits ({counts}); all are in {out}", soft_wrap=True)
    record: dict[str, Any] = {"rate": rate, "map": number, "flips": len(bits)}
    record |= {name: faults.count(kind) for kind, name in names.items()}
    prints: dict[str, Any] = {"network": fingerprint(*loaded), "weights": of_weights(settings.model, settings.folder)}
    if images:
        again = replace(subject, load=lambda: loaded)
        evaluated, prints["images"] = _evaluate(settings, again, number, images, console)
        record |= evaluated
    record["provenance"] = began.record(**prints)
    write_json(beside(out), record)
    return {"file": out, **record}


def _evaluate(
    settings: Settings, subject: Subject, number: int, images: int, console: Console
) -> tuple[dict[str, Any], str]:
    """How many images stay correct under the map, and a fingerprint of the images."""
    (rate,) = settings.rates
    chosen, source = evaluation_images(settings.model, images, console)
    group = Group(subject, (CLEAN, (rate, number)), 0, len(chosen))
    with progress(console, "image evaluations") as bar:
        task = bar.add_task("fault map", total=group.evaluations)
        rows = Worker(settings.seed, chosen)(group, lambda count: bar.advance(task, count)).rows
    clean, hit = rows
    console.print(
        f"correct of the first {len(chosen)} images ({source}): {hit.correct}, and {clean.correct} without faults"
    )
    counts = {"images": len(chosen), "correct": hit.correct, "correct_without_faults": clean.correct}
    return counts, chosen.digest
