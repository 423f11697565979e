"""`fitact check`, `fitact subject` and `fitact bounds`: what they say of a network of one's own, right or wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from golden.search import own
from golden.subjects.find import open_subject
from tests.cli.conftest import Fitact

NETWORKS = """
import torch
from torch import nn
from torch.nn import functional as F

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.head = nn.ReLU(), nn.Linear(4 * 3 * 4, 7)

    def forward(self, x):
        x = self.relu(self.a(x))
        x = F.relu6(self.b(x) + x)
        return F.softmax(self.head(F.max_pool2d(self.relu(x), 2).flatten(1)), 1)

class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.norm = nn.Conv2d(1, 4, 3, padding=1), nn.GroupNorm(2, 4)
        self.head = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 7))

    def forward(self, x):
        x = self.norm(self.a(x))
        x = F.silu(x)
        return self.head(x.mean((2, 3)))

def data():
    return torch.randn(30, 1, 6, 8, generator=torch.Generator().manual_seed(1)).numpy()
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with networks and the same pictures in several forms; labels are the network's own classes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FITACT_BUILD", str(tmp_path / "build"))
    (tmp_path / "nets.py").write_text(NETWORKS)
    space: dict[str, Any] = {}
    exec(NETWORKS, space)
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (40, 6, 8)).astype(np.uint8)
    images = ((grey / 255 - 0.5) / 0.25).astype(np.float32)[:, None]
    with torch.no_grad():
        labels = space["Small"]().eval()(torch.from_numpy(images)).argmax(1).numpy()
    names = [f"kind {n}" for n in range(7)]
    np.savez("float.npz", images=images, labels=labels, class_names=names)
    np.savez("unlabelled.npz", images=images)
    np.savez("grey.npz", images=grey, labels=labels, mean=[0.5], std=[0.25])
    np.savez("channel.npz", images=grey[..., None], labels=labels, mean=[0.5], std=[0.25])
    np.savez("bare.npz", images=grey, labels=labels)
    np.savez("wrong.npz", images=images, labels=(labels + 1) % 7)
    np.savez("more.npz", images=images, labels=np.arange(40))
    return tmp_path


PLACES = [
    r"group_norm (norm, nets.py:25: x = self.norm(self.a(x)))",
    r"silu (silu, nets.py:26: x = F.silu(x))",
    r"gelu (head.1, nets.py:27: return self.head(x.mean((2, 3))))",
]


@pytest.mark.parametrize(
    "command", ["check", "subject", "sim", "campaign run", "resilience", "validate", "granularity"]
)
def test_every_command_names_all_that_is_not_supported_with_its_place(fitact: Fitact, here: Path, command: str) -> None:
    extra = ["--out", "new"] if command == "subject" else []
    done = fitact(*command.split(" "), "nets.py:Odd", "--data", "float.npz", *extra)
    assert done.code == 2
    said = done.out if command == "check" else done.err
    assert [place for place in PLACES if f"{place} is not supported" in said] == PLACES
    if command == "check":
        assert done.out.splitlines()[-1] == "nets.py:Odd cannot run: 3 problems"
    else:
        assert done.err.startswith("error: Odd cannot run: group_norm")
        assert done.err.count("\n") == 1
    assert not (here / "new").exists()


def test_an_exported_program_still_knows_the_source(fitact: Fitact, here: Path) -> None:
    space: dict[str, Any] = {}
    exec(compile(NETWORKS, str(here / "nets.py"), "exec"), space)
    batch = torch.export.Dim("batch", min=1, max=64)
    example = (torch.zeros(2, 1, 6, 8),)
    for name in ("Odd", "Small"):
        program = torch.export.export(space[name]().eval(), example, dynamic_shapes=({0: batch},))
        torch.export.save(program, here / f"{name}.pt2")
    done = fitact("check", "Odd.pt2", "--data", "float.npz")
    assert (done.code, [place for place in PLACES if place in done.out]) == (2, PLACES)
    tables = [
        fitact("check", net, "--data", "float.npz", "-q").out.splitlines()[1:-1]
        for net in ("nets.py:Small", "Small.pt2")
    ]
    assert tables[0] == tables[1]


def test_check_says_what_the_network_is_and_loses(fitact: Fitact, here: Path) -> None:
    done = fitact("check", "nets.py:Small", "--data", "float.npz", "--word", "16", "--json")
    found = json.loads(done.out)
    assert (done.code, found["runs"], found["word"], found["problems"]) == (0, True, 16, [])
    assert [line["node"] for line in found["layers"]][:2] == ["relu", "relu6"]
    assert found["layers"][0]["macs"] == 4 * 9 * 48
    assert (found["images"], found["float_right"], found["labelled"]) == (8, 8, True)
    assert found["same"] == found["integer_right"] >= 7
    assert all(line["cycles"] > 0 and line["snr_db"] > 40 for line in found["layers"])
    assert any("softmax at the end is left out" in note for note in found["notes"])
    shown = fitact("check", "nets.py:Small", "--data", "unlabelled.npz", "-q").out
    assert "top-1" not in shown
    assert "of 8 images in the same class as by float" in shown


