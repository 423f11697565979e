"""Channel bounds that are learned and the layer's maximum times one factor, from the declaration to RTL."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fitact_hw.config import AcceleratorConfig
from fitact_hw.networks import load_networks
from fitact_hw.overhead.schemes import choose, machine
from fitact_hw.resilience.subjects import Settings, scheme_subjects
from golden.bounds.recipes import LeastMaxima
from golden.bounds.schemes import FITACT_CHANNEL, RANGER, SCALED_MAXIMUM
from golden.errors import GoldenError
from golden.fault_maps import draw
from golden.frontend.activations import apply_bounds
from golden.networks.evaluate import accuracy
from golden.search import own
from golden.search.factor import least_factor
from golden.search.own import find_own_bounds
from golden.search.profiled import Profiled
from golden.subjects.names import compared_schemes, default_scheme, stored_schemes
from golden.subjects.stored import StoredSubject
from tests.cli.conftest import Fitact
from tests.sim.machines import TINY
from tests.subjects.networks import subject

BOTH = (FITACT_CHANNEL.name, SCALED_MAXIMUM.name)


@pytest.fixture
def bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredSubject:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(own, "WORK", 1e6)
    made = subject("tall", tmp_path / "my_net", labelled=True)
    find_own_bounds(made, (RANGER.name, *BOTH))
    return made


def test_channels_share_what_is_learned_and_stored(bounded: StoredSubject) -> None:
    first, second = bounded.float_network().activation_calls
    channels = bounded.bounds(FITACT_CHANNEL.name)
    for name, count in ((first, 8), (second, 12)):
        flat = channels[name].flatten(1)
        assert len(flat) == count
        assert (flat == flat[:, :1]).all()
        assert len(flat[:, 0].unique()) > count // 2
    settings = Settings(bounded.uri, schemes=(FITACT_CHANNEL.name,), words=(8,))
    [found] = scheme_subjects(settings)
    network, stored = found.load()
    assert stored is not None
    assert [kept.raw.size for kept in stored.values()] == [8, 12], "a word for each channel, and no more are struck"
    for name, kept in stored.items():
        np.testing.assert_array_equal(kept.values(), network.layer(name).bound)
    struck = [flips for flips in draw(network, 0.5, 1, 0, stored=stored).flips if flips.segment.kind == "bound"]
    assert [flips.segment.count for flips in struck] == [8, 12]


def test_a_machine_with_channel_bounds_holds_them_all(bounded: StoredSubject) -> None:
    """On one with bounds for neurons each has a copy; on its own machine nothing is lost."""
    [plain, chosen] = choose(FITACT_CHANNEL.name)
    assert plain.key == "unprotected"
    config = machine(AcceleratorConfig.create(), chosen)
    assert (config.bounds, chosen.accuracy) == (FITACT_CHANNEL.hardware, FITACT_CHANNEL.name)
    [ours] = load_networks(bounded.uri, config, (FITACT_CHANNEL.name,)).values()
    for layer in bounded.qnetwork(FITACT_CHANNEL.name, 8).layers:
        np.testing.assert_array_equal(ours.layer(layer.name).bound, layer.bound)


def test_the_factor_is_the_last_before_accuracy_falls(bounded: StoredSubject) -> None:
    training = bounded.training()
    profiled = Profiled("my_net", bounded.float_network, training, 12, "x", None)
    for delta in (0.0, 0.1, 0.3):
        recipe = LeastMaxima(0.1, delta)
        bounds, record = least_factor(profiled, SCALED_MAXIMUM, profiled.layer_maxima, recipe)
        clean = accuracy(bounded.float_network(), profiled.validation)
        kept = []
        for factor in [1.0, *(round(1 - 0.1 * number, 6) for number in range(1, 10))]:
            scaled = {name: bound * factor for name, bound in profiled.layer_maxima.items()}
            if accuracy(apply_bounds(bounded.float_network(), scaled, "clip"), profiled.validation) < clean - delta:
                break
            kept.append(factor)
        assert record["factor"] == kept[-1]
        assert all(torch.equal(bounds[name], top * kept[-1]) for name, top in profiled.layer_maxima.items())
    with pytest.raises(GoldenError, match="cannot be found"):
        LeastMaxima(step=0.0)


def test_they_are_compared_where_they_are_named(bounded: StoredSubject) -> None:
    assert stored_schemes(bounded.uri) == ("unprotected", RANGER.name, *BOTH)
    assert compared_schemes(bounded.uri) == ("unprotected", RANGER.name)
    assert default_scheme(bounded.uri) == RANGER.name


def test_rows_of_bit_errors(bounded: StoredSubject, fitact: Fitact, tmp_path: Path) -> None:
    done = fitact(
        *("resilience", "my_net", "--schemes", f"unprotected,{','.join(BOTH)}", "--word", "8", "--rates", "1e-2"),
        *("--maps", "2", "--images", "4", "--out", "study"),
    )
    assert done.code == 0, done.err
    with (tmp_path / "study" / "data" / "resilience.csv").open(newline="") as stream:
        found = {row["scheme"]: row["bound_bytes"] for row in csv.DictReader(stream)}
    assert found == {"unprotected": "0", FITACT_CHANNEL.name: "20", SCALED_MAXIMUM.name: "2"}


@pytest.mark.rtl
@pytest.mark.parametrize("scheme", BOTH)
def test_rtl_equals_golden(bounded: StoredSubject, fitact: Fitact, tmp_path: Path, scheme: str) -> None:
    sizes = {name: value for name, value in TINY.model_dump(mode="json").items() if isinstance(value, int)}
    (tmp_path / "tiny.toml").write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in sizes.items()))
    done = fitact("sim", "my_net", "--scheme", scheme, "--config", "tiny.toml", "--faults", "14", "--images", "2")
    assert done.code == 0, done.err
    results = json.loads((tmp_path / "build" / "my_net" / "results.json").read_text())
    assert {row["differing"] for row in results["layers"]} == {0}
    assert set(results["upsets"]["counts"]) == {"unprotected", RANGER.name, scheme}
