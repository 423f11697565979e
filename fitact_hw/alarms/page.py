"""The page of a study of alarms."""

from __future__ import annotations

from collections.abc import Sequence

from fitact_hw.alarms.curve import Point, cheapest
from fitact_hw.campaign.plan import command_of
from fitact_hw.campaign.snapshot import Campaign
from fitact_hw.reporting.formats import percent
from fitact_hw.reporting.published import DATA
from golden.bounds.schemes import titled

BUDGETS = (0.0, 0.01, 0.1)
"""Shares of clean images that may raise an alarm."""


def markdown(campaign: Campaign, found: Sequence[Point], margins: Sequence[int], stem: str, command: str) -> str:
    """Answers, tables and how to repeat them."""
    images = max(point.images for point in found)
    schemes = tuple(dict.fromkeys(point.scheme for point in found))
    parts = [
        f"# Alarms of the clamps: {campaign.title}",
        "",
        "A bound that acts masks an upset; counted, it also tells of one. An alarm is raised from a threshold of hits "
        "on (words above their bound, in a whole run); with a margin of k bits only words at least 2^k times as large "
        "as their bound count.",
        "",
        f"![ROC curves]({stem}.png)",
        "",
        "## Answer",
        "",
        *(line for scheme in schemes for line in _answer(found, scheme, margins)),
        "",
        f"## Lowest thresholds with false alarms on at most 10 %, 1 % and none of {images:,} clean images",
        "",
        *_table(found, schemes, margins),
        "",
        "* *DC*: diagnostic coverage of what the scheme leaves, the share of its SDC that raise an alarm. *Noticed*: "
        "of the upsets that are SDC in the unprotected network; most of them the scheme masks. Both by probability, "
        "with intervals of two parts, each at half the error.",
        "* *Residual SDC*: of an upset anywhere, if each alarm has the image computed again: the upset is gone then. "
        "*Work*: inferences for each result, because false alarms are computed twice.",
        "* *Upsets*: SDC behind a row, of the scheme and of the unprotected network.",
        "* *Unjudged*: share of the scheme's SDC whose hits only RTL counts at this margin (upsets of control); they "
        "count as raising no alarm.",
        "",
        "## How",
        "",
        "Clean images run in the golden model, exact integers. Upsets are those of the campaign that are SDC under the "
        "scheme or without protection, judged again without RTL for every margin; their class must be the campaign's. "
        "Hits are those of the whole run, clean ones included, as the register CLAMP_HITS has them.",
        "",
        f"* this page: `{command}`",
        f"* campaign: `{command_of(campaign.options)}`",
        f"* tables: [curve]({DATA}/{stem}.csv), [clean images]({DATA}/{stem}_clean.csv), "
        f"[upsets]({DATA}/{stem}_upsets.csv)",
    ]
    return "\n".join(parts) + "\n"


def _answer(found: Sequence[Point], scheme: str, margins: Sequence[int]) -> list[str]:
    lines = []
    for margin in margins:
        point = cheapest(found, scheme, margin, 0.0)
        if point is None:
            continue
        first = next(p for p in found if (p.scheme, p.margin, p.threshold) == (scheme, margin, 1))
        lines.append(
            f"* {titled(scheme)}, margin {margin}: one hit as alarm is false on {_share(first.false_alarms)} of clean "
            f"images, covers {_share(first.coverage)} of the remaining SDC and notices {_share(first.notice)} of what "
            f"would be one without protection"
            + (
                "."
                if point is first
                else f"; without a false alarm ({point.threshold:,} hits) {_share(point.coverage)} and "
                f"{_share(point.notice)}."
            )
        )
    return lines


def _share(item: object) -> str:
    value, low, high = (percent(getattr(item, name)) for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _table(found: Sequence[Point], schemes: Sequence[str], margins: Sequence[int]) -> list[str]:
    head = ("scheme", "margin", "threshold", "false alarms", "DC", "noticed", "residual SDC", "SDC", "upsets",
            "work", "unjudged")  # fmt: skip
    lines = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    for scheme in schemes:
        for margin in margins:
            chosen = (cheapest(found, scheme, margin, budget) for budget in reversed(BUDGETS))
            for point in dict.fromkeys(item for item in chosen if item is not None):
                cells = (
                    titled(scheme), str(margin), f"{point.threshold:,}",
                    *(_share(item) for item in (point.false_alarms, point.coverage, point.notice, point.residual)),
                    _share(point.sdc), f"{point.upsets}, {point.struck}", f"{point.work:.4f}",
                    percent(point.unjudged),
                )  # fmt: skip
                lines.append(f"| {' | '.join(cells)} |")
    return lines
