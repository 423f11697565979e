"""`fitact campaign bench`: injections per second of the engine, of plain RTL runs and of software-only injection."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table

from fitact_hw.campaign.plan import CampaignOptions, draw_faults
from fitact_hw.campaign.subjects import load_subject
from fitact_hw.campaign.terminal import print_times
from fitact_hw.errors import FitActError
from fitact_hw.faults import FaultEvent, sample
from fitact_hw.injection.accounting import Accounting
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.plain_run import difference, plain_job
from fitact_hw.injection.software_only import software_seconds
from fitact_hw.injection.verdict import Times, Verdict
from fitact_hw.reporting.formats import agreement
from fitact_hw.reporting.provenance import Run, of_machine, of_weights
from fitact_hw.reporting.terminal import noter, terminal, working
from fitact_hw.sites import list_sites
from golden.support.threads import use_threads
from sim.job import RunResult
from sim.simulator import Simulator

T = TypeVar("T")

SOFTWARE_BATCHES = (1, 64)
BITS, STRUCTURES = "over all bits", "over structures"
"""How upsets are drawn: as they strike, mostly buffers, and as campaigns draw them, as many in every structure."""


def run_bench(options: CampaignOptions, rtl_runs: int, software_runs: int) -> dict[str, Any]:
    """All three with one process and one thread, on the first scheme and image; prints a table, returns its figures.

    Raises FitActError if one of the plain RTL runs ends otherwise than the engine says.
    """
    use_threads(1)
    console, began = terminal(), Run(options.seed)
    scheme = options.schemes[0]
    options = replace(options, schemes=(scheme,), images=1)

    note = noter(console)

    engine, subject = Engine(options.config, note=note), load_subject(options, scheme)
    simulator = Simulator(options.config, workers=1, note=note)
    with working(console, "building the simulator and tracing a fault-free run"):
        simulator.build()
        facts = engine.facts(subject.case(0))
    everywhere = sample({"machine": list_sites(options.config)}, options.faults, facts.cycles, options.seed)
    draws = {BITS: everywhere, STRUCTURES: draw_faults(options, facts.cycles)}
    case = subject.case(0).ready()
    seconds: dict[str, float] = {}
    times: dict[str, Times] = {}
    verdicts: dict[str, list[Verdict]] = {}
    with working(console, "injections through the engine") as say:
        for name, events in draws.items():
            times[name] = engine.times = Times()
            spent, verdicts[name] = _timed(partial(engine.run, case, events))
            seconds[f"engine, {name}"] = spent / len(events)
        jobs = [plain_job(case, event, facts.cycles) for event in everywhere[:rtl_runs]]
        say("injections as plain RTL runs")
        name = "plain RTL (cocotb)"
        spent, results = _timed(lambda: simulator.run(jobs, share_prefix=False))
        seconds[name] = spent / len(jobs)
        _agree(everywhere[:rtl_runs], verdicts[BITS], results, case.logits)
        seconds["plain RTL, shared fault-free beginning"] = _timed(lambda: simulator.run(jobs))[0] / len(jobs)
        say("injections in software")
        for batch in SOFTWARE_BATCHES:
            key = f"software only (golden network), batch {batch}"
            seconds[key] = software_seconds(case.network, case.image, batch, max(2, software_runs // batch))
    _print(console, options, seconds, facts.cycles)
    console.print(agreement(len(jobs), "compared with plain RTL"))
    accounts: dict[str, dict[str, float]] = {}
    for name, of_draw in times.items():
        console.print(f"[bold]{name}[/]")
        print_times(console, of_draw, options.faults)
        whole = seconds[f"engine, {name}"] * len(draws[name])
        account = Accounting.of(of_draw, whole, seconds["plain RTL (cocotb)"] / facts.cycles)
        if account is not None:
            console.print(str(account), highlight=False)
            accounts[name] = account.record()
    return {
        "model": options.model,
        "scheme": scheme,
        "machine": options.config.fingerprint,
        "faults": options.faults,
        "fault_free_cycles": facts.cycles,
        "seconds_per_injection": seconds,
        "compared_with_plain_rtl": len(jobs),
        "audited": {name: of_draw.audited for name, of_draw in times.items()},
        "accounting": accounts,
        "provenance": began.record(
            **of_machine(options.config), weights=of_weights(options.model), program=subject.program.fingerprint
        ),
    }


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds, and what ``work`` returns."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def _agree(
    events: Sequence[FaultEvent], verdicts: Sequence[Verdict], results: Sequence[RunResult], fault_free: np.ndarray
) -> None:
    """Raises FitActError for the first of the plain RTL runs that says otherwise than the engine."""
    for event, verdict, result in zip(events, verdicts, results, strict=False):
        found = difference(event, verdict, result, fault_free)
        if found is not None:
            raise FitActError(f"engine and plain RTL differ: {found}: this is a defect of the engine, report it")


def _print(console: Console, options: CampaignOptions, seconds: dict[str, float], cycles: int) -> None:
    title = f"{options.model}, {options.config.size}, {cycles:,} cycles, {options.faults} upsets each, one core"
    table = Table(title=title)
    table.add_column("injection")
    for name in ("per second", "ms each", f"engine faster, {BITS}", STRUCTURES):
        table.add_column(name, justify="right")
    engines = list(seconds.values())[:2]
    for name, value in seconds.items():
        faster = (f"{value / engine:,.1f}x" for engine in engines)
        table.add_row(name, f"{1 / value:,.2f}", f"{1e3 * value:,.1f}", *faster)
    console.print(table)
