"""Random layers and small networks on random machines: every layer's output equals the reference."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fitact_hw.config import AcceleratorConfig, BoundFormat, Granularity
from tests.compiler.checking import check_program, fitted_to
from tests.compiler.reference import NetworkBuilder
from tests.compiler.strategies import sides_for, windows

FAST = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
CHAINS = settings(FAST, max_examples=50)


@st.composite
def machines(draw: st.DrawFn, kernel: int) -> AcceleratorConfig:
    """Any array side, word and bus; buffers from the least that this kernel needs to the default."""
    side = draw(st.sampled_from([2, 3, 4, 7, 16, 32]))
    values = {
        "rows": side,
        "cols": side,
        "word_bits": draw(st.sampled_from([8, 16, 32])),
        "acc_bits": draw(st.sampled_from([0, 0, 32, 48, 64])),
        "bus_bits": draw(st.sampled_from([32, 128, 512])),
        "queue_depth": draw(st.integers(2, 5)),
        "bounds": draw(
            st.sampled_from([Granularity.NEURON, Granularity.NEURON, Granularity.PATCH, Granularity.CHANNEL])
        ),
        "bound_format": draw(st.sampled_from(list(BoundFormat))),
    }
    if draw(st.booleans()):
        # a tile of 2x2 pixels that share a bound, at stride 3, and as many residual words
        least = 4 * (kernel + 3) + 4 if values["bounds"] is Granularity.PATCH else 16
        values |= {
            "activation_words": draw(st.integers(least, 90)),
            "weight_words": side * draw(st.integers(max(2, kernel + 1), 3 * kernel + 4)),
            "bias_words": draw(st.integers(2, 5)),
            "bound_words": draw(st.integers(2, 30)),
            "accumulator_words": draw(st.integers(8, 40)),
            "output_words": draw(st.integers(8, 60)),
        }
    return AcceleratorConfig.create(**values)


@st.composite
def activations(draw: st.DrawFn) -> tuple[str, str]:
    """An activation and the granularity of its bound."""
    activation = draw(st.sampled_from(["linear", "relu", "clip", "saturate"]))
    bounded = activation in ("clip", "saturate")
    return activation, draw(st.sampled_from(["layer", "neuron"])) if bounded else "none"


@FAST
@given(data=st.data(), seed=st.integers(0, 2**16))
def test_one_convolution_is_exact(data: st.DataObject, seed: int) -> None:
    kernel, stride, padding = data.draw(windows())
    config = data.draw(machines(max(kernel)))
    shape = (data.draw(st.integers(1, 19)), *data.draw(sides_for(kernel, padding)))
    builder = NetworkBuilder(shape, config.word_bits, seed, config.acc_bits)
    activation, bound = data.draw(activations())
    builder.conv(data.draw(st.integers(1, 19)), kernel, stride, padding, activation, bound)
    check_program(fitted_to(builder.network(), config), config, builder.images(data.draw(st.integers(1, 3))))


@FAST
@given(data=st.data(), seed=st.integers(0, 2**16), kind=st.sampled_from(["maxpool", "avgpool"]))
def test_one_pool_is_exact(data: st.DataObject, seed: int, kind: str) -> None:
    kernel, stride, padding = data.draw(windows())
    config = data.draw(machines(max(kernel)))
    shape = (data.draw(st.integers(1, 9)), *data.draw(sides_for(kernel, padding)))
    builder = NetworkBuilder(shape, config.word_bits, seed, config.acc_bits)
    builder.conv(data.draw(st.integers(1, 19)), 1, activation="relu")
    builder.pool(kind, kernel, stride, padding)
    check_program(fitted_to(builder.network(), config), config, builder.images(data.draw(st.integers(1, 3))))


@CHAINS
@given(data=st.data(), seed=st.integers(0, 2**16))
def test_a_small_network_is_exact(data: st.DataObject, seed: int) -> None:
    config = data.draw(machines(3))
    side = data.draw(st.integers(5, 9))
    builder = NetworkBuilder((data.draw(st.integers(1, 5)), side, side), config.word_bits, seed, config.acc_bits)
    entry = builder.conv(data.draw(st.integers(2, 10)), 3, 1, 1, *data.draw(activations()))
    for _ in range(data.draw(st.integers(1, 3))):
        channels = builder.shapes[entry][0]
        activation, bound = data.draw(activations())
        step = data.draw(st.sampled_from(["conv", "residual", "maxpool", "padded maxpool", "avgpool"]))
        if step == "conv":
            builder.conv(data.draw(st.integers(1, 10)), 3, 1, 1, activation, bound)
        elif step == "residual":
            builder.conv(channels, 1, 1, 0, activation, bound)
            builder.conv(channels, 3, 1, 1, activation, bound, residual=entry, lshift=data.draw(st.integers(0, 9)))
        elif step == "padded maxpool":
            builder.conv(channels, 1, activation="relu")
            builder.pool("maxpool", 3, 2, 1)
        else:
            builder.pool(step, 2, data.draw(st.integers(1, 2)))
        entry = builder.last
        if min(builder.shapes[entry][1:]) < 3:
            break
    rows, cols = builder.shapes[builder.last][1:]
    if rows <= 3 and rows == cols:
        builder.conv(data.draw(st.integers(1, 9)), 0, activation="linear")
    check_program(fitted_to(builder.network(), config), config, builder.images(data.draw(st.integers(1, 3))))
