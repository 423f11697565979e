"""The comparison with plain RTL runs at the terminal, and where the time of a campaign went."""

from __future__ import annotations

from collections import Counter

from rich.console import Console

from fitact_hw.campaign.engine import Engine, Times
from fitact_hw.campaign.exactness import compare
from fitact_hw.campaign.plan import CampaignOptions, collect_facts, draw_events, load_subjects, timing
from fitact_hw.errors import FitActError
from fitact_hw.experiment.progress import bar, terminal
from golden import reference
from sim.bench import Simulator


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
