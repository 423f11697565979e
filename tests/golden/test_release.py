"""From a checkpoint to committed files, on a few synthetic images: the path that makes golden/weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from golden.artefacts import read_manifest
from golden.clipact import ClipActSearch
from golden.errors import GoldenError, WeightsError
from golden.posttrain import PostTraining
from golden.release import ACCURACY, export, find_bounds, measure, schedule
from golden.train import Recipe, load_trained, train
from golden.zoo import load_bounds, load_qnetwork, save_weights
from tests.golden.conftest import random_images


def test_release(tmp_path: Path) -> None:
    recipe = Recipe(epochs=1, batch=16, validation=8, low_resolution=16, low_fraction=1, seed=3)
    data, weights = random_images(40), tmp_path / "weights"
    checkpoint = train(recipe, data, tmp_path / "run", processes=1)
    export("alexnet", checkpoint, data, weights)
    with pytest.raises(WeightsError, match="bounds"):
        load_qnetwork("alexnet", "fitact", 8, weights)
    record = find_bounds(
        "alexnet",
        data,
        PostTraining(epochs=1, images=16, batch=16, checks=1, delta=1.0),
        ClipActSearch(rates=(0.0, 1e-6), maps=1, iterations=1, points=2),
        weights,
    )
    assert record["neurons"] == 140_288
    facts = read_manifest(weights)
    assert facts["alexnet.npz"]["recipe"]["seed"] == 3
    assert facts["alexnet.npz"]["schedule"] == "epochs 1-1 of 1"
    for option in ("k", "zeta", "delta", "lr", "epochs"):
        assert option in facts["alexnet_bounds.npz"]["fitact"]
    assert (weights / "alexnet_log.csv").is_file()
    layer, neuron = (load_bounds("alexnet", scheme, weights)["features.2"] for scheme in ("ranger", "fitact"))
    assert layer.shape == ()
    assert neuron.shape == (64, 32, 32)
    assert neuron.max() <= layer
    result = measure("alexnet", {"few": random_images(3, 5)}, weights, "a command", processes=1)
    assert json.loads((weights / ACCURACY).read_text())["alexnet"] == result
    assert set(result["few"]) == {"unprotected", "ranger", "clipact", "fitact"}
    for formats in result["few"].values():
        assert set(formats) == {"float32", "int8", "int16", "Q15.16"}
        assert all(0 <= value <= 100 for value in formats.values())


def test_unfinished_or_foreign_runs_are_refused(tmp_path: Path) -> None:
    recipe = Recipe(epochs=1, batch=16, validation=8, low_resolution=16, low_fraction=1, seed=3)
    data = random_images(40)
    checkpoint = train(recipe, data, tmp_path, processes=1)
    with pytest.raises(WeightsError, match="no checkpoint of vgg16"):
        export("vgg16", checkpoint, data, tmp_path)
    with pytest.raises(WeightsError, match="no checkpoint of alexnet"):
        export("alexnet", tmp_path / "absent.pt", data, tmp_path)
    save_weights("alexnet", load_trained(checkpoint), {}, tmp_path)
    with pytest.raises(GoldenError, match="no validation split"):
        find_bounds("alexnet", data, PostTraining(), ClipActSearch(), tmp_path)


def test_schedule_tells_of_a_shortened_run() -> None:
    log = [{"epoch": 1, "of": 9}, {"epoch": 2, "of": 9}, {"epoch": 3, "of": 4}, {"epoch": 4, "of": 4}]
    assert schedule(log) == "epochs 1-2 of 9, epochs 3-4 of 4"
