"""Accuracy at a bit error rate against area: what a scheme buys for what it costs, and the schemes that none beats.

Accuracies come from the CSV files of `make resilience` and `fitact granularity` (bit errors in parameter memory).
A scheme without a row there is listed as missing; nothing is interpolated.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fitact_hw.errors import FitActError
from fitact_hw.overhead.cost import Cost
from fitact_hw.overhead.schemes import BASELINE
from fitact_hw.overhead.tables import SHORT, split_lines

ACCURACY_OF = {
    "unprotected": "unprotected",
    "ranger": "ranger",
    "clipact": "clipact",
    "fitact": "fitact",
    "fitact_all": "fitact",
    "fitact_deep": "fitact",
    "code4": "neuron-clip-code4",
    "patch": "patch-clip-word",
    "patch_code4": "patch-clip-code4",
    "channel": "channel-clip-word",
    "parity": "unprotected",
    "secded": "unprotected",
    "tmr": "unprotected",
}
"""Scheme of the accuracy files whose networks each machine runs.

Codecs of the buffers and copied lanes see parameters that were wrong in memory already: they change nothing here.
"""

LEARNED_OF = {"patch": "patch-clip-learned", "channel": "channel-clip-learned"}
"""Bounds that were learned for their groups (`granularity --learned`): taken instead, if the files have them."""

MEMORY = "faulty"
"""Bounds lie in the same faulty memory as weights and biases."""


@dataclass(frozen=True)
class Point:
    """One scheme: area added (percent of unprotected, with noise) and accuracy (percent, 95 % interval)."""

    scheme: str
    label: str
    area_percent: float
    area_noise_percent: float
    accuracy_percent: float
    low: float
    high: float
    accuracy_of: str
    front: bool = False


@dataclass(frozen=True)
class Pareto:
    """All points at one bit error rate, and the schemes without an accuracy."""

    rate: float
    word_bits: int
    points: tuple[Point, ...]
    missing: tuple[str, ...]
    sources: tuple[str, ...]


def read_accuracy(paths: Sequence[Path], word_bits: int, rate: float) -> dict[str, dict[str, str]]:
    """Rows at ``rate`` by scheme. Raises FitActError for a missing or foreign file, or if no row fits."""
    rows: dict[str, dict[str, str]] = {}
    rates: set[float] = set()
    for path in paths:
        try:
            with path.open(newline="", encoding="utf-8") as stream:
                lines = list(csv.DictReader(stream))
        except (OSError, UnicodeDecodeError) as error:
            raise FitActError(f"--pareto {path}: cannot be read ({error})") from None
        if not lines or not {"scheme", "word_bits", "memory", "rate", "mean", "low", "high"} <= set(lines[0]):
            raise FitActError(f"--pareto {path}: not a CSV file of `make resilience` or `fitact granularity`")
        fitting = [row for row in lines if int(row["word_bits"]) == word_bits and row["memory"] == MEMORY]
        rates |= {float(row["rate"]) for row in fitting}
        rows |= {row["scheme"]: row for row in fitting if float(row["rate"]) == rate}
    if not rates:
        raise FitActError(f"--pareto: no accuracies of {word_bits}-bit words in these files; set --word")
    if not rows:
        known = ", ".join(f"{value:g}" for value in sorted(rates))
        raise FitActError(f"--ber {rate:g}: not among the rates of these files ({known})")
    return rows


def evaluate(costs: Mapping[str, Cost], paths: Sequence[Path], word_bits: int, rate: float) -> Pareto:
    """Area and accuracy of every scheme. Raises FitActError, see :func:`read_accuracy`."""
    rows = read_accuracy(paths, word_bits, rate)
    added = {key: (total, noise) for key, _, _, total, noise in split_lines(dict(costs))} | {BASELINE.key: (0.0, 0.0)}
    points, missing = [], []
    for key in costs:
        scheme = LEARNED_OF[key] if LEARNED_OF.get(key) in rows else ACCURACY_OF[key]
        row = rows.get(scheme)
        if row is None:
            missing.append(f"{SHORT[key]} (needs {scheme})")
            continue
        accuracy, low, high = (float(row[name]) for name in ("mean", "low", "high"))
        area, noise = added[key]
        points.append(Point(key, SHORT[key], 100 * area, 100 * noise, accuracy, low, high, scheme))
    front = [p for p in points if not any(_beats(other, p) for other in points)]
    marked = tuple(Point(**{**asdict(p), "front": p in front}) for p in points)
    return Pareto(rate, word_bits, marked, tuple(missing), tuple(path.name for path in paths))


def _beats(one: Point, other: Point) -> bool:
    """Whether ``one`` is nowhere worse than ``other`` and somewhere better."""
    better = one.area_percent < other.area_percent or one.accuracy_percent > other.accuracy_percent
    return better and one.area_percent <= other.area_percent and one.accuracy_percent >= other.accuracy_percent


def write_csv(result: Pareto, path: Path) -> None:
    """One line per scheme; schemes without an accuracy have empty fields."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        names = [name for name in Point.__dataclass_fields__ if name != "front"]
        writer.writerow([*names, "pareto", "bit_error_rate", "word_bits"])
        for point in result.points:
            values = [getattr(point, name) for name in names]
            texts = [f"{value:.4g}" if isinstance(value, float) else value for value in values]
            writer.writerow([*texts, int(point.front), f"{result.rate:g}", result.word_bits])
        for text in result.missing:
            writer.writerow([f"missing: {text}", *[""] * (len(names)), f"{result.rate:g}", result.word_bits])


