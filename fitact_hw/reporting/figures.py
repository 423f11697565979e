"""Figures without a display: one look for every chart, as PNG for documents and as SVG for pages."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from fitact_hw.faults import Outcome
from fitact_hw.reporting.command import NAME
from fitact_hw.reporting.palette import GRID, NEUTRAL, OUTCOMES, STRIPE, Style
from golden.support.files import write_bytes

SMALL, NORMAL, LARGE = 7.5, 8.5, 10
"""Font sizes, points."""

NARROWEST = 7.6
"""Inches: titles and legends below this would be cut."""

DOTS_PER_INCH = 120

EDGE = "#3a3a3a"
"""Of a bar, and of its hatch."""

PNG_COLOURS = 256
"""Colours of a PNG: a chart has few, and its files stay in the repository for ever."""


def new_figure(
    rows: int, columns: int, size: tuple[float, float], title: str, **subplots: Any
) -> tuple[Any, np.ndarray]:
    """A figure of ``size`` inches under ``title``, and its grid of axes as a flat array.

    ``subplots``: what matplotlib's function of that name takes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(NARROWEST, size[0]), size[1]), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=LARGE, linespacing=1.4)
    axes = np.atleast_1d(figure.subplots(rows, columns, **subplots)).ravel()
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=SMALL)
        axis.set_axisbelow(True)
    return figure, axes


def share_axis(axis: Any, which: str, highest: float, lowest: float = 0.0) -> None:
    """Make ``which`` ("x" or "y") an axis of shares in %, from ``lowest`` to ``highest`` with a little room."""
    from matplotlib.ticker import MaxNLocator

    highest = max(highest, lowest + 1e-9)
    room = 0.03 * (highest - lowest)
    line = axis.xaxis if which == "x" else axis.yaxis
    limits = axis.set_xlim if which == "x" else axis.set_ylim
    limits(lowest - room, highest + room)
    line.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    line.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axis.grid(axis=which, color=GRID, linewidth=0.6)


def stripes(axis: Any, count: int) -> None:
    """Shade every other of ``count`` lines of a chart, so that the eye keeps to one."""
    for line in range(1, count, 2):
        axis.axhspan(line - 0.5, line + 0.5, color=STRIPE, zorder=0, linewidth=0)


def dots(
    axis: Any,
    places: Sequence[float],
    values: Sequence[float],
    ends: tuple[Sequence[float | None], Sequence[float | None]],
    style: Style,
    label: str,
    *,
    upright: bool = False,
    hollow: bool = False,
    size: float = 4,
) -> None:
    """Values with intervals (lower ends, upper ends; None: it has no interval).

    ``upright``: values run up, places to the right.
    """
    spread = [
        [0.0 if low is None else max(0.0, value - low) for value, low in zip(values, ends[0], strict=True)],
        [0.0 if high is None else max(0.0, high - value) for value, high in zip(values, ends[1], strict=True)],
    ]
    x, y = (places, values) if upright else (values, places)
    axis.errorbar(
        x, y, **{"yerr" if upright else "xerr": spread}, fmt=style.marker, markersize=size, linewidth=0.9,
        color=style.colour, markeredgewidth=0.9 if hollow else 0, label=label,
        markerfacecolor="white" if hollow else style.colour,
    )  # fmt: skip


_NOTHING: dict[str, Any] = {"facecolor": "white", "hatch": "\\\\\\", "edgecolor": GRID, "linewidth": 0.3}
"""How a bar looks where no upset struck: under the outcomes, whose shares then do not add up to 1."""


def outcome_bars(axis: Any, heights: Sequence[float], shares: Mapping[Outcome, Sequence[float]]) -> None:
    """A stacked bar at every height; ``shares``: of every outcome, by height."""
    axis.barh(heights, 1.0, height=0.8, **_NOTHING)
    left = np.zeros(len(heights))
    for outcome, style in OUTCOMES.items():
        widths = np.array(shares[outcome])
        some = widths > 0
        axis.barh(
            np.array(heights)[some], widths[some], left=left[some], height=0.8, color=style.colour, hatch=style.hatch,
            edgecolor=EDGE, linewidth=0.3,
        )  # fmt: skip
        left += widths
    share_axis(axis, "x", 1.0)
    axis.set_xticks([0, 0.5, 1], ["0", "50", "100 %"])
    axis.grid(visible=False)


