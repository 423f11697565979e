"""ONNX files of every form: what they declare, how they keep their data, and what is wrong with them."""

from __future__ import annotations

import copy
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from golden.errors import GoldenError, UnsupportedError
from golden.frontend.lowering import import_network, lower, lower_network
from golden.frontend.network import GraphNetwork
from golden.frontend.onnx.network import OnnxNetwork
from tests.golden.agreement import agree, normal
from tests.golden.onnx_graphs import (
    IMAGE,
    Drawn,
    ModelProto,
    TensorProto,
    helper,
    model,
    node,
    numpy_helper,
    onnx,
    saved,
)

w = Drawn(3)
WEIGHTS = {"conv.weight": w(4, 3, 3, 3), "conv.bias": w(4), "fc.weight": w(5, 256), "fc.bias": w(5)}
NODES = [
    node("Conv", "x conv.weight conv.bias", "a", pads=[1, 1, 1, 1]),
    node("Relu", "a", "b"),
    node("Flatten", "b", "f"),
    node("Gemm", "f fc.weight fc.bias", "y", transB=1),
]


def small(shape: Sequence[Any] = ("n", *IMAGE), **options: Any) -> ModelProto:
    return model(NODES, WEIGHTS, shape, **options)


def read(made: ModelProto, folder: Path, shape: tuple[int, ...] = IMAGE) -> GraphNetwork:
    return import_network(OnnxNetwork(saved(made, folder)), shape)


def same(a: GraphNetwork, b: GraphNetwork, shape: tuple[int, ...] = IMAGE) -> None:
    """Two networks give the same, to the last bit of float64."""
    x = torch.from_numpy(normal(shape))
    assert torch.equal(a.double()(x), b.double()(x))


def test_parameters_are_the_files(tmp_path: Path) -> None:
    network = read(small(), tmp_path)
    assert network.graph.activations == ("b",)
    assert [op.tensors for op in network.graph.ops if op.kind == "conv"] == [
        {"weight": "conv/weight", "bias": "conv/bias"},
        {"weight": "fc/weight", "bias": "fc/bias"},
    ]
    assert torch.equal(network.tensor("conv/weight"), torch.from_numpy(WEIGHTS["conv.weight"]))
    agree(OnnxNetwork(tmp_path / "net.onnx"), IMAGE, words=(8,))


def test_names_that_are_nothing_for_python(tmp_path: Path) -> None:
    weights = {"graph": w(4, 3, 1, 1), "forward": w(4, 4, 1, 1), "a.b": w(4), "a": w(5, 4, 1, 1)}
    nodes = [
        node("Conv", "x graph a.b", "1", name="graph"),
        node("Relu", "1", "2", name="input"),
        node("Conv", "2 forward", "3", name="forward"),
        node("Relu", "3", "4", name="a.b"),
        node("Relu", "4", "5", name="a"),
        node("Relu", "5", "6", name="a"),
        node("Conv", "6 a", "y", name="..."),
    ]
    network = OnnxNetwork(saved(model(nodes, weights), tmp_path))
    agree(network, IMAGE, words=(16,))
    assert import_network(network, IMAGE).graph.activations == ("input#2", "a/b#2", "a", "a#2")


def test_a_batch_of_one_size(tmp_path: Path) -> None:
    nodes = [*NODES[:2], node("Reshape", "b s", "f"), NODES[3]]
    expected = read(small(), tmp_path)
    for batch in (1, 2, 3):
        made = model(nodes, {**WEIGHTS, "s": np.array([batch, -1])}, (batch, *IMAGE))
        network = OnnxNetwork(saved(made, tmp_path))
        assert network(torch.from_numpy(normal(IMAGE, 5)).float()).shape == (5, 5)
        same(import_network(network, IMAGE), expected)
    squeezed = [*nodes[:3], node("Gemm", "f fc.weight fc.bias", "z", transB=1), node("Squeeze", "z", "y")]
    made = model(squeezed, {**WEIGHTS, "s": np.array([1, 256])}, (1, *IMAGE))
    same(read(made, tmp_path), expected)


def test_what_is_not_declared(tmp_path: Path) -> None:
    expected = read(small(), tmp_path)
    for shape in ((None, None, None, None), ("n", 3, "rows", "columns")):
        same(read(small(shape), tmp_path), expected)
    made = small()
    made.graph.input[0].type.tensor_type.ClearField("shape")
    same(read(made, tmp_path), expected)


