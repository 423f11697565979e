"""Calibration of networks that are no easy ones: every number right, or one line that names the place."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from golden.errors import GoldenError, QuantisationWarning, UnsupportedError
from golden.frontend.lowering import import_network, lower
from golden.qnetwork import ACC_BITS, QNetwork
from golden.quantisation.images import taken_shape
from golden.quantisation.points import BinaryPoints, best_frac
from golden.quantisation.quantise import calibrate, quantise, quantise_images
from golden.reference import logits, run
from tests.golden import naive

SHAPE = (3, 8, 8)


def images(count: int = 16, scale: float = 1.0, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """Normally distributed, float64 (count, *shape)."""
    return np.random.default_rng(1).normal(0, scale, (count, *shape))


def quantised(net: nn.Module, x: np.ndarray, word_bits: int) -> QNetwork:
    """Calibrated and quantised without a warning."""
    net = import_network(net, taken_shape(x))
    with warnings.catch_warnings():
        warnings.simplefilter("error", QuantisationWarning)
        return quantise(net, calibrate(net, x, word_bits))


def error(net: nn.Module, qnet: QNetwork, x: np.ndarray) -> float:
    """Largest difference of integer and float logits, as a share of the largest logit."""
    with torch.no_grad():
        expected = net.eval()(torch.from_numpy(x).to(next(net.parameters()).dtype)).double().numpy()
    got = logits(qnet, quantise_images(qnet, x)) * 2.0 ** -qnet.layers[-1].frac_out
    return float(np.abs(got - expected).max() / np.abs(expected).max())


TOLERANCE = {8: 0.12, 16: 1e-3, 32: 1e-3}


def assert_close_and_exact(net: nn.Module, word_bits: int, x: np.ndarray | None = None) -> QNetwork:
    """Close to float, and the integers are those of unbounded arithmetic: nothing wraps."""
    x = images() if x is None else x
    qnet = quantised(net, x, word_bits)
    assert error(net, qnet, x) < TOLERANCE[word_bits]
    words = quantise_images(qnet, x[:1])
    trace = run(qnet, words)
    for name, value in naive.run(qnet, words, acc_bits=200).items():
        np.testing.assert_array_equal(trace[name], value)
    return qnet


def bias(layer: nn.Conv2d | nn.Linear) -> Tensor:
    """Of a layer that has one."""
    assert layer.bias is not None
    return layer.bias


class Plain(nn.Module):
    """Convolution, BatchNorm if wanted, ReLU, pool, linear layer."""

    def __init__(self, norm: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.relu, self.pool = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4)
        self.norm = nn.BatchNorm2d(8) if norm else None
        self.head = nn.Linear(32, 5)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = x if self.norm is None else self.norm(x)
        y: Tensor = self.head(self.pool(self.relu(x)).flatten(1))
        return y


class Block(nn.Module):
    """A residual block whose last BatchNorm has the gain ``gamma``; ``skip`` scales what it is added to."""

    def __init__(self, gamma: float, skip: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.c1, self.r1 = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()
        self.c2, self.b2, self.r2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
        self.tail = nn.Sequential(nn.MaxPool2d(4), nn.Flatten(), nn.Linear(32, 5))
        with torch.no_grad():
            self.b2.weight.fill_(gamma)
            self.c1.weight.mul_(skip)
            bias(self.c1).mul_(skip)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        x = self.r1(self.c1(x))
        y: Tensor = self.tail(self.r2(self.b2(self.c2(x)) + x))
        return y


@pytest.mark.parametrize("word_bits", [8, 16])
@pytest.mark.parametrize("gamma", [1e-4, 1e-7, 1e-10, 1e-30, 0.0])
def test_a_channel_of_nearly_nothing_holds_no_other_back(gamma: float, word_bits: int) -> None:
    net = Plain()
    usual = quantised(net, images(), word_bits)
    assert net.norm is not None
    with torch.no_grad():
        net.norm.weight[3] = gamma
    qnet = assert_close_and_exact(net, word_bits)
    assert qnet.layers[0].frac_out == usual.layers[0].frac_out


@pytest.mark.parametrize("word_bits", [8, 16])
@pytest.mark.parametrize("row", [1e-9, 0.0])
def test_a_tiny_class_of_a_linear_layer(row: float, word_bits: int) -> None:
    net = Plain()
    with torch.no_grad():
        net.head.weight[2] *= row
    assert_close_and_exact(net, word_bits)


@pytest.mark.parametrize("word_bits", [8, 16])
@pytest.mark.parametrize("scale", [1e-12, 1e-4, 1e6, 1e15])
def test_there_is_no_absolute_scale(scale: float, word_bits: int) -> None:
    """The same words, whatever the scale of the images and of the weights."""
    net = Plain(norm=False)
    usual = quantised(net, images(), word_bits)
    with torch.no_grad():
        bias(net.conv).mul_(2.0 ** round(np.log2(scale)))
    scaled = quantised(net, images() * 2.0 ** round(np.log2(scale)), word_bits)
    assert scaled.layers[0].frac_out == usual.layers[0].frac_out - round(np.log2(scale))
    assert_close_and_exact(net, word_bits, images() * 2.0 ** round(np.log2(scale)))
    with torch.no_grad():
        bias(net.conv).div_(2.0 ** round(np.log2(scale)))
        for layer in (net.conv, net.head):
            layer.weight.mul_(scale)
            bias(layer).mul_(scale)
    assert_close_and_exact(net, word_bits)


@pytest.mark.parametrize("word_bits", [8, 16])
def test_large_weights_on_a_dead_input_hold_no_channel_back(word_bits: int) -> None:
    net = Plain(norm=False)
    with torch.no_grad():
        net.conv.weight[2] = 0
        bias(net.conv)[2] = -1.0  # never fires
        net.head.weight[1, 2 * 4 : 3 * 4] = 1e6
    usual, qnet = quantised(Plain(norm=False), images(), word_bits), assert_close_and_exact(net, word_bits)
    assert abs(qnet.layers[-1].frac_out - usual.layers[-1].frac_out) <= 1


@pytest.mark.parametrize(("word_bits", "largest"), [(8, 23), (16, 31)])
@pytest.mark.parametrize("gamma", [1.0, 1e-2, 1e-4, 3e-6, 1e-8, 1e-12, 0.0])
def test_a_residual_operand_keeps_half_the_accumulator(gamma: float, word_bits: int, largest: int) -> None:
    qnet = assert_close_and_exact(Block(gamma), word_bits)
    [shift] = [layer.residual.lshift for layer in qnet.layers if layer.residual]
    assert 0 <= shift <= largest


def test_a_residual_operand_of_a_block_with_large_weights() -> None:
    """The accumulator is then coarser than what is added to it. At 8 bits no shift aligns them."""
    with pytest.raises(GoldenError, match=r"layer conv2 has weights too large to take its residual operand with int8"):
        calibrate(Block(4e3), images(), 8)
    assert_close_and_exact(Block(4e3), 16)


class Shrunk(nn.Module):
    """A residual operand far smaller than what it is added to: two convolutions on one image."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.small, self.large, self.relu = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1), nn.ReLU()
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(256, 5))
        with torch.no_grad():
            self.small.weight.mul_(scale)
            bias(self.small).mul_(scale)
            self.large.weight.mul_(100)

    def forward(self, x: Tensor) -> Tensor:
        small = self.small(x)
        y: Tensor = self.head(self.relu(self.large(x) + small))
        return y


