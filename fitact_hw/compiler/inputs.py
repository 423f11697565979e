"""The host's part: unfolding the first layer's input, and writing images into a program's memory."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import CompileError
from fitact_hw.program import Program
from golden.qnetwork import INPUT, Pads, QLayer, QNetwork, Sides, pads, pair

UNFOLD = "unfold"
"""Key of :attr:`Program.meta`: JSON [kernel, stride, padding] of the unfolded first layer, if it is; rows and columns,
or above, left, below and right, where they differ."""

INPUT_SHAPE = "input_shape"
"""Key of :attr:`Program.meta`: JSON [channels, rows, columns] of one image before unfolding."""


def unfold_first(qnet: QNetwork, config: AcceleratorConfig) -> QLayer | None:
    """The first layer as a 1x1 convolution over unfolded patches, if that fills the array's rows better.

    The flat order of its weight (O, I, K, K) stays the same. None if there is nothing to gain.
    """
    layer, side = qnet.layers[0], config.side
    sources = [item.source for item in qnet.layers] + [i.residual.source for i in qnet.layers if i.residual]
    if layer.weight is None or layer.area == 1 or layer.source != INPUT or sources.count(INPUT) != 1:
        return None
    channels, positions = layer.in_shape[0], layer.area
    if -(-channels * positions // side) >= positions * -(-channels // side):
        return None
    return replace(
        layer,
        in_shape=(channels * positions, *layer.out_shape[1:]),
        kernel=1,
        stride=1,
        padding=0,
        weight=layer.weight.reshape(len(layer.weight), -1, 1, 1),
        links=None if layer.links is None else np.repeat(layer.links, positions, axis=1),
    )


def unfold(images: np.ndarray, kernel: Sides, stride: Sides, padding: Pads) -> np.ndarray:
    """int64 (B, C, H, W) to (B, C * kernel area, rows, columns): one channel per element of a patch."""
    top, left, bottom, right = pads(padding)
    padded = np.pad(images, ((0, 0), (0, 0), (top, bottom), (left, right)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, pair(kernel), axis=(2, 3))
    down, across = pair(stride)
    windows = windows[:, :, ::down, ::across]
    batch, _, rows, cols = windows.shape[:4]
    return np.ascontiguousarray(windows.transpose(0, 1, 4, 5, 2, 3)).reshape(batch, -1, rows, cols)


def with_images(program: Program, qimages: np.ndarray) -> np.ndarray:
    """A copy of the program's memory with ``qimages``, int64 (images, channels, rows, columns), as its input.

    Raises CompileError for another number or shape of images, or values that do not fit the word.
    """
    wanted = (program.images, *json.loads(program.meta[INPUT_SHAPE]))
    if qimages.shape != wanted:
        raise CompileError(f"the program takes images of shape {wanted}, not {qimages.shape}; compile for these")
    limit = 1 << (program.config.word_bits - 1)
    if qimages.size and (int(qimages.min()) < -limit or int(qimages.max()) >= limit):
        raise CompileError(f"an input value does not fit {program.config.word_bits} bits; quantise the images")
    if UNFOLD in program.meta:
        window = (tuple(part) if isinstance(part, list) else part for part in json.loads(program.meta[UNFOLD]))
        qimages = unfold(qimages, *window)
    memory = program.memory.copy()
    program.tensors[INPUT].write(memory, qimages)
    return memory
