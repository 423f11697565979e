"""Campaigns at the terminal: live progress, status of one campaign, list of all."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from fitact_hw.campaign.fault_list.listed import FaultList
from fitact_hw.campaign.goal import Goal
from fitact_hw.campaign.list_run import PLANNED, ListRun
from fitact_hw.campaign.outlook import progress_line
from fitact_hw.campaign.plan import ENDS, CampaignOptions, unreached
from fitact_hw.campaign.pool import Dask, Forks
from fitact_hw.campaign.rounds import Found, Rounds
from fitact_hw.campaign.run import run_campaign
from fitact_hw.campaign.snapshot import options_of
from fitact_hw.campaign.store import STORE, CampaignError, Row, Store, store_path
from fitact_hw.campaign.stratified import GOAL, ROUNDS, StratifiedRun, layer_spans
from fitact_hw.faults import Sample
from fitact_hw.injection.verdict import Times
from fitact_hw.reporting.command import here
from fitact_hw.reporting.formats import agreement, percent, percent_interval, spaced
from fitact_hw.reporting.statistics import Estimate
from fitact_hw.reporting.terminal import bar, details, noter, terminal
from golden.bounds.schemes import titled
from golden.subjects.names import short_name
from golden.support.progress import LOG_SECONDS


def outcome_shares(counts: Counter[str]) -> str:
    """Share of every outcome with its 95 % interval, the most frequent first."""
    total = counts.total()
    parts = []
    for outcome, count in counts.most_common():
        parts.append(f"{outcome} {percent_interval(Estimate.of(count, total))}")
    return ", ".join(parts)


class Progress:
    """What a running campaign says: injections stored, rate, time left, outcomes with intervals."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._counts: Counter[str] = Counter()
        self._started, self._before, self._next = time.monotonic(), 0, 0.0
        self.fresh = 0
        self.outlook: Callable[[], str] = str
        """What else there is to say; nothing."""

    def begin(self) -> None:
        """Start the clock; count what an earlier run stored."""
        self._started, self._before = time.monotonic(), self.fresh
        with Store(store_path(self._folder)) as store:
            self._counts = Counter({outcome: count for (outcome,), count in store.counts("outcome").items()})

    def due(self) -> bool:
        """Whether it is time for a line: after the first rows, then every LOG_SECONDS."""
        now = time.monotonic()
        if due := now >= self._next:
            self._next = now + LOG_SECONDS
        return due

    def add(self, done: int, total: int, rows: list[Row]) -> str:
        """Count ``rows``; returns the line about them."""
        self.fresh += len(rows)
        self._counts.update(row.outcome for row in rows)
        rate = (self.fresh - self._before) / max(1e-9, time.monotonic() - self._started)
        left = timedelta(seconds=round((total - done) / rate)) if rate else "?"
        line = f"{done:,} of {total:,}, {rate:.1f}/s, {left} left: {outcome_shares(self._counts)}"
        return "; ".join(filter(None, (line, self.outlook())))


def run_live(
    options: CampaignOptions,
    folder: Path,
    workers: int,
    scheduler: str | None,
    margin: tuple[float, float] | None,
    faults: FaultList | None = None,
    goal: Goal | None = None,
) -> dict[str, Any]:
    """Run a campaign with a progress bar; ``margin``: (margin of error, confidence) instead of a number of faults;
    ``faults``: of a list, which one that goes on has in its store; ``goal``: of a stratified campaign.

    Returns its status at the end, as :func:`print_status` does.
    """
    console = terminal()
    progress = Progress(folder)
    with bar(
        console, f"{short_name(options.model)}: injections", every=None
    ) as advance:  # there are lines that say more
        note = noter(console)

        def finished(done: int, total: int, rows: list[Row]) -> None:
            advance(done, total)
            if not rows:
                progress.begin()
            elif (line := progress.add(done, total, rows)) and progress.due():
                note(line)

        pool = Forks(workers) if scheduler is None else Dask(scheduler)
        if faults or options.sample is Sample.LIST:
            times = ListRun(options, folder, pool, faults, note=note).work(finished)
        elif goal:
            run = StratifiedRun(options, folder, pool, goal=goal, note=note)
            progress.outlook = run.outlook
            times = run.work(finished)
        else:
            times = run_campaign(options, folder, pool=pool, finished=finished, note=note, margin=margin)
    print_times(details(console), times, progress.fresh)
    status = print_status(console, folder)
    if options.sample in (Sample.ALL, Sample.STRATIFIED):
        note(f"report: {here('campaign', 'report', str(folder))}")
    return status


def print_times(console: Console, times: Times, injections: int) -> None:
    """Where the workers' time went, and what they held."""
    if not injections:
        return
    parts = {
        "access traces": times.trace, "fault-free runs": times.states,
        "faulty RTL": times.faulty - times.judge, "memory differences": times.judge,
        "functional simulation": times.functional, "golden model": times.golden,
    }  # fmt: skip
    total = sum(parts.values())
    shares = ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in parts.items()) if total else "-"
    mechanisms = ", ".join(f"{name} {count}" for name, count in times.mechanisms.most_common())
    console.print(f"worker time {total:.1f} s, {1e3 * total / injections:.1f} ms per injection: {shares}")
    console.print(f"largest worker: {times.peak_bytes / 2**30:.2f} GiB")
    console.print(f"how outcomes were found: {mechanisms}; {times.faulty_cycles:,} faulty cycles simulated")
    console.print(agreement(times.audited, "judged without RTL and, as an audit, in RTL"))


