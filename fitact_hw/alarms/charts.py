"""ROC curves: coverage of an alarm against false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fitact_hw.alarms.curve import Point
from fitact_hw.reporting.figures import NORMAL, SMALL, dots, legend_below, new_figure
from fitact_hw.reporting.palette import GRID, scheme_style
from golden.bounds.schemes import titled

APART = 1.13
"""Factor between schemes with equally many false alarms, so that they can be told apart."""

ROWS = (("coverage", "of SDC under the scheme"), ("notice", "of upsets that are SDC\nwithout protection"))


def roc(found: Sequence[Point], title: str) -> Any:
    """A panel for each margin, false alarms to the right: above coverage of the scheme's SDC, below of what would be
    one without it."""
    margins = sorted({point.margin for point in found})
    images = max(point.images for point in found)
    floor = 0.3 / images
    schemes = tuple(dict.fromkeys(point.scheme for point in found))
    heading = (
        f"{title}: alarm of the clamps\nalarms from 1, 2, 3, 5, 10 ... hits on; false ones on {images:,} clean images; "
        "upright lines: 95 % intervals"
    )
    figure, axes = new_figure(2, len(margins), (1.0 + 2.9 * len(margins), 6.0), heading, sharex=True, sharey=True)
    for row, (name, words) in enumerate(ROWS):
        for column, margin in enumerate(margins):
            axis = axes[row * len(margins) + column]
            for place, scheme in enumerate(schemes):
                line = [point for point in found if (point.scheme, point.margin) == (scheme, margin)]
                style = scheme_style(scheme)
                apart = APART ** (place - (len(schemes) - 1) / 2)
                x = [max(point.false_alarms.value, floor) * apart for point in line]
                values = [getattr(point, name) for point in line]
                y = [value.value for value in values]
                ends = [value.low for value in values], [value.high for value in values]
                axis.plot(x, y, color=style.colour, linewidth=1.0)
                dots(axis, x, y, ends, style, titled(scheme), upright=True)
            axis.set_xscale("log")
            axis.set_xlim(floor / 2, 2)
            axis.set_ylim(-0.05, 1.05)
            axis.axvline(1 / images, color=GRID, linewidth=0.9, linestyle=":")
            axis.grid(axis="both", color=GRID, linewidth=0.6)
            axis.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
            axis.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
            if not row:
                what = "above the bound" if not margin else f"at least {1 << margin} x the bound"
                axis.set_title(f"margin {margin}: values {what}", fontsize=NORMAL)
            else:
                axis.set_xlabel("clean images with an alarm\n(left of the dotted line: none)", fontsize=SMALL)
            if not column:
                axis.set_ylabel(f"alarm raised,\n{words}", fontsize=NORMAL)
    legend_below(figure, axes, columns=5)
    return figure