def outcome_legend(figure: Any, gaps: bool = False) -> None:
    """What the bars of :func:`outcome_bars` stand for, below all panels; ``gaps``: somewhere no upset struck."""
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=style.colour, hatch=style.hatch, edgecolor=EDGE, linewidth=0.3, label=style.label)
        for style in OUTCOMES.values()
    ]
    handles += [Patch(label="no upset", **_NOTHING)] if gaps else []
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=NORMAL)


def legend_below(figure: Any, axes: Iterable[Any], columns: int) -> None:
    """What ``axes`` show, below all panels and off the data; each name once, values with intervals first."""
    from matplotlib.container import ErrorbarContainer

    found: dict[str, Any] = {}
    for axis in axes:
        found |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    found = dict(sorted(found.items(), key=lambda item: not isinstance(item[1], ErrorbarContainer)))
    figure.legend(
        found.values(), found.keys(), loc="outside lower center", ncols=columns, frameon=False, fontsize=NORMAL
    )


_PLACES = [
    (x * reach, y * reach)
    for reach in (1, 2, 3.5, 5)
    for x, y in ((1, 0), (1, 1), (-1, 0), (0, 1.5), (-1, 1), (1, -1), (0, -1.5), (-1, -1))
]
"""Where a label may stand beside its point, in steps; the first free place is taken."""


def place_labels(figure: Any, axis: Any, points: Sequence[tuple[float, float, str]], step: float = 7) -> None:
    """Write (x, y, text) beside the points so that no text covers another text, a marker or an axis-parallel line, or
    leaves the axis, where that can be avoided; far ones get a line. To be called when everything else is drawn."""
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()
    renderer, frame = figure.canvas.get_renderer(), axis.get_window_extent()
    dot = step * figure.dpi / 72 * 0.6
    taken = []
    for container in axis.containers:  # values with their intervals
        for bars in container.lines[2]:
            taken += [path.get_extents(axis.transData).padded(1) for path in bars.get_paths()]
    for line in axis.get_lines():
        if line.get_linestyle() != "None":
            corners = axis.transData.transform(line.get_xydata())
            taken += [Bbox(np.sort(pair, axis=0)).padded(1) for pair in pairwise(corners)]
    for x, y, _ in points:
        at = axis.transData.transform((x, y))
        taken.append(Bbox([at - dot, at + dot]))
    for x, y, text in sorted(points, key=lambda point: -point[1]):
        best: tuple[float, Any] | None = None
        for right, up in _PLACES:
            side = "left" if right > 0 else "right" if right < 0 else "center"
            level = "center" if not up else "bottom" if up > 0 else "top"
            shown = axis.annotate(
                text, (x, y), (right * step, up * step * 0.7), textcoords="offset points", fontsize=SMALL, ha=side,
                va=level, arrowprops={"arrowstyle": "-", "color": NEUTRAL, "linewidth": 0.6, "shrinkB": 3}
                if max(abs(right), abs(up)) > 2 else None,
            )  # fmt: skip
            box = Bbox(shown.get_window_extent(renderer))
            outside = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
            covered = sum(box.overlaps(other) for other in taken) + 3 * outside
            if best is None or covered < best[0]:
                if best is not None:
                    best[1].remove()
                best = covered, shown
            else:
                shown.remove()
            if not covered:
                break
        assert best is not None
        taken.append(Bbox(best[1].get_window_extent(renderer)))


def save_png(figure: Any, path: Path) -> Path:
    """Write the figure with few colours, whole or not at all; the same figure gives the same bytes."""
    from PIL import Image

    drawn, reduced = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    with Image.open(drawn) as picture:
        small = picture.convert("RGB").quantize(PNG_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        small.save(reduced, format="PNG", optimize=True)
    write_bytes(path, reduced.getvalue())
    return path


_UNUSED = re.compile(r' id="[A-Za-z0-9]+_\d+"|<metadata>.*?</metadata>', re.DOTALL)
"""Ids of matplotlib's groups, which nothing refers to and which several charts on one page would repeat; metadata."""


def svg_text(figure: Any) -> str:
    """The figure as an <svg> element for a page; the same figure gives the same text."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": NAME}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    return _UNUSED.sub("", drawn[drawn.index("<svg") :])
