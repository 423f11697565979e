"""Committed files: whole or refused; and the networks that come out of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from golden.bounds.schemes import COMPARED
from golden.errors import GoldenError, WeightsError
from golden.networks import zoo
from golden.networks.artefacts import (
    MANIFEST,
    WEIGHTS_FOLDER,
    half_up,
    read_arrays,
    read_artefact,
    read_manifest,
    update_facts,
    write_artefact,
)
from golden.networks.models import build_model
from golden.networks.registry import stored_schemes
from golden.networks.zoo import (
    load_bounds,
    load_model,
    load_points,
    load_qnetwork,
    save_bounds,
    save_points,
    save_weights,
)
from golden.quantisation.quantise import calibrate, quantise_images
from golden.reference import logits
from golden.search.profile import layer_bounds, profile
from tests.golden.conftest import random_images


def test_write_and_read(tmp_path: Path) -> None:
    write_artefact("a.bin", b"one", {"seed": 1}, tmp_path)
    write_artefact("b.bin", b"two", {}, tmp_path)
    assert read_artefact("a.bin", tmp_path) == b"one"
    update_facts("a.bin", {"accuracy": 0.5}, tmp_path)
    facts = read_manifest(tmp_path)["a.bin"]
    assert facts["seed"] == 1
    assert facts["accuracy"] == 0.5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "b.bin", MANIFEST]


def test_damage_is_noticed(tmp_path: Path) -> None:
    write_artefact("a.npz", b"one", {}, tmp_path)
    with pytest.raises(WeightsError, match="not a readable npz"):
        read_arrays("a.npz", tmp_path)
    (tmp_path / "a.npz").write_bytes(b"onf")
    with pytest.raises(WeightsError, match="is damaged") as caught:
        read_artefact("a.npz", tmp_path)
    assert "\n" not in str(caught.value)
    (tmp_path / "a.npz").unlink()
    with pytest.raises(WeightsError, match="missing"):
        read_artefact("a.npz", tmp_path)
    with pytest.raises(WeightsError, match=r"b\.npz is not in"):
        read_artefact("b.npz", tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(WeightsError, match="not readable"):
        read_artefact("a.npz", tmp_path)


@pytest.mark.parametrize(("bits", "share"), [(8, 0.6), (10, 0.85)])
def test_matrices_as_codes_are_close_and_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: int, share: float
) -> None:
    """As ResNet50 is stored: whole numbers with a scale for each output channel."""
    model = build_model("alexnet", 1)
    save_weights("alexnet", model, {}, tmp_path / "half")
    monkeypatch.setattr(zoo, "CODE_BITS", {"alexnet": bits})
    save_weights("alexnet", model, {}, tmp_path / "codes")
    sizes = [(tmp_path / form / "alexnet.npz").stat().st_size for form in ("half", "codes")]
    assert sizes[1] < share * sizes[0]
    exact, again = model.state_dict(), load_model("alexnet", folder=tmp_path / "codes").state_dict()
    for key, value in exact.items():
        top = value.abs().reshape(len(value), -1).amax(1) if value.ndim > 1 else torch.zeros(1)
        step = (top / ((1 << (bits - 1)) - 1)).reshape(-1, *[1] * (value.ndim - 1))
        assert ((again[key] - value).abs() <= 0.5001 * step).all(), key


def test_half_precision_bounds_never_shrink() -> None:
    values = np.concatenate([np.random.default_rng(0).uniform(0, 30, 5000), [0.0, 1.0, 1e-9, 0.1]])
    stored = half_up(values.astype(np.float32))
    assert stored.dtype == np.float16
    assert (stored.astype(np.float64) >= values.astype(np.float32)).all()
    assert (stored.astype(np.float64) <= values * 1.002 + 1e-7).all()
    assert stored[5000] == 0


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as golden/weights, of an untrained AlexNet."""
    folder = tmp_path_factory.mktemp("weights")
    save_weights("alexnet", build_model("alexnet"), {"seed": 0}, folder)
    model = load_model("alexnet", folder=folder)
    images = random_images(8)
    maxima = profile(model, images)
    of_layers = layer_bounds(maxima)
    bounds = {"ranger": of_layers, "clipact": of_layers, "fitact": maxima}
    save_bounds("alexnet", bounds, {}, folder)
    save_points("alexnet", {word: calibrate(model, images.images, word) for word in (8, 16, 32)}, {}, folder)
    return folder


@pytest.mark.parametrize("word_bits", [8, 16, 32])
@pytest.mark.parametrize("scheme", ["unprotected", "ranger", "clipact", "fitact"])
def test_quantised_networks_load(stored: Path, scheme: str, word_bits: int) -> None:
    qnet = load_qnetwork("alexnet", scheme, word_bits, stored)
    assert (qnet.name, qnet.scheme, qnet.word_bits) == ("alexnet", scheme, word_bits)
    kind = {"unprotected": "relu", "ranger": "saturate"}.get(scheme, "clip")
    assert [layer.activation for layer in qnet.layers if layer.kind == "conv"] == [kind] * 7 + ["linear"]
    neurons = sum(np.size(layer.bound) for layer in qnet.layers if layer.bound is not None)
    assert neurons == {"unprotected": 0, "fitact": 140_288}.get(scheme, 7)
    x = quantise_images(qnet, random_images(8).images[:2])
    with torch.no_grad():
        exact = load_model("alexnet", "unprotected", stored)(
            torch.from_numpy(x * 2.0**-qnet.input_frac).float()
        ).numpy()
    got = logits(qnet, x) * 2.0 ** -qnet.layers[-1].frac_out
    # the images are among those that were profiled, so no scheme changes the result
    assert np.abs(got - exact).max() < (0.1 if word_bits == 8 else 0.002)


