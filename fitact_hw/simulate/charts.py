"""The chart of `fitact sim`: outcomes of upsets in live bits."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fitact_hw.faults import Outcome
from fitact_hw.reporting.figures import (
    NORMAL,
    SMALL,
    dots,
    new_figure,
    outcome_bars,
    outcome_legend,
    share_axis,
    stripes,
)
from fitact_hw.reporting.formats import spaced
from fitact_hw.reporting.palette import scheme_style
from fitact_hw.reporting.statistics import Estimate
from fitact_hw.simulate.counts import ALL, Counts, Origin, ordered_structures
from golden.bounds.schemes import in_order, titled
from golden.quantisation.quantise import word_name


def upsets(origin: Origin, counts: Counts) -> Any:
    """Outcome shares by structure, a panel for every scheme, and beside them the SDC shares with intervals."""
    schemes = in_order(counts)
    structures = ordered_structures(counts)
    tallies = {scheme: [counts[scheme].get(name, Counter()) for name in structures] for scheme in schemes}
    size = (3.6 + 1.35 * len(schemes), 1.8 + 0.42 * len(structures))
    ratios = [1.0] * len(schemes) + [1.7]
    title = heading(origin, max(counts[scheme][ALL].total() for scheme in schemes))
    figure, axes = new_figure(1, len(schemes) + 1, size, title, sharey=True, width_ratios=ratios)
    places = range(len(structures))
    for axis, scheme in zip(axes, schemes, strict=False):
        totals = [max(1, tally.total()) for tally in tallies[scheme]]
        shares = {
            outcome: [tally[outcome.value] / total for tally, total in zip(tallies[scheme], totals, strict=True)]
            for outcome in Outcome
        }
        outcome_bars(axis, places, shares)
        axis.set_title(titled(scheme), fontsize=NORMAL)
        axis.set_xlabel("share of upsets", fontsize=SMALL)
    last = axes[-1]
    found = {s: [Estimate.of(t[Outcome.SDC.value], t.total()) for t in tallies[s] if t] for s in schemes}
    for number, scheme in enumerate(schemes):
        shift = 0.8 * ((number + 0.5) / len(schemes) - 0.5)
        heights = [place + shift for place, tally in zip(places, tallies[scheme], strict=True) if tally]
        values = [e.value for e in found[scheme]]
        ends = [e.low for e in found[scheme]], [e.high for e in found[scheme]]
        dots(last, heights, values, ends, scheme_style(scheme), titled(scheme))
    stripes(last, len(structures))
    share_axis(last, "x", max(e.high for of_scheme in found.values() for e in of_scheme))
    last.set_title("SDC", fontsize=NORMAL)
    last.set_xlabel("share of upsets, 95 % interval", fontsize=SMALL)
    last.legend(fontsize=SMALL, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    drawn = {name: max(counts[scheme].get(name, Counter()).total() for scheme in schemes) for name in structures}
    axes[0].set_yticks(places, [f"{spaced(name)} ({drawn[name]})" for name in structures])
    axes[0].set_ylim(len(structures) - 0.5, -0.5)
    axes[0].set_ylabel("structure (upsets of each scheme)", fontsize=NORMAL)
    outcome_legend(figure)
    return figure


def heading(origin: Origin, upsets: int) -> str:
    """Title of the chart: network, machine, words, kind of upset; upsets and seed."""
    machine = f"{origin.rows}x{origin.cols}, {word_name(origin.word_bits)}"
    return (
        f"{origin.model}, {machine}, {origin.shape} upsets in live bits\n"
        f"{upsets:,} upsets under each scheme, seed {origin.seed}"
    )
