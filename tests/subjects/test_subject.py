"""A subject's folder gives the network that it was made of, on any worker, or one line that says what is wrong."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from golden.errors import GoldenError, StoreError, WeightsError
from golden.frontend.lowering import lower
from golden.networks.artefacts import MANIFEST
from golden.networks.zoo import load_qnetwork
from golden.quantisation.quantise import calibrate, quantise, quantise_images
from golden.reference import run
from golden.subjects.data import from_arrays
from golden.subjects.find import open_subject
from golden.subjects.make import cached_subject, import_checked, write_subject
from golden.subjects.names import (
    BOUNDS,
    GRAPH,
    IMAGES,
    POINTS,
    WEIGHTS,
    check_subject,
    checksums,
    short_name,
    stored_schemes,
)
from golden.subjects.nets import load_net
from golden.subjects.stored import StoredSubject
from tests.subjects.networks import NETWORKS, network, noise, subject


@pytest.mark.parametrize("name", NETWORKS)
def test_a_folder_gives_the_network_that_it_was_made_of(name: str, tmp_path: Path) -> None:
    made = subject(name, tmp_path / "mine")
    again = open_subject(made.uri)
    assert (again.name, again.schemes, again.words) == ("mine", ("unprotected",), (8, 16, 32))
    module, data = network(name), noise(name)
    x = data.test.tensor()
    assert torch.allclose(again.float_network()(x), module(x), atol=1e-5)
    images = again.samples(3).data.network_input()
    np.testing.assert_array_equal(images, data.test.network_input()[:3])
    for word in (8, 16, 32):
        own = quantise(module, calibrate(module, data.training.network_input(), word))
        stored = again.qnetwork("unprotected", word)
        ours, theirs = (run(net, quantise_images(net, images)) for net in (own, stored))
        for layer in own.layers:
            np.testing.assert_array_equal(ours[layer.name], theirs[layer.name])


def test_shipped_networks_are_subjects() -> None:
    found = open_subject("alexnet")
    assert found.qnetwork("fitact", 8).layers[0].bound is not None
    ours, theirs = found.qnetwork("ranger", 16), load_qnetwork("alexnet", "ranger", 16)
    for one, other in zip(ours.layers, theirs.layers, strict=True):
        np.testing.assert_array_equal(one.weight, other.weight)
        np.testing.assert_array_equal(one.bound, other.bound)
    assert (found.class_name(3), found.class_name(11), len(found.samples(2).data)) == ("cat", "class 11", 2)


def test_without_labels_the_classes_of_the_float_network_are_taken(tmp_path: Path) -> None:
    found = subject("grey", tmp_path / "mine").samples()
    assert not found.labelled
    expected = network("grey")(found.data.tensor()).argmax(1).numpy()
    np.testing.assert_array_equal(found.data.labels, expected)
    labelled = subject("grey", tmp_path / "other", labelled=True).samples()
    assert labelled.labelled
    np.testing.assert_array_equal(labelled.data.labels, noise("grey", labelled=True).test.labels)


def test_bounds_are_kept_beside_those_of_other_schemes(tmp_path: Path) -> None:
    made = subject("mlp", tmp_path / "mine")
    names = made.float_network().activation_calls
    assert len(names) == 2
    bounds = {name: torch.tensor(value) for name, value in zip(names, (0.3, 0.7), strict=True)}
    for scheme in ("ranger", "clipact"):
        made.save_bounds({scheme: bounds}, {scheme: {"seed": 1}})
    again = StoredSubject(made.folder)
    assert again.schemes == stored_schemes(made.uri) == ("unprotected", "ranger", "clipact")
    assert again.bounds("ranger") == bounds
    assert [layer.activation for layer in again.qnetwork("clipact", 32).layers] == ["clip", "clip", "linear"]
    with pytest.raises(WeightsError, match="do not cover the activations of mine"):
        made.save_bounds({"ranger": {names[0]: torch.tensor(1.0)}}, {"ranger": {}})
    with pytest.raises(WeightsError, match="no bounds of fitact"):
        again.bounds("fitact")


@pytest.mark.parametrize("file", [GRAPH, WEIGHTS, POINTS, IMAGES, "subject.json"])
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_damage_is_one_line(file: str, damage: str, tmp_path: Path) -> None:
    made = subject("grey", tmp_path / "mine")
    path = made.folder / file
    if damage == "gone":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    def use() -> None:
        found = open_subject(made.uri)
        found.qnetwork("unprotected", 8)
        found.samples()

    with pytest.raises(GoldenError) as error:
        use()
    assert "\n" not in str(error.value)
    assert file in str(error.value) or "is no subject's folder" in str(error.value)


def test_other_weights_than_those_of_the_bounds_are_told(tmp_path: Path) -> None:
    made = subject("mlp", tmp_path / "mine")
    bounds = {name: torch.tensor(1.0) for name in made.float_network().activation_calls}
    made.save_bounds({"ranger": bounds}, {"ranger": {}})
    manifest = json.loads((made.folder / MANIFEST).read_text())
    manifest[BOUNDS]["weights_sha256"] = "0" * 64
    (made.folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match="made for other weights"):
        open_subject(made.uri).network("ranger")


def test_a_folder_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    made = import_checked(network("grey"), noise("grey"))
    target = tmp_path / "mine"
    write_subject(made, target, "tests")
    with pytest.raises(StoreError, match="holds a subject already"):
        write_subject(made, target, "tests")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("kept")
    with pytest.raises(StoreError, match="is not empty"):
        write_subject(made, tmp_path / "full", "tests")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "mine"]
    assert (tmp_path / "full" / "mine.txt").read_text() == "kept"


def test_the_same_subject_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITACT_BUILD", str(tmp_path))
    made = import_checked(network("grey"), noise("grey"))
    first = cached_subject(made, "grey", "tests")
    when = (first.folder / GRAPH).stat().st_mtime_ns
    again = cached_subject(import_checked(network("grey"), noise("grey")), "grey", "tests")
    assert (again.uri, (again.folder / GRAPH).stat().st_mtime_ns) == (first.uri, when)
    assert cached_subject(import_checked(network("grey"), noise("grey", 30)), "grey", "tests").uri != first.uri
    assert set(checksums(first.uri)) == {GRAPH, WEIGHTS, POINTS}
    assert short_name(first.uri).startswith("grey-")


def test_names_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(GoldenError, match=r"unknown model 'alexnett' .did you mean alexnet"):
        check_subject("alexnett")
    with pytest.raises(GoldenError, match="is no subject's folder"):
        check_subject(str(tmp_path))
    made = subject("grey", tmp_path / "a").float_network()
    wrong = from_arrays({"images": np.zeros((3, 1, 8, 12), np.float32)}, "noise")
    with pytest.raises(GoldenError, match="takes images of 1x8x8, noise has 1x8x12"):
        import_checked(made, wrong)
    with pytest.raises(GoldenError, match="Sequential does not take images of 1x8x12"):
        import_checked(network("grey"), wrong)


SOURCE = """
from torch import nn
import neighbour
def build():
    return nn.Sequential(nn.Linear(4, neighbour.CLASSES))
