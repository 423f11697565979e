"""What the numbers of a campaign say, in sentences: each is computed, none is chosen by hand."""

from __future__ import annotations

from collections.abc import Sequence

from fitact_hw.campaign.report.analysis import MACHINE, MBIT, Analysis, Entry, by_scheme
from fitact_hw.campaign.report.comparison import (
    Comparison,
    compare_schemes,
    compare_weighted,
    scheme_name,
)
from fitact_hw.campaign.report.measures import EFFECT, FAILURE, SDC
from fitact_hw.campaign.report.places import uneven
from fitact_hw.campaign.targets import reference_of
from fitact_hw.faults import Outcome
from fitact_hw.injection.bound_flips import LOWERED, RAISED
from fitact_hw.reporting.formats import listed, number_interval, percent, percent_interval, spaced
from golden.bounds.schemes import UNPROTECTED

BOUND_BUFFER = "bound_buffer"

_CHANGES = {RAISED: "raise (weaker clamp)", LOWERED: "lower (neuron zero more often)"}

FEW = 3
"""How many structures a sentence names."""

SIGNIFICANT = 0.05
"""Largest p-value that counts as evidence."""


def scope_sentences(analysis: Analysis) -> list[str]:
    """What figures of the whole machine leave open: structures that were not asked for, or have no injection."""
    count, of = len(analysis.bits), analysis.machine_structures
    sentences = []
    if count < of:
        sentences.append(
            f"Only {count} of the machine's {of} structures were asked for: nothing is said of the others."
        )
    schemes_of: dict[tuple[str, ...], list[str]] = {}
    for scheme, names in analysis.unsampled.items():
        if names:
            schemes_of.setdefault(names, []).append(scheme_name(scheme))
    for names, schemes in schemes_of.items():
        share = sum(analysis.bits[name] for name in names) / sum(analysis.bits.values())
        under = "" if len(schemes) == len(analysis.schemes) else f" under {listed(schemes)}"
        have = "have" if len(names) > 1 else "has"
        sentences.append(
            f"{len(names)} of {count} structures, {percent(share)} of the bits, {have} no injection{under}: "
            f"{listed([spaced(name) for name in names])}. Anything may happen there, so figures over all structures "
            "are only bounded."
        )
    return sentences


def machine_sentences(analysis: Analysis, fit_per_mbit: float) -> list[str]:
    """Probability and rate of silent data corruption of every scheme."""
    sentences = []
    chosen = "" if len(analysis.bits) == analysis.machine_structures else f" of {analysis.scope}"
    for entry in analysis.machine:
        sdc, failure = entry.estimates[SDC], entry.estimates[FAILURE]
        sentences.append(
            f"{scheme_name(entry.scheme)}: of upsets spread evenly over the {entry.bits:,} storage bits{chosen}, "
            f"{percent_interval(sdc)} end as SDC and {percent_interval(failure)} in any failure; at {fit_per_mbit:g} "
            f"FIT/Mbit that is {number_interval(entry.fit(SDC, fit_per_mbit))} FIT of SDC."
        )
    return sentences


def structure_sentences(analysis: Analysis, fit_per_mbit: float) -> list[str]:
    """Which structures are the most vulnerable: per upset, and by their share of the machine's rate."""
    reference = reference_of(analysis.schemes)
    entries = by_scheme(analysis.structures).get(reference, [])
    hit = [entry for entry in entries if entry.estimates[SDC].hits]
    if not hit:
        return [f"No upset of {scheme_name(reference)} ended as SDC."]
    per_upset = sorted(hit, key=lambda e: -e.estimates[SDC].value)[:FEW]
    by_rate = sorted(hit, key=lambda e: -e.fit(SDC, fit_per_mbit).value)[:FEW]
    total = sum(entry.fit(SDC, fit_per_mbit).value for entry in entries)
    known = " in structures with an injection" if analysis.unsampled[reference] else ""
    named = [f"{spaced(e.key[0])} {percent_interval(e.estimates[SDC])}" for e in per_upset]
    rates = [f"{spaced(e.key[0])} {percent(e.fit(SDC, fit_per_mbit).value / total)}" for e in by_rate]
    return [
        f"Most vulnerable per upset under {scheme_name(reference)} (SDC): {listed(named)}.",
        f"Largest shares of its SDC rate{known}, by bits and probability: {listed(rates)}.",
    ]


def comparison_sentences(comparisons: Sequence[Comparison], scope: str, confidence: float) -> list[str]:
    """The reference against each rival: in all structures together (``scope``), then where single ones differ."""
    sentences = []
    for rival in dict.fromkeys(item.rival for item in comparisons):
        of_rival = [item for item in comparisons if item.rival == rival]
        machine = next(item for item in of_rival if item.key == MACHINE)
        d = machine.difference
        shown = [item for item in of_rival if item.key != MACHINE and item.difference.shown]
        where = listed([f"{spaced(item.key)} ({item.words})" for item in shown]) if shown else "none"
        expected = (1 - confidence) * (len(of_rival) - 1)
        this, other = scheme_name(machine.scheme), scheme_name(rival)
        sentences.append(
            f"{this} against {other}, {_measure(machine.measure)}, same faults: {machine.words} in the {scope} "
            f"(difference {percent_interval(d)}; of {d.total:,} faults only {other} fails on {d.only_first}, only "
            f"{this} on {d.only_second}, McNemar p = {d.p:.2g}{_after(machine.resolution(confidence))}). "
            f"Structures with a difference: {where}; by chance "
            f"alone about {expected:.1f} of {len(of_rival) - 1} would show one."
        )
    return sentences


