"""What quantisation costs, against sums over images one by one; subjects' names, hashes and what they keep."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from golden.data.dataset import DataSet
from golden.errors import GoldenError, WeightsError
from golden.frontend.layers import FloatLayer
from golden.frontend.lowering import import_network, lower_network
from golden.qnetwork import pair
from golden.quantisation.quantise import calibrate, quantise, quantise_images
from golden.reference import run
from golden.subjects import make
from golden.subjects.agreement import compare
from golden.subjects.data import Data, from_arrays, read_data
from golden.subjects.find import open_subject
from golden.subjects.make import Imported, digest, import_checked
from golden.subjects.names import checksums, default_scheme, resolved, stem_of, stored_schemes
from golden.subjects.reading import Reading
from golden.subjects.stored import StoredSubject
from tests.golden.spelled import conv, net
from tests.subjects.networks import network, noise, subject

SHAPE = (2, 5, 4)


def float_outputs(layers: list[FloatLayer], x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Convolutions, shortcuts, activations in float64, written out."""
    values = {"input": x}
    for layer in layers:
        assert layer.weight is not None
        weight, bias, padding = torch.from_numpy(layer.weight), torch.from_numpy(layer.bias), pair(layer.kernel)[0] // 2
        y = F.conv2d(values[layer.source], weight, bias, 1, padding if layer.padding else 0)
        y = y if layer.residual is None else y + values[layer.residual]
        values[layer.name] = y if layer.activation == "linear" else y.relu()
    return values


def decibels(exact: np.ndarray, found: np.ndarray) -> float:
    noise_power = sum((a - b) ** 2 for a, b in zip(exact.ravel().tolist(), found.ravel().tolist(), strict=True))
    return 10 * math.log10(sum(a**2 for a in exact.ravel().tolist()) / noise_power)


def test_signal_to_noise_and_classes() -> None:
    """More images than a batch, a shortcut, labels that neither side always meets."""
    module = net(
        lambda m, x: m.d((F.relu(m.b(y := F.relu(m.a(x))) + m.c(y))).flatten(1)),
        a=conv(2, 3), b=conv(3, 3), c=conv(3, 3, 1), d=nn.Linear(60, 3),
    )  # fmt: skip
    graph = import_network(module, SHAPE)
    rng = np.random.default_rng(2)
    images = rng.standard_normal((37, *SHAPE))
    points = calibrate(graph, images, 8)
    layers, qnet = lower_network(graph).layers, quantise(graph, points)
    exact = float_outputs(layers, torch.from_numpy(images))
    words = run(qnet, quantise_images(qnet, images))
    labels = words[layers[-1].name].reshape(37, -1).argmax(1)
    labels[5:15] = (labels[5:15] + 1) % 3
    data = DataSet(images, labels)
    found = compare(layers, qnet, data)
    fracs = {"input": qnet.input_frac, **{layer.name: layer.frac_out for layer in qnet.layers}}
    for name, value in exact.items():
        assert found.snr[name] == pytest.approx(decibels(value.numpy(), words[name] * 2.0 ** -fracs[name]), rel=1e-6)
    ours, theirs = (part.reshape(37, -1).argmax(1) for part in (exact[layers[-1].name].numpy(), words[layers[-1].name]))
    assert found.images == 37
    assert found.float_right == sum(ours == data.labels)
    assert found.integer_right == sum(theirs == data.labels)
    assert found.same == sum(ours == theirs)
    assert len({found.float_right, found.integer_right, found.same}) == 3, "no two of the counts say the same"
    losses = {
        layer.name: min(found.snr[name] for name in (layer.source, layer.residual) if name) - found.snr[layer.name]
        for layer in layers
    }
    assert found.worst == max(losses, key=lambda name: losses[name])
    assert found.loss == pytest.approx(losses[found.worst])


def test_exact_values_have_no_end_and_zeros_no_signal() -> None:
    """Whole numbers are exact; a layer of zeros counts for nothing."""
    head = nn.Linear(4, 3)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]))
        head.bias.zero_()
    graph = import_network(head, (4,))
    data = DataSet(np.array([[1.0, 0.5, 0.25, -1], [0.5, 1, 0.25, 1]]), np.array([0, 1]))
    found = compare(lower_network(graph).layers, quantise(graph, calibrate(graph, data.images, 16)), data)
    assert set(found.snr.values()) == {math.inf}
    assert (found.float_right, found.integer_right, found.same, found.loss) == (2, 2, 2, 0.0)


def imported(count: int = 12, labelled: bool = True) -> Imported:
    return import_checked(network("grey"), noise("grey", count, labelled))


