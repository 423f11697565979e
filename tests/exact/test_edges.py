"""The evaluator at the edge of what floating point holds, and pools with a second operand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from golden.exact.evaluator import FAULT_FREE, Evaluator
from golden.fault_maps import corrupt, draw
from golden.qnetwork import INPUT, Activation, LayerKind, QLayer, QNetwork, Residual
from tests.exact.networks import CHANNELS, conv, inputs, pool
from tests.golden.naive import run

CPU = torch.device("cpu")
FLOAT32 = 1 << 24
SHIFT = 18
STEP, HALF = 1 << SHIFT, 1 << SHIFT - 1
SHAPE = (17, 8, 8)
"""Enough products of 8 bits for a sum of 2**24."""


def to_sum(target: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (1, *SHAPE) and an image (1, *SHAPE) of 8 bits whose sum of products is ``target``, all of them positive
    and as few as possible, so that the sum of magnitudes is ``target`` as well."""
    weight, image = np.zeros((2, np.prod(SHAPE)), np.int64)
    whole, rest = divmod(target, 127 * 127)
    weight[:whole] = image[:whole] = 127
    large, small = divmod(rest, 127)
    weight[whole], image[whole] = large, 127
    weight[whole + 1], image[whole + 1] = 1, small
    assert int((weight * image).sum()) == target
    return weight.reshape(1, *SHAPE), image.reshape(1, *SHAPE)


def single(weight: np.ndarray, bias: int, shift: int, activation: Activation = "linear") -> QNetwork:
    """One fully connected layer of 8 bits that ends in ``shift``."""
    layer = QLayer(
        "fc", "conv", INPUT, SHAPE, (1, 1, 1), 8, 1, 0, weight, np.array([bias]), np.array([shift]), activation, None, 0
    )
    return QNetwork("edge", "none", 8, 32, SHAPE, 4, (layer,))


@pytest.mark.parametrize("excess", [-3, -2, -1, 0, 1, 2, 3])
@pytest.mark.parametrize("total", [FLOAT32 - STEP, FLOAT32, FLOAT32 + STEP, 2 * FLOAT32 - 1])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.55, 0.97])
def test_sums_around_the_last_exact_float(excess: int, total: int, share: float) -> None:
    """Products and bias that together lie just beside the half of a step, where the loss of one bit shows.

    ``share``: part of the total that is bias. float32 holds integers to 2**24: beyond it every second one only.
    """
    total += HALF + excess
    bias = int(share * total)
    if total - bias > 1080 * 127 * 127:
        bias = total - 1080 * 127 * 127
    weight, image = to_sum(total - bias)
    for sign in (1, -1):
        qnet = single(sign * weight, sign * bias, SHIFT)
        found = Evaluator(qnet, CPU).logits(image, [FAULT_FREE])[0]
        np.testing.assert_array_equal(found.ravel(), run(qnet, image)["fc"].ravel())


@pytest.mark.parametrize("bit", [*range(31)])
def test_a_flipped_bias_at_the_edge(bit: int) -> None:
    """The kept sums plus a bias of any size."""
    weight, image = to_sum(FLOAT32 // 2 + HALF - 1)
    qnet = single(weight, 3, SHIFT)
    [layer] = qnet.layers
    faulty = replace(qnet, layers=(replace(layer, bias=layer.bias ^ (1 << bit)),))
    evaluator = Evaluator(qnet, CPU)
    found = evaluator.logits(image, [FAULT_FREE, evaluator.patch(faulty)])
    for number, network in enumerate((qnet, faulty)):
        np.testing.assert_array_equal(found[number].ravel(), run(network, image)["fc"].ravel())


def joined(word_bits: int, activation: Activation, kind: str) -> QNetwork:
    """A pool that takes a shifted second operand, with bias and activation, between convolutions."""
    rng = np.random.default_rng(word_bits)
    wide, small = (CHANNELS, 8, 8), (CHANNELS, 4, 4)
    taken = pool("avgpool", "pool", "stem", wide, 2)
    bound = rng.integers(0, 1 << (word_bits - 2), small) if activation in ("clip", "saturate") else None
    bias = rng.integers(-(1 << word_bits), 1 << word_bits, CHANNELS)
    layers = (
        conv(rng, word_bits, "stem", INPUT, (3, 8, 8), CHANNELS, 3, "relu", padding=1),
        conv(rng, word_bits, "other", "stem", wide, CHANNELS, 3, "linear", stride=2, padding=1),
        replace(taken, residual=Residual("other", 1), bias=bias, activation=activation, bound=bound),
        pool("maxpool", "top", "pool", small, 2),
        conv(rng, word_bits, "fc", "top", (CHANNELS, 2, 2), 5, 2, "linear"),
    )
    return QNetwork(kind, "none", word_bits, {8: 32, 16: 48, 32: 64}[word_bits], (3, 8, 8), word_bits // 2, layers)


@pytest.mark.parametrize(("word_bits", "activation"), [(8, "linear"), (8, "clip"), (32, "relu"), (32, "saturate")])
def test_pools_with_a_residual_operand(word_bits: int, activation: Activation) -> None:
    """Bounds of a pool lie in faulty memory like those of any layer."""
    qnet = joined(word_bits, activation, "pool with residual")
    faulty = [corrupt(qnet, draw(qnet, 1e-3, 5, index)) for index in range(3)]
    images = inputs(4, word_bits, 2)
    evaluator = Evaluator(qnet, CPU)
    found = evaluator.logits(images, [FAULT_FREE, *(evaluator.patch(network) for network in faulty)])
    for number, network in enumerate([qnet, *faulty]):
        np.testing.assert_array_equal(found[number].reshape(2, -1), run(network, images)["fc"].reshape(2, -1))
    assert any(not np.array_equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("kind", ["avgpool", "maxpool"])
def test_pools_without_a_shift(kind: LayerKind) -> None:
    """Sums that no word holds saturate; a maximum is a word."""
    rng = np.random.default_rng(6)
    layers = (
        conv(rng, 8, "stem", INPUT, (3, 8, 8), CHANNELS, 3, "relu", padding=1),
        replace(pool(kind, "pool", "stem", (CHANNELS, 8, 8), 2), shift=np.zeros(CHANNELS, np.int64)),
        conv(rng, 8, "fc", "pool", (CHANNELS, 4, 4), 5, 4, "linear"),
    )
    qnet = QNetwork("sums", "none", 8, 32, (3, 8, 8), 4, layers)
    faulty = [corrupt(qnet, draw(qnet, 1e-3, 5, index)) for index in range(2)]
    images = inputs(4, 8, 2, 7)
    evaluator = Evaluator(qnet, CPU)
    found = evaluator.logits(images, [FAULT_FREE, *(evaluator.patch(network) for network in faulty)])
    for number, network in enumerate([qnet, *faulty]):
        trace = run(network, images)
        np.testing.assert_array_equal(found[number].reshape(2, -1), trace["fc"].reshape(2, -1))
    assert trace["pool"].max() == 127