def test_other_types(tmp_path: Path) -> None:
    expected = read(small(), tmp_path)
    double = {name: array.astype(np.float64) for name, array in WEIGHTS.items()}
    network = OnnxNetwork(saved(model(NODES, double, kind=TensorProto.DOUBLE), tmp_path))
    assert network.kind.dtype == torch.float64
    same(import_network(network, IMAGE), expected)
    half = {name: array.astype(np.float16) for name, array in WEIGHTS.items()}
    wide = {name: array.astype(np.float32) for name, array in half.items()}
    same(read(model(NODES, half, kind=TensorProto.FLOAT16), tmp_path), read(model(NODES, wide), tmp_path))
    cast = [
        node("Cast", "x", "c", to=TensorProto.FLOAT),
        node("Conv", "c " + " ".join(NODES[0].input[1:]), "a"),
        *NODES[1:],
    ]
    cast[1].attribute.extend(NODES[0].attribute)
    same(read(model(cast, WEIGHTS, kind=TensorProto.FLOAT16), tmp_path), expected)


def test_a_copy_in_float64(tmp_path: Path) -> None:
    nodes = [
        node("Constant", "", "half", value_float=0.1),
        node("Mul", "x half", "h"),
        node("Conv", "h conv.weight conv.bias", "a", pads=[1, 1, 1, 1]),
        *NODES[1:],
    ]
    network = OnnxNetwork(saved(model(nodes, WEIGHTS), tmp_path))
    x = torch.from_numpy(normal(IMAGE))
    single, double = network(x.float()), copy.deepcopy(network).double()(x)
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    assert torch.allclose(single.double(), double, atol=1e-5)
    assert not torch.equal(single.double(), double)


def test_channels_last(tmp_path: Path) -> None:
    first = node("Transpose", "x", "t", perm=[0, 3, 1, 2])
    nodes = [first, node("Conv", "t " + " ".join(NODES[0].input[1:]), "a", pads=[1, 1, 1, 1]), *NODES[1:]]
    expected = read(small(), tmp_path)
    for shape in ((None, 8, 8, 3), (1, 8, 8, 3), (None, None, None, None)):
        network = OnnxNetwork(saved(model(nodes, WEIGHTS, shape), tmp_path))
        same(import_network(network, IMAGE), expected)
        x = torch.from_numpy(normal(IMAGE)).float()
        assert torch.allclose(network(x), expected.float()(x), atol=1e-5)
    network = OnnxNetwork(saved(model(nodes, WEIGHTS, (None, 8, 8, 3)), tmp_path))
    with pytest.raises(GoldenError, match=r"takes channels last and moves them: give images with channels first"):
        lower(network, (8, 8, 3))
    with pytest.raises(GoldenError, match=r"takes images of 8x8x3 \(channels first: 3x8x8\), not 3x9x9"):
        lower(network, (3, 9, 9))


def test_initialisers_that_are_inputs_too(tmp_path: Path) -> None:
    made = small(opset=9)
    for name, array in WEIGHTS.items():
        made.graph.input.insert(0, helper.make_tensor_value_info(name, 1, array.shape))
    same(read(made, tmp_path), read(small(), tmp_path))


def test_data_in_a_file_of_its_own(tmp_path: Path) -> None:
    expected = read(small(), tmp_path)
    path = tmp_path / "apart" / "net.onnx"
    path.parent.mkdir()
    onnx.save(small(), path, save_as_external_data=True, location="data.bin", size_threshold=0)
    same(import_network(OnnxNetwork(path), IMAGE), expected)
    (path.parent / "data.bin").unlink()
    with pytest.raises(UnsupportedError, match=r"net.onnx is no network of ONNX: .*data.bin"):
        OnnxNetwork(path)


def test_sparse_data_and_functions(tmp_path: Path) -> None:
    expected = read(small(), tmp_path)
    made = small()
    for index, tensor in enumerate(made.graph.initializer):
        if tensor.name == "fc.weight":
            array = numpy_helper.to_array(tensor)
            values = numpy_helper.from_array(array.ravel(), "fc.weight")
            places = numpy_helper.from_array(np.arange(array.size), "places")
            made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, list(array.shape)))
            del made.graph.initializer[index]
            break
    same(read(made, tmp_path), expected)
    nodes = [node("Layer", "x conv.weight conv.bias", "b", domain="mine"), *NODES[2:]]
    made = model(nodes, WEIGHTS, domains=["mine"])
    opsets = [helper.make_opsetid("", 18)]
    made.functions.append(
        helper.make_function("mine", "Layer", ["u", "v", "w"], ["r"], [
            node("Conv", "u v w", "c", pads=[1, 1, 1, 1]),
            node("Relu", "c", "r"),
        ], opsets)
    )  # fmt: skip
    same(read(made, tmp_path), expected)


