"""Power-of-two quantisation: close to the float network, exact about its own rules."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from golden.data.cifar10 import sample_images
from golden.errors import GoldenError, WeightsError
from golden.frontend.activations import activation_names, apply_bounds
from golden.frontend.lowering import import_network, lower
from golden.networks.models import build_model
from golden.qnetwork import ACC_BITS, INPUT
from golden.quantisation.quantise import (
    BinaryPoints,
    best_frac,
    calibrate,
    normalise_images,
    quantise,
    quantise_bound,
    quantise_images,
    to_fixed,
)
from golden.reference import logits, run
from tests.golden import naive
from tests.golden.conftest import TinyNet, random_images
from tests.golden.test_lowering import randomise_norms


def small_images(count: int) -> np.ndarray:
    """uint8 (count, 8, 8, 3) for the tiny network."""
    return random_images(count).images[:, :8, :8]


@pytest.mark.parametrize(("word_bits", "tolerance"), [(8, 0.25), (16, 2e-3), (32, 2e-3)])
@pytest.mark.parametrize("per_channel", [True, False])
def test_close_to_float_and_equal_to_naive(
    tiny_net: TinyNet, word_bits: int, tolerance: float, per_channel: bool
) -> None:
    images = small_images(8)
    qnet = quantise(tiny_net, calibrate(tiny_net, images, word_bits, per_channel))
    assert qnet.acc_bits == ACC_BITS[word_bits]
    x = quantise_images(qnet, images)
    trace = run(qnet, x)
    expected = naive.run(qnet, x[:2])
    for name, value in expected.items():
        np.testing.assert_array_equal(trace[name][:2], value)
    with torch.no_grad():
        exact = tiny_net(torch.from_numpy(normalise_images(images)).float()).numpy()
    got = trace[qnet.layers[-1].name].reshape(8, -1) * 2.0 ** -qnet.layers[-1].frac_out
    assert np.abs(got - exact).max() < tolerance * max(1.0, np.abs(exact).max())


def test_q15_16_means_16_everywhere(tiny_net: TinyNet) -> None:
    qnet = quantise(tiny_net, calibrate(tiny_net, small_images(2), 32))
    assert qnet.input_frac == 16
    for layer in qnet.layers:
        assert layer.frac_out == 16
        assert set(layer.shift.tolist()) <= ({16} if layer.kind == "conv" else {0, 2})
        if layer.residual is not None:
            assert layer.residual.lshift == 16


@pytest.mark.parametrize("word_bits", [8, 16, 32])
def test_words_fit(word_bits: int) -> None:
    model = randomise_norms(build_model("alexnet"))
    qnet = quantise(model, calibrate(model, random_images(4).images, word_bits))
    top = 1 << (word_bits - 1)
    for layer in qnet.layers:
        assert layer.shift.min() >= 0
        assert layer.shift.max() <= 63
        if layer.weight is not None:
            assert layer.weight.dtype == layer.bias.dtype == np.int64
            assert -top <= layer.weight.min() <= layer.weight.max() < top
            # the range is used: a weight tensor that fills no bit would mean a wrong binary point
            assert word_bits == 32 or np.abs(layer.weight).max() >= top // 4
        else:
            assert not layer.bias.any()
    x = quantise_images(qnet, sample_images().images)
    assert x.shape == (20, 3, 32, 32)
    assert -top <= x.min() <= x.max() < top
    assert logits(qnet, x[:2]).shape == (2, 10)


def test_bounds_round_up_and_are_clamped() -> None:
    bound = np.array([0.0, 0.01, 0.5, 0.5625, 100.0, 1e9])
    assert quantise_bound(bound, 4, 8).tolist() == [0, 1, 8, 9, 127, 127]  # type: ignore[union-attr]
    assert quantise_bound(np.array(2.5), 16, 32) == 2.5 * 65536
    assert quantise_bound(np.array(1e9), 16, 32) == 2**31 - 1
    for bad in (-0.1, np.nan, np.inf):
        with pytest.raises(GoldenError, match="negative or not finite"):
            quantise_bound(np.array([1.0, bad]), 4, 8)


def test_a_value_at_its_bound_passes() -> None:
    """Whatever the fraction: round(x) <= ceil(bound) for every x <= bound."""
    rng = np.random.default_rng(0)
    bound = rng.uniform(0, 20, 2000)
    for frac in (3, 4, 11, 16):
        assert (to_fixed(bound, frac, 32) <= quantise_bound(bound, frac, 32)).all()


def test_bound_schemes_reach_the_quantised_network(tiny_net: TinyNet) -> None:
    points = calibrate(tiny_net, small_images(8), 8)
    names = activation_names(import_network(tiny_net, (3, 8, 8)))
    bounds = dict(zip(names, [torch.rand(8, 8, 8), torch.rand(8, 8, 8), torch.rand(16)], strict=True))
    neuron = quantise(apply_bounds(copy.deepcopy(tiny_net), bounds, "clip"), points)
    layer = quantise(apply_bounds(copy.deepcopy(tiny_net), {n: b.max() for n, b in bounds.items()}, "saturate"), points)
    assert [x.activation for x in neuron.layers if x.bound is not None] == ["clip"] * 3
    assert all(isinstance(x.bound, int) for x in layer.layers if x.activation == "saturate")
    for x in neuron.layers:
        assert x.bound is None or np.shape(x.bound) == x.out_shape
    assert neuron.layers[-1].activation == layer.layers[-1].activation == "linear"
    # same binary points for every scheme, so that the same fault is the same event
    assert [x.frac_out for x in neuron.layers] == [x.frac_out for x in layer.layers]


def test_best_frac_balances_clipping_and_rounding() -> None:
    rng = np.random.default_rng(0)
    assert best_frac(np.array([0.99]), 8) == 7
    assert best_frac(np.array([1.01]), 8) == 6
    assert best_frac(np.zeros(3), 8) == 7
    values = np.concatenate([rng.normal(0, 1, 100_000), [10.0]])
    # keeping one outlier whole (3) would cost a hundred thousand values a bit
    assert best_frac(values, 8) == 4
    errors = {f: np.square(to_fixed(values, f, 8) * 2.0**-f - values).sum() for f in range(0, 8)}
    assert best_frac(values, 8) == min(errors, key=lambda f: errors[f])


def test_rounding_of_halves_goes_up() -> None:
    assert to_fixed(np.array([0.5, -0.5, 1.5, -1.5, 0.49]), 0, 8).tolist() == [1, 0, 2, -1, 0]
    assert to_fixed(np.array([1e9, -1e9]), 4, 8).tolist() == [127, -128]


def test_binary_points_survive_a_file(tiny_net: TinyNet) -> None:
    points = calibrate(tiny_net, small_images(4), 8)
    again = BinaryPoints.from_json(json.loads(json.dumps(points.to_json())))
    assert again == points
    assert set(points.activation) == {INPUT, *(layer.name for layer in lower(tiny_net, (3, 8, 8)))}
    with pytest.raises(WeightsError, match="incomplete"):
        BinaryPoints.from_json({"word_bits": 8})
    with pytest.raises(WeightsError, match="another network"):
        quantise(tiny_net, replace(points, activation={INPUT: 4}))


def test_wrong_use_is_reported(tiny_net: TinyNet) -> None:
    with pytest.raises(GoldenError, match="word of 12 bits"):
        calibrate(tiny_net, small_images(2), 12)
    with pytest.raises(GoldenError, match="expected uint8 images"):
        normalise_images(np.zeros((1, 3, 8, 8), np.uint8))
    points = calibrate(tiny_net, small_images(2), 8)
    with torch.no_grad():
        tiny_net.head.bias[0] = 1e12
    with pytest.raises(GoldenError, match="bias that does not fit 32 bits"):
        quantise(tiny_net, points)
    coarse = replace(points, activation={**points.activation, "fc2": 30})
    with pytest.raises(GoldenError, match="fc2 needs a shift"):
        quantise(tiny_net, coarse)


def test_scaling_by_a_power_of_two_keeps_the_words(tiny_net: TinyNet) -> None:
    """Quantisation has no absolute scale: eight times larger logits are the same words, three bits up."""
    images = small_images(6)
    before = quantise(tiny_net, calibrate(tiny_net, images, 16))
    with torch.no_grad():
        tiny_net.head.weight.mul_(8)
        tiny_net.head.bias.mul_(8)
    after = quantise(tiny_net, calibrate(tiny_net, images, 16))
    last, scaled = before.layers[-1], after.layers[-1]
    assert last.weight is not None
    np.testing.assert_array_equal(last.weight, scaled.weight)
    assert scaled.frac_out == last.frac_out - 3
    np.testing.assert_array_equal(
        logits(before, quantise_images(before, images)), logits(after, quantise_images(after, images))
    )