class Net(nn.Linear):
    def __init__(self):
        super().__init__(4, 2)
made = nn.Linear(4, 5)
number = 3
def needs(x):
    return made
def wrong():
    return 3
"""


def test_networks_of_python_files(tmp_path: Path) -> None:
    file = tmp_path / "my net.py"
    file.write_text(SOURCE)
    (tmp_path / "neighbour.py").write_text("CLASSES = 3\n")
    for name, classes in (("build", 3), ("Net", 2), ("made", 5)):
        assert load_net(f"{file}:{name}")(torch.zeros(1, 4)).shape == (1, classes)
    for name, line in (
        ("absent", "has no absent"),
        ("number", "is int: name an nn.Module or a function that returns one"),
        ("needs", "cannot be called without arguments"),
        ("wrong", "returns int: it must be an nn.Module"),
    ):
        with pytest.raises(GoldenError, match=line):
            load_net(f"{file}:{name}")
    file.write_text("x = 1\ny = 1 / 0\n")
    with pytest.raises(GoldenError, match=r"my net.py cannot be read: division by zero at my net.py:2: y = 1 / 0"):
        load_net(f"{file}:x")
    with pytest.raises(GoldenError, match="does not exist"):
        load_net(f"{tmp_path / 'none.py'}:x")


def test_an_exported_program(tmp_path: Path) -> None:
    net, batch = network("grey"), torch.export.Dim("batch", min=1, max=64)
    example = (torch.zeros(2, 1, 8, 8),)
    torch.export.save(torch.export.export(net, example, dynamic_shapes=({0: batch},)), tmp_path / "net.pt2")
    made = import_checked(load_net(str(tmp_path / "net.pt2")), noise("grey"))
    x = noise("grey").test.tensor()
    assert torch.allclose(made.network(x), net(x), atol=1e-5)
    torch.export.save(torch.export.export(net, example), tmp_path / "two.pt2")
    with pytest.raises(GoldenError, match="exported for batches of 2"):
        load_net(str(tmp_path / "two.pt2"))
    (tmp_path / "bad.pt2").write_bytes(b"nothing")
    with pytest.raises(GoldenError, match=r"is no network of torch.export.save"):
        load_net(str(tmp_path / "bad.pt2"))


def test_an_onnx_file(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="pip install onnx")
    net, path = network("grey"), tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, (torch.zeros(2, 1, 8, 8),), path, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "n"}}
        )
    made = write_subject(import_checked(load_net(str(path)), noise("grey")), tmp_path / "made", str(path))
    x = noise("grey").test.tensor()
    assert torch.allclose(made.float_network()(x), net(x), atol=1e-5)
    assert made.facts["origin"] == {
        "file": "net.onnx",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "producer": f"pytorch {torch.__version__.partition('+')[0]}",
        "operator_sets": made.facts["origin"]["operator_sets"],
    }
    assert "origin" not in subject("grey", tmp_path / "other").facts
    path.write_bytes(b"nothing")
    with pytest.raises(GoldenError, match=r"net.onnx is no network of ONNX"):
        load_net(str(path))


def test_macs_are_those_of_the_network_s_own_weights() -> None:
    """Of a depthwise, a dilated and a grouped convolution, a concatenation and a layer that scales."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.deep, self.wide = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 8, 3, dilation=2, padding=2)
            self.two, self.norm = nn.Conv2d(8, 4, 1, groups=2), nn.BatchNorm2d(12)

        def forward(self, x: Tensor) -> Tensor:
            x = self.wide(self.deep(x).relu())
            return self.norm(torch.cat([x, self.two(x)], 1).relu()).relu()

    layers = {layer.node: layer.useful_weights for layer in lower(Net().eval(), (8, 6, 6))}
    assert layers == {"relu": 8 * 9, "wide": 64 * 9, "two": 16, "cat": 8, "relu#2": 4, "relu#3": 12}