def test_an_operator_set_of_old(tmp_path: Path) -> None:
    """Before 7 an addition said how it broadcasts; onnx converts such files."""
    nodes = [*NODES[:3], node("MatMul", "f fc.weight", "m"), node("Add", "m fc.bias", "y", broadcast=1, axis=1)]
    weights = {**WEIGHTS, "fc.weight": WEIGHTS["fc.weight"].T.copy()}
    made = model(nodes, weights, opset=6)
    made.ir_version = 3
    for name, array in weights.items():
        made.graph.input.append(helper.make_tensor_value_info(name, 1, array.shape))
    same(read(made, tmp_path), read(small(), tmp_path))
    with pytest.raises(UnsupportedError, match=r"net.onnx has operator set 99, onnx .* knows \d+: upgrade onnx"):
        OnnxNetwork(saved(small(opset=99), tmp_path))


def test_where_it_came_from(tmp_path: Path) -> None:
    network = OnnxNetwork(saved(small(), tmp_path))
    assert network.origin == {
        "file": "net.onnx",
        "sha256": hashlib.sha256((tmp_path / "net.onnx").read_bytes()).hexdigest(),
        "producer": "a test",
        "operator_sets": "ai.onnx 18",
    }
    assert import_network(network, IMAGE).graph.name == "net.onnx"


def image(name: str, kind: int = 1, shape: Sequence[Any] = ("n", *IMAGE)) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))


def test_files_that_do_not_do(tmp_path: Path) -> None:
    two = small()
    two.graph.input.append(image("mask"))
    none = small()
    none.graph.input.pop()
    both = small()
    both.graph.output.append(image("b"))
    numbers = small(kind=TensorProto.INT64)
    flat = small(shape=())
    deep = small(shape=(1, 3, 8, 8, 8))
    cut = small()
    cut.graph.node[0].input[1] = "gone"
    foreign = small()
    foreign.graph.node[1].op_type = "Rellu"
    for made, line in (
        (two, r"net.onnx takes 2 tensors \(x, mask\): one is supported"),
        (none, r"takes 0 tensors \(none\)|no network of ONNX"),
        (both, r"net.onnx returns 2 tensors \(y, b\): one is supported; onnx.utils.extract_model"),
        (numbers, r"net.onnx takes x as int64: floating-point images are supported"),
        (flat, r"net.onnx takes x of 0 dimensions"),
        (deep, r"net.onnx takes x of 5 dimensions"),
        (cut, r"net.onnx is no network of ONNX: .*gone"),
        (foreign, r"net.onnx is no network of ONNX: No Op registered for Rellu"),
    ):
        with pytest.raises(UnsupportedError, match=line) as caught:
            OnnxNetwork(saved(made, tmp_path))
        assert "\n" not in str(caught.value)
    for data in (b"", b"nothing", bytes(range(256)), (tmp_path / "net.onnx").read_bytes()[:200]):
        (tmp_path / "bad.onnx").write_bytes(data)
        with pytest.raises(UnsupportedError, match=r"bad.onnx (is no network of ONNX|takes 0 tensors)") as caught:
            OnnxNetwork(tmp_path / "bad.onnx")
        assert "\n" not in str(caught.value)


def test_images_and_weights_that_do_not_do(tmp_path: Path) -> None:
    network = OnnxNetwork(saved(small(), tmp_path))
    for shape, line in (
        ((1, 8, 8), "net.onnx takes images of 3x8x8, not 1x8x8"),
        ((192,), "net.onnx takes images of 3x8x8, not 192"),
    ):
        with pytest.raises(GoldenError, match=line):
            lower(network, shape)
    open_size = OnnxNetwork(saved(small(("n", 3, None, None)), tmp_path))
    with pytest.raises(
        UnsupportedError, match=r"Gemm on operands of other shapes than it takes .* \(y, net.onnx node 3\)"
    ):
        lower(open_size, (3, 9, 9))
    broken = {**WEIGHTS, "fc.weight": np.full((5, 256), np.nan, np.float32)}
    with pytest.raises(GoldenError, match=r"layer fc1 \(y\) has a weight that is NaN or infinite"):
        lower_network(read(model(NODES, broken), tmp_path))


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(small(), tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        UnsupportedError, match=r"net.onnx needs the package onnx: pip install 'fitact-testbed\[onnx\]'"
    ):
        OnnxNetwork(path)
