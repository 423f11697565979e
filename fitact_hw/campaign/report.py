"""Probabilities per scheme, structure and site from a campaign store: tables and Parquet."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fitact_hw.campaign.plan import CampaignOptions, structure_bits
from fitact_hw.campaign.statistics import Estimate, mcnemar, stratified
from fitact_hw.campaign.store import CampaignError, Row, Store
from fitact_hw.faults import Outcome

PARQUET = "injections.parquet"
MBIT = 1e6

CRITICAL = (Outcome.SDC.value,)
FAILING = tuple(o.value for o in Outcome if o not in (Outcome.MASKED, Outcome.BENIGN))


def options_of(store: Store) -> CampaignOptions:
    """The options that a store was started with; ``faults`` is the longest list that it holds."""
    identity = store.identity()
    if not identity:
        raise CampaignError(f"{store.path} is empty: start a campaign with `fitact campaign run`")
    faults = max((number + 1 for _, number in store.present()), default=0)
    return CampaignOptions.from_json({**identity, "faults": faults})


def estimate(rows: Sequence[Row], outcomes: Iterable[str], confidence: float = 0.95) -> Estimate:
    """Share of ``rows`` with one of ``outcomes``."""
    wanted = set(outcomes)
    return Estimate.of(sum(row.outcome in wanted for row in rows), len(rows), confidence)


def _grouped(rows: Iterable[Row], *names: str) -> dict[tuple[str, ...], list[Row]]:
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(str(getattr(row, name)) for name in names)].append(row)
    return groups


def overall(
    rows: Sequence[Row], bits: dict[str, int], outcomes: Iterable[str], confidence: float = 0.95
) -> dict[str, Estimate]:
    """Scheme -> probability over the whole machine, every structure weighted with its bits."""
    wanted = tuple(outcomes)
    result = {}
    for (scheme,), of_scheme in _grouped(rows, "scheme").items():
        parts = {s: estimate(group, wanted, confidence) for (s,), group in _grouped(of_scheme, "structure").items()}
        result[scheme] = stratified(parts, {name: float(bits[name]) for name in parts}, confidence)
    return result


def paired(rows: Sequence[Row], one: str, other: str, outcomes: Iterable[str] = CRITICAL) -> tuple[int, int, float]:
    """Faults on which only ``one`` fails, only ``other`` fails, and McNemar's exact p-value."""
    wanted = set(outcomes)
    failed = {s: {row.number: row.outcome in wanted for row in rows if row.scheme == s} for s in (one, other)}
    common = failed[one].keys() & failed[other].keys()
    only_one = sum(failed[one][n] and not failed[other][n] for n in common)
    only_other = sum(failed[other][n] and not failed[one][n] for n in common)
    return only_one, only_other, mcnemar(only_one, only_other)


def _percent(value: Estimate) -> str:
    return f"{value.value:.2%} [{value.low:.2%}, {value.high:.2%}]"


def print_report(console: Console, store: Store, fit_per_mbit: float, confidence: float = 0.95) -> None:
    """Everything as tables; ``fit_per_mbit``: raw upset rate of the memory cells (FIT per 10^6 bits)."""
    options, rows = options_of(store), store.rows()
    if not rows:
        raise CampaignError(f"{store.path} has no injections yet: run `fitact campaign resume`")
    bits = structure_bits(options)
    title = f"{options.model}, {options.config.rows}x{options.config.cols}, {options.config.word_bits}-bit words"
    table = Table(title=f"{title}: outcome of an upset by structure, {confidence:.0%} intervals")
    for name in ("structure", "scheme", "upsets", *(o.value for o in Outcome)):
        table.add_column(name, justify="left" if name in ("structure", "scheme") else "right")
    table.add_column("SDC probability", justify="right")
    groups = _grouped(rows, "structure", "scheme")
    for structure, scheme in itertools.product(bits, options.schemes):
        group = groups.get((structure, scheme), [])
        if not group:
            continue
        counts = Counter(row.outcome for row in group)
        sdc = estimate(group, CRITICAL, confidence)
        last = scheme == options.schemes[-1]
        table.add_row(
            structure,
            scheme,
            str(len(group)),
            *(str(counts[o.value]) for o in Outcome),
            _percent(sdc),
            end_section=last,
        )
    console.print(table)
    _print_overall(console, rows, bits, fit_per_mbit, confidence)
    _print_worst(console, rows)


def _print_overall(
    console: Console, rows: Sequence[Row], bits: dict[str, int], fit_per_mbit: float, confidence: float
) -> None:
    total = sum(bits.values())
    table = Table(title=f"whole machine, weighted with its {total:,} storage bits; raw rate {fit_per_mbit:g} FIT/Mbit")
    for name in ("scheme", "SDC", "any failure", "SDC FIT", "against unprotected (only it / only this, p)"):
        table.add_column(name, justify="left" if name == "scheme" else "right")
    sdc, failing = overall(rows, bits, CRITICAL, confidence), overall(rows, bits, FAILING, confidence)
    for scheme, value in sdc.items():
        compared = "-"
        if scheme != "unprotected" and "unprotected" in sdc:
            only, here, p = paired(rows, "unprotected", scheme)
            compared = f"{only} / {here}, p = {p:.2g}"
        fit = value.value * total / MBIT * fit_per_mbit
        table.add_row(scheme, _percent(value), _percent(failing[scheme]), f"{fit:.3g}", compared)
    console.print(table)


def _print_worst(console: Console, rows: Sequence[Row], count: int = 10) -> None:
    bad = Counter(row.site for row in rows if row.outcome in FAILING)
    if not bad:
        return
    hits = Counter(row.site for row in rows)
    example = {row.site: row for row in rows if row.outcome in FAILING}
    table = Table(title="sites with the most failures")
    for name in ("site", "failures", "upsets", "one of them"):
        table.add_column(name, justify="right" if name in ("failures", "upsets") else "left", overflow="fold")
    for site, failures in bad.most_common(count):
        table.add_row(site, str(failures), str(hits[site]), f"{example[site].scheme}-{example[site].number}")
    console.print(table)


def export_parquet(rows: Sequence[Row], path: Path) -> Path:
    """All rows with typed columns; the logits as a list. Raises CampaignError without pyarrow."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise CampaignError("Parquet needs pyarrow: run `make setup`, or leave --parquet out") from None
    columns = {item.name: [getattr(row, item.name) for row in rows] for item in fields(Row)}
    columns["logits"] = [json.loads(text) for text in columns["logits"]]
    temporary = path.with_name(path.name + ".part")
    pyarrow.parquet.write_table(pyarrow.table(columns), temporary)
    temporary.replace(path)
    return path
