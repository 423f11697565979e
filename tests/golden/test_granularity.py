"""Bounds that are learned for groups of neurons, from the command to the granularity study."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from fitact_hw.cli import network_commands
from fitact_hw.resilience.subjects import Settings, granularity_subjects
from golden.bounds.granularity import Granularity, find_granularity
from golden.data.cifar10 import Images
from golden.errors import GoldenError
from golden.networks.zoo import load_bounds, load_model, load_qnetwork, save_points
from golden.quantisation.quantise import calibrate
from golden.search.grouping import groups_of, shared_maxima
from golden.search.profiled import profiled_network


@pytest.mark.parametrize("granularity", ["layer", "channel", "patch"])
def test_bounds_learned_for_groups(
    stored: tuple[Images, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, granularity: str
) -> None:
    """Equal within each group, moved from the largest maximum of it, and taken up by the granularity study."""
    images, folder = stored
    save_points("alexnet", {32: calibrate(load_model("alexnet", folder=folder), images.images[:4], 32)}, {}, folder)
    monkeypatch.setattr("golden.data.cifar10.load_images", lambda *_: images)
    monkeypatch.setattr("golden.data.cifar10.check_available", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    network_commands.register(app)
    options = ["--weights", str(folder), "--images", "16", "--epochs", "1", "--delta", "1"]
    outcome = CliRunner().invoke(app, ["post-train", "alexnet", *options, "--granularity", granularity])
    assert outcome.exit_code == 0, outcome.output
    written = Path("build") / "alexnet" / f"weights-{granularity}"
    moved = 0
    for name, bound in load_bounds("alexnet", "fitact", written).items():
        maxima = profiled_network("alexnet", images, folder, None).maxima[name]
        group = groups_of(bound, Granularity(granularity))
        assert torch.equal(bound, shared_maxima(bound, group)), name
        moved += int((bound < 0.999 * shared_maxima(maxima, group)).sum())
    assert moved > 0
    subjects = granularity_subjects(Settings("alexnet", weights=str(folder)), learned=[written])
    assert [subject.scheme for subject in subjects[16:]] == [f"{granularity}-clip-learned"]
    qnet, bounds = subjects[-1].load()
    assert bounds is not None
    for layer in load_qnetwork("alexnet", "fitact", 32, written).layers:
        if layer.bound is not None:
            expected = np.asarray(layer.bound)
            assert np.array_equal(np.broadcast_to(np.asarray(qnet.layer(layer.name).bound), layer.out_shape), expected)
            sharing = groups_of(torch.from_numpy(expected), Granularity(granularity))
            assert bounds[layer.name].storage_bits == 32 * len(sharing.unique())
    with pytest.raises(GoldenError, match="the same groups"):
        granularity_subjects(Settings("alexnet", weights=str(folder)), learned=[written, written])
    with pytest.raises(GoldenError, match="learned for groups"):
        granularity_subjects(Settings("alexnet", weights=str(folder)), learned=[folder])


@pytest.mark.parametrize("name", ["pixel", "none"])
def test_unknown_granularity_is_refused(name: str) -> None:
    with pytest.raises(GoldenError, match=f"'{name}' is unknown: choose one of layer, channel, patch, neuron"):
        find_granularity(name)
