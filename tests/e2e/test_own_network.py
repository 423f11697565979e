"""A network of one's own, 3x64x48 images of 7 classes, through every command that takes a network."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from golden.data.cifar10 import CLASSES
from golden.search.own import find_own_bounds
from golden.subjects.data import from_arrays
from golden.subjects.make import import_checked, write_subject
from golden.support.output import Output, speaking
from tests.cli.conftest import Fitact, fitact  # noqa: F401

MACHINE = ("--rows", "4", "--cols", "4", "--word", "8")
NAMES = [f"organ {number}" for number in range(7)]


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Sequential(
            *(nn.Conv2d(3, 4, 4, stride=4), nn.ReLU(), nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.ReLU6()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 7)),
        ).eval()


@pytest.fixture(scope="module", params=["labelled", "unlabelled"])
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With labels and class names, or without either."""
    rng = np.random.default_rng(0)
    arrays = {"images": rng.integers(0, 256, (30, 64, 48, 3)).astype(np.uint8), "mean": [0.5] * 3, "std": [0.3] * 3}
    if request.param == "labelled":
        arrays |= {"labels": rng.integers(0, 7, 30), "class_names": NAMES}
    folder = tmp_path_factory.mktemp("own") / request.param
    with speaking(Output(quiet=True)):
        made = write_subject(import_checked(network(), from_arrays(arrays, "scans")), folder, "tests")
        find_own_bounds(made, ("ranger", "fitact"))
    return folder


@pytest.fixture
def run(fitact: Fitact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:  # noqa: F811
    """Run a command in an empty folder; what it says and writes must name no class of CIFAR-10."""
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> str:
        done = fitact(*words)
        assert done.code == 0, done.err
        texts = [done.out + done.err]
        texts += [path.read_text() for path in tmp_path.rglob("*") if path.suffix in (".json", ".csv", ".md", ".html")]
        assert not [name for name in CLASSES for text in texts if re.search(rf"\b{name}\b", text)]
        assert not [text for text in texts if "CIFAR" in text]
        return done.out

    return command


def test_sim_and_replay(run: Callable[..., str], subject: Path, tmp_path: Path) -> None:
    said = run("sim", str(subject), *MACHINE, "--faults", "7", "--images", "2", "--workers", "1", "--out", "sim")
    assert f"{subject.name} on a 4x4 array" in said
    found = json.loads((tmp_path / "sim" / "results.json").read_text())
    assert not any(layer["differing"] for layer in found["layers"])
    assert ("organ" in said) is found["labelled"] is (subject.name == "labelled")
    assert ("in the class of the float network" in said) is not found["labelled"]
    assert "(stored: " in run("replay", "--results", "sim", "--fault", "fitact-0")


def test_campaign_and_report(run: Callable[..., str], subject: Path, tmp_path: Path) -> None:
    options = ("--faults", "9", "--images", "2", "--structures", "weight_buffer,pe_psum,token", "--workers", "1")
    run("campaign", "run", str(subject), *MACHINE, *options, "--out", "campaign")
    said = run("campaign", "report", "campaign")
    assert "FitAct" in said
    assert subject.name in (tmp_path / "campaign" / "report.html").read_text()
    checked = run(
        "campaign", "validate", str(subject), *MACHINE, "--injections", "3", "--schemes", "fitact", "--out", "v"
    )
    assert re.search(r"3 of 3|all 3|0 differ", checked)


def test_validations(run: Callable[..., str], subject: Path) -> None:
    said = run("validate", str(subject), *MACHINE, "--injections", "1", "--workers", "1")
    assert f"all 1 agree ({subject.name}, fitact, 8-bit words, seed 1)" in said
    said = run("validate-memory", str(subject), *MACHINE, "--maps", "1", "--rate", "1e-3", "--workers", "1")
    assert f"all 3 agree ({subject.name}, 8-bit words, BER 0.001, seed 1)" in said


def test_studies(run: Callable[..., str], subject: Path, tmp_path: Path) -> None:
    options = ("--word", "8", "--rates", "1e-3", "--maps", "2", "--images", "6", "--workers", "1")
    run("resilience", str(subject), *options, "--out", "study")
    page = (tmp_path / "study" / "resilience.md").read_text()
    assert f"* images: the first 6 test images of {subject.name}" in page
    said = run("granularity", str(subject), *options, "--out", "study")
    assert "neuron-clip-word" in said


def test_overhead(run: Callable[..., str], subject: Path) -> None:
    said = run("overhead", "--models", str(subject), "--rows", "4", "--cols", "4", "--out", "over")
    assert subject.name in said