def draw(result: Pareto, title: str, path: Path) -> None:
    """Accuracy against area, the front as a line, every point labelled."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(10, 6.5))
    front = sorted((p for p in result.points if p.front), key=lambda p: p.area_percent)
    axis.step([p.area_percent for p in front], [p.accuracy_percent for p in front], where="post", color="#274060", lw=1)
    for chosen, colour, label in ((True, "#274060", "Pareto front"), (False, "#9a9a9a", "beaten by another scheme")):
        group = [p for p in result.points if p.front is chosen]
        if group:
            spread = [[p.accuracy_percent - p.low for p in group], [p.high - p.accuracy_percent for p in group]]
            axis.errorbar(
                [p.area_percent for p in group], [p.accuracy_percent for p in group], yerr=spread,
                xerr=[p.area_noise_percent for p in group], fmt="o", color=colour, label=label, capsize=3, lw=0.8,
            )  # fmt: skip
    _labels(axis, result.points)
    axis.set_xscale("symlog", linthresh=1)
    axis.set_xlabel("area added, % of unprotected total (logarithmic above 1 %)")
    axis.set_ylabel("top-1 accuracy, % (95 % interval over fault maps)")
    axis.legend(loc="best", fontsize=8)
    axis.grid(alpha=0.3)
    axis.set_title(title)
    if result.missing:
        figure.text(0.01, 0.005, "no accuracy measured: " + ", ".join(result.missing), fontsize=7, wrap=True)
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _labels(axis: Any, points: Sequence[Point]) -> None:
    """Names beside the points; those of (nearly) equal accuracy stand at alternating heights."""
    for index, point in enumerate(sorted(points, key=lambda p: (round(p.accuracy_percent), p.area_percent))):
        axis.annotate(
            point.label,
            (point.area_percent, point.accuracy_percent),
            xytext=(5, 6 + 11 * (index % 3)),
            textcoords="offset points",
            fontsize=7,
            rotation=0,
        )


def markdown(result: Pareto) -> list[str]:
    """The points as a Markdown table, the front in bold."""
    lines = [
        f"## Accuracy at a bit error rate of {result.rate:g} against area",
        "",
        f"Accuracies: {', '.join(result.sources)} ({result.word_bits}-bit words, bounds in faulty memory too).",
        "",
        "| scheme | area added | top-1 % (95 % interval) | |",
        "|---|---:|---|---|",
    ]
    for p in sorted(result.points, key=lambda p: p.area_percent):
        mark = "**Pareto front**" if p.front else ""
        lines.append(
            f"| {p.label} | {p.area_percent:+.2f} % | {p.accuracy_percent:.1f} ({p.low:.1f}-{p.high:.1f}) | {mark} |"
        )
    if result.missing:
        lines += ["", "No accuracy measured: " + ", ".join(result.missing) + "."]
    return lines
