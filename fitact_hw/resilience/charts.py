"""Charts of a study: accuracy against bit error rate, and against bytes of bounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fitact_hw.reporting.figures import NORMAL, dots, legend_below, new_figure
from fitact_hw.reporting.formats import listed, scientific
from fitact_hw.reporting.palette import GRID, SERIES, Style, scheme_style
from fitact_hw.resilience.subjects import FAULTY
from fitact_hw.resilience.summary import Summary
from golden.bounds.granularity import SHARED, Granularity
from golden.bounds.schemes import titled
from golden.bounds.stored import LEARNED
from golden.quantisation.quantise import word_name

MARKERS = dict(zip(SHARED, ("s", "^", "D", "o"), strict=True))

KINDS = {"clip": "largest of the neurons', zero above", LEARNED: "learned, zero above", "saturate": "saturating"}
"""What a bound of a group is, and what it does."""

FORMS = {"word": "words", "code4": "4-bit codes"}

APART = 0.03
"""Decades between two networks at one rate, so that their intervals can be told apart."""


def heading(model: str, what: str, summaries: Sequence[Summary], seed: int) -> str:
    """Title of a chart: network, number formats, what it shows; maps, images and seed."""
    words = listed([word_name(word) for word in sorted({s.word_bits for s in summaries}, reverse=True)])
    maps, images = max(s.maps for s in summaries), max(s.images for s in summaries)
    plural = "s" if maps > 1 else ""
    lines = "; lines: 95 % intervals over maps" if maps > 1 else "; one map has no interval"
    return f"{model}, {words}: {what}\n{maps} fault map{plural} at each rate, {images:,} images, seed {seed}{lines}"


def accuracy(summaries: Sequence[Summary], model: str, seed: int) -> Any:
    """Accuracy over log bit error rate: one panel per word width, one line with intervals per network."""
    words = sorted({summary.word_bits for summary in summaries}, reverse=True)
    labels = list(dict.fromkeys(s.label for s in summaries if s.rate > 0))
    title = heading(model, "bit errors in parameter memory", summaries, seed)
    figure, axes = new_figure(1, len(words), (1.4 + 4.4 * max(1.5, len(words)), 4.6), title, sharey=True)
    for axis, word_bits in zip(axes, words, strict=True):
        part = [s for s in summaries if s.word_bits == word_bits]
        for place, label in enumerate(labels):
            line = sorted((s for s in part if s.label == label and s.rate > 0), key=lambda s: s.rate)
            if not line:
                continue
            style, faulty = scheme_style(line[0].scheme), line[0].memory == FAULTY
            rates = [s.rate * 10 ** (APART * (place - (len(labels) - 1) / 2)) for s in line]
            means = [s.mean for s in line]
            ends = [s.low for s in line], [s.high for s in line]
            dots(axis, rates, means, ends, style, titled(label), upright=True, hollow=not faulty, size=5)
            axis.plot(rates, means, color=style.colour, linewidth=1.2, linestyle="-" if faulty else "--")
        clean = [s.mean for s in part if s.rate == 0]
        if clean:
            axis.axhline(max(clean), color="#555555", linewidth=0.9, linestyle=":", label="no fault (best of them)")
        axis.set_xscale("log")
        axis.set_title(word_name(word_bits), fontsize=NORMAL)
        axis.set_xlabel("bit error rate in parameter memory (points set apart at each rate)", fontsize=NORMAL)
    _accuracy_axes(axes)
    legend_below(figure, axes, 4 if len(words) == 1 else 6)
    return figure


def storage(summaries: Sequence[Summary], model: str, seed: int, source: str) -> Any:
    """Accuracy against bytes of bound storage: one panel per word width and rate; ``source``: whose bounds they are."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import EngFormatter

    panels = sorted({(-s.word_bits, s.rate) for s in summaries if s.rate > 0})
    title = heading(model, f"granularity of {titled(source)}'s bounds", summaries, seed)
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    figure, axes = new_figure(lines, columns, (1 + 4.4 * max(1.5, columns), 2 + 2.5 * lines), title, sharey=True)
    colours = dict(zip(KINDS, SERIES, strict=False))
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    for number, (axis, (negative, rate)) in enumerate(zip(axes, panels, strict=False)):
        for s in summaries:
            if (s.word_bits, s.rate) != (-negative, rate) or s.memory != FAULTY:
                continue
            granularity, above, form = s.scheme.split("-")
            kind = LEARNED if form == LEARNED else above
            style = Style(colours[kind], MARKERS[Granularity(granularity)])
            # learned bounds take as many bytes as the others: beside them
            place = s.bound_bytes * (1.35 if kind == LEARNED else 1)
            dots(axis, [place], [s.mean], ([s.low], [s.high]), style, "", upright=True, hollow=form == "code4", size=6)
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(EngFormatter("B", places=0))
        axis.set_title(f"{word_name(-negative)}, BER {scientific(rate)}", fontsize=NORMAL)
        if number + columns >= len(panels):
            axis.set_xlabel("bytes of bounds in memory", fontsize=NORMAL)
    _accuracy_axes(axes)
    grey = "#555555"
    marks = [Line2D([], [], marker="o", linestyle="", color=colours[k], label=name) for k, name in KINDS.items()]
    marks.append(Line2D([], [], linestyle="", label=" "))  # a legend fills columns: kinds, granularities, forms
    marks += [Line2D([], [], marker=m, linestyle="", color=grey, label=f"a {g.value}") for g, m in MARKERS.items()]
    for form, name in FORMS.items():
        face = "white" if form == "code4" else grey
        marks.append(Line2D([], [], marker="o", linestyle="", color=grey, markerfacecolor=face, label=name))
    figure.legend(handles=marks, loc="outside lower center", ncols=5, frameon=False, fontsize=NORMAL)
    return figure


def _accuracy_axes(axes: Iterable[Any]) -> None:
    for axis in axes:
        axis.grid(color=GRID, linewidth=0.6)
        if axis.get_subplotspec().is_first_col():
            axis.set_ylabel("top-1 accuracy, %", fontsize=NORMAL)
