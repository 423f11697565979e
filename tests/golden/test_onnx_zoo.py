"""Networks of the zoo, exported to ONNX by PyTorch and imported again, are the same integers as by torch.export."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from golden.frontend.lowering import import_network
from golden.frontend.network import GraphNetwork
from golden.frontend.onnx.network import OnnxNetwork
from golden.quantisation.quantise import calibrate, quantise
from tests.golden.agreement import normal
from tests.golden.zoo import ZOO, Shape, build

pytest.importorskip("onnx", reason="pip install onnx")

SCRIPTED = "ShuffleNet"
"""PyTorch's exporter to TorchScript has no channel_shuffle."""


def by_torchscript(net: nn.Module, shape: Shape, path: Path) -> None:
    """BatchNorms stay as they are: folding them in float32 would change the last bits of weights."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (torch.zeros(2, *shape),),
            path,
            dynamo=False,
            input_names=["x"],
            dynamic_axes={"x": {0: "n"}},
            training=torch.onnx.TrainingMode.PRESERVE,
        )


def by_dynamo(net: nn.Module, shape: Shape, path: Path, optimize: bool) -> None:
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (torch.zeros(2, *shape),),
            path,
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("n", min=1, max=64)},),
            external_data=False,
            optimize=optimize,
            verbose=False,
        )


def same_integers(expected: GraphNetwork, imported: GraphNetwork, shape: Shape) -> None:
    """Layers and words of all three widths, calibrated on the same images."""
    x = normal(shape)
    for word_bits in (8, 16, 32):
        ours, theirs = (quantise(network, calibrate(network, x, word_bits)) for network in (expected, imported))
        assert ours.input_frac == theirs.input_frac
        assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
        for a, b in zip(ours.layers, theirs.layers, strict=True):
            assert (a.kind, a.source, repr(a.residual), a.kernel, a.stride, a.padding, a.activation, a.frac_out) == (
                *(b.kind, b.source, repr(b.residual), b.kernel, b.stride, b.padding, b.activation, b.frac_out),
            )
            for words in ("weight", "bias", "shift", "bound"):
                np.testing.assert_equal(getattr(a, words), getattr(b, words), f"{words} of {a.name}, {word_bits} bits")


@pytest.mark.parametrize("name", [name for name in ZOO if name != SCRIPTED])
def test_exported_by_torchscript(name: str, tmp_path: Path) -> None:
    net, shape = build(name)
    by_torchscript(net, shape, tmp_path / "net.onnx")
    imported = import_network(OnnxNetwork(tmp_path / "net.onnx"), shape)
    same_integers(import_network(net, shape), imported, shape)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ResNet18", "ShuffleNet", "MobileNetV2", "audio in one dimension"])
def test_exported_by_dynamo(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="pip install onnxscript")
    net, shape = build(name)
    expected = import_network(net, shape)
    by_dynamo(net, shape, tmp_path / "net.onnx", optimize=False)
    same_integers(expected, import_network(OnnxNetwork(tmp_path / "net.onnx"), shape), shape)
    by_dynamo(net, shape, tmp_path / "folded.onnx", optimize=True)
    imported = import_network(OnnxNetwork(tmp_path / "folded.onnx"), shape)
    x = torch.from_numpy(normal(shape)).float()
    assert torch.allclose(imported(x), expected(x), rtol=1e-3, atol=1e-4)
