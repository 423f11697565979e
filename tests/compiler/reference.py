"""Random quantised networks; the independent reference is the product's."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from golden.qnetwork import ACC_BITS, INPUT, Pads, QLayer, QNetwork, Residual, Sides, pads, pair

NETWORK_SEED = 2026


class NetworkBuilder:
    """Builds random networks layer by layer; keeps values in a useful range by a matching shift."""

    def __init__(
        self, shape: tuple[int, int, int], word_bits: int = 8, seed: int = NETWORK_SEED, acc_bits: int = 0
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.word_bits, self.shape = word_bits, shape
        self.acc_bits = acc_bits or ACC_BITS[word_bits]
        self.layers: list[QLayer] = []
        self.last = INPUT
        self.shapes = {INPUT: shape}

    def images(self, count: int) -> np.ndarray:
        """Random input over the whole range of the word."""
        top = 1 << (self.word_bits - 1)
        return self.rng.integers(-top, top, (count, *self.shape), np.int64)

    def _bound(self, kind: str, shape: tuple[int, int, int]) -> int | np.ndarray | None:
        top = 1 << (self.word_bits - 1)
        if kind == "layer":
            return int(self.rng.integers(top // 4, top))
        return self.rng.integers(0, top, shape, np.int64) if kind == "neuron" else None

    def conv(
        self,
        channels: int,
        kernel: Sides,
        stride: Sides = 1,
        padding: Pads = 0,
        activation: str = "relu",
        bound: str = "none",
        source: str | None = None,
        residual: str | None = None,
        lshift: int = 0,
    ) -> str:
        """Append a convolution and return its name; ``kernel`` 0 covers the whole input (fully connected)."""
        source = source or self.last
        shape = self.shapes[source]
        kernel = kernel or shape[1]
        out = (channels, *self._out_sides(shape, kernel, stride, padding))
        top = 1 << (self.word_bits - 1)
        weight = self.rng.integers(-top, top, (channels, shape[0], *pair(kernel)), np.int64)
        spread = self.word_bits - 1 + int(np.log2(shape[0] * math.prod(pair(kernel))) / 2)
        edge = min(top * top, 1 << (self.acc_bits - 1))
        bias = self.rng.integers(-edge, edge, channels, np.int64)
        shift = self.rng.integers(max(0, spread - 2), spread + 2, channels, np.int64)
        name = f"conv{len(self.layers)}"
        other = Residual(residual, lshift) if residual else None
        bounds = self._bound(bound, out)
        self._add(
            QLayer(name, "conv", source, shape, out, kernel, stride, padding, weight, bias, shift, activation,  # type: ignore[arg-type]
                   bounds, 0, other)
        )  # fmt: skip
        return name

    @staticmethod
    def _out_sides(shape: tuple[int, int, int], kernel: Sides, stride: Sides, padding: Pads) -> tuple[int, int]:
        top, left, bottom, right = pads(padding)
        (rows, cols), (down, across) = pair(kernel), pair(stride)
        return (shape[1] + top + bottom - rows) // down + 1, (shape[2] + left + right - cols) // across + 1

    def pool(self, kind: str, kernel: Sides, stride: Sides, padding: Pads = 0, source: str | None = None) -> str:
        """Append a pooling layer."""
        source = source or self.last
        channels, height, width = self.shapes[source]
        rows, cols = self._out_sides((channels, height, width), kernel, stride, padding)
        bits = (math.prod(pair(kernel)) - 1).bit_length() if kind == "avgpool" else 0
        zero = np.zeros(channels, np.int64)
        name = f"{kind}{len(self.layers)}"
        self._add(
            QLayer(name, kind, source, (channels, height, width), (channels, rows, cols), kernel, stride,  # type: ignore[arg-type]
                   padding, None, zero, zero + bits, "linear", None, 0)
        )  # fmt: skip
        return name

    def _add(self, layer: QLayer) -> None:
        self.layers.append(layer)
        self.shapes[layer.name] = layer.out_shape
        self.last = layer.name

    def replace_last(self, **changes: object) -> None:
        """Change fields of the layer added last."""
        self.layers[-1] = replace(self.layers[-1], **changes)  # type: ignore[arg-type]

    def network(self, name: str = "random") -> QNetwork:
        """The network so far."""
        return QNetwork(name, "test", self.word_bits, self.acc_bits, self.shape, 0, tuple(self.layers))


def alexnet(bound: str = "neuron", word_bits: int = 8) -> NetworkBuilder:
    """AlexNet for 32x32 images with random weights."""
    act = "clip" if bound != "none" else "relu"
    b = NetworkBuilder((3, 32, 32), word_bits)
    for channels, pooled in ((64, True), (128, True), (256, False), (192, False), (192, True)):
        b.conv(channels, 3, 1, 1, act, bound)
        if pooled:
            b.pool("maxpool", 2, 2)
    b.conv(512, 0, activation=act, bound=bound)
    b.conv(512, 0, activation=act, bound=bound)
    b.conv(10, 0, activation="linear")
    return b


def vgg16(bound: str = "neuron") -> NetworkBuilder:
    """VGG16 for 32x32 images with random weights."""
    act = "clip" if bound != "none" else "relu"
    b = NetworkBuilder((3, 32, 32))
    for width, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(repeats):
            b.conv(width, 3, 1, 1, act, bound)
        b.pool("maxpool", 2, 2)
    b.conv(512, 0, activation=act, bound=bound)
    b.conv(512, 0, activation=act, bound=bound)
    b.conv(10, 0, activation="linear")
    return b


def resnet(
    bound: str = "neuron",
    plan: tuple[tuple[int, int, int], ...] = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)),
    word_bits: int = 8,
    size: int = 32,
) -> NetworkBuilder:
    """ResNet50 (bottlenecks, 3x3 stem) with random weights; ``plan``: (width, blocks, stride) per stage."""
    act = "clip" if bound != "none" else "relu"
    b = NetworkBuilder((3, size, size), word_bits)
    b.conv(plan[0][0], 3, 1, 1, act, bound)
    for width, repeats, first_stride in plan:
        for index in range(repeats):
            entry, stride = b.last, first_stride if index == 0 else 1
            skip = entry
            if stride != 1 or b.shapes[entry][0] != 4 * width:
                skip = b.conv(4 * width, 1, stride, activation="linear", source=entry)
            b.conv(width, 1, activation=act, bound=bound, source=entry)
            b.conv(width, 3, stride, 1, act, bound)
            b.conv(4 * width, 1, activation=act, bound=bound, residual=skip, lshift=word_bits - 1)
    b.pool("avgpool", b.shapes[b.last][1], 1)
    b.conv(10, 0, activation="linear")
    return b
