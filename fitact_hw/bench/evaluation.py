"""Speed of exact evaluation under faults against plain float32 inference, in one run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from fitact_hw.reporting.provenance import Run, of_weights
from golden.bounds.schemes import DEFAULT
from golden.exact.evaluator import Evaluator, default_device
from golden.exact.fused import use_compiler
from golden.fault_maps import draw
from golden.networks.evaluate import BATCH
from golden.networks.zoo import load_model, load_qnetwork
from golden.quantisation.quantise import check_word, quantise_images
from golden.support.allocator import keep_freed_memory
from golden.support.progress import working

RATES = {8: (1e-5, 1e-4, 1e-3), 16: (1e-6, 1e-5, 1e-4), 32: (1e-7, 1e-6, 1e-5)}
"""Bit error rates that a comparison at each word width is made at."""


@dataclass(frozen=True)
class Throughput:
    """Image evaluations per second: ``faulty`` exact, at bit error rate ``rate``; ``plain`` float32 torch."""

    model: str
    scheme: str
    word_bits: int
    rate: float
    faulty: float
    plain: float

    @property
    def ratio(self) -> float:
        """Exact evaluation under faults against plain inference."""
        return self.faulty / self.plain


def throughput(
    model: str,
    scheme: str = DEFAULT.name,
    word_bits: int = 32,
    rates: tuple[float, ...] = (),
    maps: int = 5,
    images: int = 100,
    repeats: int = 2,
    seed: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Throughput]:
    """Measure at each rate, plain and exact by turns; the best of ``repeats`` counts for both.

    The time of the exact runs includes drawing the maps and the fault-free run that they share.
    """
    device = default_device()
    network, qnet = load_model(model).to(device), load_qnetwork(model, scheme, word_bits)
    # speed does not depend on what is in the picture
    pictures = np.random.default_rng(seed).integers(0, 256, (images, 32, 32, 3), dtype=np.uint8)
    words = quantise_images(qnet, pictures)
    pixels = torch.from_numpy(words / 2.0**qnet.input_frac).float().to(device)
    evaluator = Evaluator(qnet, device)

    def plain() -> None:
        with torch.inference_mode():
            for start in range(0, images, BATCH):
                network(pixels[start : start + BATCH]).sum().item()

    def faulty(rate: float) -> None:
        patches = [evaluator.patch_of(draw(qnet, rate, seed, index)) for index in range(maps)]
        evaluator.logits(words, patches)

    def timed(action: Callable[[], None]) -> float:
        start = clock()
        action()
        return clock() - start

    plain()
    results = []
    for rate in rates or RATES[word_bits]:
        pairs = [(timed(plain), timed(lambda rate=rate: faulty(rate))) for _ in range(repeats)]  # type: ignore[misc]
        best_plain, best_faulty = min(p for p, _ in pairs), min(f for _, f in pairs)
        speed = Throughput(model, scheme, word_bits, rate, maps * images / best_faulty, images / best_plain)
        results.append(speed)
    return results


def run_bench(
    console: Console,
    model: str,
    scheme: str,
    words: tuple[int, ...],
    rates: tuple[float, ...],
    maps: int,
    images: int,
    repeats: int,
    seed: int,
    compiled: bool,
) -> dict[str, Any]:
    """Measure at every word width, print a table, return its figures; ``compiled``: as after a study's first minute.

    Raises GoldenError for unknown names and widths.
    """
    for word_bits in words:
        check_word(word_bits)
    keep_freed_memory()
    use_compiler(compiled)
    began, measured = Run(seed), []
    table = Table(title=f"{model}, {scheme}: image evaluations per second (CPU threads: {torch.get_num_threads()})")
    for title in ("bits", "bit error rate", "exact, under faults", "float32, plain", "ratio"):
        table.add_column(title, justify="right")
    with working(console, f"{model}: {maps} fault maps, {images} images"):
        for word_bits in words:
            for speed in throughput(model, scheme, word_bits, rates, maps, images, repeats, seed):
                measured.append({**asdict(speed), "ratio": speed.ratio})
                numbers = (f"{speed.faulty:.1f}", f"{speed.plain:.1f}", f"{speed.ratio:.2f}x")
                table.add_row(str(word_bits), f"{speed.rate:.0e}", *numbers)
    console.print(table)
    return {"speeds": measured, "provenance": began.record(weights=of_weights(model))}
