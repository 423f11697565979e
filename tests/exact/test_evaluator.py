"""The fast evaluator equals the reference, bit for bit, whatever is hit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from golden import reference
from golden.bounds.schemes import COMPARED
from golden.data.cifar10 import sample_images
from golden.errors import GoldenError
from golden.exact import kernels, limbs
from golden.exact.evaluator import FAULT_FREE, Evaluator
from golden.exact.layers import Convolution
from golden.exact.words import CleanLayer, Words
from golden.fault_maps import Memory, corrupt, draw
from golden.networks.zoo import load_qnetwork
from golden.qnetwork import QNetwork
from golden.quantisation.quantise import quantise_images
from tests.exact.networks import CHANNELS, SIDE, inputs, network

CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module", params=["as the CPU can", "in floating point"])
def both_ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where there is a matrix unit, all again without."""
    if request.param == "as the CPU can":
        yield
        return
    if limbs.library() is None:
        pytest.skip("this CPU has no matrix unit (AMX)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limbs, "library", lambda: None)
        yield


def assert_exact(qnet: QNetwork, faulty: list[QNetwork], images: np.ndarray, memory_bytes: int | None = None) -> None:
    """All logits equal; the fault-free ones before, after and without the corrupted networks."""
    evaluator = Evaluator(qnet, CPU, memory_bytes)
    networks = [*faulty, qnet, *faulty]
    found = evaluator.logits(images, [evaluator.patch(net) for net in networks])
    for number, net in enumerate(networks):
        np.testing.assert_array_equal(found[number], reference.logits(net, images), err_msg=f"network {number}")
    np.testing.assert_array_equal(evaluator.logits(images, [FAULT_FREE])[0], found[len(faulty)])


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1 << 20),
    word_bits=st.sampled_from([8, 16, 32]),
    activation=st.sampled_from(["relu", "clip", "saturate"]),
    neuron_bounds=st.booleans(),
    rate=st.sampled_from([1e-6, 3e-5, 3e-4, 1e-2]),
    reach=st.sampled_from([None, 31]),
    shifts=st.booleans(),
)
def test_random_networks_under_random_maps(
    seed: int,
    word_bits: int,
    activation: str,
    neuron_bounds: bool,
    rate: float,
    reach: int | None,
    shifts: bool,
) -> None:
    qnet = network(seed, word_bits, activation, neuron_bounds)  # type: ignore[arg-type]
    memory = Memory(shifts=shifts)
    faulty = [corrupt(qnet, draw(qnet, rate, seed, index, memory)) for index in range(3)]
    images = inputs(seed, word_bits, 3, min(reach or word_bits * 3 // 4, word_bits - 1))
    images[1] //= 64  # so that images of one batch need different ways
    assert_exact(qnet, faulty, images, memory_bytes=1 << 17)


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 1 << 20),
    word_bits=st.sampled_from([8, 32]),
    activation=st.sampled_from(["relu", "clip"]),
)
def test_weights_and_inputs_of_full_range(seed: int, word_bits: int, activation: str) -> None:
    qnet = network(seed, word_bits, activation, full_range=True)  # type: ignore[arg-type]
    faulty = [corrupt(qnet, draw(qnet, 1e-3, seed, index)) for index in range(2)]
    assert_exact(qnet, faulty, inputs(seed, word_bits, 2, word_bits - 1))


