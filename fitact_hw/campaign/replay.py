"""`fitact campaign replay`: one injection of a campaign again, in plain RTL."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from fitact_hw.campaign.plan import identity, load_subject
from fitact_hw.campaign.snapshot import options_of
from fitact_hw.campaign.store import CampaignError, Row, Store, store_path
from fitact_hw.faults import FaultEvent
from fitact_hw.injection.plain_run import judge, plain_job
from fitact_hw.reporting.terminal import noter, working
from sim.engine.build import source_fingerprint
from sim.job import WaveWindow
from sim.simulator import Simulator


def run_replay(console: Console, folder: Path, fault: str, around: tuple[int, int] | None, out: Path) -> dict[str, Any]:
    """Run injection ``fault`` (scheme-number) of the campaign in ``folder`` again, compare it with its row, return it.

    ``around``: cycles before and after the upset that go into a waveform in ``out``; None: no waveform. Raises
    CampaignError for an unknown injection, other weights or images than the campaign's, and for another result.
    """
    with Store(store_path(folder)) as store, store.snapshot():
        options, bound, facts = options_of(store), store.identity(), store.facts()
        row = _find(store, fault)
    options = replace(options, schemes=(row.scheme,))
    machine = source_fingerprint(options.config)
    subject = load_subject(options, row.scheme)
    now = identity(options, {row.scheme: subject}, machine)
    other = [name for name in ("programs", "pictures") if now[name][row.scheme] != bound[name][row.scheme]]
    if other:
        raise CampaignError(f"{' and '.join(other)} changed since {folder} was run: get the version that ran it")
    event = FaultEvent.parse(row.event, row.structure, options.shape)
    case = subject.case(row.image)
    job = plain_job(case, event, facts["cycles"][row.scheme])
    if around:
        out.mkdir(parents=True, exist_ok=True)
        window = WaveWindow(max(0, event.cycle - around[0]), event.cycle + around[1], (out / f"{row.id}.vcd").resolve())
        job = replace(job, waves=window)
    simulator = Simulator(options.config, waves=around is not None, note=noter(console))
    with working(console, "plain RTL run, after a build if there is none yet"):
        result = simulator.run([job])[0]
    outcome, logits = judge(result, case.logits)
    console.print(f"upset    {event.id}", soft_wrap=True)
    console.print(f"layer    {row.layer}, image {row.image}, scheme {row.scheme}")
    console.print(f"outcome  {outcome.value} (stored: {row.outcome}), code {result.code}, cycles {result.cycles:,}")
    console.print(f"logits   {logits.reshape(-1).tolist()}", soft_wrap=True)
    console.print(f"without  {case.logits.reshape(-1).tolist()}", soft_wrap=True)
    if result.waves:
        console.print(f"waves    {result.waves} (upset in cycle {event.cycle})", soft_wrap=True)
    found = (outcome.value, result.code, result.cycles, result.violation)
    same = np.array_equal(logits.reshape(-1), json.loads(row.logits))
    if found != (row.outcome, row.code, row.cycles, row.violation) or not same:
        changed = machine != bound["machine"]
        why = "the RTL or the engine changed since" if changed else "this is a defect, please report it"
        raise CampaignError(f"{row.id} gave another result than stored: {why}")
    return {**asdict(row), "logits": json.loads(row.logits), "fault_free_logits": case.logits, "waves": result.waves}


def _find(store: Store, fault: str) -> Row:
    match = re.fullmatch(r"(.+)-(\d+)", fault)
    row = store.row(match[1], int(match[2])) if match else None
    if row is None:
        raise CampaignError(f"{store.path} has no injection {fault!r}: names are like fitact-17, see its report")
    return row
