"""`fitact campaign validate`: the upsets of a campaign through the engine and as plain RTL runs, kept as they come."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from fitact_hw.campaign.goal import Goal
from fitact_hw.campaign.origin import of_campaign
from fitact_hw.campaign.plan import CampaignOptions
from fitact_hw.campaign.pool import Forks
from fitact_hw.campaign.replay import Repeat, repeat_all
from fitact_hw.campaign.run import CampaignRun
from fitact_hw.campaign.store import Row, Store, store_path
from fitact_hw.campaign.stratified import StratifiedRun
from fitact_hw.campaign.subjects import Loader, load_subject
from fitact_hw.campaign.work import workplace
from fitact_hw.errors import FitActError
from fitact_hw.faults import Sample
from fitact_hw.reporting.provenance import Run
from fitact_hw.reporting.terminal import bar, noter, terminal, working
from golden.support.files import locked
from sim.cache import Note
from sim.simulator import Progress, Simulator

PART = 50
"""Plain RTL runs of a scheme that go together: what a killed process loses at most."""

INJECTIONS, SMALL_INJECTIONS = {"alexnet": 400}, 50
"""Upsets per scheme by default: with five schemes 2 000 on AlexNet and 250 on the others, whose runs are longer."""


def default_injections(model: str) -> int:
    """Upsets per scheme when none are asked for."""
    return INJECTIONS.get(model, SMALL_INJECTIONS)


def run_validation(options: CampaignOptions, workers: int, folder: Path, load: Loader = load_subject) -> dict[str, Any]:
    """Engine against plain RTL runs for every injection of a campaign, continuing what ``folder`` has; the counts.

    Raises CampaignError if ``folder`` belongs to other RTL, weights or options, FitActError if one result differs.
    """
    console, began = terminal(), Run(options.seed)
    note = noter(console)
    path = store_path(folder)
    with locked(folder):
        simulator = Simulator(options.config, workers=workers, note=note)
        with working(console, "building the simulator and tracing a fault-free run"):
            simulator.build()
            run = _campaign(options, folder, Forks(workers), note, load)
        with bar(console, "engine") as progress:
            run.work(lambda done, total, rows: progress(done, total))
        with Store(path, create=True) as store:
            rows = [row for row in store.rows() if row.number < options.faults]
            for scheme in options.schemes:
                missing = [row for row in rows if row.scheme == scheme and (scheme, row.number) not in store.rtl()]
                with bar(console, f"{scheme}: plain RTL runs") as progress:
                    _repeat(store, simulator, options, load, missing, progress)
            found = store.rtl()
            record = began.record(**of_campaign(store, options))
            store.note(validation=record)
    result: dict[str, Any] = {}
    wrong = 0
    for scheme in options.schemes:
        of_scheme = [row for row in rows if row.scheme == scheme]
        differing = [text for row in of_scheme if (text := found[scheme, row.number])]
        outcomes, mechanisms = (dict(Counter(getattr(row, name) for row in of_scheme)) for name in ("outcome", "way"))
        console.print(f"{scheme}: {len(of_scheme)} upsets, {len(differing)} differ; {outcomes}; {mechanisms}")
        result[scheme] = {
            "upsets": len(of_scheme),
            "differ": len(differing),
            "outcomes": outcomes,
            "mechanisms": mechanisms,
        }
        for text in differing:
            console.print(f"  {text}")
        wrong += len(differing)
    console.print(f"every upset: {path}", soft_wrap=True)
    if wrong:
        raise FitActError(f"{wrong} upsets end otherwise in plain RTL runs: this is a defect of the engine")
    return {
        "model": options.model,
        "machine": options.config.fingerprint,
        "file": str(path),
        "schemes": result,
        "provenance": record,
    }


def _campaign(options: CampaignOptions, folder: Path, pool: Forks, note: Note, load: Loader) -> CampaignRun:
    if options.sample is Sample.STRATIFIED:
        return StratifiedRun(options, folder, pool, goal=Goal(faults=options.faults), note=note, load=load)
    return CampaignRun(options, folder, pool, note=note, load=load)


def _repeat(
    store: Store, simulator: Simulator, options: CampaignOptions, load: Loader, rows: list[Row], progress: Progress
) -> None:
    """Plain RTL runs of ``rows``, all of one scheme; what they say is stored part by part."""
    cycles = store.facts()["cycles"]
    for start in range(0, len(rows), PART):
        part = rows[start : start + PART]
        subject = workplace(options, load).subjects[part[0].scheme]

        def step(count: int, _total: int, start: int = start) -> None:
            progress(start + count, len(rows))

        repeats = [Repeat.of(row, options, subject, cycles[row.scheme]) for row in part]
        store.add_rtl(repeat_all(simulator, repeats, step))