def test_loading_twice_gives_the_same_network(stored: Path) -> None:
    first, second = (load_qnetwork("alexnet", "fitact", 8, stored) for _ in range(2))
    for a, b in zip(first.layers, second.layers, strict=True):
        for field in ("weight", "bias", "shift", "bound"):
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field))


def test_bounds_are_stored_upwards(stored: Path) -> None:
    model = load_model("alexnet", folder=stored)
    maxima = profile(model, random_images(8))
    for name, bound in load_bounds("alexnet", "fitact", stored).items():
        assert (bound >= maxima[name] * (1 - 1e-5)).all()


def test_loading_errors_are_one_clear_line(stored: Path, tmp_path: Path) -> None:
    with pytest.raises(GoldenError, match="unknown model 'lenet'"):
        load_qnetwork("lenet", "fitact", 8, stored)
    with pytest.raises(GoldenError, match="unknown scheme 'fitnot'"):
        load_qnetwork("alexnet", "fitnot", 8, stored)
    with pytest.raises(GoldenError, match="word of 12 bits"):
        load_qnetwork("alexnet", "fitact", 12, stored)
    with pytest.raises(WeightsError, match=r"vgg16\.npz is not in"):
        load_qnetwork("vgg16", "fitact", 8, stored)
    shutil.copytree(stored, tmp_path, dirs_exist_ok=True)
    weights = tmp_path / "alexnet.npz"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(WeightsError, match="is damaged"):
        load_qnetwork("alexnet", "fitact", 8, tmp_path)


def test_another_network_is_refused(stored: Path, tmp_path: Path) -> None:
    save_weights("alexnet", build_model("vgg16"), {}, tmp_path)
    with pytest.raises(WeightsError, match="does not hold the weights of this alexnet"):
        load_model("alexnet", folder=tmp_path)
    sha256 = read_manifest(tmp_path)["alexnet.npz"]["sha256"]
    with pytest.raises(WeightsError, match="do not cover"):
        save_bounds("alexnet", {"ranger": {"features.2": torch.tensor(1.0)}}, {}, tmp_path)
    write_artefact("alexnet_points.json", b'{"8": {}}', {"weights_sha256": sha256}, tmp_path)
    with pytest.raises(WeightsError, match="incomplete"):
        load_points("alexnet", 8, tmp_path)
    with pytest.raises(WeightsError, match="no points for 16 bits"):
        load_points("alexnet", 16, tmp_path)


def test_bounds_of_other_weights_are_refused(stored: Path, tmp_path: Path) -> None:
    shutil.copytree(stored, tmp_path, dirs_exist_ok=True)
    save_weights("alexnet", build_model("alexnet", seed=1), {}, tmp_path)
    with pytest.raises(WeightsError, match=r"alexnet_bounds\.npz was made for other weights"):
        load_qnetwork("alexnet", "fitact", 8, tmp_path)
    with pytest.raises(WeightsError, match=r"alexnet_points\.json was made for other weights"):
        load_qnetwork("alexnet", "unprotected", 8, tmp_path)


def test_weights_too_large_for_half_precision_are_refused(tmp_path: Path) -> None:
    model = build_model("alexnet")
    with torch.no_grad():
        next(model.parameters())[0, 0, 0, 0] = 1e6
    with pytest.raises(WeightsError, match=r"features\.0\.weight"):
        save_weights("alexnet", model, {}, tmp_path)


@pytest.mark.skipif(not (WEIGHTS_FOLDER / MANIFEST).is_file(), reason="no weights in this checkout")
def test_committed_files_are_whole() -> None:
    manifest = read_manifest()
    assert "alexnet.npz" in manifest
    for name in manifest:
        assert read_artefact(name)
    accuracy = json.loads((WEIGHTS_FOLDER / "accuracy.json").read_text())["alexnet"]
    full = accuracy.get("test_jpeg", accuracy.get("test"))
    assert full["unprotected"]["float32"] >= 88.0
    for formats in full.values():
        assert formats["float32"] - formats["int8"] <= 0.5
        assert abs(formats["float32"] - formats["int16"]) <= 0.1
        assert abs(formats["float32"] - formats["Q15.16"]) <= 0.1
    assert full["unprotected"]["float32"] - full["fitact"]["float32"] <= 0.5


def test_schemes_without_stored_bounds_are_not_offered(stored: Path) -> None:
    assert stored_schemes("vgg16", stored) == ("unprotected",)
    assert stored_schemes("alexnet")[: len(COMPARED)] == COMPARED
