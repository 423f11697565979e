"""Hypothesis strategies: small quantised layers of every kind, with values of any size."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from golden.qnetwork import ACC_BITS, Activation, LayerKind, QLayer, Residual

KINDS: list[LayerKind] = ["conv", "conv", "maxpool", "avgpool"]
ACTIVATIONS: list[Activation] = ["linear", "relu", "clip", "saturate"]


def integers(shape: tuple[int, ...], bits: int) -> st.SearchStrategy[np.ndarray]:
    """int64 arrays of two's complement numbers of ``bits``: small, any, or at the ends of the range."""
    top = (1 << (bits - 1)) - 1

    def build(args: tuple[int, str]) -> np.ndarray:
        seed, style = args
        rng = np.random.default_rng(seed)
        if style == "small":
            return rng.integers(-5, 6, shape)
        if style == "ends":
            return rng.choice(np.array([-top - 1, -top, -1, 0, 1, top]), shape)
        if style == "one":  # a single huge value among small ones, as after one upset
            values = rng.integers(-5, 6, shape)
            if values.size:
                values.flat[int(rng.integers(values.size))] = -top - 1
            return values
        return rng.integers(-top - 1, top, shape, endpoint=True)

    return st.tuples(st.integers(0, 2**32 - 1), st.sampled_from(["small", "any", "ends", "one"])).map(build)


@st.composite
def layers(draw: st.DrawFn) -> tuple[QLayer, np.ndarray, np.ndarray | None, int]:
    """(layer, images int64 (batch, channels, rows, columns), residual operand or None, word_bits)."""
    word_bits = draw(st.sampled_from([8, 16, 32]))
    acc_bits = ACC_BITS[word_bits]
    kind = draw(st.sampled_from(KINDS))
    kernel = draw(st.integers(1, 3))
    stride = draw(st.integers(1, 3))
    padding = draw(st.integers(0, kernel - 1))
    channels_in = draw(st.integers(1, 3))
    channels = draw(st.integers(1, 3)) if kind == "conv" else channels_in
    side = draw(st.integers(max(1, kernel - padding), 4))
    out_side = (side + 2 * padding - kernel) // stride + 1
    out_shape = (channels, out_side, out_side)
    activation = draw(st.sampled_from(ACTIVATIONS))
    bound: int | np.ndarray | None = None
    if activation in ("clip", "saturate"):
        # a fault may have made a stored bound negative
        neurons = draw(integers(out_shape, word_bits))
        bound = neurons if draw(st.booleans()) else int(neurons.flat[0])
    batch = draw(st.integers(1, 2))
    residual, operand = None, None
    if draw(st.booleans()):
        residual = Residual("other", draw(st.integers(0, 63)))
        operand = draw(integers((batch, *out_shape), word_bits))
    shift = draw(
        st.lists(st.one_of(st.sampled_from([0, 1, 63]), st.integers(0, 63)), min_size=channels, max_size=channels)
    )
    layer = QLayer(
        name="layer",
        kind=kind,
        source="input",
        in_shape=(channels_in, side, side),
        out_shape=out_shape,
        kernel=kernel,
        stride=stride,
        padding=padding,
        weight=draw(integers((channels, channels_in, kernel, kernel), word_bits)) if kind == "conv" else None,
        bias=draw(integers((channels,), acc_bits)),
        shift=np.array(shift, dtype=np.int64),
        activation=activation,
        bound=bound,
        frac_out=0,
        residual=residual,
    )
    return layer, draw(integers((batch, channels_in, side, side), word_bits)), operand, word_bits
