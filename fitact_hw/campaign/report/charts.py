"""Charts of a campaign report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fitact_hw.campaign.report.analysis import MACHINE, Analysis, Entry, by_scheme
from fitact_hw.campaign.report.comparison import Comparison, scheme_name
from fitact_hw.campaign.report.measures import EFFECT, FAILURE, SDC
from fitact_hw.campaign.report.places import heat_map
from fitact_hw.faults import Outcome
from fitact_hw.reporting.figures import (
    NORMAL,
    SMALL,
    dots,
    legend_below,
    new_figure,
    outcome_bars,
    outcome_legend,
    share_axis,
    stripes,
)
from fitact_hw.reporting.formats import spaced
from fitact_hw.reporting.palette import EMPTY, NEUTRAL, STRIPE, Style, scheme_style

MEASURE_NAMES = {
    SDC: "SDC probability per upset",
    FAILURE: "probability of any failure per upset",
    EFFECT: "probability of any effect per upset",
}

PANELS = 3
"""Bit-position panels side by side."""

MANY = 30
"""From so many lines on, a chart sets them closer."""


def heading(analysis: Analysis, what: str) -> str:
    """Title of a chart: network, machine, words, what it shows; upsets and seed."""
    options = analysis.campaign.options
    counts = sorted({entry.upsets for entry in analysis.machine})
    upsets = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    images = f"{options.images} image{'s' if options.images > 1 else ''}"
    per_scheme = " under each scheme" if len(analysis.schemes) > 1 else ""
    return f"{analysis.campaign.title}, {what}\n{upsets} upsets{per_scheme}, {images}, seed {options.seed}"


def intervals(analysis: Analysis) -> str:
    """What the lines beside a value are."""
    return f"{100 * analysis.confidence:g} % intervals"


def probabilities(analysis: Analysis, entries: Sequence[Entry], by: str) -> Any:
    """Dots with intervals: a line for every key, a mark for every scheme; SDC left, any failure right."""
    upsets: dict[str, int] = {}
    for entry in entries:
        upsets[entry.key[0]] = max(entry.upsets, upsets.get(entry.key[0], 0))
    keys = list(upsets)
    names = [spaced(key) if len(set(upsets.values())) == 1 else f"{spaced(key)} ({upsets[key]:,})" for key in keys]
    groups = by_scheme(entries)
    line = 0.22 if len(keys) > MANY else 0.3
    title = f"{heading(analysis, f'by {by}')}; lines: {intervals(analysis)}"
    figure, axes = new_figure(1, 2, (9.6, 1.5 + line * len(keys)), title, sharey=True)
    for axis, measure in zip(axes, (SDC, FAILURE), strict=True):
        for place, (scheme, of_scheme) in enumerate(groups.items()):
            shift = 0.76 * ((place + 0.5) / len(groups) - 0.5)
            struck = [entry for entry in of_scheme if entry.upsets]
            heights = [keys.index(entry.key[0]) + shift for entry in struck]
            found = [entry.estimates[measure] for entry in struck]
            ends = [e.low for e in found], [e.high for e in found]
            dots(axis, heights, [e.value for e in found], ends, scheme_style(scheme), scheme_name(scheme))
        stripes(axis, len(keys))
        share_axis(axis, "x", max(entry.estimates[measure].high for entry in entries if entry.upsets))
        axis.set_xlabel(MEASURE_NAMES[measure], fontsize=NORMAL)
    axes[0].set_yticks(range(len(keys)), names)
    axes[0].set_ylim(len(keys) - 0.5, -0.5)
    if names[0] != spaced(keys[0]):
        axes[0].set_ylabel(f"{by} (upsets of each scheme)", fontsize=NORMAL)
    legend_below(figure, axes, len(groups))
    return figure


def outcome_shares(analysis: Analysis, entries: Sequence[Entry], top: Mapping[str, Entry]) -> Any:
    """Stacked outcomes by structure, a panel for every scheme; ``top``: scheme -> the whole machine."""
    groups = by_scheme(entries)
    keys = list(dict.fromkeys(entry.key[0] for entry in entries))
    size = (1.6 + 2.1 * len(groups), 1.7 + 0.22 * len(keys))
    figure, axes = new_figure(1, len(groups), size, heading(analysis, "outcomes by structure"), sharey=True)
    for axis, (scheme, of_scheme) in zip(axes, groups.items(), strict=True):
        bars = [(0.0, top[scheme]), *((keys.index(entry.key[0]) + 1.4, entry) for entry in of_scheme)]
        shares = {outcome: [entry.estimates[outcome.value].value for _, entry in bars] for outcome in Outcome}
        outcome_bars(axis, [height for height, _ in bars], shares)
        axis.set_title(scheme_name(scheme), fontsize=NORMAL)
        axis.set_xlabel("share of upsets", fontsize=SMALL)
    axes[0].set_yticks([0, *(place + 1.4 for place in range(len(keys)))], [analysis.scope, *map(spaced, keys)])
    axes[0].set_ylim(len(keys) + 0.9, -0.6)
    outcome_legend(figure, any(analysis.unsampled.values()))
    return figure


def bit_positions(analysis: Analysis) -> Any:
    """A panel for every structure that holds values: probability by group of bits, a mark for every scheme.

    Of SDC if there was any in these structures, else of any effect.
    """
    entries, spans = analysis.bit_groups, analysis.bit_spans
    measure = SDC if any(entry.estimates[SDC].hits for entry in entries) else EFFECT
    structures = list(dict.fromkeys(entry.key[0] for entry in entries))
    columns = min(PANELS, len(structures))
    lines = -(-len(structures) // columns)
    title = f"{heading(analysis, 'by bit of the value')}; lines: {intervals(analysis)}"
    figure, axes = new_figure(lines, columns, (1.2 + 3.1 * columns, 1.2 + 1.6 * lines), title, sharey=True)
    for axis in axes[len(structures) :]:
        axis.set_visible(False)
    top = max(entry.estimates[measure].high for entry in entries)
    for number, (axis, structure) in enumerate(zip(axes, structures, strict=False)):
        groups = by_scheme(entry for entry in entries if entry.key[0] == structure)
        for place, (scheme, of_scheme) in enumerate(groups.items()):
            shift = 0.76 * ((place + 0.5) / len(groups) - 0.5)
            found = [entry.estimates[measure] for entry in of_scheme]
            dots(
                axis, [int(entry.key[1]) + shift for entry in of_scheme], [e.value for e in found],
                ([e.low for e in found], [e.high for e in found]), scheme_style(scheme), scheme_name(scheme),
                upright=True, size=3,
            )  # fmt: skip
        axis.set_title(spaced(structure), fontsize=NORMAL, loc="left")
        share_axis(axis, "y", top)
        names = [str(low) if low == high else f"{low}-{high}" for low, high in spans[structure]]
        axis.set_xticks(range(len(names)), names)
        axis.set_xlim(-0.5, len(names) - 0.5)
        for group in range(1, len(names), 2):
            axis.axvspan(group - 0.5, group + 0.5, color=STRIPE, zorder=0, linewidth=0)
        if number + columns >= len(structures):
            axis.set_xlabel("bits", fontsize=SMALL)
    figure.supylabel(MEASURE_NAMES[measure], fontsize=NORMAL)
    legend_below(figure, axes, len(analysis.schemes))
    return figure


def differences(analysis: Analysis, comparisons: Sequence[Comparison]) -> Any:
    """Paired differences with intervals, a panel for every rival; right of 0 the reference fails less often.

    Of a stratified campaign each structure's is what it adds to the machine's: it draws little where little can come of
    it, and intervals of such structures alone would hide all others.
    """
    rivals = list(dict.fromkeys(item.rival for item in comparisons))
    keys = list(dict.fromkeys(item.key for item in comparisons))
    this, measure = scheme_name(comparisons[0].scheme), MEASURE_NAMES[comparisons[0].measure]
    title = f"{heading(analysis, f'{this} against the others')}; lines: {intervals(analysis)}"
    parts = dict.fromkeys(keys, 1.0)
    if analysis.weighting:
        parts |= {key: analysis.shares.structure(key) for key in keys if key != MACHINE}
    size = (2 + 2.6 * max(2, len(rivals)), 1.8 + 0.22 * len(keys))
    figure, axes = new_figure(1, len(rivals), size, title, sharey=True)
    for axis, rival in zip(axes, rivals, strict=True):
        of_rival = [item for item in comparisons if item.rival == rival]
        for item in of_rival:
            d, part = item.difference, parts[item.key]
            better = item.scheme if d.value > 0 else item.rival
            style = scheme_style(better) if d.shown else Style(NEUTRAL, "o")
            low, value, high = (part * end for end in (d.low, d.value, d.high))
            dots(axis, [keys.index(item.key)], [value], ([low], [high]), style, scheme_name(better), size=4)
        stripes(axis, len(keys))
        axis.axvline(0, color="#333333", linewidth=0.8)
        axis.set_title(f"{scheme_name(rival)} minus {this}", fontsize=NORMAL)
        ends = [parts[i.key] * end for i in of_rival for end in (i.difference.low, i.difference.high)]
        share_axis(axis, "x", max(ends), min(ends))
    axes[0].set_yticks(range(len(keys)), [analysis.scope, *(spaced(key) for key in keys[1:])])
    axes[0].set_ylim(len(keys) - 0.5, -0.5)
    what = "what each adds to the machine's difference of the" if analysis.weighting else "difference of the"
    figure.supxlabel(
        f"{what} {measure} (right of 0: {this} fails less often; grey: no difference shown)", fontsize=NORMAL
    )
    return figure


def array_maps(analysis: Analysis, measure: str) -> Any:
    """Heat map of the PE array, a panel for every scheme, one colour scale; grey: no upset."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    config = analysis.config
    maps = {
        scheme: heat_map(analysis.campaign.rows, scheme, (config.rows, config.cols), analysis.bits, measure)
        for scheme in analysis.schemes
    }
    top = max((float(np.nanmax(found)) for found in maps.values() if not np.isnan(found).all()), default=0.0) or 1.0
    title = f"{heading(analysis, 'by PE of the array')}; grey: no upset there"
    figure, axes = new_figure(1, len(maps), (1.2 + 2.4 * len(maps), 3.6), title, sharey=True)
    image = None
    for axis, (scheme, values) in zip(axes, maps.items(), strict=True):
        axis.set_facecolor(EMPTY)
        image = axis.imshow(values, cmap="magma_r", vmin=0, vmax=top, interpolation="nearest")
        axis.set_title(scheme_name(scheme), fontsize=NORMAL)
        axis.set_xlabel("PE column", fontsize=NORMAL)
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axis.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes[0].set_ylabel("PE row", fontsize=NORMAL)
    bar = figure.colorbar(image, ax=list(axes), shrink=0.85, pad=0.01, format=PercentFormatter(1.0, symbol=" %"))
    bar.set_label(MEASURE_NAMES[measure], fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    return figure
