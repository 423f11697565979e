"""The report: a page of Markdown (rendered as HTML), and CSV tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fitact_hw.campaign.plan import command_of
from fitact_hw.estimation.intervals import Interval
from fitact_hw.fmeda.classes import TITLES, Class, Classes
from fitact_hw.fmeda.rates import Rate
from fitact_hw.fmeda.subjects import Subject
from fitact_hw.fmeda.table import LEVELS, TARGETS, TOTAL, Line, Metric
from fitact_hw.reporting.formats import spaced
from fitact_hw.reporting.provenance import summary
from golden.bounds.schemes import titled

LEFT_OUT = (
    "combinational logic, and transients (SET) in it: upsets strike stored bits",
    "clock tree, reset tree, power supply, I/O and the AXI interconnect outside the machine",
    "package, bonding and board",
    "permanent and intermittent faults of any kind (their base failure rates are others, see IEC 61709 or SN 29500)",
    "several bits that one particle flips, unless the campaign drew such shapes",
    "the host, its software, and any check that it makes of the results",
    "the dual-point part of PMHF: latent FIT are given, their combination with a second fault is not",
    "images, weights and inputs other than those of the campaign; the machine counts as busy without pause",
)
"""What the figures do not contain."""

OF_MEMORY = "external memory of parameters, activations and programs"


@dataclass(frozen=True)
class Result:
    """The table and the metrics of one subject."""

    subject: Subject
    lines: Sequence[Line]
    metrics: Sequence[Metric]

    @property
    def title(self) -> str:
        """Campaign and scheme."""
        alarm = f", {self.subject.alarm}" if self.subject.alarm else ""
        return f"{self.subject.campaign.title}: {titled(self.subject.scheme)}{alarm}"


def number(value: Interval, factor: float = 1.0) -> str:
    """Value and interval; what is only bounded has no value."""
    low, high = _figure(value.low * factor), _figure(value.high * factor)
    return f"{low} to {high}" if value.unsampled else f"{_figure(value.value * factor)} [{low}, {high}]"


def _figure(value: float) -> str:
    """Three digits, without an exponent."""
    return (
        f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) >= 1e-3 or not value else f"{value:.1e}"
    )


def share(value: Interval) -> str:
    """A ratio in %, with digits enough to tell 99 from 99.99."""
    ends = [f"{100 * end:.2f}" for end in (value.value, value.low, value.high)]
    return f"{ends[1]} to {ends[2]}" if value.unsampled else f"{ends[0]} [{ends[1]}, {ends[2]}]"


def shown(metric: Metric) -> str:
    """A metric with its unit."""
    return f"{number(metric.value)} FIT" if metric.name == "PMHF" else f"{share(metric.value)} %"


def markdown(
    results: Sequence[Result], rates: Mapping[str, Rate], classes: Classes, confidence: float, command: str
) -> str:
    """The whole page."""
    external = any(line.kind.endswith("external") for result in results for line in result.lines)
    parts = [
        "# FMEDA: upsets of stored bits",
        "",
        f"FIT (failures in 10^9 hours) by structure and class, with {100 * confidence:g} % intervals of the sampled "
        "probabilities; raw rates count as exact. Metrics and targets: ISO 26262-5:2018, tables 4 to 6. The targets "
        "are of a whole item, this machine is one element of it: read PMHF as its contribution.",
        "",
        *_summary(results),
        *(line for result in results for line in _section(result)),
        *_policy(classes),
        *_raw(rates, external),
        "## Left out",
        "",
        *(f"* {text}" for text in (*LEFT_OUT, *(() if external else (OF_MEMORY,)))),
        "",
        "## How",
        "",
        "FIT of a class = bits x raw rate x probability of the class, summed over structures. Intervals: gamma "
        "of weighted sums with images as clusters. SPFM = 1 - undetected / all; LFM = 1 - latent / (all - undetected); "
        "PMHF: undetected, the single-point part; DC = detected / (detected + undetected). Intervals of LFM and DC are "
        "made of two, each at half the error (Bonferroni). `met`: the whole interval is on the good side of the "
        "target; `missed`: on the other; `open`: the campaign is too small to tell.",
        "",
        f"* this page: `{command}`",
        *_origins(results),
    ]
    return "\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    marks = ["---"] * left + ["---:"] * (len(head) - left)
    return [_row(head), _row(marks), *map(_row, rows), ""]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _summary(results: Sequence[Result]) -> list[str]:
    goals = [
        f"{name} {'<' if name == 'PMHF' else '>='} "
        + " / ".join(f"{value:g} FIT" if name == "PMHF" else f"{100 * value:g} %" for value in values)
        for name, values in TARGETS.items()
    ]
    rows = []
    for result in results:
        for metric in result.metrics:
            rows.append([result.title, metric.name, shown(metric), *(metric.verdicts or [""] * len(LEVELS))])
    head = ["campaign", "metric", "value", *LEVELS]
    return ["## Metrics", "", f"Targets ({', '.join(LEVELS)}): {'; '.join(goals)}.", "", *_table(head, rows, 2)]


def _section(result: Result) -> list[str]:
    rows = []
    for line in result.lines:
        name = f"**{line.name}**" if line.name == TOTAL else spaced(line.name)
        cells = [number(line.fit[klass]) for klass in Class]
        rows.append([name, spaced(line.kind), f"{line.bits:,}", _figure(line.raw), f"{line.upsets:,}", *cells])
    head = ["structure", "cells", "bits", "raw FIT", "upsets", *(f"{TITLES[klass]} FIT" for klass in Class)]
    return [f"## {result.title}", "", *_table(head, rows, 2)]


def _policy(classes: Classes) -> list[str]:
    rows = [
        [
            "all" if rule.structure == "*" else spaced(rule.structure),
            spaced(rule.effect),
            TITLES[rule.klass],
            rule.reason,
        ]
        for rule in classes.rules
    ]
    text = f"Which effect is what is a policy: this is the table `{classes.source}`; `--classes FILE` replaces it."
    return ["## Classes", "", text, "", *_table(["structure", "effect", "class", "reason"], rows, 4)]


def _raw(rates: Mapping[str, Rate], external: bool) -> list[str]:
    rows = [
        [spaced(rate.kind), "" if rate.fit_per_mbit is None else f"{rate.fit_per_mbit:g}", rate.source]
        for rate in rates.values()
    ]
    text = "FIT per 10^6 bits. Buffers are SRAM, all else (queues too) flip-flops."
    if external:
        text += " No upset of the campaign struck the external memory: its classes are bounded, not estimated."
    return ["## Raw rates", "", text, "", *_table(["cells", "FIT/Mbit", "source"], rows, 3)]


def _origins(results: Sequence[Result]) -> list[str]:
    campaigns = {id(result.subject.campaign): result.subject.campaign for result in results}
    found = []
    for campaign in campaigns.values():
        found.append(f"* {campaign.title}: `{command_of(campaign.options)}`")
        found += [f"    * {summary(record)}" for record in campaign.facts.get("runs", [])]
    return found


FIT_HEADER = (
    *("campaign", "scheme", "structure", "cells", "bits", "raw_fit", "upsets"),
    *(f"{klass.value}{end}" for klass in Class for end in ("", "_low", "_high")),
)


def fit_csv(results: Sequence[Result]) -> str:
    """A line per campaign, scheme and structure, and one in total; a value that is only bounded is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIT_HEADER)
    for result in results:
        for line in result.lines:
            head = [result.subject.campaign.title, result.subject.name, line.name, line.kind, line.bits]
            cells = [cell for klass in Class for cell in _ends(line.fit[klass])]
            writer.writerow([*head, f"{line.raw:.6g}", line.upsets, *cells])
    return text.getvalue()


METRICS_HEADER = ("campaign", "scheme", "metric", "value", "low", "high", "asil_b", "asil_c", "asil_d")


def metrics_csv(results: Sequence[Result]) -> str:
    """A line per campaign, scheme and metric: shares, and PMHF in FIT; verdicts on the targets."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(METRICS_HEADER)
    for result in results:
        for metric in result.metrics:
            head = [result.subject.campaign.title, result.subject.name, metric.name, *_ends(metric.value)]
            writer.writerow([*head, *(metric.verdicts or [""] * len(LEVELS))])
    return text.getvalue()


def _ends(value: Interval) -> list[str]:
    return ["" if value.unsampled else f"{value.value:.6g}", f"{value.low:.6g}", f"{value.high:.6g}"]