def test_a_residual_operand_is_made_coarser_where_it_must_and_that_is_said() -> None:
    net = Shrunk(1e-3)
    with pytest.warns(QuantisationWarning, match=r"^conv1: kept \d+ bits coarser than would suit it"):
        points = calibrate(net, images(), 8)
    assert len(points.notes) == 1
    assert error(net, quantise(net, points), images()) < TOLERANCE[8]


@pytest.mark.parametrize("word_bits", [8, 16])
@pytest.mark.parametrize("scale", [1e-4, 1e-5, 1e-6, 3e-7, 1e-12, 0.0])
def test_a_bias_makes_the_weights_of_its_channel_as_coarse_as_it_needs(scale: float, word_bits: int) -> None:
    net = Plain(norm=False)
    with torch.no_grad():
        net.conv.weight[3] *= scale
        bias(net.conv)[3] = 1.0
    qnet = assert_close_and_exact(net, word_bits)
    fits = 2.0 ** (ACC_BITS[word_bits] - 1)
    assert np.abs(qnet.layers[0].bias).max() < fits


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("word_bits", [8, 16])
def test_a_bias_that_fits_by_a_hair_does_not_wrap_with_the_sum(word_bits: int, sign: int) -> None:
    net = Plain(norm=False)
    with torch.no_grad():
        net.conv.weight[3] = 1e-5 * net.conv.weight[2]
    points = calibrate(net, images(), word_bits)
    exponent = points.activation["input"] + points.weight["conv1"][3]
    top = 2.0 ** (ACC_BITS[word_bits] - 1)
    with torch.no_grad():
        bias(net.conv)[3] = sign * top * (1 - 1e-6) / 2.0**exponent
    with pytest.raises(GoldenError, match="layer conv1: bias, residual operand and sums of channel 3 do not fit"):
        quantise(net, points)
    qnet = quantise(net, calibrate(net, images(), word_bits))
    channel = run(qnet, quantise_images(qnet, images()))["conv1"][:, 3]
    assert (channel > 0).all() if sign > 0 else (channel == 0).all()


