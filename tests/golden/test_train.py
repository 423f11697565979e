"""Training: the recipe's parts, and that an interrupted run goes on as if nothing had happened."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from fitact_hw.cli import application
from golden.data.augment import Augmenter, resize
from golden.data.cifar10 import MEAN, STD
from golden.data.dataset import standardise, to_tensor
from golden.errors import GoldenError, WeightsError
from golden.networks.evaluate import accuracy
from golden.networks.models import build_model
from golden.training.optim import Muon, orthogonalise, split_parameters
from golden.training.train import CHECKPOINT, LOG, Recipe, forward, load_checkpoint, load_trained, recipe_for, train
from tests.golden.conftest import random_images

TINY = Recipe(epochs=2, batch=16, validation=8, low_resolution=16, low_fraction=0.5, seed=3)


@pytest.fixture
def half_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run killed while it wrote its second checkpoint."""
    original = Path.replace
    calls: list[int] = []

    def dying(self: Path, target: Path) -> Path:
        if self.suffix == ".part":
            calls.append(1)
            if len(calls) == 2:
                raise KeyboardInterrupt
        return original(self, target)

    monkeypatch.setattr(Path, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        train(TINY, random_images(40), tmp_path, processes=1)
    monkeypatch.undo()
    return tmp_path


def test_interrupted_run_resumes_to_the_same_weights(half_trained: Path, tmp_path: Path) -> None:
    state = load_checkpoint(half_trained / CHECKPOINT, TINY)
    assert state is not None
    assert len(state["log"]) == 1
    resumed = torch.load(train(TINY, random_images(40), half_trained, processes=1), weights_only=True)
    straight = torch.load(train(TINY, random_images(40), tmp_path / "other", processes=1), weights_only=True)
    for key, value in straight["model"].items():
        torch.testing.assert_close(resumed["model"][key], value, rtol=1e-3, atol=1e-3)
    with (half_trained / LOG).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [row["pixels"] for row in rows] == ["16", "32"]


def test_finished_run_is_left_alone_and_others_are_refused(tmp_path: Path) -> None:
    path = train(TINY, random_images(40), tmp_path, processes=1)
    before = path.read_bytes()
    assert train(TINY, random_images(40), tmp_path, processes=1).read_bytes() == before
    with pytest.raises(WeightsError, match="made by another recipe"):
        train(Recipe(epochs=2, batch=16, validation=8, seed=4), random_images(40), tmp_path, processes=1)
    load_trained(path)
    path.write_bytes(before[: len(before) // 2])
    with pytest.raises(WeightsError, match="not a readable checkpoint"):
        train(TINY, random_images(40), tmp_path, processes=1)
    with pytest.raises(WeightsError, match="no checkpoint"):
        load_trained(tmp_path / "absent.pt")


def test_two_processes_share_gradients(tmp_path: Path) -> None:
    """Both see half of each batch; what is saved is one network."""
    recipe = Recipe(epochs=1, batch=16, validation=8, low_fraction=0, seed=3)
    path = train(recipe, random_images(40), tmp_path, processes=2)
    state = load_checkpoint(path, recipe)
    assert state is not None
    assert state["log"][0]["epoch"] == 1
    assert all(torch.isfinite(value.float()).all() for value in state["model"].values())
    assert [file.name for file in sorted(tmp_path.iterdir())] == [CHECKPOINT, LOG]


def test_recipe_checks() -> None:
    assert recipe_for("alexnet", epochs=3, seed=None).epochs == 3
    with pytest.raises(GoldenError, match="unknown model 'lenet'"):
        recipe_for("lenet")
    with pytest.raises(GoldenError, match="must be positive"):
        Recipe(epochs=0)
    with pytest.raises(GoldenError, match="too few"):
        train(Recipe(), random_images(40), "unused", processes=1)
    rates = [Recipe().rate(p) for p in (0.0, 0.05, 0.525, 1.0)]
    assert rates == pytest.approx([0, 1, 0.5, 0])


def test_augmentation_is_seeded_shifted_and_flipped() -> None:
    images = to_tensor(random_images(12).images)
    labels = torch.arange(12)
    augmenter = Augmenter(Augmenter.pad(images, 4), labels, 4, seed=1)
    chosen = augmenter.order(0)[:6]
    first, truth = augmenter.batch(chosen, 0)
    again, _ = augmenter.batch(chosen, 0)
    assert torch.equal(first, again)
    assert truth.tolist() == chosen.tolist()
    assert first.shape == (6, 3, 32, 32)
    assert sorted(augmenter.order(5).tolist()) == list(range(12))
    still = Augmenter(images, labels, 0, seed=1)
    views = [still.batch(torch.arange(12), epoch)[0] for epoch in (0, 1)]
    for view, other, original in zip(*views, images, strict=True):
        # one epoch shows the image, the next its mirror image
        mirrored = original.flip(2)
        assert torch.equal(view, original) != torch.equal(view, mirrored)
        assert torch.equal(other, view.flip(2))


def test_normalisation_and_sizes() -> None:
    images = to_tensor(random_images(4).images)
    pixels = standardise(images, MEAN, STD)
    assert pixels.dtype == torch.float32
    value = (images[0, 2, 5, 7].item() / 255 - 0.4465) / 0.2616
    assert pixels[0, 2, 5, 7].item() == pytest.approx(value, abs=1e-5)
    assert resize(pixels, 32) is pixels
    assert resize(pixels, 24).shape == (4, 3, 24, 24)


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "resnet50"])
def test_low_resolution_forward(name: str) -> None:
    model = build_model(name).eval()
    with torch.no_grad():
        assert forward(model, torch.rand(2, 3, 16, 16)).shape == (2, 10)
        x = torch.rand(2, 3, 32, 32)
        assert torch.equal(forward(model, x), model(x))
    assert 0 <= accuracy(model, random_images(4), 16, forward) <= 1


def test_muon() -> None:
    matrix = torch.randn(20, 50)
    values = torch.linalg.svdvals(orthogonalise(matrix).float())
    assert values.max() < 1.4
    assert values.median() > 0.5
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(8, 8))
    target = torch.randn(8, 8)
    optimiser = Muon([weight], lr=0.05)
    losses = []
    for _ in range(60):
        direction = weight / weight.norm() - target / target.norm()
        loss = direction.square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]
    with pytest.raises(ValueError, match="closure"):
        optimiser.step(lambda: 0.0)


def test_parameters_are_split_once() -> None:
    model = build_model("alexnet")
    matrices, others = split_parameters(model)
    assert len(matrices) == 7
    assert len(matrices) + len(others) == len(list(model.parameters()))
    assert np.prod(others[-2].shape) == 5120


def test_command_line_reports_errors_without_a_trace(tmp_path: Path) -> None:
    arguments = ["train", "alexnet", "--no-download", "--folder", str(tmp_path / "run"), "--root", str(tmp_path)]
    result = CliRunner().invoke(application(), [*arguments, "--cifar10", ""])
    assert result.exit_code != 0
    assert isinstance(result.exception, GoldenError)
    assert "CIFAR-10 is not here" in str(result.exception)