_SAMPLES = {
    Sample.ALL: "",
    Sample.LIVE: ", upsets in live bits only",
    Sample.LIST: ", faults of a list",
    Sample.STRATIFIED: ", stratified",
}


def print_status(console: Console, folder: Path) -> dict[str, Any]:
    """One paragraph about the campaign in ``folder``; returns it as plain values. Raises CampaignError."""
    with Store(store_path(folder)) as store, store.snapshot():
        options = options_of(store)
        counts, facts = store.counts("scheme", "outcome"), store.facts()
        hit = {structure for (structure,) in store.counts("structure")}
        structures = list(facts.get("bits", {}))
        found = stored_rounds(facts, store.rows(), options) if ROUNDS in facts else None
    total = sum(counts.values())
    planned = sum(facts[PLANNED].values()) if PLANNED in facts else options.faults * len(options.schemes)
    share = f"{total / planned:.0%}" if planned else "nothing planned"
    live = _SAMPLES[options.sample]
    console.print(
        f"[bold]{folder}[/]: {short_name(options.model)}, {options.config.size}, seed {options.seed}{live}; "
        f"{total:,} of {planned:,} injections ({share})"
    )
    if found and found.rounds.draws:
        console.print(f"  {progress_line(found, Goal.from_json(facts[GOAL]))}", soft_wrap=True)
    for scheme in () if found else options.schemes:
        of_scheme = Counter({outcome: count for (name, outcome), count in counts.items() if name == scheme})
        if of_scheme:
            console.print(f"  {scheme}: {of_scheme.total():,}; {outcome_shares(of_scheme)}")
    if facts.get("live"):
        console.print(f"  {live_shares(options, facts)}", soft_wrap=True)
    everywhere = found or options.sample is Sample.LIST
    missing = [] if everywhere else [name for name in structures if name not in hit]
    if missing and total >= planned > 0:
        console.print(f"  [yellow]{unreached(missing, len(structures))}[/]")
    outcomes: dict[str, dict[str, int]] = {scheme: {} for scheme in options.schemes}
    for (scheme, outcome), count in sorted(counts.items()):
        outcomes.setdefault(scheme, {})[outcome] = count
    return {
        "folder": str(folder),
        "model": options.model,
        "machine": options.config.fingerprint,
        "seed": options.seed,
        "sample": options.sample.value,
        "stored": total,
        "planned": planned,
        "without_injection": missing,
        "live": facts.get("live", {}),
        "dead_but_read": facts.get("dead_but_read", {}),
        "outcomes": outcomes,
        "sdc": rates(found),
        "runs": facts.get("runs", []),
    }


def stored_rounds(facts: Mapping[str, Any], rows: Iterable[Row], options: CampaignOptions) -> Found:
    """What a stratified campaign has found, from its store."""
    ends, cycles = facts.get(ENDS, {}).get(options.base, []), facts.get("cycles", {}).get(options.base, 0)
    return Found(Rounds.from_json(facts[ROUNDS]), rows, options.schemes, layer_spans(ends, cycles))


def rates(found: Found | None) -> dict[str, dict[str, float]]:
    """Scheme -> SDC rate of the whole machine with its 95 % interval, of a stratified campaign."""
    if found is None or not found.rounds.draws:
        return {}
    return {
        scheme: {"value": item.value, "low": item.low, "high": item.high}
        for scheme, item in Goal().reached(found).items()
    }


def live_shares(options: CampaignOptions, facts: Mapping[str, Any]) -> str:
    """What the shares of upsets in live bits must be multiplied with, from the facts of the campaign of ``options``."""
    live, base = facts["live"], titled(options.base)
    shares = ", ".join(f"{spaced(name)} {percent(kept / max(1, points))}" for name, (kept, points) in live.items())
    others = facts.get("dead_but_read", {}).values()
    most = max((read / max(1, live[name][1]) for found in others for name, read in found.items()), default=0.0)
    besides = f" (the other runs read up to {percent(most)} of the points of a structure besides)" if most else ""
    return (
        f"Upsets are in live bits only: written, and read again in a run of {base}. Live share of all (bit, cycle) "
        f"points: {shares}. Any other upset is masked under {base}{besides}; probability per upset = live share x "
        "share of these upsets."
    )


def print_list(console: Console, root: Path) -> list[dict[str, Any]]:
    """Status of every campaign below ``root``; those that cannot be read are named at the end. Raises CampaignError."""
    paths = sorted(root.glob(f"**/{STORE}"))
    if not paths:
        console.print(f"no campaigns below {root}: start one with `fitact campaign run`")
    found, unreadable = [], []
    for path in paths:
        try:
            found.append(print_status(console, path.parent))
        except CampaignError as error:
            unreadable.append(str(error))
    if unreadable:
        raise CampaignError(f"{len(unreadable)} of {len(paths)} cannot be read: {' | '.join(unreadable)}")
    return found
