"""Hits of the clamps on clean images: what an alarm must not be raised by."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fitact_hw.config import AcceleratorConfig
from fitact_hw.networks import load_images, load_networks
from fitact_hw.reporting.statistics import Estimate
from golden.exact.clamps import bounded_layers, clean_hits
from golden.quantisation.quantise import quantise_images

HEADER = ("scheme", "margin", "hits", "images")


@dataclass(frozen=True)
class Clean:
    """Clean images under one scheme: for each margin, how many had so many hits (hits -> images)."""

    scheme: str
    images: Mapping[int, Mapping[int, int]]

    def false_alarms(self, margin: int, threshold: int, confidence: float) -> Estimate:
        """Share of images with at least ``threshold`` hits, with Wilson's interval."""
        found = self.images[margin]
        alarms = sum(count for hits, count in found.items() if hits >= threshold)
        return Estimate.of(alarms, sum(found.values()), confidence)


def bounded(model: str, config: AcceleratorConfig, schemes: Sequence[str]) -> tuple[str, ...]:
    """Those of ``schemes`` whose networks have bounds."""
    return tuple(s for s in schemes if bounded_layers(load_networks(model, config, (s,))[s]))


def count_clean(
    model: str,
    config: AcceleratorConfig,
    schemes: Sequence[str],
    images: int,
    margins: tuple[int, ...],
    progress: Callable[[int], None] = lambda count: None,
) -> list[Clean]:
    """Count the hits of fault-free networks on the first ``images`` test images; ``progress`` gets images done.

    Exact integers, the same on every computer. Raises FitActError if there are fewer images.
    """
    pictures, found = load_images(model, images).data.network_input(), []
    for scheme in schemes:
        network = load_networks(model, config, (scheme,))[scheme]
        hits, _ = clean_hits(network, quantise_images(network, pictures), margins, done=progress)
        found.append(Clean(scheme, _histograms(hits.sum(axis=1), margins)))
    return found


def _histograms(totals: np.ndarray, margins: Sequence[int]) -> dict[int, dict[int, int]]:
    return {margin: dict(sorted(Counter(totals[:, place].tolist()).items())) for place, margin in enumerate(margins)}


def clean_csv(counts: Sequence[Clean]) -> str:
    """A line per scheme, margin and number of hits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for item in counts:
        for margin, found in item.images.items():
            writer.writerows((item.scheme, margin, hits, count) for hits, count in found.items())
    return text.getvalue()


def read_clean(text: str) -> list[Clean]:
    """Inverse of :func:`clean_csv`."""
    found: dict[str, dict[int, dict[int, int]]] = {}
    for line in csv.DictReader(io.StringIO(text)):
        margins = found.setdefault(line["scheme"], {})
        margins.setdefault(int(line["margin"]), {})[int(line["hits"])] = int(line["images"])
    return [Clean(scheme, images) for scheme, images in found.items()]
