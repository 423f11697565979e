"""What cannot be compiled is refused in one line that names the layer and the fix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fitact_hw.compiler import compile_network
from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import CompileError
from golden.qnetwork import Residual
from tests.compiler.checking import check_program
from tests.compiler.reference import NetworkBuilder

DEFAULT = AcceleratorConfig.create()


def _builder(act: str = "clip", granularity: str = "neuron", **changes: object) -> NetworkBuilder:
    builder = NetworkBuilder((3, 6, 6))
    builder.conv(5, 3, 1, 1, act, granularity)
    if changes:
        builder.replace_last(**changes)
    return builder


def _after(change: Callable[[NetworkBuilder], object], activation: str = "linear") -> NetworkBuilder:
    builder = _builder(activation, "none")
    change(builder)
    return builder


def _pools(b: NetworkBuilder, bias: int = 0) -> None:
    """Two max pools, the second one padded, the first one with a bias in one channel."""
    b.pool("maxpool", 2, 2)
    b.replace_last(bias=np.array([0, 0, bias, 0, 5]))
    b.pool("maxpool", 2, 1, 1)


def _pool_with_residual(b: NetworkBuilder) -> None:
    """Sums of what is not negative and of what may be, padded."""
    b.conv(5, 1, activation="linear")
    b.pool("avgpool", 1, 1, source="conv0")
    b.replace_last(residual=Residual("conv1", 0))
    b.pool("maxpool", 2, 1, 1)


def _max_with_residual(b: NetworkBuilder) -> None:
    b.pool("maxpool", 1, 1)
    b.replace_last(residual=Residual("conv0", 0))


BIG = np.full(5, 1 << 31)
CASES: list[tuple[NetworkBuilder, dict[str, object], str]] = [
    (_builder(granularity="layer"), {"bounds": "none"}, "layer 'conv0'.*needs bound hardware.*bounds=layer"),
    (
        _builder(granularity="neuron"),
        {"bounds": "layer"},
        "layer 'conv0'.*one bound per neuron.*bounds=neuron",
    ),
    (_builder(granularity="neuron"), {"bounds": "none"}, "layer 'conv0'.*needs bound hardware"),
    (_builder(bound=-1), {}, "layer 'conv0'.*bound -1 is negative"),
    (_builder(bound=np.full((5, 6, 6), -3)), {}, "layer 'conv0'.*bound -3 is negative"),
    (_builder(bound=np.where(np.arange(180).reshape(5, 6, 6) == 99, -3, 7)), {}, "layer 'conv0'.*bound -3 is negative"),
    (_builder(bound=128), {}, "layer 'conv0'.*bound 128 does not fit 8 bits"),
    (_builder(bound=np.zeros((5, 6, 5), np.int64)), {}, r"layer 'conv0'.*bound has shape \(5, 6, 5\)"),
    (_builder(bound=None), {}, "layer 'conv0'.*needs a bound"),
    (_builder("relu", "layer"), {}, "layer 'conv0'.*takes no bound"),
    (_builder(activation="tanh"), {}, "layer 'conv0'.*'tanh' is not supported"),
    (_builder(bias=BIG), {}, "layer 'conv0'.*bias does not fit the accumulator's 32 bits"),
    (_builder(bias=-BIG - 1), {}, "layer 'conv0'.*bias does not fit"),
    (_builder(shift=np.full(5, 64)), {}, "layer 'conv0'.*every shift must be 0 to 63"),
    (_builder(shift=np.zeros(4, np.int64)), {}, "layer 'conv0'.*shift has shape"),
    (_builder(weight=np.full((5, 3, 3, 3), 128)), {}, "layer 'conv0'.*weight does not fit 8 bits"),
    (_builder(weight=np.zeros((5, 3, 3, 2), np.int64)), {}, "layer 'conv0'.*weight has shape"),
    (_builder(weight=None), {}, "layer 'conv0'.*a conv needs a weight"),
    (_builder(kind="softmax"), {}, "layer 'conv0'.*'softmax' is not supported"),
    (_builder(source="nowhere"), {}, "layer 'conv0'.*'nowhere' is not an earlier layer"),
    (_builder(out_shape=(5, 6, 5)), {}, "layer 'conv0'.*does not follow from its input"),
    (_builder(stride=0), {}, "layer 'conv0'.*stride 0 must be 1 to 255"),
    (_builder(padding=256), {}, "layer 'conv0'.*padding 256 must be 0 to 255"),
    (_builder(residual=Residual("input", 0)), {}, "layer 'conv0'.*expects .* from 'input'"),
    (_after(lambda b: b.pool("maxpool", 3, 2, 1)), {}, "layer 'maxpool1'.*may be negative.*ReLU"),
    (_after(lambda b: _pools(b, bias=-1), "relu"), {}, "layer 'maxpool2'.*input 'maxpool1' may be negative"),
    (_after(lambda b: _pools(b), "linear"), {}, "layer 'maxpool2'.*input 'maxpool1' may be negative"),
    (_after(_pool_with_residual, "relu"), {}, "layer 'maxpool3'.*input 'avgpool2' may be negative"),
    (_after(_max_with_residual, "relu"), {}, "layer 'maxpool1'.*a maxpool cannot have a residual operand"),
    (_after(lambda b: b.replace_last(in_shape=(4, 6, 6))), {}, "layer 'conv0'.*expects .* from 'input'"),
    (_after(lambda b: b.conv(5, 1, residual="conv0", lshift=64)), {}, "layer 'conv1'.*lshift 64"),
    (_builder(), {"word_bits": 16}, "word_bits=8 but the machine has 16"),
    (_builder(), {"acc_bits": 48}, "acc_bits=32 but the machine has 48"),
]


@pytest.mark.parametrize(("builder", "machine", "message"), CASES, ids=[case[2][:60] for case in CASES])
def test_refused(builder: NetworkBuilder, machine: dict[str, object], message: str) -> None:
    with pytest.raises(CompileError, match=message) as caught:
        compile_network(builder.network(), AcceleratorConfig.create(**machine), 1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("images", [0, -1])
def test_no_images_are_refused(images: int) -> None:
    with pytest.raises(CompileError, match="at least one image"):
        compile_network(_builder().network(), DEFAULT, images)


def test_an_empty_network_is_refused() -> None:
    with pytest.raises(CompileError, match="has no layers"):
        compile_network(replace(_builder().network(), layers=()), DEFAULT, 1)


def test_a_name_used_twice_is_refused() -> None:
    qnet = _builder().network()
    with pytest.raises(CompileError, match="'conv0' appears twice"):
        compile_network(replace(qnet, layers=qnet.layers * 2), DEFAULT, 1)


@pytest.mark.parametrize("name", ["activation_words", "weight_words"])
@pytest.mark.parametrize("residual", [False, True])
def test_the_least_depth_named_is_enough(name: str, residual: bool) -> None:
    """The refusal's number is exact: one word less is refused, the number itself compiles and is right."""
    builder = NetworkBuilder((3, 7, 7))
    builder.conv(3, 1, 1, 0, "clip", "neuron")
    builder.conv(3, 9, 1, 4, "clip", "neuron", residual="conv0" if residual else None)
    least = {"activation_words": 18 + residual, "weight_words": 2 * (9 + residual)}[name]
    machine = {"rows": 2, "cols": 2, "bound_words": 8, "accumulator_words": 8}
    with pytest.raises(CompileError, match=f"layer 'conv1'.*{name}={least - 1} must be at least {least}$"):
        compile_network(builder.network(), AcceleratorConfig.create(**machine, **{name: least - 1}), 1)
    check_program(builder.network(), AcceleratorConfig.create(**machine, **{name: least}), builder.images(1))


@pytest.mark.parametrize("bias", [0, 3])
def test_padded_pools_of_what_is_not_negative_are_right(bias: int) -> None:
    builder = _builder("relu", "none")
    _pools(builder, bias)
    check_program(builder.network(), DEFAULT, builder.images(2))


@pytest.mark.parametrize(("word_bits", "activation"), [(8, "linear"), (16, "relu")])
def test_average_pools_with_a_residual_operand_are_right(word_bits: int, activation: str) -> None:
    """Bias, shift, activation and a shifted second operand behind the sum of a pool."""
    builder = NetworkBuilder((3, 6, 6), word_bits)
    builder.conv(5, 3, 1, 1, "relu")
    builder.conv(5, 2, 1, 0, "linear", source="conv0")
    builder.pool("avgpool", 2, 1, source="conv0")
    builder.replace_last(residual=Residual("conv1", 2), bias=np.array([-300, 7, 0, 999, -1]), activation=activation)
    machine = AcceleratorConfig.create(rows=4, cols=4, word_bits=word_bits)
    check_program(builder.network(), machine, builder.images(2))
