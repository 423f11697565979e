"""Injections of a campaign again, as plain RTL runs: `fitact replay`, and every check against the engine's results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from fitact_hw.campaign.plan import CampaignOptions, identity
from fitact_hw.campaign.snapshot import options_of
from fitact_hw.campaign.store import CampaignError, Row, Store, store_path
from fitact_hw.campaign.subjects import Loader, Subject, load_subject
from fitact_hw.faults import FaultEvent, Outcome
from fitact_hw.injection.plain_run import difference, judge, plain_job
from fitact_hw.injection.verdict import Mechanism, Verdict
from fitact_hw.reporting.terminal import noter, working
from sim.engine.build import source_fingerprint
from sim.job import Job, RunResult, Status, WaveWindow
from sim.simulator import Progress, Simulator


@dataclass(frozen=True)
class Repeat:
    """An injection as a plain RTL run. ``fault_free``: logits without it, int64 (1, classes)."""

    row: Row
    event: FaultEvent
    job: Job
    fault_free: np.ndarray

    @staticmethod
    def of(row: Row, options: CampaignOptions, subject: Subject, cycles: int) -> Repeat:
        """``subject``: of the row's scheme, whose fault-free run takes ``cycles``."""
        event = FaultEvent.parse(row.event, row.structure, options.shape)
        case = subject.case(row.image)
        return Repeat(row, event, plain_job(case, event, cycles), case.logits)

    def difference(self, result: RunResult) -> str:
        """What the plain RTL run says against the row; "" if it is the same."""
        found = difference(self.event, _verdict(self.row, result), result, self.fault_free)
        return str(found or "")


def _verdict(row: Row, result: RunResult) -> Verdict:
    """What the row says of the injection; where an old store says nothing, what ``result`` says."""
    status = result.status if row.status is None else Status(row.status)
    noticed = {
        name: getattr(result, name) if (value := getattr(row, name)) is None else value
        for name in ("detected", "corrected_words", "detected_words", "clamp_hits")
    }
    logits = np.array(json.loads(row.logits), np.int64).reshape(1, -1)
    return Verdict(
        Outcome(row.outcome), status, row.code, row.cycles, logits, row.violation, Mechanism(row.way), 0, **noticed,
        range_hits=result.range_hits,  # a store does not keep them
    )  # fmt: skip


def repeat_all(
    simulator: Simulator, repeats: Sequence[Repeat], progress: Progress | None = None
) -> dict[tuple[str, int], str]:
    """(scheme, number) -> :meth:`Repeat.difference`."""
    results = simulator.run([item.job for item in repeats], progress=progress)
    pairs = zip(repeats, results, strict=True)
    return {(item.row.scheme, item.row.number): item.difference(result) for item, result in pairs}


def run_replay(
    console: Console,
    folder: Path,
    fault: str,
    around: tuple[int, int] | None,
    out: Path,
    load: Loader = load_subject,
) -> dict[str, Any]:
    """Run injection ``fault`` (scheme-number) of the campaign in ``folder`` again, compare it with its row, return it.

    ``around``: cycles before and after the upset that go into a waveform in ``out``; None: no waveform. Raises
    CampaignError for an unknown injection, other weights or images than the campaign's, and for another result.
    """
    with Store(store_path(folder)) as store, store.snapshot():
        options, bound, facts = options_of(store), store.identity(), store.facts()
        row = store.find(fault)
    options = replace(options, schemes=(row.scheme,))
    machine = source_fingerprint(options.config)
    subject = load(options, row.scheme)
    now = identity(options, {row.scheme: subject}, machine)
    other = [name for name in ("programs", "pictures") if now[name][row.scheme] != bound[name][row.scheme]]
    if other:
        raise CampaignError(f"{' and '.join(other)} changed since {folder} was run: get the version that ran it")
    item = Repeat.of(row, options, subject, facts["cycles"][row.scheme])
    job = item.job
    if around:
        job = replace(job, waves=window(item, around, out))
    simulator = Simulator(options.config, waves=around is not None, note=noter(console))
    with working(console, "plain RTL run, after a build if there is none yet"):
        [result] = simulator.run([job])
    outcome, logits = judge(result, item.fault_free)
    console.print(f"upset    {item.event.id}", soft_wrap=True)
    console.print(f"layer    {row.layer}, image {row.image}, scheme {row.scheme}")
    console.print(f"outcome  {outcome.value} (stored: {row.outcome}), code {result.code}, cycles {result.cycles:,}")
    console.print(f"logits   {logits.reshape(-1).tolist()}", soft_wrap=True)
    console.print(f"without  {item.fault_free.reshape(-1).tolist()}", soft_wrap=True)
    if result.waves:
        console.print(f"waves    {result.waves} (upset in cycle {item.event.cycle})", soft_wrap=True)
    if item.difference(result):
        changed = machine != bound["machine"]
        why = "the RTL or the engine changed since" if changed else "this is a defect, please report it"
        raise CampaignError(f"{row.id} gave another result than stored: {why}")
    both = {"logits": json.loads(row.logits), "fault_free_logits": item.fault_free}
    return {**asdict(row), **both, "waves": result.waves}


def window(item: Repeat, around: tuple[int, int], out: Path) -> WaveWindow:
    """Cycles before and after the upset, dumped into a file in ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    cycle = item.event.cycle
    return WaveWindow(max(0, cycle - around[0]), cycle + around[1], (out / f"{item.row.id}.vcd").resolve())
