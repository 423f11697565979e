"""The graphs that the package onnx itself is tested with: close to what it expects, or refused by name.

They are a test of every operator, and nine networks (`light_*`) whose weights are all alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from golden.errors import GoldenError
from golden.frontend.check import probe
from golden.frontend.lowering import import_network, lower_network
from golden.frontend.onnx.network import OnnxNetwork
from tests.golden.onnx_graphs import ModelProto, TensorProto, numpy_helper, onnx


def cases() -> list[Any]:
    """One for each operator and spelling, with its inputs and outputs."""
    from onnx.backend.test.case.node import collect_testcases

    return [case for case in collect_testcases(None) if case.data_sets and case.model is not None]


def frozen(made: ModelProto, given: list[np.ndarray]) -> ModelProto:
    """The model with its first output, and all its inputs but the first as parameters."""
    found = ModelProto()
    found.CopyFrom(made)
    found.ir_version = max(4, made.ir_version)  # before, parameters had to be inputs
    del found.graph.output[1:]
    for value, array in list(zip(found.graph.input, given, strict=False))[1:]:
        found.graph.initializer.append(numpy_helper.from_array(array, value.name))
        found.graph.input.remove(value)
    return found


def outcome(made: ModelProto, given: list[Any], wanted: list[Any], path: Path) -> str:
    """Whether it is ``right`` or refused, and how; asserts that what is not refused is right."""
    given = [numpy_helper.to_array(value) if isinstance(value, TensorProto) else value for value in given]
    if not given or not all(isinstance(value, np.ndarray) for value in given):
        return "no tensors"
    path.write_bytes(frozen(made, given).SerializeToString())
    try:
        graph = import_network(OnnxNetwork(path), given[0].shape[1:])
        lower_network(graph)
    except GoldenError as error:
        return str(error)
    x = torch.from_numpy(given[0].astype(np.float64))
    got = graph.double()(x)
    got = got.softmax(1) if graph.graph.final == "softmax" else got
    got = got.sigmoid() if graph.graph.final == "sigmoid" else got
    np.testing.assert_allclose(got.numpy().reshape(wanted[0].shape), wanted[0], rtol=2e-3, atol=1e-4)
    return "right"


@pytest.mark.slow
def test_of_every_operator(tmp_path: Path) -> None:
    found: dict[str, str] = {}
    wrong = []
    for case in cases():
        given, wanted = case.data_sets[0]
        try:
            found[case.name] = outcome(case.model, list(given), list(wanted), tmp_path / "net.onnx")
        except Exception as error:
            wrong.append(f"{case.name}: {type(error).__name__} {' '.join(str(error).split())[:200]}")
    assert not wrong, "\n".join(wrong)
    assert not [line for line in found.values() if "\n" in line]
    right = {name for name, line in found.items() if line == "right"}
    assert right >= {
        *("test_averagepool_1d_default", "test_averagepool_2d_pads_count_include_pad", "test_batchnorm_epsilon"),
        *("test_conv_with_strides_and_asymmetric_padding", "test_conv_with_autopad_same", "test_flatten_axis1"),
        *("test_gather_1", "test_gemm_alpha", "test_gemm_beta", "test_gemm_transposeB", "test_globalaveragepool"),
        *("test_globalmaxpool", "test_matmul_2d", "test_maxpool_1d_default", "test_neg", "test_relu"),
        *("test_maxpool_2d_ceil_output_size_reduce_by_one", "test_maxpool_2d_strides", "test_reshape_reduced_dims"),
        *("test_slice_neg", "test_spacetodepth_crd_mode_example", "test_split_variable_parts_2d_opset18"),
    }


LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
REFUSED = {
    "light_bvlc_alexnet": "LRN (n2, light_bvlc_alexnet.onnx node 18)",
    "light_inception_v1": "LRN (n3, light_inception_v1.onnx node 96)",
    "light_inception_v2": "AveragePool whose means are over different numbers of values",
    "light_shufflenet": "AveragePool whose means are over different numbers of values",
    "light_zfnet512": "LRN (n2, light_zfnet512.onnx node 18)",
}


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(LIGHT.glob("*.onnx")), ids=lambda path: path.stem)
def test_networks_of_constant_weights(path: Path) -> None:
    network = OnnxNetwork(path)
    assert network.file.declared == (3, 224, 224)
    if path.stem in REFUSED:
        with pytest.raises(GoldenError) as caught:
            lower_network(import_network(network, (3, 224, 224)))
        assert REFUSED[path.stem] in str(caught.value)
        return
    runtime = pytest.importorskip("onnxruntime", reason="pip install onnxruntime")
    from golden.frontend.aten import import_module

    graph = import_module(network, (3, 224, 224))  # import_network compares it with onnx.reference, which takes long
    assert lower_network(graph).layers
    runtime.set_default_logger_severity(4)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = probe((3, 224, 224)).astype(np.float32)
    [expected] = session.run(None, {network.file.input: x})
    got = graph(torch.from_numpy(x))
    got = got.softmax(1) if graph.graph.final == "softmax" else got
    np.testing.assert_allclose(got.detach().numpy().reshape(expected.shape), expected, rtol=1e-3)
