"""Parameter blocks: the memory image holds exactly the layer's tensors where `index` says so, else zero."""

from __future__ import annotations

import numpy as np
import pytest

from fitact_hw.compiler import compile_network, unfold, with_images
from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import CompileError
from fitact_hw.program import LANE_DTYPES, ParameterBlock, Program
from golden.qnetwork import INPUT, QNetwork
from tests.compiler.reference import NetworkBuilder

CASES = [(3, 8), (4, 16), (7, 32), (16, 8)]


def _network(word_bits: int) -> NetworkBuilder:
    builder = NetworkBuilder((3, 7, 6), word_bits)
    entry = builder.conv(10, 3, 1, 1, "clip", "neuron")
    builder.conv(10, 1, 1, 0, "saturate", "layer", residual=entry, lshift=3)
    builder.pool("maxpool", 2, 2)
    builder.conv(5, 3, activation="linear")
    return builder


def _words(program: Program, block: ParameterBlock) -> np.ndarray:
    """uint8 (words, word bytes) of a block."""
    size = len(block.index) * block.word_bytes
    return program.memory[block.address : block.address + size].reshape(-1, block.word_bytes)


def _bias_lanes(raw: np.ndarray, config: AcceleratorConfig) -> list[list[tuple[int, int]]]:
    """(bias, shift) of every lane, by plain integer arithmetic; the bits above must be zero."""
    result = []
    for word in raw:
        lanes = []
        for lane in range(len(word) // config.bias_lane_bytes):
            start = lane * config.bias_lane_bytes
            value = int.from_bytes(word[start : start + config.bias_lane_bytes].tobytes(), "little")
            bias = value & ((1 << config.acc_bits) - 1)
            lanes.append((bias - (bias >> (config.acc_bits - 1) << config.acc_bits), value >> config.acc_bits))
        result.append(lanes)
    return result


@pytest.mark.parametrize(("side", "word_bits"), CASES)
def test_blocks_hold_the_tensors(side: int, word_bits: int) -> None:
    config = AcceleratorConfig.create(rows=side, cols=side, word_bits=word_bits)
    qnet = _network(word_bits).network()
    program = compile_network(qnet, config, 2)
    seen = set()
    for block in program.parameters:
        if block.layer == "identity":
            lanes = _words(program, block).copy().view(LANE_DTYPES[word_bits])
            np.testing.assert_array_equal(lanes[:, :side], np.eye(side))
            assert (block.index == -1).all()
            assert not lanes[:, side:].any()
            continue
        layer = qnet.layer(block.layer)
        seen.add((block.layer, block.kind))
        used = block.index[block.index >= 0]
        if block.kind == "bias":
            biases = _bias_lanes(_words(program, block), config)
            for word, indices in zip(biases, block.index, strict=True):
                expected = [(int(layer.bias[i]), int(layer.shift[i])) if i >= 0 else (0, 0) for i in indices]
                assert word[:side] == expected
                assert set(word[side:]) <= {(0, 0)}
            np.testing.assert_array_equal(np.sort(used), np.arange(layer.bias.size))
            continue
        tensor = np.asarray(layer.weight if block.kind == "weight" else layer.bound)
        lanes = _words(program, block).copy().view(LANE_DTYPES[word_bits])
        expected_lanes = np.where(block.index >= 0, tensor.reshape(-1)[block.index], 0)
        np.testing.assert_array_equal(lanes[:, :side], expected_lanes)
        assert not lanes[:, side:].any()
        np.testing.assert_array_equal(np.sort(used), np.arange(tensor.size))
    assert seen == _expected_blocks(qnet)


def _expected_blocks(qnet: QNetwork) -> set[tuple[str, str]]:
    found = {(layer.name, "bias") for layer in qnet.layers}
    found |= {(layer.name, "weight") for layer in qnet.layers if layer.weight is not None}
    return found | {(layer.name, "bound") for layer in qnet.layers if isinstance(layer.bound, np.ndarray)}


def test_unfold_puts_every_patch_into_one_pixel() -> None:
    images = np.arange(2 * 3 * 5 * 4).reshape(2, 3, 5, 4)
    patches = unfold(images, kernel=3, stride=2, padding=1)
    assert patches.shape == (2, 27, 3, 2)
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    for row in range(3):
        for col in range(2):
            patch = padded[:, :, 2 * row : 2 * row + 3, 2 * col : 2 * col + 3]
            np.testing.assert_array_equal(patches[:, :, row, col], patch.reshape(2, 27))


@pytest.mark.parametrize(("channels", "unfolded"), [(3, True), (16, False)])
def test_the_first_layer_is_unfolded_when_that_fills_the_rows(channels: int, unfolded: bool) -> None:
    builder = NetworkBuilder((channels, 6, 6))
    builder.conv(4, 3, 1, 1)
    program = compile_network(builder.network(), AcceleratorConfig.create(), 1)
    assert program.tensors[INPUT].shape == ((27, 6, 6) if unfolded else (16, 6, 6))


def test_an_input_used_twice_is_not_unfolded() -> None:
    builder = NetworkBuilder((3, 6, 6))
    builder.conv(3, 3, 1, 1, residual=INPUT)
    assert compile_network(builder.network(), AcceleratorConfig.create(), 1).tensors[INPUT].shape == (3, 6, 6)


def test_with_images_leaves_the_program_alone_and_refuses_what_does_not_fit() -> None:
    builder = NetworkBuilder((3, 6, 6))
    builder.conv(4, 3)
    program = compile_network(builder.network(), AcceleratorConfig.create(), 2)
    before = program.memory.copy()
    images = builder.images(2)
    assert not np.array_equal(with_images(program, images), before)
    np.testing.assert_array_equal(program.memory, before)
    with pytest.raises(CompileError, match="takes images of shape"):
        with_images(program, images[:1])
    with pytest.raises(CompileError, match="does not fit 8 bits"):
        with_images(program, images + 200)