def test_weights_that_must_be_coarser_at_a_cost_are_noted() -> None:
    """Two channels cancel a bias that fills the accumulator; what is left needs the weights' last bits."""
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 1)
    net = nn.Sequential(conv, nn.Flatten(), nn.Linear(256, 5))
    with torch.no_grad():
        conv.weight[:, 1:] = 0
        conv.weight[:, 0] = torch.rand(4, 1, 1) + 1
        bias(conv)[:] = -1e6 * conv.weight[:, 0, 0, 0]
    x = images()
    x[:, 0] = 1e6 + np.random.default_rng(0).random((16, 8, 8))
    x[:, 1:] = 1e6
    with pytest.warns(QuantisationWarning, match=r"^conv1: "):
        points = calibrate(net, x, 8)
    assert points.notes


def spoil_norm(net: Plain) -> None:
    assert net.norm is not None
    assert net.norm.running_var is not None
    net.norm.running_var[2] = -1.0


SPOILED: dict[str, Callable[[Plain], object]] = {
    "conv1.*weight": lambda net: net.conv.weight.data.view(-1)[0].fill_(torch.nan),
    "conv1.*bias": lambda net: bias(net.conv).data[0].fill_(torch.inf),
    "fc1.*weight": lambda net: net.head.weight.data.view(-1)[7].fill_(-torch.inf),
    "fc1.*bias": lambda net: bias(net.head).data[1].fill_(torch.nan),
    "conv1 .*weight": spoil_norm,
}


@pytest.mark.parametrize("word_bits", [8, 16, 32])
@pytest.mark.parametrize("place", list(SPOILED))
def test_parameters_that_are_no_numbers_are_named(place: str, word_bits: int) -> None:
    net = Plain()
    points = calibrate(net, images(), word_bits)
    SPOILED[place](net)
    for call in (lambda: calibrate(net, images(), word_bits), lambda: quantise(net, points), lambda: lower(net, SHAPE)):
        with pytest.raises(GoldenError, match=rf"layer {place} that is NaN or infinite"):
            call()


def test_activations_that_are_no_numbers_are_named() -> None:
    net = Plain(norm=False)
    with torch.no_grad():
        net.conv.weight.fill_(1e30)
        net.head.weight.fill_(1e30)
    with pytest.raises(GoldenError, match=r"layer fc1 \(.*\) is NaN or infinite on the calibration images"):
        calibrate(net, images(), 16)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_images_that_are_no_numbers_are_named(value: float) -> None:
    x = images()
    x[3, 1, 2, 2] = value
    with pytest.raises(GoldenError, match="image 3 holds numbers that are NaN or infinite"):
        calibrate(Plain(), x, 8)
    qnet = quantised(Plain(), images(), 8)
    with pytest.raises(GoldenError, match="image 3 holds"):
        quantise_images(qnet, x)


def test_images_that_fit_nothing_are_refused() -> None:
    net = Plain()
    for x in (np.zeros((2, 1, 3, 8, 8)), np.zeros((2, 8, 8, 1), np.uint8), np.zeros((2, 3, 8, 8), np.int64)):
        with pytest.raises(GoldenError, match=r"expected float images \(count, channels, rows, columns\)"):
            calibrate(net, x, 8)
    for none in (images(0), np.zeros((0, 8, 8, 3), np.uint8)):
        with pytest.raises(GoldenError, match="calibration needs at least one image"):
            calibrate(net, none, 32)
    with pytest.raises(UnsupportedError, match=r"Plain does not take images of 1x8x8: .*1, 8, 8"):
        calibrate(net, images(2, shape=(1, 8, 8)), 8)
    qnet = quantised(net, images(), 8)
    with pytest.raises(GoldenError, match="network takes images of 3x8x8, not 3x12x12"):
        quantise_images(qnet, images(2, shape=(3, 12, 12)))


