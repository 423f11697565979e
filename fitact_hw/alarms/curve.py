"""What an alarm at a threshold costs and earns: false alarms, diagnostic coverage, residual SDC."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fitact_hw.alarms.clean import Clean
from fitact_hw.alarms.struck import Struck
from fitact_hw.campaign.report.tally import Tally
from fitact_hw.estimation.intervals import Interval, interval, ratio
from fitact_hw.faults import Outcome
from fitact_hw.reporting.statistics import Estimate

THRESHOLDS = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000, 2000, 5000)
"""Hits from which an alarm is raised, in tables and charts."""

ENDS = ("", "_low", "_high")
MEASURES = ("false_alarms", "coverage", "notice", "residual_sdc", "sdc")
HEADER = (
    *("scheme", "margin", "threshold", "images", "sdc_upsets", "unprotected_sdc_upsets"),
    *(f"{name}{end}" for name in MEASURES for end in ENDS),
    "unjudged",
    "work",
)


@dataclass(frozen=True)
class Point:
    """An alarm from ``threshold`` hits on, at a margin, under one scheme.

    ``false_alarms``: share of clean images that raise it. ``coverage``: share of the scheme's SDC that raise it, by
    probability. ``notice``: share of the upsets that are SDC without protection that raise it, whatever the scheme
    makes of them. ``residual``: probability that an upset anywhere is an SDC and raises none, which is what is left
    when each alarm has the image computed again; ``sdc``: without an alarm. ``unjudged``: share of the scheme's SDC
    whose hits are not known at this margin: they count as raising none. ``upsets``, ``struck``: SDC of the scheme and
    of the unprotected network behind it.
    """

    scheme: str
    margin: int
    threshold: int
    images: int
    false_alarms: Estimate
    coverage: Interval
    notice: Interval
    residual: Interval
    sdc: Interval
    unjudged: float
    upsets: int
    struck: int

    @property
    def work(self) -> float:
        """Inferences for each result when every alarm has it computed again; upsets are too rare to count."""
        return 1 + self.false_alarms.value


def points(
    tally: Tally, clean: Sequence[Clean], struck: Sequence[Struck], margins: Iterable[int], confidence: float
) -> list[Point]:
    """Every scheme, margin and threshold; thresholds end with the first that no clean image reaches."""
    found = []
    for item in clean:
        own = [one for one in struck if one.scheme == item.scheme]
        for margin in margins:
            for threshold in THRESHOLDS:
                found.append(_point(tally, item, own, margin, threshold, confidence))
                if not found[-1].false_alarms.hits:
                    break
    return found


def _point(tally: Tally, clean: Clean, own: Sequence[Struck], margin: int, threshold: int, confidence: float) -> Point:
    sdc = [item for item in own if item.outcome == Outcome.SDC]
    before = [item for item in own if item.unprotected == Outcome.SDC]
    both = (1 + confidence) / 2

    def rate(items: Iterable[Struck], level: float) -> Interval:
        return interval(tally.counts(clean.scheme, [item.number for item in items]), level)

    def share(items: Sequence[Struck]) -> Interval:
        raised = [item for item in items if item.alarms(margin, threshold)]
        silent = [item for item in items if not item.alarms(margin, threshold)]
        return ratio(rate(raised, both), rate(silent, both))

    silent = [item for item in sdc if not item.alarms(margin, threshold)]
    whole = rate(sdc, confidence)
    unknown = rate([item for item in sdc if margin not in item.hits], confidence).value
    false_alarms = clean.false_alarms(margin, threshold, confidence)
    return Point(
        clean.scheme, margin, threshold, false_alarms.total, false_alarms, share(sdc), share(before),
        rate(silent, confidence), whole, unknown / whole.value if whole.value else 0.0, len(sdc), len(before),
    )  # fmt: skip


def cheapest(found: Sequence[Point], scheme: str, margin: int, most: float) -> Point | None:
    """The lowest threshold of a scheme and margin at which at most a share ``most`` of clean images raise an alarm."""
    some = [point for point in found if (point.scheme, point.margin) == (scheme, margin)]
    return next((point for point in some if point.false_alarms.value <= most), None)


def curve_csv(found: Sequence[Point]) -> str:
    """A line per point; shares as fractions."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for p in found:
        cells = [
            f"{end:.6g}"
            for item in (p.false_alarms, p.coverage, p.notice, p.residual, p.sdc)
            for end in (item.value, item.low, item.high)
        ]
        writer.writerow([p.scheme, p.margin, p.threshold, p.images, p.upsets, p.struck, *cells, f"{p.unjudged:.6g}",
                         f"{p.work:.6g}"])  # fmt: skip
    return text.getvalue()
