"""Charts of a campaign report, as SVG for the HTML page and PNG for documents."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fitact_hw.campaign.report.analysis import EFFECT, FAILURE, SDC, Analysis, Entry, by_scheme
from fitact_hw.campaign.report.comparison import Comparison, scheme_name
from fitact_hw.campaign.report.places import heat_map
from fitact_hw.faults import Outcome
from fitact_hw.reporting.palette import LABELS, OUTCOMES, scheme_style

MEASURE_NAMES = {
    SDC: "SDC probability per upset",
    FAILURE: "probability of any failure per upset",
    EFFECT: "probability of any effect per upset",
}

PANELS = 5
"""Bit-position panels side by side."""


def _figure(*shape: int, size: tuple[float, float], **named: Any) -> tuple[Any, np.ndarray]:
    """A figure with a grid of axes without a display; axes as a flat array."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(*shape, **named)).ravel()
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    return figure, axes


def _colour(scheme: str) -> str:
    return scheme_style(scheme).colour


def _percent(axis: Any) -> None:
    axis.locator_params(axis="x", nbins=5)
    axis.xaxis.set_major_formatter(_percent_formatter())
    axis.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    axis.set_axisbelow(True)


def _legend(figure: Any, axis: Any, columns: int) -> None:
    """Below the panels, off the data."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)


def probabilities(entries: Sequence[Entry], label: Callable[[Entry], str]) -> Any:
    """Dots with intervals: a line for every key, a colour for every scheme; SDC left, any failure right."""
    keys = list(dict.fromkeys(label(entry) for entry in entries))
    groups = by_scheme(entries)
    figure, axes = _figure(1, 2, size=(9.6, 1.3 + 0.3 * len(keys)), sharey=True)
    for axis, measure in zip(axes, (SDC, FAILURE), strict=True):
        for place, (scheme, of_scheme) in enumerate(groups.items()):
            shift = 0.7 * ((place + 0.5) / len(groups) - 0.5)
            heights = [keys.index(label(entry)) + shift for entry in of_scheme]
            found = [entry.estimates[measure] for entry in of_scheme]
            values = [e.value for e in found]
            ends = [[e.value - e.low for e in found], [e.high - e.value for e in found]]
            axis.errorbar(
                values, heights, xerr=ends, fmt="o", markersize=2.6, linewidth=0.9, color=_colour(scheme),
                label=scheme_name(scheme),
            )  # fmt: skip
        for line in range(1, len(keys), 2):
            axis.axhspan(line - 0.5, line + 0.5, color="#f5f6f8", zorder=0)
        axis.set_xlim(left=0)
        axis.set_xlabel(MEASURE_NAMES[measure], fontsize=8)
        _percent(axis)
    axes[0].set_yticks(range(len(keys)), [key.replace("_", " ") for key in keys])
    axes[0].set_ylim(len(keys) - 0.5, -0.5)
    _legend(figure, axes[0], len(groups))
    return figure


def outcome_shares(entries: Sequence[Entry], top: Mapping[str, Entry]) -> Any:
    """Stacked outcomes by structure, a panel for every scheme; ``top``: scheme -> the whole machine."""
    from matplotlib.patches import Patch

    groups = by_scheme(entries)
    keys = list(dict.fromkeys(entry.key[0] for entry in entries))
    figure, axes = _figure(1, len(groups), size=(1.6 + 2.2 * len(groups), 1.4 + 0.22 * len(keys)), sharey=True)
    for axis, (scheme, of_scheme) in zip(axes, groups.items(), strict=True):
        bars = [(0, top[scheme]), *((keys.index(entry.key[0]) + 1.4, entry) for entry in of_scheme)]
        left = np.zeros(len(bars))
        for outcome in Outcome:
            shares = np.array([entry.estimates[outcome.value].value for _, entry in bars])
            some = shares > 0
            heights = np.array([height for height, _ in bars])[some]
            axis.barh(heights, shares[some], left=left[some], color=OUTCOMES[outcome].colour, height=0.8)
            left += shares
        axis.set_title(scheme_name(scheme), fontsize=9)
        axis.set_xlim(0, 1)
        _percent(axis)
    names = ["whole machine", *(key.replace("_", " ") for key in keys)]
    axes[0].set_yticks([0, *(place + 1.4 for place in range(len(keys)))], names)
    axes[0].set_ylim(len(keys) + 0.9, -0.6)
    handles = [Patch(color=OUTCOMES[outcome].colour, label=LABELS[outcome]) for outcome in Outcome]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)
    return figure


def bit_positions(entries: Sequence[Entry], measure: str) -> Any:
    """A panel for every structure: probability against the bit of the value, by scheme."""
    structures = list(dict.fromkeys(entry.key[0] for entry in entries))
    lines = -(-len(structures) // PANELS)
    columns = min(PANELS, len(structures))
    figure, axes = _figure(lines, columns, size=(10.2, 0.6 + 1.75 * lines))
    for axis in axes[len(structures) :]:
        axis.set_visible(False)
    for axis, structure in zip(axes, structures, strict=False):
        groups = by_scheme(entry for entry in entries if entry.key[0] == structure)
        for place, (scheme, of_scheme) in enumerate(groups.items()):
            shift = 0.6 * ((place + 0.5) / len(groups) - 0.5)
            found = [entry.estimates[measure] for entry in of_scheme]
            values = [e.value for e in found]
            axis.errorbar(
                [int(entry.key[1]) + shift for entry in of_scheme], values,
                yerr=[[e.value - e.low for e in found], [e.high - e.value for e in found]],
                fmt="o", markersize=2, linewidth=0.6, color=_colour(scheme), label=scheme_name(scheme),
            )  # fmt: skip
        axis.set_title(structure.replace("_", " "), fontsize=8.5)
        axis.set_ylim(bottom=0)
        axis.tick_params(labelsize=7)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.yaxis.set_major_formatter(_percent_formatter())
    for axis in axes[max(0, len(structures) - columns) : len(structures)]:
        axis.set_xlabel("bit of the value", fontsize=8)
    figure.supylabel(MEASURE_NAMES[measure], fontsize=8)
    _legend(figure, axes[0], PANELS)
    return figure


def _percent_formatter() -> Any:
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1.0, decimals=None)


def differences(comparisons: Sequence[Comparison]) -> Any:
    """Paired differences with intervals, a panel for every rival; right of 0 the reference fails less often."""
    rivals = list(dict.fromkeys(item.rival for item in comparisons))
    keys = list(dict.fromkeys(item.key for item in comparisons))
    figure, axes = _figure(1, len(rivals), size=(1.6 + 2.9 * len(rivals), 1.2 + 0.22 * len(keys)), sharey=True)
    for axis, rival in zip(axes, rivals, strict=True):
        for item in comparisons:
            if item.rival != rival:
                continue
            d, height = item.difference, keys.index(item.key)
            colour = _colour(item.scheme if d.value > 0 else item.rival) if d.shown else "#9aa3ad"
            ends = [[d.value - d.low], [d.high - d.value]]
            axis.errorbar(d.value, height, xerr=ends, fmt="o", markersize=3, linewidth=1, color=colour)
        axis.axvline(0, color="#333333", linewidth=0.8)
        axis.set_title(f"{scheme_name(rival)} - {scheme_name(comparisons[0].scheme)}", fontsize=9)
        _percent(axis)
    axes[0].set_yticks(range(len(keys)), ["whole machine", *(key.replace("_", " ") for key in keys[1:])])
    axes[0].set_ylim(len(keys) - 0.5, -0.5)
    figure.supxlabel(f"difference of the {MEASURE_NAMES[comparisons[0].measure]}, same faults", fontsize=8)
    return figure


def array_maps(analysis: Analysis, measure: str) -> Any:
    """Heat map of the PE array, a panel for every scheme, one colour scale; grey: no upset."""
    config = analysis.config
    maps = {
        scheme: heat_map(analysis.campaign.rows, scheme, (config.rows, config.cols), analysis.bits, measure)
        for scheme in analysis.schemes
    }
    top = max((float(np.nanmax(found)) for found in maps.values() if not np.isnan(found).all()), default=0.0) or 1.0
    figure, axes = _figure(1, len(maps), size=(0.8 + 2.5 * len(maps), 2.9), sharey=True)
    image = None
    for axis, (scheme, values) in zip(axes, maps.items(), strict=True):
        axis.set_facecolor("#d9dde1")
        image = axis.imshow(values, cmap="magma_r", vmin=0, vmax=top, interpolation="nearest")
        axis.set_title(scheme_name(scheme), fontsize=9)
        axis.set_xlabel("PE column", fontsize=8)
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0].set_ylabel("PE row", fontsize=8)
    bar = figure.colorbar(image, ax=list(axes), shrink=0.85, pad=0.01, format=_percent_formatter())
    bar.set_label(MEASURE_NAMES[measure], fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


_UNUSED = re.compile(r' id="[A-Za-z0-9]+_\d+"|<metadata>.*?</metadata>', re.DOTALL)
"""Ids of matplotlib's groups, which nothing refers to and which several charts on one page would repeat; metadata."""


def svg_text(figure: Any) -> str:
    """The figure as an <svg> element for a page; the same figure gives the same text."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "fitact"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    return _UNUSED.sub("", drawn[drawn.index("<svg") :])


def save_png(figure: Any, path: Path) -> Path:
    """Write the figure."""
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return path