@pytest.mark.parametrize(("channels", "side"), [(3, 48), (1, 28), (7, 4)])
@pytest.mark.parametrize("word_bits", [8, 16, 32])
def test_any_shape_of_images(channels: int, side: int, word_bits: int) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * (side // 2) ** 2, 5),
    )
    x = images(4, shape=(channels, side, side))
    qnet = quantised(net, x, word_bits)
    assert qnet.input_shape == (channels, side, side)
    assert error(net, qnet, x) < TOLERANCE[word_bits]


def test_uint8_images_are_normalised_as_in_training() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 48, 48, 3), dtype=np.uint8)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(46), nn.Flatten(), nn.Linear(4, 5))
    qnet = quantised(net, pixels, 8)
    assert qnet.input_shape == (3, 48, 48)
    assert quantise_images(qnet, pixels).shape == (4, 3, 48, 48)


def test_points_remember_their_images_in_a_file() -> None:
    points = calibrate(Plain(), images(), 8)
    assert points.input_shape == SHAPE
    assert BinaryPoints.from_json(points.to_json()) == points
    old = {key: value for key, value in points.to_json().items() if key not in ("input_shape", "notes")}
    assert BinaryPoints.from_json(old).input_shape == (3, 32, 32)


def with_weights(scale: float) -> Plain:
    net = Plain(norm=False)
    with torch.no_grad():
        net.conv.weight.mul_(scale)
    return net


@pytest.mark.parametrize(
    ("net", "scale", "note"),
    [
        (Plain(), 1e5, r"^the input: \d+ of 3072 values on the calibration images saturate in Q15.16, at \+-32768 \("),
        (with_weights(1e6), 1e-3, r"^conv1's weights: \d+ of 216 weights saturate"),
        (with_weights(2e4), 10, r"^conv1: \d+ of 8192 values on the calibration images saturate"),
        (with_weights(1e-6), 1, r"^conv1's weights: all weights are 0 in Q15.16 \(largest .*e-07, step 1.53e-05\)"),
        (Plain(), 1e-7, r"^the input: all values on the calibration images are 0 in Q15.16"),
    ],
)
def test_what_q15_16_cannot_hold_is_counted(net: nn.Module, scale: float, note: str) -> None:
    with pytest.warns(QuantisationWarning, match=note):
        points = calibrate(net, images(scale=scale), 32)
    x = images(scale=scale)
    if note.startswith("^the input: \\d"):
        count = int(((x >= 32768) | (x < -32768)).sum())
        assert f"the input: {count} of {x.size} values" in points.notes[0]


def test_sums_that_q15_16_cannot_hold_are_refused() -> None:
    net = Plain(norm=False)
    with torch.no_grad():
        bias(net.head)[1] = 3e9
    with pytest.raises(GoldenError, match=r"layer fc1: bias and sums of channel 1 can reach 3e\+09, which the acc"):
        calibrate(net, images(), 32)


@pytest.mark.parametrize("peak", [3e-8, 2.9e-8, 1e-9])
def test_the_finest_point_is_30(peak: float) -> None:
    assert best_frac(np.array([peak]), 8) == 30


def test_less_than_half_a_step_of_the_finest_point_counts_as_zero() -> None:
    assert best_frac(np.array([7.5e-6]), 16) == 30
    assert best_frac(np.array([2.0**-31]), 8) == 30
    assert best_frac(np.array([2.0**-32]), 8) == best_frac(np.array([1e-300]), 8) == 7
    assert best_frac(np.array([127 * 2.0**33]), 8) == -33
    with pytest.raises(GoldenError, match="NaN or infinite"):
        best_frac(np.array([1.0, np.nan]), 8)


class Aliased(nn.Module):
    """``x += y`` while another name still stands for x."""

    def __init__(self, last: bool = False) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.c1, self.c2, self.c3 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.relu, self.tail = nn.ReLU(), nn.Sequential(nn.MaxPool2d(4), nn.Flatten(), nn.Linear(32, 5))
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.c1(x))
        skip = x
        y = self.c2(x)
        if self.last:
            y += x  # the usual form: nothing else stands for y
            skip = y
        else:
            x += y
        z: Tensor = self.tail(self.c3(skip))
        return z


@pytest.mark.parametrize("last", [False, True])
def test_additions_in_place_are_right_whatever_else_reads_the_tensor(last: bool) -> None:
    assert_close_and_exact(Aliased(last), 16)