def test_the_same_pictures_give_the_same_in_every_form(fitact: Fitact, here: Path) -> None:
    def table(*words: str) -> Any:
        found = json.loads(fitact("check", "nets.py:Small", *words, "--json").out)
        return found["layers"], found["float_right"], found["same"]

    expected = table("--data", "grey.npz")
    assert table("--data", "channel.npz") == expected
    assert table("--data", "bare.npz", "--mean", "0.5", "--std", "0.25") == expected
    again, right, same = table("--data", "float.npz")  # float32, so that the SNR differs in the last digits
    assert [line | {"snr_db": 0} for line in again] == [line | {"snr_db": 0} for line in expected[0]]
    assert (right, same) == expected[1:]


LINES = {
    "check nets.py:Small --data bare.npz": "bare.npz: uint8 images of 1 channel need as many values of mean and std",
    "check nets.py:Small --data more.npz": "more.npz has label 39, Small has 7 outputs: 0 to 6",
    "check nets.py:Small": "nets.py:Small needs images: --data FILE.npz",
    "sim nets.py:Small": "nets.py:Small needs images: --data FILE.npz",
    "check alexnet --data float.npz": "--data goes with a network of your own: alexnet has its images",
    "check nets.py --data float.npz": "nets.py is no network that can be read: name what makes it, nets.py:callable",
    "check weights.pt --data float.npz": "weights.pt is no network that can be read: it may hold weights; name file.py",
    "sim a/b": "a/b does not exist: name a network of `fitact models` or a subject's folder",
    "bounds nets.py:Small": "nets.py:Small is no subject's folder",
    "subject nets.py:Small --data float.npz": "a subject needs --data DATA (images) and --out FOLDER",
    "subject alexnet --data float.npz --out x": "alexnet is a subject already",
}


@pytest.mark.parametrize("command", LINES)
def test_wrong_use_is_one_line(fitact: Fitact, here: Path, command: str) -> None:
    (here / "weights.pt").write_bytes(b"PK")
    done = fitact(*command.split(" "))
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert done.err.startswith(f"error: {LINES[command]}")


def test_labels_that_the_network_never_meets_are_doubted(fitact: Fitact, here: Path) -> None:
    with np.load("wrong.npz") as file:
        images, labels = np.concatenate([file["images"]] * 3), np.concatenate([file["labels"]] * 3)
    np.savez("wrong.npz", images=images, labels=labels)
    done = fitact("check", "nets.py:Small", "--data", "wrong.npz", "-q")
    assert done.code == 0
    assert "float is right for 0 of 24 images, little more than by chance: are labels in the order" in done.out


def test_a_subject_is_made_and_bounded(fitact: Fitact, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "WORK", 1e5)
    made = fitact("subject", "nets.py:Small", "--data", "float.npz", "--out", "mine", "-q")
    assert (made.code, made.out) == (
        0, f"mine: {len(open_subject('mine').float_network().graph.ops)} operations, 8 test images of float.npz, top-1 "
        "100.0% in float; words of 8, 16, 32 bits\n",
    )  # fmt: skip
    again = fitact("subject", "nets.py:Small", "--data", "float.npz", "--out", "mine")
    assert (again.code, again.err) == (2, "error: mine holds a subject already: remove it or name another folder\n")
    done = fitact("bounds", "mine", "--scheme", "ranger,fitact", "--json")
    found = json.loads(done.out)
    assert (done.code, found["schemes"]) == (0, ["unprotected", "ranger", "fitact"])
    assert set(found["bounds"]["fitact"]["mean_bound"]) == {"relu", "relu6", "relu#2"}
    assert found["bounds"]["fitact"]["mean_bound"]["relu6"] <= 6
    subject = open_subject("mine")
    assert [subject.class_name(3), subject.class_name(9)] == ["kind 3", "class 9"]
    assert fitact("check", "mine", "-q").code == 0


def test_a_function_gives_images(fitact: Fitact, here: Path) -> None:
    done = fitact("subject", "nets.py:Small", "--data", "nets.py:data", "--out", "mine", "-q")
    assert (done.code, done.err) == (0, "")
    assert "6 test images of nets.py:data, no labels" in done.out
    assert not open_subject("mine").samples().labelled
