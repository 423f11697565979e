"""Fault maps: the known traps of re-implementations, each shown to be avoided."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitact_hw.resilience.tables import read_csv
from golden.errors import GoldenError
from golden.fault_maps import (
    FaultMap,
    Memory,
    corrupt,
    draw,
    overrides,
    shared_segments,
    stored_bounds,
)
from golden.networks.zoo import load_qnetwork
from golden.qnetwork import QNetwork
from tests.exact.networks import network

ROOT = Path(__file__).parents[2]


def bits_of(qnet: QNetwork) -> dict[tuple[str, str], list[int]]:
    """Every stored word as an unsigned Python integer, by layer and kind."""
    words: dict[tuple[str, str], list[int]] = {}
    for layer in qnet.layers:
        if layer.weight is not None:
            words[layer.name, "weight"] = [int(v) % (1 << qnet.word_bits) for v in layer.weight.ravel()]
            words[layer.name, "bias"] = [int(v) % (1 << qnet.acc_bits) for v in layer.bias.ravel()]
        if layer.bound is not None:
            words[layer.name, "bound"] = [int(v) % (1 << qnet.word_bits) for v in np.asarray(layer.bound).ravel()]
    return words


def key(faults: FaultMap, *kinds: str) -> list[tuple[str, str, tuple[int, ...], tuple[int, ...]]]:
    """A comparable form of a map's flips of some kinds."""
    chosen = [f for f in faults.flips if f.segment.kind in kinds]
    return [(f.segment.layer, f.segment.kind, tuple(f.element.tolist()), tuple(f.bit.tolist())) for f in chosen]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    word_bits=st.sampled_from([8, 16, 32]),
    rate=st.sampled_from([1e-4, 1e-2, 0.5, 1.0]),
    neuron_bounds=st.booleans(),
)
def test_flips_exactly_the_bits_of_the_map(seed: int, word_bits: int, rate: float, neuron_bounds: bool) -> None:
    """Against words held as Python integers; a pair of flips that cancels would leave fewer bits changed."""
    qnet = network(seed % 5, word_bits, "clip", neuron_bounds)
    faults = draw(qnet, rate, seed, 0)
    before, after = bits_of(qnet), bits_of(corrupt(qnet, faults))
    expected = {name: list(words) for name, words in before.items()}
    for flips in faults.flips:
        words = expected[flips.segment.layer, flips.segment.kind]
        for element, bit in zip(flips.element.tolist(), flips.bit.tolist(), strict=True):
            words[element] ^= 1 << bit
    assert after == expected
    changed = sum((a ^ b).bit_count() for name in before for a, b in zip(before[name], after[name], strict=True))
    assert changed == faults.count()
    if rate == 1.0:
        segments = shared_segments(qnet)
        assert faults.count("weight", "bias") == sum(segment.size for segment in segments)


def test_widths_are_those_of_storage() -> None:
    qnet = network(0, 8)
    kinds = {segment.kind: segment.bits for segment in shared_segments(qnet, Memory(shifts=True))}
    assert kinds == {"weight": 8, "bias": 32, "shift": 6}
    every = draw(qnet, 1.0, 1, 0)
    assert {int(f.bit.max()) for f in every.flips if f.segment.kind == "bias"} == {31}
    assert {int(f.bit.max()) for f in every.flips if f.segment.kind == "bound"} == {7}


def test_same_seed_same_map_and_other_seed_other_map() -> None:
    qnet = network(1, 32)
    kinds = ("weight", "bias", "bound")
    first = key(draw(qnet, 1e-3, 7, 2), *kinds)
    assert first
    assert key(draw(qnet, 1e-3, 7, 2), *kinds) == first
    for other in (draw(qnet, 1e-3, 8, 2), draw(qnet, 1e-3, 7, 3), draw(qnet, 1.0001e-3, 7, 2)):
        assert key(other, *kinds) != first


def test_schemes_share_the_flips_of_weights_and_biases() -> None:
    shared = [
        key(draw(network(2, 32, activation, neuron), 1e-3, 1, 0, memory), "weight", "bias")  # type: ignore[arg-type]
        for activation, neuron in (("relu", True), ("saturate", False), ("clip", False), ("clip", True))
        for memory in (Memory(), Memory(bounds=False))
    ]
    assert shared[0]
    assert all(flips == shared[0] for flips in shared)


def test_protected_bounds_are_never_hit() -> None:
    qnet = network(2, 32)
    assert draw(qnet, 0.5, 1, 0, Memory(bounds=False)).count("bound") == 0
    assert draw(qnet, 0.5, 1, 0).count("bound") > 0
    assert draw(network(2, 32, "relu"), 0.5, 1, 0).count("bound") == 0


def test_number_of_flips_is_binomial_over_the_whole_bit_space() -> None:
    """Rounding down per tensor would give too few, and always the same number."""
    qnet = network(3, 32)
    total = sum(segment.size for segment in shared_segments(qnet))
    rate, maps = 5.3 / total, 3000
    counts = np.array([draw(qnet, rate, 1, i, Memory(bounds=False)).count() for i in range(maps)])
    assert abs(counts.mean() - 5.3) < 5 * np.sqrt(5.3 / maps)
    assert 0.85 < counts.var() / 5.3 < 1.15


