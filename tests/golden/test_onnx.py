"""Graphs of ONNX as other programs spell them: exact and close to float, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from golden.errors import UnsupportedError
from golden.frontend.lowering import lower
from golden.frontend.onnx.network import OnnxNetwork
from tests.golden.agreement import agree, normal
from tests.golden.onnx_graphs import IMAGE, Drawn, ModelProto, TensorProto, helper, model, node, numpy_helper, saved

Nodes = list[Any]
w = Drawn()


def plain(last: Nodes, constants: dict[str, Any] | None = None, **options: Any) -> ModelProto:
    """A convolution that gives ``a`` (4x8x8, not negative), ``last``, and a layer of what it calls ``b``."""
    held = {"w1": w(4, 3, 3, 3), "b1": w(4), **(constants or {})}
    first = [node("Conv", "x w1 b1", "a0", pads=[1, 1, 1, 1], name="first"), node("Relu", "a0", "a")]
    return model([*first, *last], held, **options)


def mapped(last: Nodes, channels: int = 4, **held: Any) -> ModelProto:
    """The same with a 1x1 convolution at the end."""
    return plain([*last, node("Conv", "b w9", "y")], {"w9": w(5, channels, 1, 1), **held})


def vector(last: Nodes, features: int, **held: Any) -> ModelProto:
    """The same with a matrix product at the end."""
    return plain([*last, node("MatMul", "b w9", "y")], {"w9": w(features, 5).copy(), **held})


def bn(channels: int) -> dict[str, Any]:
    return {
        "g": w(channels, low=0.5, high=1.5),
        "h": w(channels),
        "m": w(channels),
        "v": w(channels, low=0.5, high=1.5),
    }


def constant(name: str, value: Any) -> Any:
    array = np.asarray(value)
    array = array if np.issubdtype(array.dtype, np.integer) else array.astype(np.float32)
    return node("Constant", "", name, value=numpy_helper.from_array(array))


def branch(kind: str, nodes: Nodes, output: str) -> Any:
    return helper.make_graph(nodes, kind, [], [helper.make_tensor_value_info(output, 1, None)])


RIGHT: dict[str, Callable[[], ModelProto]] = {
    # convolutions and products
    "groups, strides and dilation": lambda: mapped(
        [node("Conv", "a w2", "b", group=2, strides=[2, 1], dilations=[1, 2], pads=[1, 2, 1, 2])], 6, w2=w(6, 2, 3, 3)
    ),
    "depthwise": lambda: mapped([node("Conv", "a w2", "b", group=4, pads=[1, 1, 1, 1])], w2=w(4, 1, 3, 3)),
    "padding of each side": lambda: mapped([node("Conv", "a w2", "b", pads=[0, 1, 2, 3])], w2=w(4, 4, 3, 3)),
    "SAME_UPPER": lambda: mapped([node("Conv", "a w2", "b", auto_pad="SAME_UPPER", strides=[2, 2])], w2=w(4, 4, 3, 3)),
    "SAME_LOWER": lambda: mapped([node("Conv", "a w2", "b", auto_pad="SAME_LOWER", strides=[2, 2])], w2=w(4, 4, 3, 3)),
    "VALID": lambda: mapped([node("Conv", "a w2", "b", auto_pad="VALID", strides=[2, 3])], w2=w(4, 4, 2, 3)),
    "Gemm as a file of old has it": lambda: plain(
        [node("Flatten", "a", "f"), node("Gemm", "f w2 c", "y", alpha=0.5, beta=2.0)],
        {"w2": w(256, 5).copy() / 16, "c": w(1, 5, low=-0.5, high=0.5)},
    ),
    "Gemm with transB and one bias for all": lambda: plain(
        [node("Flatten", "a", "f"), node("Gemm", "f w2 c", "y", transB=1)], {"w2": w(5, 256), "c": np.float32(0.25)}
    ),
    "MatMul and Add": lambda: plain(
        [node("Flatten", "a", "f"), node("MatMul", "f w2", "p"), node("Add", "c p", "y")],
        {"w2": w(256, 5) / 8, "c": w(5)},
    ),
    "MatMul of a row": lambda: plain(
        [node("Reshape", "a s", "f"), node("MatMul", "f w2", "y")], {"w2": w(256, 5) / 8, "s": [0, 1, -1]}
    ),
    # activations
    "Clip 0 to 6": lambda: mapped(
        [node("Conv", "a w2", "p"), node("Clip", "p lo hi", "b")],
        w2=9 * w(4, 4, 1, 1),
        lo=np.float32(0),
        hi=np.float32(6),
    ),
    "Clip from 0 on": lambda: mapped(
        [node("Conv", "a w2", "p"), node("Clip", "p lo", "b")], w2=w(4, 4, 1, 1), lo=np.float32(0)
    ),
    "Min of Relu": lambda: mapped(
        [node("Conv", "a w2", "p"), node("Relu", "p", "q"), node("Min", "q hi", "b")],
        w2=9 * w(4, 4, 1, 1),
        hi=np.float32(2),
    ),
    "Max with 0": lambda: mapped(
        [node("Conv", "a w2", "p"), node("Max", "zero p", "b")], w2=w(4, 4, 1, 1), zero=np.float32(0)
    ),
    "LeakyRelu of slope 0": lambda: mapped(
        [node("Conv", "a w2", "p"), node("LeakyRelu", "p", "b", alpha=0.0)], w2=w(4, 4, 1, 1)
    ),
    # BatchNorm and arithmetic
    "BatchNormalization": lambda: mapped([node("BatchNormalization", "a g h m v", "b", epsilon=1e-3)], **bn(4)),
    "scale and shift by channel": lambda: mapped(
        [node("Mul", "a s", "p"), node("Sub", "p t", "q"), node("Div", "q d", "b")],
        s=w(1, 4, 1, 1),
        t=w(4, 1, 1, low=0, high=1),
        d=np.float32(0.5),
    ),
    "Sum of three, Mean of two": lambda: mapped(
        [node("Conv", "a w2", "p"), node("Sum", "a p a", "q"), node("Mean", "q p", "b")], w2=w(4, 4, 1, 1)
    ),
    "Neg and Sub": lambda: mapped(
        [node("Neg", "a", "n"), node("Conv", "n w2", "p"), node("Sub", "p a", "q"), node("Relu", "q", "b")],
        w2=w(4, 4, 1, 1),
    ),
    # pools
    "MaxPool with padding of each side": lambda: mapped(
        [node("MaxPool", "a", "b", kernel_shape=[3, 2], strides=[2, 1], pads=[0, 1, 2, 0])]
    ),
    "MaxPool, ceil_mode": lambda: mapped([node("MaxPool", "a", "b", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)]),
    "MaxPool, SAME_UPPER": lambda: mapped(
        [node("MaxPool", "a", "b", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")]
    ),
    "AveragePool over the padding": lambda: mapped(
        [node("AveragePool", "a", "b", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 0, 1], count_include_pad=1)]
    ),
    "AveragePool": lambda: mapped([node("AveragePool", "a", "b", kernel_shape=[2, 3], strides=[2, 1])]),
    "GlobalAveragePool": lambda: vector([node("GlobalAveragePool", "a", "p"), node("Flatten", "p", "b")], 4),
    "GlobalMaxPool": lambda: vector([node("GlobalMaxPool", "a", "p"), node("Squeeze", "p", "b")], 4),
    "ReduceMean over negative axes": lambda: vector([node("ReduceMean", "a r", "b", keepdims=0)], 4, r=[-1, -2]),
    "ReduceMean along rows": lambda: mapped([node("ReduceMean", "a r", "b")], r=[2]),
    "ReduceMean, channels last": lambda: vector(
        [node("Transpose", "a", "t", perm=[0, 2, 3, 1]), node("ReduceMean", "t r", "b", keepdims=0)], 4, r=[1, 2]
    ),
    "ReduceMax": lambda: vector([node("ReduceMax", "a r", "b", keepdims=0)], 4, r=[2, 3]),
    # rearrangements
    "Shape, Gather, Concat, Reshape": lambda: vector(
        [
            node("Shape", "a", "s"),
            node("Gather", "s zero", "n", axis=0),
            node("Unsqueeze", "n axes", "k"),
            node("Concat", "k minus", "t", axis=0),
            node("Reshape", "a t", "b"),
        ],
        256,
        zero=np.int64(0),
        axes=[0],
        minus=[-1],
    ),
    "channels shuffled": lambda: mapped(
        [node("Reshape", "a s", "p"), node("Transpose", "p", "q", perm=[0, 2, 1, 3, 4]), node("Reshape", "q t", "b")],
        s=[0, 2, 2, 8, 8],
        t=[0, 4, 8, 8],
    ),
    "Split, Slice, Concat": lambda: mapped(
        [
            node("Split", "a parts", "p q", axis=1),
            node("Slice", "a start end axis step", "r"),
            node("Concat", "q r p", "b", axis=-3),
        ],
        6,
        parts=[1, 3],
        start=[3],
        end=[0],
        axis=[1],
        step=[-2],
    ),
    "Gather of channels": lambda: mapped([node("Gather", "a order", "b", axis=1)], 3, order=[3, 0, -3]),
    "Pad with operands": lambda: mapped(
        [node("Pad", "a p", "c"), node("Conv", "c w2", "b")], p=[0, 0, 1, 0, 0, 0, 2, 1], w2=w(4, 4, 3, 3)
    ),
    "Pad of axes, before a pool": lambda: mapped(
        [node("Pad", "a p v axes", "c"), node("MaxPool", "c", "b", kernel_shape=[3, 3], strides=[2, 2])],
        p=[0, 1, 1, 0],
        v=np.float32(0),
        axes=[2, 3],
    ),
    "Pad of channels": lambda: mapped([node("Pad", "a p", "b")], 7, p=np.array([0, 1, 1, 0, 0, 2, 0, 0], np.int64)),
    "Slice of rows and columns": lambda: mapped(
        [node("Slice", "a start end axis step", "b")],
        start=[1, 0],
        end=[7, 2**60],
        axis=[2, 3],
        step=[1, 2],
    ),
    "Identity, Dropout, Cast": lambda: mapped(
        [node("Identity", "a", "i"), node("Dropout", "i r", "d mask"), node("Cast", "d", "b", to=TensorProto.FLOAT)],
        r=np.float32(0.5),
    ),
    "constants in nodes": lambda: mapped(
        [
            constant("two", 2.0),
            constant("three", [3.0]),
            node("Mul", "two three", "six"),
            node("Sqrt", "six", "root"),
            node("Div", "a root", "b"),
        ]
    ),
    "weights computed from constants": lambda: mapped(
        [node("Transpose", "w2", "t", perm=[1, 0, 2, 3]), node("Conv", "a t", "b")], w2=w(4, 4, 1, 1)
    ),
    "quantised weights": lambda: mapped(
        [node("DequantizeLinear", "q scale zero", "w2", axis=0), node("Conv", "a w2", "b")],
        q=np.arange(-8, 8, dtype=np.int8).reshape(4, 4, 1, 1),
        scale=w(4, low=0.05, high=0.2),
        zero=np.zeros(4, np.int8),
    ),
    "If with a known condition": lambda: mapped(
        [
            constant("two", 2.0),
            constant("one", 1.0),
            node("Greater", "two one", "yes"),
            node(
                "If",
                "yes",
                "b",
                then_branch=branch("then", [node("Relu", "a", "t")], "t"),
                else_branch=branch("else", [node("Erf", "a", "e")], "e"),
            ),
        ]
    ),
    "what is not used is not looked at": lambda: mapped([node("Erf", "a", "e"), node("Relu", "a", "b")]),
    # ends
    "Softmax": lambda: plain(
        [node("Flatten", "a", "f"), node("MatMul", "f w2", "p"), node("Softmax", "p", "y")], {"w2": w(256, 5) / 8}
    ),
    "Softmax of old": lambda: plain(
        [node("Flatten", "a", "f"), node("Gemm", "f w2 c", "p"), node("Softmax", "p", "y", axis=1)],
        {"w2": w(256, 5) / 8, "c": w(5)},
        opset=9,
    ),
    "LogSoftmax of a map of one place": lambda: plain(
        [node("GlobalAveragePool", "a", "p"), node("Conv", "p w2", "q"), node("LogSoftmax", "q", "y", axis=1)],
        {"w2": w(5, 4, 1, 1)},
        opset=11,
    ),
    "Sigmoid": lambda: plain([node("Conv", "a w2", "p"), node("Sigmoid", "p", "y")], {"w2": w(5, 4, 1, 1)}),
}


@pytest.mark.parametrize("name", list(RIGHT))
def test_right(name: str, tmp_path: Path) -> None:
    network = OnnxNetwork(saved(RIGHT[name](), tmp_path))
    agree(network, IMAGE)
    in_onnxruntime(network, tmp_path / "net.onnx", normal(IMAGE, 3).astype(np.float32))


def in_onnxruntime(network: OnnxNetwork, path: Path, x: np.ndarray) -> None:
    """The reference that the import is compared with agrees with another program, if there is one."""
    runtime = pytest.importorskip("onnxruntime", reason="pip install onnxruntime")
    runtime.set_default_logger_severity(4)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [expected] = session.run(None, {network.file.input: x})
    np.testing.assert_allclose(network(torch.from_numpy(x)).numpy(), expected, rtol=1e-4, atol=1e-4)


BAD: dict[str, tuple[Callable[[], ModelProto], str]] = {
    "unknown operator": (
        lambda: mapped([node("Erf", "a", "b", name="the erf")]),
        r"net.onnx cannot run: Erf \(the erf, net.onnx node 2\) is not supported",
    ),
    "without a name": (lambda: mapped([node("Elu", "a", "b")]), r"Elu \(b, net.onnx node 2\) is not supported"),
    "LRN": (lambda: mapped([node("LRN", "a", "b", size=3)]), r"LRN \(b, "),
    "of another domain": (
        lambda: plain([node("Mish", "a", "b", domain="my.own"), node("Relu", "b", "y")], domains=["my.own"]),
        r"my.own.Mish \(b, net.onnx node 2\)",
    ),
    "LeakyRelu": (lambda: mapped([node("LeakyRelu", "a", "b", alpha=0.1)]), r"LeakyRelu \(b"),
    "Clip from below": (
        lambda: mapped([node("Clip", "a lo hi", "b")], lo=np.float32(-1), hi=np.float32(1)),
        r"Clip from -1.0 to 1.0: only from 0 on \(b, net.onnx node 2\)",
    ),
    "product of images": (
        lambda: mapped([node("Mul", "a a", "b")]),
        r"Mul of two tensors that depend on the image \(b",
    ),
    "weights of the images": (
        lambda: mapped([node("Conv", "a a", "b")]),
        r"Conv whose input a depends on the images \(b",
    ),
    "transposed convolution": (
        lambda: mapped([node("ConvTranspose", "a w2", "b")], w2=w(4, 4, 2, 2)),
        r"ConvTranspose \(b",
    ),
    "resize": (
        lambda: mapped([node("Resize", "a _ s", "b")], s=np.array([1, 1, 2, 2], np.float32)),
        r"Resize \(b",
    ),
    "average without the padding": (
        lambda: mapped([node("AveragePool", "a", "b", kernel_shape=[3, 3], pads=[1, 1, 1, 1])]),
        r"AveragePool whose means are over different numbers of values",
    ),
    "average, ceil_mode": (
        lambda: mapped([node("AveragePool", "a", "b", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)]),
        r"AveragePool whose means are over different numbers of values",
    ),
    "dilated pool": (
        lambda: mapped([node("MaxPool", "a", "b", kernel_shape=[2, 2], dilations=[2, 2])]),
        r"MaxPool with dilations \[2, 2\] \(b",
    ),
    "maximum of padded negative values": (
        lambda: mapped(
            [node("Neg", "a", "n"), node("MaxPool", "n", "b", kernel_shape=[3, 3], pads=[1, 1, 1, 1])],
        ),
        r"with padding on values that may be negative",
    ),
    "indices of a maximum": (
        lambda: mapped(
            [node("MaxPool", "a", "m i", kernel_shape=[2, 2]), node("Cast", "i", "b", to=TensorProto.FLOAT)]
        ),
        r"MaxPool output i \(m",
    ),
    "reflected padding": (
        lambda: mapped([node("Pad", "a p", "b", mode="reflect")], p=np.array([0, 0, 1, 1, 0, 0, 1, 1])),
        r"Pad of .* in mode reflect: only zeros around images \(b",
    ),
    "padded batch": (
        lambda: mapped([node("Pad", "a p", "b")], p=np.array([0, 0, 0, 0, 1, 0, 0, 0])),
        r"Pad of .* only zeros around images \(b",
    ),
    "rows in a row": (
        lambda: mapped([node("Concat", "a a", "b", axis=2)]),
        r"Concat along dimension 2: only along channels",
    ),
    "softmax in the middle": (lambda: mapped([node("Softmax", "a", "b", axis=1)]), r"softmax in the middle"),
    "softmax along columns": (
        lambda: plain([node("Softmax", "a", "y")]),
        r"Softmax along dimension 3: only along classes",
    ),
    "images mixed": (
        lambda: plain([node("Reshape", "a s", "f"), node("Relu", "f", "y")], {"s": np.array([1, -1])}),
        r"Reshape mixes the images of a batch \(f",
    ),
    "images averaged": (
        lambda: mapped([node("ReduceMean", "a r", "m"), node("Sub", "a m", "b")], r=np.array([0])),
        r"ReduceMean over axes \[0\]: it mixes the images of a batch \(m",
    ),
    "chance": (
        lambda: mapped([node("RandomNormal", "", "r", shape=[4, 1, 1]), node("Add", "a r", "b")]),
        r"RandomNormal that depends on chance \(r",
    ),
    "a loop": (
        lambda: mapped(
            [
                node(
                    "Loop",
                    "n _ a",
                    "b",
                    body=helper.make_graph(
                        [node("Identity", "c", "d"), node("Relu", "s", "t")],
                        "body",
                        [
                            helper.make_tensor_value_info("i", TensorProto.INT64, []),
                            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
                            helper.make_tensor_value_info("s", TensorProto.FLOAT, None),
                        ],
                        [
                            helper.make_tensor_value_info("d", TensorProto.BOOL, []),
                            helper.make_tensor_value_info("t", TensorProto.FLOAT, None),
                        ],
                    ),
                )
            ],
            n=np.int64(2),
        ),
        r"Loop \(b",
    ),
    "integers": (
        lambda: mapped([node("Cast", "a", "i", to=TensorProto.INT32), node("Cast", "i", "b", to=TensorProto.FLOAT)]),
        r"Cast to int32 \(i",
    ),
    "quantised activations": (
        lambda: mapped(
            [node("QuantizeLinear", "a s z", "q"), node("DequantizeLinear", "q s z", "b")],
            s=np.float32(0.125),
            z=np.int8(0),
        ),
        r"QuantizeLinear \(q, net.onnx node 2\) is not supported",
    ),
    "sizes that do not fit": (
        lambda: mapped([node("Add", "a c", "b")], c=w(3, 1, 1)),
        r"Add on operands of other shapes than it takes",
    ),
    "a convolution in three dimensions": (
        lambda: mapped(
            [node("Unsqueeze", "a k", "u"), node("Conv", "u w2", "v"), node("Squeeze", "v k", "b")],
            k=np.array([2]),
            w2=w(4, 4, 1, 1, 1),
        ),
        r"Conv in 3 dimensions",
    ),
}


@pytest.mark.parametrize("name", list(BAD))
def test_refused_by_name(name: str, tmp_path: Path) -> None:
    build, message = BAD[name]
    network = OnnxNetwork(saved(build(), tmp_path))
    with pytest.raises(UnsupportedError, match=message) as caught:
        lower(network, IMAGE)
    assert "\n" not in str(caught.value)


def test_all_nodes_that_are_not_supported_are_named_at_once(tmp_path: Path) -> None:
    made = mapped(
        [
            node("Erf", "a", "e", name="first/Erf"),
            node("Transpose", "e", "t", perm=[0, 2, 3, 1]),
            node("ReduceL2", "t axes", "l"),
            node("Relu", "l", "follows"),
            node("Conv", "a w2", "c", name="c"),
            node("Selu", "c", "s", name="last"),
            node("Transpose", "follows", "u", perm=[0, 3, 1, 2]),
            node("Add", "s u", "b"),
        ],
        w2=w(4, 4, 1, 1),
        axes=np.array([1]),
    )
    with pytest.raises(UnsupportedError) as caught:
        lower(OnnxNetwork(saved(made, tmp_path)), IMAGE)
    assert caught.value.problems[:2] == (
        "Erf (first/Erf, net.onnx node 2) is not supported",
        "ReduceL2 (l, net.onnx node 4) is not supported",
    )
    assert caught.value.problems[2].startswith("Selu (last, net.onnx node 7)")
