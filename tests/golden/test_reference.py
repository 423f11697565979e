"""The integer reference against unbounded Python integers, also where faults make values huge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from golden import reference
from golden.errors import GoldenError
from golden.qnetwork import ACC_BITS, INPUT, QLayer, QNetwork, Residual
from tests.golden import naive
from tests.golden.strategies import layers


@settings(max_examples=250, deadline=None)
@given(layers())
def test_layer_equals_naive(case: tuple[QLayer, np.ndarray, np.ndarray | None, int]) -> None:
    layer, images, operand, word_bits = case
    acc_bits = ACC_BITS[word_bits]
    got = reference.run_layer(layer, images, acc_bits, word_bits, operand)
    for k, image in enumerate(images):
        residual = None if operand is None else operand[k]
        np.testing.assert_array_equal(got[k], naive.run_layer(layer, image, acc_bits, word_bits, residual))


@settings(max_examples=300, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 63))
@example(2**63 - 1, 1)
@example(-(2**63), 63)
@example(2**62, 63)
def test_rounding_shift_is_floor_of_half_more(value: int, shift: int) -> None:
    got = reference.round_shift(np.array([value]), np.array([shift]))
    assert int(got[0]) == naive.rounded(value, shift)


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from([32, 48, 64]))
def test_wrap(value: int, bits: int) -> None:
    assert int(reference.wrap(np.array([value]), bits)[0]) == naive.wrapped(value, bits)


@pytest.mark.parametrize("word_bits", [8, 16, 32])
@pytest.mark.parametrize("style", ["limits", "huge_weight", "huge_input"])
def test_wide_sums_are_exact(word_bits: int, style: str) -> None:
    """Sums of many products, long enough to leave the exact range of floating point and to wrap."""
    rng = np.random.default_rng(word_bits)
    low = -(1 << (word_bits - 1))
    x = rng.integers(0, 100, (2, 500, 1, 1))
    weight = rng.integers(-50, 50, (4, 500, 1, 1))
    if style != "huge_input":
        weight[0, :: 1 if style == "limits" else 500] = low
    if style != "huge_weight":
        x[0, :: 1 if style == "limits" else 500] = low
    got = reference.wrap(reference._convolve(x, weight, (1, 1)), ACC_BITS[word_bits])
    for k in range(2):
        for c in range(4):
            total = sum(int(a) * int(b) for a, b in zip(x[k].flat, weight[c].flat, strict=True))
            assert int(got[k, c, 0, 0]) == naive.wrapped(total, ACC_BITS[word_bits])


@pytest.mark.parametrize("edge", [1 << 24, 1 << 53])
def test_float_limits_are_respected(edge: int) -> None:
    """Sums just around the largest exact integers of float32 and float64: odd results must survive."""
    for total in (edge - 1, edge, edge + 1):
        x = np.array([1, 1, -1]).reshape(1, 3, 1, 1)
        weight = np.array([total - 3, 2, -1]).reshape(1, 3, 1, 1)
        assert int(reference._convolve(x, weight, (1, 1)).item()) == total


def small_network(word_bits: int = 8, seed: int = 0) -> QNetwork:
    """conv -> conv -> conv + residual -> pool -> fc, with neuron bounds on the first."""
    rng = np.random.default_rng(seed)

    def conv(name: str, source: str, shape: tuple[int, int], kernel: int, side: int, **more: object) -> QLayer:
        out, cin = shape
        fields = {
            "kind": "conv",
            "in_shape": (cin, side, side),
            "out_shape": (out, side, side) if kernel != side else (out, 1, 1),
            "kernel": kernel,
            "stride": 1,
            "padding": 1 if kernel == 3 else 0,
            "weight": rng.integers(-40, 40, (out, cin, kernel, kernel)),
            "bias": rng.integers(-500, 500, out),
            "shift": rng.integers(5, 8, out),
            "activation": "relu",
            "bound": None,
            "frac_out": 4,
        }
        return QLayer(name=name, source=source, **(fields | more))  # type: ignore[arg-type]

    first = conv("a", INPUT, (4, 3), 3, 4, activation="clip", bound=rng.integers(0, 90, (4, 4, 4)))
    second = conv("b", "a", (4, 4), 1, 4, activation="saturate", bound=60)
    third = conv("c", "b", (4, 4), 3, 4, residual=Residual("a", 3))
    pool = replace(
        third,
        name="p",
        kind="maxpool",
        source="c",
        out_shape=(4, 2, 2),
        kernel=2,
        stride=2,
        padding=0,
        weight=None,
        bias=np.zeros(4, np.int64),
        shift=np.zeros(4, np.int64),
        activation="linear",
        residual=None,
    )
    last = conv("d", "p", (5, 4), 2, 2, activation="linear")
    return QNetwork("small", "test", word_bits, ACC_BITS[word_bits], (3, 4, 4), 5, (first, second, third, pool, last))


@pytest.mark.parametrize("word_bits", [8, 16, 32])
def test_network_equals_naive(word_bits: int) -> None:
    qnet = small_network(word_bits)
    images = np.random.default_rng(1).integers(-128, 128, (3, 3, 4, 4))
    got, expected = reference.run(qnet, images), naive.run(qnet, images)
    assert set(got) == {INPUT, "a", "b", "c", "p", "d"}
    for name in expected:
        assert got[name].dtype == np.int64
        np.testing.assert_array_equal(got[name], expected[name])


def test_batches_do_not_mix() -> None:
    qnet = small_network()
    images = np.random.default_rng(2).integers(-128, 128, (7, 3, 4, 4))
    whole = reference.run(qnet, images)["d"]
    single = np.concatenate([reference.run(qnet, images[i : i + 1])["d"] for i in range(7)])
    np.testing.assert_array_equal(whole, single)
    np.testing.assert_array_equal(reference.logits(qnet, images, batch=3), whole.reshape(7, -1))


def test_run_from_equals_a_full_run_with_the_corrupted_output() -> None:
    qnet = small_network()
    images = np.random.default_rng(3).integers(-128, 128, (2, 3, 4, 4))
    clean = reference.run(qnet, images)
    for name in (INPUT, "a", "b", "c", "p", "d"):
        corrupted = clean[name].copy()
        corrupted[1].flat[0] ^= 64
        expected = reference.run(qnet, images, {name: corrupted})
        trace = {**clean, name: corrupted}
        got = reference.run_from(qnet, trace, name)
        for layer in expected:
            np.testing.assert_array_equal(got[layer], expected[layer])
    np.testing.assert_array_equal(clean["a"], reference.run(qnet, images)["a"])  # trace left as it was


def test_run_from_repeats_one_fault_free_image_for_many_faults() -> None:
    """A residual operand from the single fault-free image meets a batch of corrupted ones."""
    qnet = small_network()
    image = np.random.default_rng(4).integers(-128, 128, (1, 3, 4, 4))
    clean = reference.run(qnet, image)
    corrupted = np.repeat(clean["b"], 5, axis=0)
    for k in range(5):
        corrupted[k].flat[k] ^= 32
    got = reference.run_from(qnet, {**clean, "b": corrupted}, "b")
    for k in range(5):
        expected = reference.run(qnet, image, {"b": corrupted[k : k + 1]})
        np.testing.assert_array_equal(got["d"][k], expected["d"][0])


def test_layer_overrides_corrupt_parameters() -> None:
    qnet = small_network()
    images = np.random.default_rng(5).integers(-128, 128, (2, 3, 4, 4))
    for field in ("weight", "bias", "bound"):
        layer = qnet.layer("a")
        value = getattr(layer, field).copy()
        value.flat[1] ^= -128 if field != "bias" else 1 << 20
        wrong = replace(layer, **{field: value})
        expected = naive.run(replace(qnet, layers=(wrong, *qnet.layers[1:])), images)
        np.testing.assert_array_equal(reference.run(qnet, images, {"a": wrong})["d"], expected["d"])


def test_wrong_use_is_reported() -> None:
    qnet = small_network()
    images = np.zeros((1, 3, 4, 4), np.int64)
    with pytest.raises(GoldenError, match="expected images"):
        reference.run(qnet, np.zeros((1, 3, 5, 5), np.int64))
    with pytest.raises(GoldenError, match="no layer 'x'"):
        reference.run(qnet, images, {"x": images})
    with pytest.raises(GoldenError, match="override of a has shape"):
        reference.run(qnet, images, {"a": images})
    with pytest.raises(GoldenError, match="needs its residual"):
        reference.run_layer(qnet.layer("c"), np.zeros((1, 4, 4, 4), np.int64), 32, 8)
