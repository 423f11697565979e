"""Bounds of a network of one's own: learned on its own images, for every activation call, with or without labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.bounds.recipes import PostTraining, ThresholdSearch
from golden.bounds.schemes import CLIPACT, FITACT, PROACT, RANGER, Scheme, bounded_names
from golden.errors import GoldenError, UnsupportedError, WeightsError
from golden.frontend.lowering import lower_network
from golden.search import own
from golden.search.find import options_for
from golden.search.own import find_own_bounds, within
from golden.subjects.data import from_arrays
from golden.subjects.make import import_checked, write_subject
from golden.subjects.stored import StoredSubject
from golden.support.output import Output, speaking


class Spellings(nn.Module):
    """A ReLU module called twice, a function, a method, a ReLU6 and a clip."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(n, 6, 3, padding=1) for n in (1, 6, 6))
        self.relu, self.six = nn.ReLU(), nn.ReLU6()
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.a(x))
        x = x + F.relu(self.b(x))
        x = self.six(4 * self.relu(self.c(x)))
        x = torch.clamp(2 * self.b(x), 0, 1.5)
        y: Tensor = self.head(x.mean((2, 3)).relu())
        return y


CALLS = ["relu", "relu#2", "relu#3", "six", "clamp", "relu#4"]
LIMITS = {"six": 6.0, "clamp": 1.5}


def seen_by_hand(model: Spellings, x: Tensor) -> dict[str, Tensor]:
    """Largest value behind each call without its limit, of each neuron."""
    found, largest = {}, lambda y: y.relu().amax(0)
    x = model.a(x)
    found["relu"] = largest(x)
    x = x.relu()
    y = model.b(x)
    found["relu#2"] = largest(y)
    x = model.c(x + y.relu())
    found["relu#3"] = largest(x)
    x = 4 * x.relu()
    found["six"] = largest(x)
    x = 2 * model.b(x.clamp(0, 6))
    found["clamp"] = largest(x)
    found["relu#4"] = largest(x.clamp(0, 1.5).mean((2, 3)))
    return found


def model() -> Spellings:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        return Spellings().eval()


def made(folder: Path, labelled: bool, count: int = 60) -> StoredSubject:
    rng = np.random.default_rng(2)
    arrays: dict[str, Any] = {"images": 3 * rng.standard_normal((count, 1, 6, 8)).astype(np.float32)}
    if labelled:
        arrays["labels"] = rng.integers(0, 4, count)
    return write_subject(import_checked(model(), from_arrays(arrays, "noise")), folder, "tests")


@pytest.fixture(autouse=True)
def _little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "WORK", 1e5)


@pytest.mark.parametrize("labelled", [True, False])
def test_every_call_gets_bounds_of_every_scheme(labelled: bool, tmp_path: Path) -> None:
    subject = made(tmp_path / "mine", labelled)
    with speaking(Output(quiet=True)):
        record = find_own_bounds(subject)
    again = StoredSubject(subject.folder)
    assert again.schemes == ("unprotected", *bounded_names())
    with torch.no_grad():
        seen = seen_by_hand(model(), subject.training().tensor())
    for scheme in bounded_names():
        bounds = again.bounds(scheme)
        assert sorted(bounds) == sorted(CALLS)
        facts = record[scheme]["validation_accuracy"]
        assert facts["hard"] >= facts["unprotected"] - 1 / 9 or scheme == "clipact"
        assert labelled or facts["unprotected"] == 1.0  # right is what the float network says
        layers = {layer.call: layer for layer in _layers(again, scheme) if layer.call}
        assert list(layers) == CALLS
        for name, layer in layers.items():
            limit = LIMITS.get(name, np.inf)
            assert (layer.bound <= min(limit, float(seen[name].max()) + 1e-4)).all(), (scheme, name)
            clips = scheme != "ranger" and name not in LIMITS
            assert layer.activation == ("clip" if clips else "saturate"), (scheme, name)
    for name, value in again.bounds("ranger").items():
        assert float(value) == pytest.approx(float(seen[name].max()), rel=1e-5)
    fitact = again.bounds("fitact")
    assert {name: value.shape for name, value in fitact.items()} == {name: seen[name].shape for name in CALLS}


def _layers(subject: StoredSubject, scheme: str) -> list[Any]:
    return lower_network(subject.network(scheme)).layers


