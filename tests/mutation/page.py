"""The page of scores, written from `docs/results/data/verification.json`: `python -m tests.mutation.page`.

The file holds what was run, by whom it was killed and what survived at first; it is filled from the records of
`make mutate` (`build/mutation.json`) and `make soak` (`build/soak.json`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.mutation.mutant import AREAS
from tests.soak.covered import missing, wanted

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "docs" / "results" / "data" / "verification.json"
PAGE = ROOT / "docs" / "results" / "verification_scores.md"

_WHAT = {
    "cells": "RTL cells",
    "generator": "generator and register block",
    "compiler": "compiler and functional simulator",
    "campaign": "engine, campaign, statistics",
    "golden": "golden model, import, subjects",
}


def _scores(runs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = ["| area | run | killed | survived at first, closed since | score now |", "|---|---|---|---|---|"]
    for area in AREAS:
        if found := runs.get(area):
            open_ = found["run"] - found["killed"] - found["closed"]
            share = 100 * (found["run"] - open_) / found["run"]
            lines.append(f"| {_WHAT[area]} | {found['run']} | {found['killed']} | {found['closed']} | {share:.0f} % |")
    return lines


def _soak(found: Mapping[str, Any]) -> list[str]:
    machines = found["machines"]
    outcomes, ways, covered = Counter[str](), Counter[str](), Counter[str]()
    for machine in machines:
        outcomes.update(machine["outcomes"])
        ways.update(machine["ways"])
        covered.update(machine["covered"])
    networks, faults = (sum(machine[name] for machine in machines) for name in ("cases", "faults"))
    open_ = missing(covered)
    growth = max(machine["growth_mb"] for machine in machines)
    lines = [
        f"`make soak MINUTES={round(found['minutes'])} SEED={found['seed']}`: {len(machines)} random machines, "
        f"{networks:,} random networks, {faults:,} faults, "
        f"{sum(bool(machine['problem']) for machine in machines)} differences between golden model, functional "
        f"simulator, cocotb and engine. Memory of a process grew by {growth:.0f} MiB at most.",
        "",
        "| outcome | faults |",
        "|---|---|",
        *(f"| {name.replace('_', ' ')} | {count:,} |" for name, count in sorted(outcomes.items())),
        "",
        "| way to it | faults |",
        "|---|---|",
        *(f"| {name} | {count:,} |" for name, count in sorted(ways.items())),
        "",
        f"Functional coverage: {len(wanted()) - len(open_)} of {len(wanted())} kinds of instruction, tiling, bound "
        "source, bus and protection were exercised"
        + (f"; not by these networks: {', '.join(open_)}." if open_ else "."),
    ]
    return lines


def page(data: Mapping[str, Any]) -> str:
    """The whole page."""
    tool = data["tool"]
    survivors = [f"* `{name}`: {why}" for name, why in data["open"].items()]
    lines = [
        "# Scores of verification",
        "",
        "<!-- Written by `python -m tests.mutation.page` from docs/results/data/verification.json. -->",
        "",
        "What [verification](../method/verification.md) is worth, as it was measured last.",
        "",
        "## Planted bugs",
        "",
        "Of the list (`tests/mutation/planted`), without what is argued equivalent:",
        "",
        *_scores(data["list"]),
        "",
        data["list_note"],
        "",
        f"mutmut {tool['version']}, seed {tool['seed']}, all modules of `tests/mutation/tool.py` but those whose tests "
        "take minutes:",
        "",
        *_scores(tool["areas"]),
        "",
        *(["Open:", "", *survivors, ""] if survivors else []),
        "## Soak",
        "",
        *_soak(data["soak"]),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(DATA.read_text())))
