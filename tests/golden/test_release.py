"""From a checkpoint to committed files, on a few synthetic images: the path that makes golden/weights."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from fitact_hw.cli import network_commands
from golden.bounds.recipes import PostTraining, ThresholdSearch
from golden.bounds.schemes import CLIPACT, FITACT, FITACT_CHANNEL, PROACT, SCHEMES
from golden.data.cifar10 import Images
from golden.errors import GoldenError, WeightsError
from golden.networks.artefacts import read_manifest
from golden.networks.zoo import load_bounds, load_qnetwork, save_weights
from golden.search.find import SearchOptions, find_bounds, options_for
from golden.search.profiled import profiled_network
from golden.training.averaging import average_checkpoints
from golden.training.release import ACCURACY, export, measure, schedule
from golden.training.train import Recipe, load_trained, train
from tests.golden.conftest import random_images


def test_average_of_a_stretched_run(tmp_path: Path) -> None:
    recipe = Recipe(epochs=1, batch=16, validation=8, low_resolution=16, low_fraction=1, seed=3)
    data = random_images(40)
    first = Path(shutil.copy(train(recipe, data, tmp_path / "run", processes=1), tmp_path / "first.pt"))
    last = train(replace(recipe, epochs=2), data, tmp_path / "run", processes=1)
    mean = average_checkpoints([last, first], tmp_path / "mean")
    ends, middle = [load_trained(path).state_dict() for path in (first, last)], load_trained(mean).state_dict()
    moved = 0
    for name, value in middle.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (ends[0][name] + ends[1][name]) / 2)
            moved += not torch.equal(ends[0][name], ends[1][name])
    assert moved > 10
    export("alexnet", mean, data, tmp_path / "weights")
    facts = read_manifest(tmp_path / "weights")["alexnet.npz"]
    assert facts["weights"] == "mean of the checkpoints after epochs 1, 2"
    assert facts["schedule"] == "epochs 1-1 of 1, epochs 2-2 of 2"
    other = train(replace(recipe, seed=4), data, tmp_path / "other", processes=1)
    with pytest.raises(GoldenError, match="not of one training run"):
        average_checkpoints([last, other], tmp_path / "mean")
    with pytest.raises(GoldenError, match="two checkpoints"):
        average_checkpoints([last], tmp_path / "mean")
    with pytest.raises(WeightsError, match="no checkpoint"):
        average_checkpoints([last, tmp_path / "absent.pt"], tmp_path / "mean")


def test_release(tmp_path: Path) -> None:
    recipe = Recipe(epochs=1, batch=16, validation=8, low_resolution=16, low_fraction=1, seed=3)
    data, weights = random_images(40), tmp_path / "weights"
    checkpoint = train(recipe, data, tmp_path / "run", processes=1)
    export("alexnet", checkpoint, data, weights, lambda: {"command": "an export"})
    with pytest.raises(WeightsError, match="bounds"):
        load_qnetwork("alexnet", "fitact", 8, weights)
    learning = PostTraining(epochs=1, images=16, batch=16, checks=1, delta=1.0)
    options = SearchOptions(
        {
            CLIPACT.name: ThresholdSearch(rates=(0.0, 1e-6), maps=1, iterations=1, points=2, images=20),
            PROACT.name: replace(learning, distil=1.0, layer_wise=True),
            FITACT.name: learning,
            FITACT_CHANNEL.name: learning,
        }
    )
    origin = {"command": "a search"}
    cache = tmp_path / "profiles"
    record = find_bounds("alexnet", data, options, folder=weights, cache=cache, origin=lambda: origin)
    assert record["neurons"] == 140_288
    assert 0 <= record["neurons_that_never_fire"] <= record["fitact"]["neurons_with_bound_0"] < 140_288
    assert set(record["ranger"]["validation_accuracy"]) == {"unprotected", "hard"}
    facts = read_manifest(weights)
    assert facts["alexnet.npz"]["recipe"]["seed"] == 3
    assert facts["alexnet.npz"]["schedule"] == "epochs 1-1 of 1"
    assert facts["alexnet.npz"]["provenance"] == {"command": "an export"}
    assert facts["alexnet_bounds.npz"]["ranger"]["provenance"] == facts["alexnet_bounds.npz"]["fitact"]["provenance"]
    assert facts["alexnet_bounds.npz"]["fitact"]["provenance"] == origin
    for option in ("k", "zeta", "delta", "lr", "epochs"):
        assert option in facts["alexnet_bounds.npz"]["fitact"]
    hybrid = load_bounds("alexnet", "proact", weights)
    assert [bound.ndim for bound in hybrid.values()] == [0] * 6 + [1]  # neuron bounds in the last activation only
    assert (weights / "alexnet_log.csv").is_file()
    layer, neuron = (load_bounds("alexnet", scheme, weights)["features.2"] for scheme in ("ranger", "fitact"))
    assert layer.shape == ()
    assert neuron.shape == (64, 32, 32)
    assert neuron.max() <= layer
    few, first, second = {"few": random_images(3, 5)}, {"command": "the first"}, {"command": "the second"}
    result = measure("alexnet", few, weights, lambda: first, processes=1, exact_images=2)
    assert result["provenance"] == [first]
    assert result["images"] == {"few": 3}
    assert result["images_of_word_formats"] == {"few": 2}
    assert json.loads((weights / ACCURACY).read_text())["alexnet"] == result
    assert set(result["few"]) == set(SCHEMES)
    for formats in result["few"].values():
        assert set(formats) == {"float32", "int8", "int16", "Q15.16"}
        assert all(0 <= value <= 100 for value in formats.values())
        assert {formats[form] for form in ("int8", "int16", "Q15.16")} <= {0.0, 50.0, 100.0}
    again = (few, weights, lambda: second, 1)
    with pytest.raises(GoldenError, match="no figures of alexnet with as many images: measure all"):
        measure("alexnet", *again, exact_images=3, schemes=["fitact"])
    wrong = {**result, "few": {**result["few"], "fitact": {"float32": -1}, "ranger": {"float32": -1}}}
    (weights / ACCURACY).write_text(json.dumps({"alexnet": wrong, "vgg16": {}}))
    assert measure("alexnet", *again, exact_images=2, schemes=["fitact"]) == {
        **result,
        "few": {**result["few"], "ranger": {"float32": -1}},
        "provenance": [first, second],
    }
    assert json.loads((weights / ACCURACY).read_text())["vgg16"] == {}


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
        find_bounds("alexnet", data, folder=tmp_path)


def test_bounds_of_one_scheme_leave_the_others(stored: tuple[Images, Path], tmp_path: Path) -> None:
    """As `make post-train` does it: into another folder, with the network and the other schemes."""
    data, weights = stored
    cache = tmp_path / "profiles"
    find_bounds("alexnet", data, schemes=["ranger"], folder=weights, cache=cache)
    before = load_bounds("alexnet", "ranger", weights)
    options = options_for("alexnet", 1, images=16, epochs=1, delta=1.0)
    find_bounds("alexnet", data, options, ["fitact"], weights, tmp_path / "new", cache)
    after = load_bounds("alexnet", "ranger", tmp_path / "new")
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert load_bounds("alexnet", "fitact", tmp_path / "new")["features.2"].shape == (64, 32, 32)
    with pytest.raises(WeightsError, match="no bounds of fitact"):
        load_bounds("alexnet", "fitact", weights)
    with pytest.raises(GoldenError, match="unprotected has no bounds"):
        find_bounds("alexnet", data, schemes=["unprotected"], folder=weights)


def test_a_damaged_profile_is_made_again(stored: tuple[Images, Path], tmp_path: Path) -> None:
    data, weights = stored
    cache = tmp_path / "profiles"
    first = profiled_network("alexnet", data, weights, cache).maxima
    [kept] = cache.iterdir()
    kept.write_bytes(kept.read_bytes()[:1000])
    again = profiled_network("alexnet", data, weights, cache).maxima
    assert all(torch.equal(first[name], again[name]) for name in first)
    elsewhere = profiled_network("alexnet", data, weights, tmp_path).maxima
    assert all(torch.equal(first[name], value) for name, value in elsewhere.items())


def test_schedule_tells_of_a_shortened_run() -> None:
    log = [{"epoch": 1, "of": 9}, {"epoch": 2, "of": 9}, {"epoch": 3, "of": 4}, {"epoch": 4, "of": 4}]
    assert schedule(log) == "epochs 1-2 of 9, epochs 3-4 of 4"


def test_post_train_command_shows_both_forms_before_and_after(
    stored: tuple[Images, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, folder = stored
    monkeypatch.setattr("golden.data.cifar10.load_images", lambda *_: images)
    monkeypatch.setattr("golden.data.cifar10.check_available", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    network_commands.register(app)
    options = ["--weights", str(folder), "--images", "16", "--epochs", "1", "--delta", "1"]
    outcome = CliRunner().invoke(app, ["post-train", "alexnet", *options], env={"COLUMNS": "160"})
    assert outcome.exit_code == 0, outcome.output
    for heading in ("hard, before", "hard, after", "smooth, before", "smooth, after", "seconds"):
        assert heading in outcome.output
    assert "fire for none of the 40 training images" in outcome.output
    written = tmp_path / "build" / "alexnet" / "weights"
    facts = read_manifest(written)["alexnet_bounds.npz"]["fitact"]
    line = next(line for line in outcome.output.splitlines() if "fitact" in line and "│" in line)
    shown = [float(cell) for cell in line.split("│")[2:6]]
    of, smooth = facts["validation_accuracy"], facts["smooth_accuracy"]
    assert shown == pytest.approx([100 * v for v in (of["unprotected"], of["hard"], smooth["before"], smooth["after"])])
    moved = load_bounds("alexnet", "fitact", written)
    profiled = profiled_network("alexnet", images, folder, None)
    maxima = profiled.maxima
    assert profiled.effect("clip", maxima)["validation_accuracy"]["hard"] == of["unprotected"]  # so "hard, before"
    assert any(not torch.equal(bound, maxima[name]) for name, bound in moved.items())
    scaled = CliRunner().invoke(app, ["post-train", "alexnet", *options, "--factor", "0.5", "--out", "half"])
    assert scaled.exit_code == 0, scaled.output
    for name, bound in load_bounds("alexnet", "fitact", tmp_path / "half").items():
        torch.testing.assert_close(bound, maxima[name] / 2, rtol=1e-3, atol=1e-6)  # stored as float16
    outcome = CliRunner().invoke(app, ["post-train", "alexnet", "--factor", "nan"])
    assert "--factor nan: must be a finite number" in str(outcome.exception)
    bad = CliRunner().invoke(app, ["post-train", "alexnet", "--scheme", "magic"])
    assert "unknown scheme 'magic'" in str(bad.exception)
