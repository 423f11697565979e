"""The tables of injections per second on the speed page, made from the published files of `fitact campaign bench`."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

from tests.docs import evidence as e

TITLES = {"alexnet": "AlexNet", "vgg16": "VGG16", "resnet50": "ResNet50"}
PER_SECOND = {
    "engine, over all bits": "engine, upsets even over all storage bits",
    "engine, over structures": "engine, as many upsets in each structure",
    "plain RTL (cocotb)": "plain RTL, whole run under cocotb",
    "plain RTL, shared fault-free beginning": "plain RTL from a shared fault-free beginning",
    "software only (golden network), batch 1": "software only, golden network with one flipped weight, batch 1",
    "software only (golden network), batch 64": "the same, batch 64",
}
SAMPLES = ("over all bits", "over structures")


@functools.cache
def benches(word: int) -> dict[str, dict[str, Any]]:
    """Results of a word width by network, those that are published."""
    paths = {model: e.DATA / f"bench_{model}_{e.WORDS[word]}.json" for model in TITLES}
    return {model: json.loads(path.read_text()) for model, path in paths.items() if path.is_file()}


def ratios(word: int, baseline: str, sample: str) -> list[float]:
    """How many times as fast as ``baseline`` the engine is, for each network."""
    times = [bench["seconds_per_injection"] for bench in benches(word).values()]
    return [seconds[baseline] / seconds[f"engine, {sample}"] for seconds in times]


def claims() -> Iterator[str]:
    for word in e.WORDS:
        found = benches(word)
        assert all(bench["compared_with_plain_rtl"] == 10 and bench["faults"] == 1000 for bench in found.values())
        yield e.line("", *(TITLES[model] for model in found))
        for key, name in PER_SECOND.items():
            yield e.line(name, *(_digits(1 / bench["seconds_per_injection"][key]) for bench in found.values()))
        for baseline, name in (("plain RTL (cocotb)", "plain RTL"), (list(PER_SECOND)[4], "software batch 1")):
            both = zip(*(ratios(word, baseline, sample) for sample in SAMPLES), strict=True)
            cells = (" / ".join(f"{ratio:.{0 if ratio >= 10 else 1}f}x" for ratio in pair) for pair in both)
            yield e.line(f"engine over {name}: all bits / structures", *cells)
        shares = (" / ".join(f"{100 * b['accounting'][s]['fixed']:.0f} %" for s in SAMPLES) for b in found.values())
        yield e.line("share of fault-free runs in the engine's time: all bits / structures", *shares)


def _digits(value: float) -> str:
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"