@pytest.mark.parametrize("numpy", [False, True])
@pytest.mark.parametrize("word_bits", [8, 32])
def test_products_of_either_library(word_bits: int, numpy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_numpy_is_faster", lambda dtype: numpy)
    monkeypatch.setattr(kernels, "_numpy_matmul" if not numpy else "_torch_matmul", None)  # the other is not called
    qnet = network(3, word_bits)
    assert_exact(qnet, [corrupt(qnet, draw(qnet, 1e-3, 3, index)) for index in range(3)], inputs(3, word_bits, 3, 6))


@pytest.mark.parametrize("word_bits", [8, 32])
@pytest.mark.parametrize("layer", ["stem", "quick", "narrow", "join", "strided", "fc2"])
@pytest.mark.parametrize("bit", [0, 7, -2, -1])
def test_every_way_for_one_flipped_weight(word_bits: int, layer: str, bit: int) -> None:
    """One flip takes the shortest ways: touched channels, then differences, then the dense product."""
    qnet = network(1, word_bits)
    place = word_bits + bit if bit < 0 else bit
    hit = qnet.layer(layer)
    assert hit.weight is not None
    weight = hit.weight.copy()
    flipped = weight.flat[5] ^ (1 << place)
    weight.flat[5] = (flipped + (1 << (word_bits - 1))) % (1 << word_bits) - (1 << (word_bits - 1))
    layers = tuple(replace(x, weight=weight) if x is hit else x for x in qnet.layers)
    assert_exact(qnet, [replace(qnet, layers=layers)], inputs(2, word_bits, 3))


@pytest.mark.parametrize("word_bits", [8, 32])
def test_extreme_bounds_and_biases(word_bits: int) -> None:
    qnet = network(3, word_bits, "saturate")
    top = 1 << (word_bits - 1)
    largest = 1 << (qnet.acc_bits - 1)
    faulty = []
    for bound, bias in ((-top, 0), (top - 1, largest - 1), (0, -largest)):
        layer = qnet.layer("quick")
        bounds, biases = np.array(layer.bound), layer.bias.copy()
        bounds[3, 2, 1] = bound
        biases[5] = bias
        changed = replace(layer, bound=bounds, bias=biases)
        faulty.append(replace(qnet, layers=tuple(changed if x is layer else x for x in qnet.layers)))
    assert_exact(qnet, faulty, inputs(4, word_bits, 2))


@pytest.mark.parametrize(("word_bits", "rate"), [(32, 1e-6), (32, 1e-5), (8, 1e-3)])
def test_alexnet_of_every_scheme(word_bits: int, rate: float) -> None:
    photographs = sample_images().images[:2]
    for index, scheme in enumerate(COMPARED):
        qnet = load_qnetwork("alexnet", scheme, word_bits)
        assert_exact(qnet, [corrupt(qnet, draw(qnet, rate, 5, index))], quantise_images(qnet, photographs))


def test_saturating_bounds_limit_and_clipping_bounds_zero() -> None:
    """A huge value comes out as the bound (Ranger) or as zero (Clip-Act): neither becomes the other."""
    results = {}
    for activation in ("saturate", "clip"):
        qnet = network(6, 32, activation, neuron_bounds=False)
        layer = qnet.layer("stem")
        bias = layer.bias.copy()
        bias[:] = 1 << 50
        hit = replace(layer, bias=bias)
        only = replace(qnet, layers=(layer,))
        evaluator = Evaluator(only, CPU)
        patch = evaluator.patch(replace(only, layers=(hit,)))
        results[activation] = evaluator.logits(inputs(6, 32, 2), [patch])[0]
        assert isinstance(layer.bound, int)
        assert layer.bound > 0
        expected = layer.bound if activation == "saturate" else 0
        assert (results[activation] == expected).all()


def test_fault_free_layers_are_computed_only_if_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    qnet, images = network(9, 32), inputs(9, 32, 2)
    evaluator = Evaluator(qnet, CPU)
    patch = evaluator.patch(corrupt(qnet, draw(qnet, 1e-2, 1, 0)))
    assert {layer.name for layer in qnet.layers if layer.weight is not None} == set(patch)
    names: list[str] = []
    run_clean = Convolution.run_clean

    def note(self: Convolution, *arguments: Any) -> CleanLayer:
        names.append(self.layer.name)
        return run_clean(self, *arguments)

    monkeypatch.setattr(Convolution, "run_clean", note)
    evaluator.logits(images, [patch])
    assert names == []
    evaluator.logits(images, [FAULT_FREE, patch])
    assert names == [layer.name for layer in qnet.layers if layer.weight is not None]


def test_counts_correct_images_and_reports_progress() -> None:
    qnet = network(7, 16)
    images = inputs(7, 16, 6)
    labels = reference.logits(qnet, images).argmax(axis=1)
    labels[0] = (labels[0] + 1) % 10
    evaluator = Evaluator(qnet, CPU, memory_bytes=1)
    seen: list[int] = []
    patch = evaluator.patch(corrupt(qnet, draw(qnet, 1e-2, 1, 0)))
    correct = evaluator.correct(images, labels, [FAULT_FREE, patch], seen.append)
    faulty = reference.logits(corrupt(qnet, draw(qnet, 1e-2, 1, 0)), images).argmax(axis=1)
    assert correct.tolist() == [5, int((faulty == labels).sum())]
    assert sum(seen) == 12


def test_refuses_another_network_and_other_images() -> None:
    qnet = network(8, 8)
    with pytest.raises(GoldenError, match="more than its parameters"):
        Evaluator(qnet, CPU).patch(network(8, 8, "saturate"))
    with pytest.raises(GoldenError, match="expected images"):
        Evaluator(qnet, CPU).logits(np.zeros((1, 3, 4, 4), np.int64), [FAULT_FREE])


def test_wide_product_against_python_integers() -> None:
    rng = np.random.default_rng(9)
    qnet = network(9, 32, full_range=True)
    layer = qnet.layer("quick")
    geometry = kernels.Geometry.of(layer)
    matrix = kernels.Weights(layer, CPU, torch.float64).matrix
    x = torch.from_numpy(rng.integers(-(1 << 31), 1 << 31, (1, 8, 8, 16)))
    found = kernels.wide(x, matrix, geometry)
    rows = [[int(v) for v in row] for row in kernels.unfold(x.double(), geometry)[:5].to(torch.int64).tolist()]
    columns = [[int(v) for v in column] for column in matrix.T.tolist()]
    for pixel, row in enumerate(rows):
        for channel, column in enumerate(columns):
            exact = sum(a * b for a, b in zip(row, column, strict=True))
            wrapped = (exact + (1 << 63)) % (1 << 64) - (1 << 63)
            assert int(found.reshape(-1, 16)[pixel, channel]) == wrapped


@pytest.mark.parametrize("negative", ["nothing", "weights", "weights and inputs"])
@pytest.mark.parametrize("total_bits", [*range(12, 26), *range(38, 56)])
def test_float_sums_are_kept_only_where_they_are_exact(
    negative: str, total_bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Around every limit of float32, of float64 and of the Winograd product, against the product in limbs."""
    monkeypatch.setattr(limbs, "library", lambda: None)  # the matrix unit knows no such limits
    rng = np.random.default_rng(total_bits)
    word_bits = 8 if total_bits < 36 else 32
    weight_bits = total_bits // 2 - 1
    input_bits = total_bits - weight_bits
    qnet = network(1, word_bits)
    low = 0 if negative == "nothing" else -(1 << weight_bits)
    weight = rng.integers(low, 1 << weight_bits, (CHANNELS, CHANNELS, 3, 3))
    layer = replace(qnet.layer("quick"), weight=weight)
    x = torch.from_numpy(rng.integers(1 << (input_bits - 1), 1 << input_bits, (2, SIDE, SIDE, CHANNELS)))
    if negative == "weights and inputs":
        x[:, ::2] *= -1
    convolution = Convolution(layer, qnet, CPU)
    dtype = kernels.word_type(word_bits)
    acc = convolution.run_clean(Words(x.to(dtype), float(1 << 31)), None).acc
    expected = kernels.wide(x, convolution.weights.matrix.double(), convolution.geometry)
    if acc is not None:
        assert torch.equal(acc.to(torch.int64), expected)
    rows = weight.reshape(CHANNELS, -1)
    reach = [int(part.sum(axis=1).max()) for part in (rows.clip(0), (-rows).clip(0), abs(rows))]
    largest = int(x.abs().max()) * (reach[2] if negative == "weights and inputs" else max(reach[:2]))
    assert (acc is not None) == (largest < kernels.EXACT[dtype] - (1 << (word_bits + 1)))


def test_huge_differences_that_cancel() -> None:
    """Two channels hit alike, with opposite weights downstream: their large sums must leave no residue."""
    qnet = network(2, 32, "relu")
    stem, quick = qnet.layer("stem"), qnet.layer("quick")
    assert quick.weight is not None
    weight = quick.weight // 16
    weight[:, 3] = np.random.default_rng(3).integers(1 << 24, 1 << 25, weight[:, 3].shape) | 1
    weight[:, 11] = -weight[:, 3]
    quick = replace(quick, weight=weight, shift=np.zeros_like(quick.shift))
    small = replace(qnet, layers=(stem, quick, qnet.layer("pool")))
    bias = stem.bias.copy()
    bias[[3, 11]] = 1 << 60
    hit = replace(small, layers=(replace(stem, bias=bias), *small.layers[1:]))
    images = inputs(2, 32, 2, 8)
    assert 0 < np.count_nonzero(reference.logits(hit, images)) < reference.logits(hit, images).size
    assert_exact(small, [hit], images)
