"""Charts of a study: accuracy against bit error rate, and against bytes of bounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fitact_hw.reporting.palette import scheme_style
from fitact_hw.resilience.subjects import FAULTY, LEARNED
from fitact_hw.resilience.summary import Summary
from golden.bounds.schemes import titled
from golden.quantisation.quantise import word_name


def plot_accuracy(summaries: Sequence[Summary], title: str, path: Path) -> None:
    """Accuracy over log bit error rate: one panel per word width, one line with its band per network."""
    words = sorted({summary.word_bits for summary in summaries}, reverse=True)
    figure, axes = _panels(len(words))
    for axis, word_bits in zip(axes, words, strict=True):
        part = [s for s in summaries if s.word_bits == word_bits]
        for label in dict.fromkeys(s.label for s in part):
            line = sorted((s for s in part if s.label == label and s.rate > 0), key=lambda s: s.rate)
            if not line:
                continue
            rates = [s.rate for s in line]
            style = {"linestyle": "-" if line[0].memory == FAULTY else "--"}
            colour = scheme_style(line[0].scheme).colour
            (drawn,) = axis.plot(
                rates, [s.mean for s in line], marker="o", markersize=4, label=titled(label), color=colour, **style
            )
            axis.fill_between(rates, [s.low for s in line], [s.high for s in line], alpha=0.15, color=drawn.get_color())
        clean = [s.mean for s in part if s.rate == 0]
        if clean:
            axis.axhline(max(clean), color="#999999", linewidth=0.8, linestyle=":", label="no fault (best)")
        axis.set_xscale("log")
        axis.set_title(word_name(word_bits))
        axis.set_xlabel("bit error rate in parameter memory")
        # below the panel: inside it would cover the curves
        axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncol=3, frameon=False)
    _finish(figure, axes, title, path)


def plot_storage(summaries: Sequence[Summary], title: str, path: Path) -> None:
    """Accuracy against bytes of bound storage: one panel per word width and rate."""
    panels = sorted({(-s.word_bits, s.rate) for s in summaries if s.rate > 0})
    figure, axes = _panels(len(panels))
    markers = {"layer": "s", "channel": "^", "patch": "D", "neuron": "o"}
    colours = {"clip": "#00798c", "saturate": "#d1495b", LEARNED: "#edae49"}
    forms = {"word": "words", "code4": "4-bit codes", LEARNED: "words, learned"}
    for axis, (negative, rate) in zip(axes, panels, strict=True):
        for s in summaries:
            if (s.word_bits, s.rate) != (-negative, rate) or s.memory != FAULTY:
                continue
            granularity, above, form = s.scheme.split("-")
            colour = colours.get(form, colours[above])
            axis.errorbar(
                s.bound_bytes,
                s.mean,
                yerr=[[max(0.0, s.mean - s.low)], [max(0.0, s.high - s.mean)]],
                fmt=markers[granularity],
                color=colour,
                markerfacecolor="white" if form == "code4" else colour,
                markersize=6,
                capsize=2,
                linewidth=1,
                label=f"{granularity} {above} {forms[form]}",
            )
        axis.set_xscale("log")
        axis.set_title(f"{word_name(-negative)}, BER {rate:g}")
        axis.set_xlabel("bytes of bound storage")
    axes[-1].legend(fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5))
    _finish(figure, axes, title, path)


def _panels(count: int):  # type: ignore[no-untyped-def]
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, count, figsize=(4.6 * count + 1.5, 4.4), sharey=True, squeeze=False)
    return figure, list(axes[0])


def _finish(figure, axes, title: str, path: Path) -> None:  # type: ignore[no-untyped-def]
    from matplotlib import pyplot as plt

    axes[0].set_ylabel("top-1 accuracy (%)")
    for axis in axes:
        axis.grid(alpha=0.3)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    figure.suptitle(f"{title}\n(mean and 95 % interval over fault maps)", fontsize=11)
    figure.tight_layout()
    partial = path.with_name(path.name + ".part")
    figure.savefig(partial, dpi=130, format="png")
    partial.replace(path)
    plt.close(figure)
