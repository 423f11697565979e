"""Figures of the findings that no published table holds: computed again from weights, fault maps and models."""

from __future__ import annotations

import functools
import re
from dataclasses import replace

import numpy as np

from fitact_hw.config import AcceleratorConfig
from fitact_hw.networks import load_networks
from fitact_hw.overhead.sram import SramModel
from golden.data.cifar10 import sample_images
from golden.exact.evaluator import Evaluator
from golden.fault_maps import draw
from golden.qnetwork import QNetwork
from golden.quantisation.quantise import quantise_images
from tests.docs import evidence as e
from tests.docs.pages import RESULTS

SEED, MAPS = 1, 20
LEAST_BIT = 18


@functools.cache
def alexnet(scheme: str, word: int) -> QNetwork:
    """The stored network."""
    return load_networks("alexnet", AcceleratorConfig.create(word_bits=word), (scheme,))[scheme]


def parameter_bits(word: int, kinds: tuple[str, ...] = ("weight", "bias")) -> int:
    """Bits of AlexNet's weights and biases."""
    network = alexnet("unprotected", word)
    width = {"weight": word, "bias": network.acc_bits}
    layers = [layer for layer in network.layers if layer.weight is not None]
    return sum(width[kind] * int(getattr(layer, kind).size) for layer in layers for kind in kinds)


def logit_layer() -> tuple[np.ndarray, np.ndarray]:
    """FitAct on AlexNet at 1e-5: accuracy on maps with a flip of a high bit in the last layer, and on the others."""
    network = alexnet("fitact", 32)
    last = [layer.name for layer in network.layers if layer.weight is not None][-1]
    accuracy = e.by_map("resilience_alexnet", "fitact", 32, 1e-5)
    hit = np.array([
        any(f.segment.layer == last and f.segment.kind != "bound" and (f.bit >= LEAST_BIT).any() for f in faults.flips)
        for faults in (draw(network, 1e-5, SEED, index) for index in range(len(accuracy)))
    ])  # fmt: skip
    return accuracy[hit], accuracy[~hit]


def biases_spared(scheme: str) -> tuple[float, float]:
    """AlexNet at int8 and 1e-3: percent of the sample photographs right; biases hit too, and spared."""
    samples, network = sample_images(), alexnet(scheme, 8)
    evaluator, words = Evaluator(network), quantise_images(network, samples.images)
    hit = [draw(network, 1e-3, SEED, index) for index in range(MAPS)]
    spared = [replace(d, flips=tuple(f for f in d.flips if f.segment.kind != "bias")) for d in hit]
    correct = [evaluator.correct(words, samples.labels, [*map(evaluator.patch_of, maps)]) for maps in (hit, spared)]
    both = [100 * float(np.mean(count)) / len(samples) for count in correct]
    return both[0], both[1]


def secded(word: int, data_bits: int | None) -> float:
    """Memory that SECDED adds, percent of the unprotected machine: a code word for each lane, or for ``data_bits``."""
    config, model = AcceleratorConfig.create(word_bits=word, protection="secded"), SramModel()
    depths = {
        "activation": config.activation_words, "weight": config.weight_words, "bias": config.bias_words,
        "accumulator": config.accumulator_words, "output": config.output_words,
    }  # fmt: skip
    added = 0.0
    for name, words in depths.items():
        bits = config.side * config.buffer_lane_bits(name)
        check = config.side * config.check_bits(name) if data_bits is None else -(-bits // data_bits) * 8
        added += model.buffer(bits + check, words).area - model.buffer(bits, words).area
    page = (RESULTS / ("overhead.md" if word == 8 else "overhead_q15_16.md")).read_text()
    total = re.search(r"^\| total \| um2 \| ([\d,]+) \|", page, re.M)
    assert total
    return 100 * added / int(total[1].replace(",", ""))