def test_a_hash_is_of_all_that_a_subject_is_made_of() -> None:
    """Any change of one of them changes it; where an operation stands in the user's source does not."""
    base = imported()
    data, known = base.data, digest(base)
    training, test = data.training, data.test
    changes: list[Data] = [
        replace(data, labelled=False),
        replace(data, classes=("a", "b")),
        replace(data, training=DataSet(training.images + 1, training.labels)),
        replace(data, training=DataSet(training.images, (training.labels + 1) % 3)),
        replace(data, test=DataSet(test.images + 1, test.labels)),
        replace(data, test=DataSet(test.images, (test.labels + 1) % 3)),
    ]
    pixels = np.zeros((4, 8, 8), np.uint8)
    for mean, std in (((0.5,), (0.5,)), ((0.5,), (0.25,)), ((0.25,), (0.5,))):
        changes.append(replace(data, training=DataSet(pixels, np.zeros(4, np.int64), mean, std)))
    found = [digest(Imported(base.network, changed)) for changed in changes]
    other = copy.deepcopy(base.network)
    name = next(name for op in other.graph.ops for name in op.tensors.values())
    other.tensor(name).data.view(-1)[0] += 1
    found += [known, digest(Imported(other, data))]
    assert len(set(found)) == len(found)
    moved = copy.deepcopy(base.network)
    moved.graph = replace(moved.graph, ops=tuple(replace(op, place="elsewhere.py:1") for op in moved.graph.ops))
    assert digest(Imported(moved, data)) == known


def test_what_a_folder_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "KEPT_IMAGES", 5)
    made = make.write_subject(imported(40), tmp_path / "mine", "tests")
    whole = noise("grey", 40, labelled=True)
    np.testing.assert_array_equal(made.training().images, whole.training.images[:5])
    np.testing.assert_array_equal(made.samples().data.images, whole.test.images[:5])
    right = network("grey")(made.samples().data.tensor()).argmax(1).numpy() == made.samples().data.labels
    assert made.facts["float_top1"] == right.mean()
    monkeypatch.setattr(make, "KEPT_BYTES", 3 * whole.training.images[:1].nbytes)
    few = make.write_subject(imported(40, labelled=False), tmp_path / "few", "tests")
    assert (len(few.training()), len(few.samples().data), few.facts["float_top1"]) == (3, 3, None)


def test_pixels_keep_their_preprocessing(tmp_path: Path) -> None:
    """Calibrated on as many images as promised, mean before deviation."""
    rng = np.random.default_rng(0)
    arrays = {"images": rng.integers(0, 256, (9, 8, 8)).astype(np.uint8), "mean": [0.25], "std": [0.5]}
    made = make.write_subject(import_checked(network("grey"), from_arrays(arrays, "pixels")), tmp_path / "a", "tests")
    data = made.samples().data
    assert (data.mean, data.std) == ((0.25,), (0.5,))
    points = calibrate(made.float_network(), made.training().network_input(), 16)
    assert made.points(16).to_json() == points.to_json()


def test_calibration_takes_its_number_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    base = imported(40)
    monkeypatch.setattr(make, "CALIBRATION_IMAGES", 3)
    expected = calibrate(base.network, base.data.training.images[:3], 8).to_json()
    assert make.points_of(base.network, base.data.training)["8"] == expected