@pytest.mark.parametrize("scheme", ["ranger", "fitact"])
def test_the_same_seed_finds_the_same_bounds(scheme: str, tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        subject = made(tmp_path / name, True)
        with speaking(Output(quiet=True)):
            find_own_bounds(subject, (scheme,), seed)
        found.append(subject.bounds(scheme))
    assert all(torch.equal(found[0][name], found[1][name]) for name in CALLS)
    if scheme == "fitact":
        assert any(not torch.equal(found[0][name], found[2][name]) for name in CALLS)


def test_limits_hold_in_integers_too(tmp_path: Path) -> None:
    subject = made(tmp_path / "mine", False)
    with speaking(Output(quiet=True)):
        find_own_bounds(subject, ("fitact",))
    for word in (8, 16, 32):
        for scheme in ("unprotected", "fitact"):
            network = subject.qnetwork(scheme, word)
            floats = {layer.name: layer for layer in _layers(subject, scheme)}
            for layer in network.layers:
                limit = floats[layer.name].limit
                if limit is not None:
                    assert np.asarray(layer.bound).max() <= np.ceil(limit * 2.0**layer.frac_out)
                    assert layer.activation == "saturate"


def test_what_has_nothing_to_bound_or_to_learn_from_is_one_line(tmp_path: Path) -> None:
    data = from_arrays({"images": np.zeros((2, 5), np.float32)}, "zeros")
    linear = write_subject(import_checked(nn.Linear(5, 3), data), tmp_path / "linear", "tests")
    with pytest.raises(GoldenError, match=r"\Alinear has no ReLU: there is nothing to bound\Z"):
        find_own_bounds(linear)
    one = write_subject(import_checked(nn.Sequential(nn.Linear(5, 3), nn.ReLU()), data), tmp_path / "one", "tests")
    with pytest.raises(GoldenError, match=r"\Aone keeps one image to learn bounds from: make it with more\Z"):
        find_own_bounds(one)
    with pytest.raises(GoldenError, match="unknown scheme 'best'"):
        find_own_bounds(one, ("best",))
    with pytest.raises(GoldenError, match="scheme unprotected has no bounds"):
        find_own_bounds(one, ("unprotected",))


def test_activations_that_a_scheme_leaves_out_are_named(tmp_path: Path) -> None:
    subject = made(tmp_path / "mine", False)
    bounds = dict.fromkeys(CALLS, torch.tensor(1.0))
    del bounds["relu#3"]
    with pytest.raises(WeightsError, match=r"bounds of ranger do not cover the activations of mine: relu#3"):
        subject.save_bounds({"ranger": bounds}, {"ranger": {}})
    assert subject.schemes == ("unprotected",)


@pytest.mark.parametrize(
    ("activation", "kind"), [(nn.LeakyReLU(), "leaky_relu"), (nn.Hardswish(), "hardswish"), (F.silu, "silu")]
)
def test_what_no_scheme_can_bound_is_no_subject(activation: Callable[[Tensor], Tensor], kind: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.last = nn.Linear(5, 4), nn.Linear(4, 4), activation

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.b(self.last(self.b(F.relu(self.a(x)))))
            return y

    data = from_arrays({"images": np.zeros((2, 5), np.float32)}, "zeros")
    with pytest.raises(UnsupportedError, match=rf"{kind} \(.*test_bounds.py:\d+: .*self.last"):
        import_checked(Net(), data)


def test_larger_networks_get_fewer_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "WORK", 4e12)
    declared = options_for("", 7).recipes

    def images(scheme: Scheme, macs: int, calls: int, most: int) -> int:
        recipe = within(declared[scheme.name], macs, calls, most)
        assert isinstance(recipe, PostTraining | ThresholdSearch)
        assert recipe.seed == 7
        if isinstance(recipe, PostTraining):
            assert 1 <= recipe.batch <= recipe.images
        return recipe.images

    for scheme, large in ((FITACT, int(4e12 / (1e10 * 2 * 3))), (PROACT, 32), (CLIPACT, 32)):
        assert images(scheme, 10_000, 3, 4_000) > images(scheme, 10_000_000_000, 50, 4_000) == large
        assert images(scheme, 1, 1, 1) == 1
    assert within(declared[RANGER.name], 1, 1, 1) == RANGER.find, "nothing to make smaller"
    with pytest.raises(GoldenError, match="seed -1 must not be negative"):
        options_for("", -1)