def _after(text: str) -> str:
    """Text that goes on after a semicolon, if there is any."""
    return f"; {text}" if text else ""


def _measure(name: str) -> str:
    return "any failure" if name == FAILURE else name.upper() if name == SDC else name


def bound_sentences(analysis: Analysis, comparisons: Sequence[Comparison], fit_per_mbit: float) -> list[str]:
    """What upsets in the bound buffer do, and whether that costs what the bounds gain."""
    entries = by_scheme(entry for entry in analysis.structures if entry.key == (BOUND_BUFFER,) and entry.upsets)
    if not entries:
        return ["The campaign has no upsets in a bound buffer."]
    sentences = []
    for scheme, (entry,) in entries.items():
        if entry.estimates[EFFECT].hits == 0:
            continue
        shares = ", ".join(
            f"{outcome.value.replace('_', ' ')} {percent_interval(entry.estimates[outcome.value])}"
            for outcome in Outcome
            if entry.estimates[outcome.value].hits
        )
        rate = number_interval(entry.fit(SDC, fit_per_mbit))
        sentences.append(f"Bound buffer under {scheme_name(scheme)}: {shares}; {rate} FIT of SDC.")
    silent = [scheme_name(s) for s, (entry,) in entries.items() if entry.estimates[EFFECT].hits == 0]
    if silent:
        upper = max(entries[s][0].estimates[EFFECT].high for s in entries if scheme_name(s) in silent)
        sentences.append(
            f"Bound buffer under {listed(silent)}: every upset was masked (upper end {percent(upper)} for any effect)."
        )
    for entry in analysis.bound_flips:
        effect, sdc = (percent_interval(entry.estimates[measure]) for measure in (EFFECT, SDC))
        sentences.append(
            f"Upsets that {_CHANGES[entry.key[0]]} a loaded bound of {scheme_name(entry.scheme)}: {entry.upsets}, any "
            f"effect {effect}, SDC {sdc}."
        )
    reference = reference_of(analysis.schemes)
    own = entries.get(reference, [None])[0]
    for item in comparisons:
        if item.key == MACHINE and item.rival == UNPROTECTED.name and item.measure == SDC and own is not None:
            sentences.append(_balance(analysis, item, own, fit_per_mbit))
    return sentences


def _balance(analysis: Analysis, item: Comparison, own: Entry, fit_per_mbit: float) -> str:
    """Rate saved in the machine beside the rate that the bound buffer itself has."""
    machine = next(entry for entry in analysis.machine if entry.scheme == item.scheme)
    scale = machine.bits / MBIT * fit_per_mbit
    d = item.difference
    change = f"{-d.value * scale:+.3g} FIT [{-d.high * scale:+.3g}, {-d.low * scale:+.3g}]"
    if d.unsampled:
        change = f"{-d.high * scale:+.3g} to {-d.low * scale:+.3g} FIT"
    return (
        f"The bound buffer's own SDC rate is {number_interval(own.fit(SDC, fit_per_mbit))} FIT; against unprotected, "
        f"{scheme_name(item.scheme)} changes the {analysis.scope}'s by {change} (bound buffer included): {item.words}."
    )


def array_sentences(analysis: Analysis) -> list[str]:
    """Whether some rows or columns of the array hurt more."""
    sentences = []
    scheme = reference_of(analysis.schemes)
    for axis, name, entries in ((0, "rows", analysis.pe_rows), (1, "columns", analysis.pe_columns)):
        p = uneven(analysis.campaign.rows, scheme, axis, EFFECT)
        of_scheme = by_scheme(entries).get(scheme, [])
        if p is None or not of_scheme:
            sentences.append(f"PE {name}: too few upsets with an effect to compare them.")
            continue
        worst = max(of_scheme, key=lambda entry: entry.estimates[EFFECT].value)
        verdict = "differ" if p <= SIGNIFICANT else "no difference shown"
        sentences.append(
            f"PE {name} under {scheme_name(scheme)}, any effect: {verdict} (chi-squared p = {p:.2g}); largest in "
            f"{name.removesuffix('s')} {worst.key[0]}, {percent_interval(worst.estimates[EFFECT])}."
        )
    return sentences


def all_comparisons(analysis: Analysis) -> list[Comparison]:
    """Reference against the others, for SDC and for any failure."""
    if len(analysis.schemes) < 2:
        return []
    if analysis.weighting:
        return [item for measure in (SDC, FAILURE) for item in compare_weighted(analysis.weighting, measure)]
    return [
        item
        for measure in (SDC, FAILURE)
        for item in compare_schemes(
            analysis.campaign.rows, analysis.schemes, analysis.bits, measure, analysis.confidence
        )
    ]


def sections(analysis: Analysis, comparisons: Sequence[Comparison], fit_per_mbit: float) -> dict[str, list[str]]:
    """Heading -> sentences."""
    sdc = [item for item in comparisons if item.measure == SDC]
    failure = [item for item in comparisons if item.measure == FAILURE]
    return {
        "How vulnerable the machine is": machine_sentences(analysis, fit_per_mbit)
        + structure_sentences(analysis, fit_per_mbit),
        "Schemes on the same faults": comparison_sentences(sdc, analysis.scope, analysis.confidence)
        + comparison_sentences(failure, analysis.scope, analysis.confidence),
        "Upsets in the bound buffer": bound_sentences(analysis, sdc, fit_per_mbit),
        "Rows and columns of the array": array_sentences(analysis),
    }