def test_widths_that_do_not_do_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them: the subject runs with the others; all: there is none."""
    real, refused = calibrate, {8}

    def sometimes(*given: object) -> object:
        if given[2] in refused:
            raise GoldenError("a bias of 2^40 does not fit")
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(make, "calibrate", sometimes)
    made = make.write_subject(imported(), tmp_path / "mine", "tests")
    assert made.words == (16, 32)
    with pytest.raises(GoldenError, match=r"cannot run with words of 8 bits: a bias of 2\^40"):
        made.points(8)
    refused |= {16, 32}
    with pytest.raises(GoldenError, match=r"8 bits: a bias of 2\^40 does not fit; 16 bits"):
        make.points_of(imported().network, noise("grey").training)


def test_bounds_of_schemes_are_kept_apart(tmp_path: Path) -> None:
    made = subject("mlp", tmp_path / "mine")
    names = made.float_network().activation_calls

    def values(first: float) -> dict[str, torch.Tensor]:
        return {name: torch.tensor(first + number) for number, name in enumerate(names)}

    for scheme, first in (("clipact", 1.0), ("ranger", 3.0)):
        made.save_bounds({scheme: values(first)}, {scheme: {"seed": 1}})
    again = StoredSubject(made.folder)
    assert again.bounds("clipact") == values(1.0)
    assert again.bounds("ranger") == values(3.0)
    assert again.schemes == ("unprotected", "ranger", "clipact")
    assert "bounds.safetensors" in checksums(made.uri)
    with pytest.raises(WeightsError, match="do not cover"):
        made.save_bounds({"ranger": {**values(1.0), "more": torch.tensor(1.0)}}, {"ranger": {}})
    quantised = again.qnetwork("ranger", 16)
    assert [layer.activation for layer in quantised.layers[:2]] == ["saturate", "saturate"]
    assert again.qnetwork("unprotected", 16).layers[0].activation == "relu"


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = subject("mlp", tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert resolved("mine") == str(made.folder)
    assert resolved("alexnet") == "alexnet"
    assert default_scheme(made.uri) == stored_schemes(made.uri)[0] == "unprotected"
    bounds = {name: torch.tensor(1.0) for name in made.float_network().activation_calls}
    for schemes, usual in (
        (("ranger",), "ranger"),
        (("clipact",), "clipact"),
        (("fitact",), "fitact"),
        (("proact",), "fitact"),
    ):
        made.save_bounds(dict.fromkeys(schemes, bounds), {scheme: {} for scheme in schemes})
        assert default_scheme(made.uri) == usual, schemes
    for source, stem in (
        ("a/net.py:build", "net"),
        ("a/net.py:make", "net"),
        ("a/net.py:Tiny", "Tiny"),
        ("b/c.pt2", "c"),
    ):
        assert stem_of(source) == stem
    assert stem_of("net.py:model") == stem_of("net.py:net") == "net"
    assert open_subject("alexnet").class_name(-1) == "class -1"


def test_shipped_images() -> None:
    twenty = open_subject("alexnet").samples()
    assert (len(twenty.data), twenty.source) == (
        20,
        "the first 20 CIFAR-10 test images, as shipped in the foolbox package",
    )
    same = open_subject("alexnet").samples(20)
    assert same.source == twenty.source
    np.testing.assert_array_equal(same.data.images, twenty.data.images)
    np.testing.assert_array_equal(open_subject("alexnet").samples(3).data.images, twenty.data.images[:3])
    for word in (8, 32):
        assert open_subject("alexnet").points(word).word_bits == word


def test_images_are_split_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth for tests, no more than so many, drawn by the seed; no image is in both."""
    numbers = np.arange(40, dtype=np.float32)[:, None] + np.zeros((1, 3), np.float32)
    for seed in (1, 7):
        data = from_arrays({"images": numbers, "labels": np.arange(40)}, "mine", Reading(seed=seed))
        order = np.random.default_rng(seed).permutation(40)
        assert data.test.labels.tolist() == order[:8].tolist()
        assert data.training.labels.tolist() == order[8:].tolist()
    monkeypatch.setattr("golden.subjects.data.MOST_TEST", 3)
    assert len(from_arrays({"images": numbers}, "mine").test) == 3
    assert len(from_arrays({"images": numbers[:3]}, "mine").test) == 1


def test_what_is_given_with_the_command_goes_first(tmp_path: Path) -> None:
    arrays = {"images": np.zeros((6, 4, 4), np.uint8), "mean": [0.1], "std": [0.2]}
    data = from_arrays(arrays, "mine", Reading(mean=(0.3,), std=(0.4,)))
    assert (data.test.mean, data.test.std) == ((0.3,), (0.4,))
    classes = {"images": np.zeros((6, 4), np.float32), "labels": [0, 1, 2, 0, 1, 2], "class_names": ["a", "b"]}
    with pytest.raises(GoldenError, match="label 2 has no name among 2 class_names"):
        from_arrays(classes, "mine")
    part = np.zeros((4, 3), np.float32)
    part[2, 1] = np.inf
    with pytest.raises(GoldenError, match="image 2 holds numbers that are NaN or infinite"):
        from_arrays({"images": np.zeros((4, 3), np.float32), "test_images": part}, "mine")


def test_folders_of_pictures_of_their_own(tmp_path: Path) -> None:
    """Other pictures in train and test; hidden files are none; a class that only the tests have is refused."""
    from PIL import Image

    for kind, shade in (("train", 10), ("test", 200)):
        for number, name in enumerate(("cat", "dog")):
            (tmp_path / kind / name).mkdir(parents=True)
            Image.fromarray(np.full((5, 7, 3), shade + number, np.uint8)).save(tmp_path / kind / name / "a.png")
    (tmp_path / "train" / "cat" / ".hidden.png").write_text("none")
    reading = Reading(mean=(0.5,) * 3, std=(0.25,) * 3)
    data = read_data(str(tmp_path), reading)
    assert data.training.images[:, 0, 0, 0].tolist() == [10, 11]
    assert data.test.images[:, 0, 0, 0].tolist() == [200, 201]
    resized = read_data(str(tmp_path), Reading(mean=(0.5,) * 3, std=(0.25,) * 3, size=(3, 9)))
    assert resized.training.taken == (3, 3, 9)
    grey = read_data(str(tmp_path), Reading(mean=(0.5,), std=(0.25,)))
    assert grey.training.taken == (1, 5, 7)
    (tmp_path / "test" / "eel").mkdir()
    with pytest.raises(GoldenError, match="has class eel"):
        read_data(str(tmp_path), reading)
