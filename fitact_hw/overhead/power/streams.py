"""Operands that PEs and lanes really see: pixel runs of a network's convolutions, weight-stationary.

Every stream is one PE, or one lane, over consecutive output pixels: a layer drawn by its share of the work, an output
channel, a place in the array and a first pixel. Pixels go row by row and from image to image, as in a tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from golden.qnetwork import INPUT, QLayer, QNetwork
from golden.reference import epilogue, round_shift, run, wrap

Stimulus = dict[str, np.ndarray]
"""Integers by port name, int64 (cycles, streams)."""


@dataclass(frozen=True)
class Streams:
    """Stimulus of a block, the values that one of its outputs must have, and the cycle of the first one.

    ``expected``: int64 (cycles, streams) at output ``output`` from cycle ``latency`` on; toggles before ``start``
    belong to the preparation.
    """

    stimulus: Stimulus
    output: str
    expected: np.ndarray
    latency: int
    start: int


class Operands:
    """Draws streams from one quantised network and some images. ``rows`` of the array, ``cycles`` of each stream."""

    def __init__(self, qnet: QNetwork, images: np.ndarray, rows: int, cycles: int) -> None:
        self.qnet, self.rows, self.cycles = qnet, rows, cycles
        self._trace = run(qnet, images)
        self.layers = [layer for layer in qnet.layers if self._usable(layer, len(images))]
        self.covered = sum(layer.macs for layer in self.layers) / qnet.macs

    def _usable(self, layer: QLayer, images: int) -> bool:
        """Convolutions that fill the rows and have a long enough run of pixels, and no residual operand."""
        pixels = images * layer.out_shape[1] * layer.out_shape[2]
        return (
            layer.weight is not None
            and layer.residual is None
            and layer.in_shape[0] % self.rows == 0
            and pixels >= self.cycles
            and layer.rows.kernel < layer.in_shape[1]
        )

    def _draw(self, rng: np.random.Generator, work: Sequence[float]) -> tuple[QLayer, int, int]:
        """A layer in proportion to ``work``, an output channel and a first pixel."""
        layer = self.layers[rng.choice(len(self.layers), p=np.array(work) / sum(work))]
        pixels = len(self._trace[INPUT]) * layer.out_shape[1] * layer.out_shape[2]
        return layer, int(rng.integers(layer.out_shape[0])), int(rng.integers(pixels - self.cycles + 1))

    def _pixels(self, layer: QLayer, first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Image, row and column of the output pixels of a run."""
        shape = (len(self._trace[INPUT]), *layer.out_shape[1:])
        image, row, column = np.unravel_index(np.arange(first, first + self.cycles), shape)
        return image, row, column

    def _seen(self, layer: QLayer, first: int, channels: slice, y: int, x: int) -> np.ndarray:
        """Input words (channels, cycles) that kernel position (y, x) meets; zeros beyond the edge."""
        image, row, column = self._pixels(layer, first)
        row = row * layer.rows.stride + y - layer.rows.before
        column = column * layer.columns.stride + x - layer.columns.before
        _, rows, columns = layer.in_shape
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        source = self._trace[layer.source]
        return np.where(inside, source[image, channels, row.clip(0, rows - 1), column.clip(0, columns - 1)].T, 0)

    def elements(self, count: int, seed: int) -> Streams:
        """``count`` PEs: a weight is loaded, swapped in, then activations and partial sums stream by."""
        rng = np.random.default_rng([seed, 0])
        act, psum = np.zeros((2, self.cycles + 2, count), np.int64)
        weights = np.zeros(count, np.int64)
        for stream in range(count):
            layer, k, first = self._draw(rng, [layer.macs for layer in self.layers])
            assert layer.weight is not None
            group, row = self.rows * int(rng.integers(layer.in_shape[0] // self.rows)), int(rng.integers(self.rows))
            y, x = (int(value) for value in rng.integers(layer.kernel, size=2))
            seen = self._seen(layer, first, slice(group, group + row + 1), y, x)
            above = layer.weight[k, group : group + row, y, x]
            act[2:, stream], psum[2:, stream] = seen[-1], above @ seen[:-1]
            weights[stream] = layer.weight[k, group + row, y, x]
        load, swap = np.zeros((2, *act.shape), np.int64)
        load[0] = swap[1] = 1
        weight = np.broadcast_to(weights, act.shape)
        stimulus = {"act_in": act, "psum_in": psum, "load_in": load, "swap_in": swap, "weight_in": weight}
        return Streams(stimulus, "psum_q", (psum + act * weights)[2:], 3, 2)

    def lanes(self, count: int, seed: int, last: bool) -> tuple[Streams, Streams]:
        """``count`` lanes on the ``last`` pass of a tile over the array, or on an earlier one: body and clamp.

        The body's expected output is the rounded value before the clamp, the clamp's the layer's output word (on the
        last pass; before it, what the clamp makes of the unfinished sum).
        """
        rng = np.random.default_rng([seed, 1 + last])
        shape = (self.cycles, count)
        ports = ("psum", "acc_data", "bias", "shift", "acc_op", "value", "bound", "out")
        of: Stimulus = {name: np.zeros(shape, np.int64) for name in ports}
        for stream in range(count):
            work = [float(np.prod(layer.out_shape)) if last else layer.macs for layer in self.layers]
            layer, k, first = self._draw(rng, work)
            passes = self._passes(layer, k, first)
            number = len(passes) - 1 if last else int(rng.integers(max(1, len(passes) - 1)))
            stored = passes[:number].sum(axis=0)
            total = wrap(stored + passes[number] + layer.bias[k], self.qnet.acc_bits)
            of["psum"][:, stream], of["acc_data"][:, stream] = passes[number], stored
            of["acc_op"][:, stream] = number > 0
            of["bias"][:, stream], of["shift"][:, stream] = layer.bias[k], layer.shift[k]
            of["value"][:, stream] = round_shift(total, np.array(layer.shift[k]))
            of["bound"][:, stream] = self._bounds(layer, k, first, last)
            of["out"][:, stream] = self._output(layer, of["value"][:, stream], of["bound"][:, stream])
        body = {name: of[name] for name in ("psum", "acc_data", "bias", "shift", "acc_op")}
        value = np.concatenate([of["value"][:1], of["value"]])
        clamp = {"value": value, "bound": np.concatenate([of["bound"], of["bound"][-1:]])}
        return Streams(body, "value", of["value"], 3, 2), Streams(clamp, "out_q", of["out"], 2, 1)

    def _passes(self, layer: QLayer, k: int, first: int) -> np.ndarray:
        """Partial sums of every pass (kernel position, rows of channels) over the array: (passes, cycles)."""
        assert layer.weight is not None
        everything = slice(None)
        passes = []
        for y in range(layer.rows.kernel):
            for x in range(layer.columns.kernel):
                products = layer.weight[k, :, y, x, None] * self._seen(layer, first, everything, y, x)
                passes.append(products.reshape(-1, self.rows, self.cycles).sum(axis=1))
        return np.concatenate(passes)

    def _bounds(self, layer: QLayer, k: int, first: int, last: bool) -> np.ndarray | int:
        """Bound word of each pixel; before the last pass the bound register holds one value."""
        if not isinstance(layer.bound, np.ndarray):
            return layer.bound or 0
        _, row, column = self._pixels(layer, first)
        bounds: np.ndarray = layer.bound[k, row, column]
        return bounds if last else int(bounds[0])

    def _output(self, layer: QLayer, value: np.ndarray, bound: np.ndarray) -> np.ndarray:
        """The layer's activation of rounded values (cycles,), by the golden epilogue: nothing left to add or shift."""
        plain = replace(
            layer,
            bias=np.zeros(1, np.int64),
            shift=np.zeros(1, np.int64),
            bound=None if layer.bound is None else bound.reshape(1, 1, -1),
            out_shape=(1, 1, len(value)),
        )
        return epilogue(plain, value.reshape(1, 1, 1, -1), self.qnet.acc_bits, self.qnet.word_bits).reshape(-1)