def test_small_tensors_are_hit_as_often_as_their_size_says() -> None:
    """Biases and the smallest layer, at a rate that gives each of them less than one flip a map."""
    qnet = network(4, 32)
    segments = shared_segments(qnet)
    total = sum(segment.size for segment in segments)
    rate, maps = 20 / total, 2000
    hits: dict[tuple[str, str], int] = {}
    for index in range(maps):
        for flips in draw(qnet, rate, 2, index, Memory(bounds=False)).flips:
            name = (flips.segment.layer, flips.segment.kind)
            hits[name] = hits.get(name, 0) + len(flips.bit)
    for segment in segments:
        expected = segment.size * rate * maps
        assert abs(hits[segment.layer, segment.kind] - expected) < 5 * np.sqrt(expected), segment


@pytest.mark.parametrize("model", ["alexnet", "vgg16", "resnet50"])
def test_every_layer_and_its_folded_batchnorm_are_hit(model: str) -> None:
    """BatchNorm lies in weights and biases: its parameters are in the bit space of every layer."""
    qnet = load_qnetwork(model, "fitact", 32)
    segments = {(s.layer, s.kind) for s in shared_segments(qnet)}
    convolutions = [layer for layer in qnet.layers if layer.kind == "conv"]
    assert segments == {(layer.name, kind) for layer in convolutions for kind in ("weight", "bias")}
    assert all(np.any(layer.bias) for layer in convolutions)
    faults = draw(qnet, 5e-3, 1, 0)  # 10 flips in the smallest tensor, 64 biases
    assert {(f.segment.layer, f.segment.kind) for f in faults.flips if f.segment.kind != "bound"} == segments
    assert {f.segment.layer for f in faults.flips if f.segment.kind == "bound"} == set(stored_bounds(qnet))


def test_words_are_hit_uniformly_in_every_bit() -> None:
    qnet = network(5, 32)
    bits = np.concatenate([f.bit for i in range(40) for f in draw(qnet, 1e-3, 3, i).flips if f.segment.bits == 32])
    counts = np.bincount(bits, minlength=32)
    expected = counts.sum() / 32
    assert ((counts - expected) ** 2 / expected).sum() < 70  # 99.99 % of chi squared with 31 degrees


def test_refuses_maps_of_other_networks_and_impossible_rates() -> None:
    faults = draw(network(1, 32), 0.01, 1, 0)
    with pytest.raises(GoldenError, match="another network"):
        corrupt(network(1, 8), faults)
    for rate, seed in ((-0.1, 1), (1.1, 1), (0.1, -1)):
        with pytest.raises(GoldenError, match="must be"):
            draw(network(1, 8), rate, seed, 0)


def test_clean_network_and_untouched_layers_are_kept() -> None:
    qnet = network(6, 32)
    weights = {layer.name: layer.weight.copy() for layer in qnet.layers if layer.weight is not None}
    assert corrupt(qnet, draw(qnet, 0.0, 1, 0)).layers == qnet.layers
    faults = draw(qnet, 1e-4, 1, 0)
    touched = overrides(qnet, faults)
    faulty = corrupt(qnet, faults)
    assert touched.keys() == {f.segment.layer for f in faults.flips}
    for layer in qnet.layers:
        assert (faulty.layer(layer.name) is layer) == (layer.name not in touched)
        if layer.weight is not None:
            np.testing.assert_array_equal(layer.weight, weights[layer.name])


@pytest.mark.parametrize(("model", "word_bits"), [("alexnet", 8), ("alexnet", 32), ("vgg16", 32), ("resnet50", 32)])
def test_published_maps_are_drawn_again(model: str, word_bits: int) -> None:
    """The command of a published page still strikes as many bits of each kind."""
    seed = 1
    rows = read_csv(ROOT / "docs" / "results" / "data" / f"resilience_{model}_maps.csv")
    for scheme in ("unprotected", "clipact", "fitact"):
        qnet = load_qnetwork(model, scheme, word_bits)
        published = [r for r in rows if (r["scheme"], r["word_bits"]) == (scheme, str(word_bits)) and r["rate"] != "0"]
        assert len(published) >= 20 * 3
        for row in published[:: len(published) // 9]:
            faults = draw(qnet, float(row["rate"]), seed, int(row["map"]))
            found = [faults.count("weight"), faults.count("bias", "shift"), faults.count("bound")]
            assert found == [int(row[f"{kind}_flips"]) for kind in ("weight", "bias", "bound")]


@pytest.mark.parametrize(
    ("word_bits", "rate", "seed", "index", "shifts", "count", "digest"),
    [
        (8, 1e-2, 1, 0, False, 940, "8f034575aab3555e"),
        (32, 3e-4, 7, 5, True, 115, "0ed4721d7c4ffd63"),
        (16, 0.5, 0, 2, False, 91778, "9d504a56b48dbeda"),
    ],
)
def test_maps_are_the_same_for_ever(
    word_bits: int, rate: float, seed: int, index: int, shifts: bool, count: int, digest: str
) -> None:
    """Published studies name their maps by seed, rate and number: (segment, element, bit) of each flip, hashed."""
    faults = draw(network(3, word_bits), rate, seed, index, Memory(shifts=shifts))
    text = hashlib.sha256()
    for flips in faults.flips:
        s = flips.segment
        for element, bit in zip(flips.element.tolist(), flips.bit.tolist(), strict=True):
            text.update(f"{s.layer} {s.kind} {element} {bit}\n".encode())
    assert (faults.count(), text.hexdigest()[:16]) == (count, digest)
