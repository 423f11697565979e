"""Random ONNX graphs are close to float, and the same in the golden model, plain loops and the compiled program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from golden.frontend.lowering import import_network
from golden.frontend.onnx.network import OnnxNetwork
from tests.golden.agreement import agree, normal
from tests.golden.onnx_graphs import saved
from tests.golden.random_onnx import random_graph


@pytest.mark.parametrize("seed", [*range(24), 106])  # 106 pads one row of a map
def test_a_random_graph(seed: int, tmp_path: Path) -> None:
    made, taken = random_graph(seed)
    network = OnnxNetwork(saved(made, tmp_path))
    agree(network, taken, words=[(8, 16, 32)[seed % 3]], notes=True)
    runtime = pytest.importorskip("onnxruntime", reason="pip install onnxruntime")
    runtime.set_default_logger_severity(4)
    session = runtime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    graph, images = import_network(network, taken), normal(taken).astype(np.float32)
    expected = [session.run(None, {"x": image[None]})[0] for image in images]  # some take one at a time
    got = graph(torch.from_numpy(images))
    got = got.softmax(1) if graph.graph.final else got
    np.testing.assert_allclose(got.detach().numpy(), np.concatenate(expected), rtol=1e-3, atol=1e-3)


def test_the_graphs_are_not_alike() -> None:
    kinds = {node.op_type for seed in range(24) for node in random_graph(seed)[0].graph.node}
    assert len(kinds) >= 20
    assert len({len(random_graph(seed)[0].graph.node) for seed in range(24)}) >= 6
