"""A page about an experiment in Markdown: the command, what was run, tables, and what they say in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from fitact_hw.reporting.command import command_line
from fitact_hw.reporting.formats import scientific
from fitact_hw.reporting.map_statistics import too_few
from fitact_hw.reporting.published import DATA
from fitact_hw.resilience.subjects import Settings
from fitact_hw.resilience.summary import BETTER, NOT_SHOWN, WORSE, BoundsCost, Summary
from fitact_hw.resilience.tables import accuracy_cell, signed_interval
from golden.bounds.schemes import spec_of, titled
from golden.quantisation.quantise import word_name
from golden.subjects.find import open_subject
from golden.subjects.names import short_name
from golden.support.files import write_text

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


def command(settings: Settings, experiment: str, extra: Mapping[str, Any] | None = None) -> str:
    """The command that repeats an experiment; options that have their defaults are left out, except the seed.

    ``extra``: options of this experiment alone.
    """
    usual = {_OPTIONS[field.name]: field.default for field in fields(Settings) if field.name in _OPTIONS}
    del usual["seed"]
    given = {option: getattr(settings, name) for name, option in _OPTIONS.items()}
    given["schemes"] = tuple(map(spec_of, settings.schemes))
    return command_line(experiment, short_name(settings.model), options={**given, **(extra or {})}, usual=usual)


def write_page(
    settings: Settings,
    summaries: Sequence[Summary],
    costs: Sequence[BoundsCost],
    reference: str,
    path: Path,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write the page beside the chart of the same stem, whose tables are in ``data`` there. ``extra``: further options
    of the command."""
    stem = path.stem
    images = max(summary.images for summary in summaries)
    lines = [
        f"# {short_name(settings.model)}: bit errors in parameter memory ({stem})",
        "",
        f"* command: `{command(settings, stem, extra)}`",
        f"* images: the first {images} {open_subject(settings.model).pictures}",
        f"* fault maps: {settings.maps} at each rate, the same for all networks",
        f"* intervals: 95 %, BCa bootstrap over maps; differences are in points, paired by map{_few(settings.maps)}",
        f"* data: [{stem}.csv]({DATA}/{stem}.csv), every map in [{stem}_maps.csv]({DATA}/{stem}_maps.csv)",
        "",
        f"![accuracy]({stem}.png)",
    ]
    for word_bits in sorted({summary.word_bits for summary in summaries}, reverse=True):
        part = [summary for summary in summaries if summary.word_bits == word_bits]
        lines += ["", f"## {word_name(word_bits)}", "", "Top-1 accuracy in %:", ""]
        cells = {(s.label, s.rate): accuracy_cell(s) for s in part}
        lines += _table(cells)
        gains = {(s.label, s.rate): signed_interval(s.difference, s.difference_low, s.difference_high) for s in part}
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
        lost = {(c.scheme, c.rate): signed_interval(c.lost, c.low, c.high) for c in costs if c.word_bits == word_bits}
        if lost:
            lines += ["", "Points lost because the bounds are hit too:", "", *_table(lost)]
    write_text(path, "\n".join(lines) + "\n")


def _few(maps: int) -> str:
    if not too_few(maps):
        return ""
    if maps == 1:
        return f"; **{too_few(maps)}, and no interval**: it needs several"
    narrow = f"**{too_few(maps)}, and intervals of so few are too narrow**"
    return f"; {narrow} (the bootstrap knows only the maps that were drawn)"


def _rate(rate: float) -> str:
    return "none" if rate == 0 else scientific(rate)


def _table(cells: Mapping[tuple[str, float], str]) -> list[str]:
    rates = sorted({rate for _, rate in cells})
    lines = ["| bit error rate | " + " | ".join(map(_rate, rates)) + " |", "|---" * (1 + len(rates)) + "|"]
    for label in dict.fromkeys(label for label, _ in cells):
        lines.append(f"| {titled(label)} | " + " | ".join(cells.get((label, rate), "") for rate in rates) + " |")
    return lines


def _words(part: Sequence[Summary], reference: str) -> list[str]:
    """Where the reference wins, loses, where no difference is shown (the interval contains 0), where maps are few."""
    lines = []
    for label in dict.fromkeys(s.label for s in part if s.difference is not None):
        found: dict[str, list[str]] = {BETTER: [], WORSE: [], NOT_SHOWN: []}
        for s in part:
            if s.label == label and s.verdict and s.difference is not None:
                points = f" by {abs(s.difference):.1f}" if s.verdict in (BETTER, WORSE) else ""
                found.setdefault(s.verdict, []).append(f"{_rate(s.rate)}{points}")
        said = "; ".join(f"{verdict} at {', '.join(where)}" for verdict, where in found.items() if where)
        if said:
            lines.append(f"* {titled(reference)} against {titled(label)}: {said}.")
    return lines
