"""A page about an experiment in Markdown: the command, what was run, tables, and what they say in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from fitact_hw.reporting.command import command_line
from fitact_hw.reporting.formats import scientific
from fitact_hw.resilience.subjects import Settings
from fitact_hw.resilience.summary import BoundsCost, Summary
from fitact_hw.resilience.tables import signed, with_interval
from golden.bounds.schemes import titled
from golden.networks.artefacts import write_text
from golden.quantisation.quantise import word_name

_OPTIONS = {
    "schemes": "schemes",
    "words": "word",
    "rates": "rates",
    "maps": "maps",
    "images": "images",
    "seed": "seed",
    "memories": "bounds",
    "weights": "weights",
}
"""Options of the command by field of :class:`Settings`."""

_ENOUGH_MAPS = 10
"""With fewer, the page warns of its intervals."""


def command(settings: Settings, experiment: str, extra: Mapping[str, Any] | None = None) -> str:
    """The command that repeats an experiment; options that have their defaults are left out, except the seed.

    ``extra``: options of this experiment alone.
    """
    usual = {_OPTIONS[field.name]: field.default for field in fields(Settings) if field.name in _OPTIONS}
    del usual["seed"]
    given = {option: getattr(settings, name) for name, option in _OPTIONS.items()}
    return command_line(experiment, settings.model, options={**given, **(extra or {})}, usual=usual)


def write_page(
    settings: Settings,
    summaries: Sequence[Summary],
    costs: Sequence[BoundsCost],
    reference: str,
    path: Path,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write the page beside the chart and the tables of the same stem. ``extra``: further options of the command."""
    stem = path.stem
    images = max(summary.images for summary in summaries)
    lines = [
        f"# {settings.model}: bit errors in parameter memory ({stem})",
        "",
        f"* command: `{command(settings, stem, extra)}`",
        f"* images: the first {images} CIFAR-10 test images",
        f"* fault maps: {settings.maps} at each rate, the same for all networks",
        f"* intervals: 95 %, BCa bootstrap over maps; differences are in points, paired by map{_few(settings.maps)}",
        f"* data: [{stem}.csv]({stem}.csv), every map in [{stem}_maps.csv]({stem}_maps.csv)",
        "",
        f"![accuracy]({stem}.png)",
    ]
    for word_bits in sorted({summary.word_bits for summary in summaries}, reverse=True):
        part = [summary for summary in summaries if summary.word_bits == word_bits]
        lines += ["", f"## {word_name(word_bits)}", "", "Top-1 accuracy in %:", ""]
        cells = {(s.label, s.rate): accuracy_cell(s) for s in part}
        lines += _table(cells)
        gains = {(s.label, s.rate): _signed(s.difference, s.difference_low, s.difference_high) for s in part}
        gains = {key: text for key, text in gains.items() if text}
        if gains:
            lines += [
                "",
                f"{titled(reference)} minus rival:",
                "",
                *_table(gains),
                "",
                *_words(part, reference),
            ]
        lost = {(c.scheme, c.rate): _signed(c.lost, c.low, c.high) for c in costs if c.word_bits == word_bits}
        if lost:
            lines += ["", "Points lost because the bounds are hit too:", "", *_table(lost)]
    write_text(path, "\n".join(lines) + "\n")


def _few(maps: int) -> str:
    if maps >= _ENOUGH_MAPS:
        return ""
    return "; **of so few maps they are too narrow** (the bootstrap knows only the maps that were drawn)"


def accuracy_cell(summary: Summary) -> str:
    """Mean and, if there are several maps, interval."""
    if summary.maps == 1:
        return f"{summary.mean:.1f}"
    return f"{summary.mean:.1f} ({summary.low:.1f}-{summary.high:.1f})"


def _signed(mean: float | None, low: float | None, high: float | None) -> str:
    if mean is None or low is None or high is None:
        return ""
    return signed(mean) if low == mean == high else with_interval(mean, low, high)


def _rate(rate: float) -> str:
    return "none" if rate == 0 else scientific(rate)


def _table(cells: Mapping[tuple[str, float], str]) -> list[str]:
    rates = sorted({rate for _, rate in cells})
    lines = ["| bit error rate | " + " | ".join(map(_rate, rates)) + " |", "|---" * (1 + len(rates)) + "|"]
    for label in dict.fromkeys(label for label, _ in cells):
        lines.append(f"| {titled(label)} | " + " | ".join(cells.get((label, rate), "") for rate in rates) + " |")
    return lines


def _words(part: Sequence[Summary], reference: str) -> list[str]:
    """Where the reference wins, loses, and where no difference is shown (the interval contains 0)."""
    lines = []
    for label in dict.fromkeys(s.label for s in part if s.difference is not None):
        found: dict[str, list[str]] = {"better": [], "worse": [], "no difference shown": []}
        for s in part:
            if s.label != label or s.rate == 0 or s.difference is None or s.difference_low is None:
                continue
            if s.maps < 2:  # no interval, so no verdict
                continue
            assert s.difference_high is not None
            verdict = "better" if s.difference_low > 0 else "worse" if s.difference_high < 0 else "no difference shown"
            points = "" if verdict == "no difference shown" else f" by {abs(s.difference):.1f}"
            found[verdict].append(f"{_rate(s.rate)}{points}")
        said = "; ".join(f"{verdict} at {', '.join(where)}" for verdict, where in found.items() if where)
        if said:
            lines.append(f"* {titled(reference)} against {titled(label)}: {said}.")
    return lines
