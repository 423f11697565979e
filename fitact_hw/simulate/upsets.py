"""The upsets of `fitact sim`: a campaign of live bits in its result folder, a sample of it again through cocotb."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from fitact_hw.campaign.plan import CampaignOptions
from fitact_hw.campaign.pool import Pool
from fitact_hw.campaign.replay import Repeat, repeat_all
from fitact_hw.campaign.run import CampaignRun
from fitact_hw.campaign.store import OtherCampaignError, Row, Store, remove_store, store_path
from fitact_hw.campaign.subjects import Loader, Subjects, load_subject
from fitact_hw.campaign.terminal import print_times
from fitact_hw.errors import FitActError
from fitact_hw.reporting.command import here
from fitact_hw.reporting.terminal import bar, details, noter
from sim.cache import Note
from sim.simulator import Simulator

MADE_BY = "fitact sim"
"""Fact of the stores that this command made, and may replace by those of other options."""

CHECK_CYCLES = 12_000_000
"""Upsets are repeated through cocotb for about so many cycles in all: one of every scheme unless runs are long."""


def begin(options: CampaignOptions, folder: Path, pool: Pool, note: Note, load: Loader = load_subject) -> CampaignRun:
    """The campaign of ``options`` in ``folder``, drawn and ready; continued if it is there.

    A campaign of this command with other options is replaced. Raises CampaignError if there is one of
    `fitact campaign run`, FitActError if so many live upsets cannot be found.
    """
    path = store_path(folder)
    try:
        run = CampaignRun(options, folder, pool, note=note, load=load)
    except OtherCampaignError as error:
        with Store(path) as store:
            if store.facts().get("made_by") != MADE_BY:
                raise
        note(f"{error.differing} changed: the upsets of an earlier run in {folder} are replaced")
        remove_store(path)
        run = CampaignRun(options, folder, pool, note=note, load=load)
    with Store(path, create=True) as store:
        store.note(made_by=MADE_BY)
    return run


def work(console: Console, run: CampaignRun, folder: Path) -> list[Row]:
    """Strike all upsets that are missing; returns the rows of all that were asked for."""
    fresh = 0

    def finished(done: int, total: int, rows: list[Row]) -> None:
        nonlocal fresh
        fresh += len(rows)
        progress(done, total)

    with bar(console, "upsets through the engine") as progress:
        times = run.work(finished)
    print_times(details(console), times, fresh)
    with Store(store_path(folder)) as store:
        rows = [row for row in store.rows() if row.number < run.options.faults]
    if fresh < len(rows):
        noter(console)(f"{len(rows) - fresh:,} of {len(rows):,} upsets are those of an earlier run in {folder}")
    return rows


def checked_schemes(schemes: Sequence[str], cycles: int, seed: int) -> set[str]:
    """Those of which one upset is repeated, for runs of ``cycles``: the first and others at random."""
    count = min(len(schemes), max(1, CHECK_CYCLES // cycles))
    others = np.random.default_rng([seed, *b"checked"]).permutation(schemes[1:])
    return {schemes[0], *others[: count - 1].tolist()}


def choose(rows: Sequence[Row], seed: int, scheme: str) -> Row:
    """One upset of ``scheme`` at random: first a mechanism that found outcomes, so that rare ones get a turn."""
    rng = np.random.default_rng([seed, *b"cross-check", *scheme.encode()])
    of_scheme = sorted((row for row in rows if row.scheme == scheme), key=lambda row: row.number)
    mechanisms = sorted({row.way for row in of_scheme})
    chosen = mechanisms[rng.integers(len(mechanisms))]
    some = [row for row in of_scheme if row.way == chosen]
    return some[rng.integers(len(some))]


def repeats(options: CampaignOptions, subjects: Subjects, rows: Sequence[Row], cycles: dict[str, int]) -> list[Repeat]:
    """The sample that is repeated; ``cycles``: of the fault-free run of each scheme."""
    schemes = sorted(options.schemes, key=lambda scheme: scheme != options.base)
    checked = checked_schemes(schemes, cycles[options.base], options.seed)
    chosen = [choose(rows, options.seed, scheme) for scheme in schemes if scheme in checked]
    return [Repeat.of(row, options, subjects[row.scheme], cycles[row.scheme]) for row in chosen]


def cross_check(console: Console, simulator: Simulator, sample: Sequence[Repeat], folder: Path) -> list[str]:
    """Repeat upsets as plain RTL runs under cocotb and keep what came of it; returns their names.

    Raises FitActError, naming the upset and how to replay it, if one result differs.
    """
    began = time.monotonic()
    with bar(console, "some of them again through cocotb") as progress:
        found = repeat_all(simulator, sample, progress)
    with Store(store_path(folder), create=True) as store:
        store.add_rtl(found)
    for item in sample:
        if text := found[item.row.scheme, item.row.number]:
            raise FitActError(
                f"upset {item.row.id} gave another result through cocotb than in the engine: {text}; this is a defect, "
                f"to see the run: {here('replay', options={'results': folder, 'fault': item.row.id, 'waves': True})}"
            )
    seconds = time.monotonic() - began
    console.print(f"{len(sample)} upsets repeated through cocotb, full RTL runs: all the same ({seconds:.1f} s)")
    return [item.row.id for item in sample]
