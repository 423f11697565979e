"""Campaigns at the terminal: progress with intervals, status, and the comparison with plain RTL runs."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from fitact_hw.campaign.engine import Engine, Times
from fitact_hw.campaign.exactness import compare
from fitact_hw.campaign.plan import (
    CampaignOptions,
    collect_facts,
    draw_events,
    faults_for_margin,
    load_subjects,
    timing,
)
from fitact_hw.campaign.report import options_of
from fitact_hw.campaign.run import run_campaign, store_path
from fitact_hw.campaign.store import Row, Store
from fitact_hw.errors import FitActError
from fitact_hw.experiment.progress import bar, terminal
from fitact_hw.faults import wilson_interval
from golden import reference
from sim.bench import Simulator


def _outcomes(counts: Counter[str]) -> str:
    total = sum(counts.values())
    parts = []
    for outcome, count in counts.most_common():
        low, high = wilson_interval(count, total)
        parts.append(f"{outcome} {count / total:.1%} [{low:.1%}, {high:.1%}]")
    return ", ".join(parts)


def run_live(
    options: CampaignOptions,
    folder: Path,
    workers: int,
    scheduler: str | None,
    margin: tuple[float, float] | None,
) -> None:
    """Run a campaign with a progress bar; ``margin``: (margin of error, confidence) instead of a number of faults."""
    console = terminal()

    def note(text: str) -> None:
        console.print(f"[dim]{text}[/]")

    if margin:
        engine, subjects = Engine(options.config, note=note), load_subjects(options)
        cycles = next(iter(collect_facts(engine, subjects).values())).cycles
        options = replace(options, faults=faults_for_margin(options, cycles, *margin))
        note(f"{margin[0]:.3g} margin at {margin[1]:.0%} in every structure: {options.faults:,} injections per scheme")
    counts: Counter[str] = Counter()
    fresh, started = 0, time.monotonic()
    with bar(console, f"{options.model}: injections") as progress:

        def finished(done: int, total: int, rows: list[Row]) -> None:
            nonlocal fresh
            fresh += len(rows)
            counts.update(row.outcome for row in rows)
            progress(done, total)
            if rows:
                rate = fresh / (time.monotonic() - started)
                console.print(f"[dim]{done:,} of {total:,}, {rate:.1f}/s: {_outcomes(counts)}[/]")

        times = run_campaign(options, folder, workers=workers, scheduler=scheduler, finished=finished, note=note)
    print_times(console, times, fresh)
    store = Store(store_path(folder))
    try:
        print_status(console, store)
    finally:
        store.close()
    console.print(f"report: fitact campaign report {folder}")


def print_times(console: Console, times: Times, injections: int) -> None:
    """Where the workers' time went."""
    if not injections:
        return
    parts = {
        "access traces": times.trace, "fault-free runs": times.states,
        "faulty RTL": times.chase - times.judge, "memory differences": times.judge, "golden model": times.golden,
    }  # fmt: skip
    total = sum(parts.values())
    shares = ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in parts.items()) if total else "-"
    ways = ", ".join(f"{way} {count}" for way, count in times.ways.most_common())
    console.print(f"worker time {total:.1f} s, {1e3 * total / injections:.1f} ms per injection: {shares}")
    console.print(f"how outcomes were found: {ways}; {times.faulty_cycles:,} faulty cycles simulated")


def print_status(console: Console, store: Store) -> None:
    """One paragraph about a campaign."""
    options = options_of(store)
    counts = store.counts("scheme", "outcome")
    total = sum(counts.values())
    console.print(f"[bold]{store.path.parent}[/]: {options.model}, {total:,} injections, seed {options.seed}")
    for scheme in options.schemes:
        of_scheme = Counter({outcome: count for (name, outcome), count in counts.items() if name == scheme})
        if of_scheme:
            console.print(f"  {scheme}: {sum(of_scheme.values()):,}; {_outcomes(of_scheme)}")


def run_validation(options: CampaignOptions, workers: int) -> None:
    """Engine against plain RTL runs on image 0 for every scheme. Raises FitActError if one result differs."""
    console = terminal()

    def note(text: str) -> None:
        console.print(f"[dim]{text}[/]")

    engine, subjects = Engine(options.config, note=note), load_subjects(options)
    simulator = Simulator(options.config, workers=workers, note=note)
    facts = collect_facts(engine, subjects)
    events = draw_events(options, [timing(scheme, item) for scheme, item in facts.items()])
    wrong = 0
    for scheme, subject in subjects.items():
        trace = reference.run(subject.network, subject.images[:1])
        case = (subject.network, subject.program, subject.memory(0), trace)
        with bar(console, f"{scheme}: plain RTL runs") as progress:
            verdicts, differences = compare(engine, simulator, *case, events[scheme], progress)
        outcomes = Counter(verdict.outcome.value for verdict in verdicts)
        ways = Counter(verdict.way.value for verdict in verdicts)
        console.print(f"{scheme}: {len(verdicts)} upsets, {len(differences)} differ; {dict(outcomes)}; {dict(ways)}")
        for difference in differences:
            console.print(f"  {difference}")
        wrong += len(differences)
    if wrong:
        raise FitActError(f"{wrong} upsets end otherwise in plain RTL runs: this is a defect of the engine")
