"""A scheme in a file of the user's goes through everything: those of docs/howto/add-a-scheme.md, on a small network."""

from __future__ import annotations

import csv
import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fitact_hw.campaign.plan import CampaignOptions
from fitact_hw.overhead.cost import evaluate
from fitact_hw.overhead.schemes import choose
from fitact_hw.overhead.sram import SramModel
from fitact_hw.overhead.tables import split_lines
from fitact_hw.overhead.technology import load as load_technology
from fitact_hw.reporting.palette import scheme_style
from golden.bounds.schemes import OWN, find_protection, find_scheme, title_of
from golden.errors import GoldenError
from golden.search.own import find_own_bounds
from golden.subjects.names import compared_schemes, stored_schemes
from golden.subjects.scheme_files import named, scheme_of
from golden.subjects.stored import StoredSubject
from tests.cli.conftest import Fitact
from tests.docs.pages import ROOT
from tests.sim.machines import TINY
from tests.subjects.networks import subject

PAGE = (ROOT / "docs" / "howto" / "add-a-scheme.md").read_text(encoding="utf-8")
HALF, PERCENTILE = "my_schemes.py:HALF", "my_schemes.py:PERCENTILE"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the page's file, and a process that knows no scheme of the user's."""
    monkeypatch.chdir(tmp_path)
    [source] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "my_schemes.py").write_text(source)
    OWN.clear()
    yield tmp_path
    OWN.clear()


def bounded(here: Path, *schemes: str) -> StoredSubject:
    """A small network with the bounds of these."""
    made = subject("grey", here / "my_net")
    find_own_bounds(made, [named(scheme) for scheme in schemes])
    return made


def test_the_page_s_commands_name_its_schemes() -> None:
    commands = [line for line in PAGE.splitlines() if line.startswith("fitact ")]
    assert len(commands) == 5
    assert all(HALF in line for line in commands)


def test_bounds_are_what_the_declaration_says(here: Path) -> None:
    made = bounded(here, HALF, PERCENTILE, "ranger")
    [name] = made.float_network().activation_calls
    assert float(made.bounds("half")[name]) == pytest.approx(float(made.bounds("ranger")[name]) / 2)
    assert 0 < float(made.bounds("percentile")[name]) < float(made.bounds("ranger")[name])
    networks = [made.qnetwork(scheme, 8).layers[0] for scheme in ("half", "percentile", "ranger")]
    assert [layer.activation for layer in networks] == ["clip", "saturate", "saturate"]
    assert [isinstance(layer.bound, int) for layer in networks] == [True] * 3
    record = json.loads((made.folder / "manifest.json").read_text())["bounds.safetensors"]["schemes"]
    assert record["percentile"]["bound"] == "99.9th percentile of each layer's activations on 200 training images."
    assert len(record["half"]["declaration"]["sha256"]) == 64


def test_a_subject_remembers_the_declaration(here: Path) -> None:
    """Another process, in which the file is gone."""
    made = bounded(here, HALF, PERCENTILE)
    OWN.clear()
    (here / "my_schemes.py").unlink()
    assert stored_schemes(made.uri) == compared_schemes(made.uri) == ("unprotected", "half", "percentile")
    assert made.qnetwork("half", 8).scheme == "half"
    assert title_of("half+check") == "half the maximum + range check"
    assert scheme_style("percentile").marker == "p"
    with pytest.raises(GoldenError, match=r"how the bounds of half are found is in .*: name my_schemes\.py:HALF"):
        find_own_bounds(made, ["half"])


def test_workers_and_stored_campaigns_know_it(here: Path) -> None:
    bounded(here, HALF)
    options = CampaignOptions("my_net", TINY, ("ranger", "half"))
    sent, kept = pickle.dumps(options), json.loads(json.dumps(options.to_json()))
    assert kept["own"][0]["file"] == HALF, "no folder of this machine"
    for read in (lambda: pickle.loads(sent), lambda: CampaignOptions.from_json(kept)):
        OWN.clear()
        again = read()
        assert again.base == "ranger"
        assert find_scheme("half").digest == again.own[0].digest == options.own[0].digest


def test_a_changed_file_is_refused(here: Path, fitact: Fitact) -> None:
    made = bounded(here, HALF)
    kept = CampaignOptions(made.uri, TINY, ("half",)).to_json()
    run = ("resilience", "my_net", "--word", "8", "--rates", "1e-3", "--maps", "1", "--images", "8", "--out", "study")
    assert fitact(*run).code == 0
    (here / "my_schemes.py").write_text((here / "my_schemes.py").read_text().replace("0.5", "0.6"))
    OWN.clear()
    done = fitact(*run)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "my_schemes.py has changed since the bounds of half were found: find them again" in done.err
    OWN.clear()
    done = fitact("sim", "my_net", "--scheme", HALF)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "my_net has no bounds of half, only of unprotected; to learn them: fitact bounds" in done.err
    assert fitact("bounds", "my_net", "--scheme", HALF).code == 0
    assert stored_schemes(made.uri) == ("unprotected", "half")
    with pytest.raises(GoldenError, match=r"my_schemes\.py:HALF has changed since the campaign was begun"):
        CampaignOptions.from_json(kept)
    done = fitact(*run)
    assert (done.code, done.err.count("\n")) == (2, 1), "other bounds, other network"


REFUSED = {
    "nothing = 1": "my_schemes.py declares no scheme: name one as my_schemes.py:NAME",
    "import nowhere": "my_schemes.py cannot be read: No module named 'nowhere' at my_schemes.py:1: import nowhere",
    "from golden.bounds.schemes import FITACT": "my_schemes.py declares no scheme",
    "OWN = S('fitact', 'x', G.LAYER, 'clip', 'x', M())": "fitact is the name of a scheme that there is",
    "OWN = S('two words', 'x', G.LAYER, 'clip', 'x', M())": "its name must be an identifier",
    "OWN = S('own', 'x', G.LAYER, 'zero', 'x', M())": "mode must be clip, saturate or None",
    "OWN = S('own', 'x', G.LAYER, 'saturate', 'x', PostTraining())": "bounds learned for clip",
    "OWN = S('own', 'x', G.NEURON, 'clip', 'x', ThresholdSearch())": "thresholds are searched for layers",
    "OWN = S('own', 'x', G.LAYER, 'clip', 'x')": "my_schemes.py:OWN does not say how its bounds are found",
    "A = B = None\nOWN = S('a', 'x', G.LAYER, 'clip', 'x', M())\nB = S('b', 'x', G.LAYER, 'clip', 'x', M())": (
        "my_schemes.py declares B, OWN: name one as"
    ),
}
IMPORTS = """
from golden.bounds.granularity import Granularity as G
from golden.bounds.recipes import Maxima as M, PostTraining, ThresholdSearch
from golden.bounds.schemes import Scheme as S
"""


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_declaration_is_one_line(here: Path, fitact: Fitact, text: str) -> None:
    (here / "my_schemes.py").write_text((IMPORTS if "S(" in text else "") + text)
    done = fitact("resilience", "--schemes", "my_schemes.py")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert REFUSED[text] in done.err


WRONG = {
    "return {}": "return a bound for each of",
    "return {name: -1.0 for name in profiled.maxima}": "a bound is negative or not finite",
    "return {name: [1.0, 2.0, 3.0] for name in profiled.maxima}": "no bound for neurons of shape (8, 8, 8)",
    "return profiled.maxima": "bounds differ within a layer, which has one by its declaration",
    "return 1 / 0": "my_schemes.py:OWN failed: division by zero at my_schemes.py:",
}


@pytest.mark.parametrize("text", WRONG)
def test_bounds_that_are_not_as_declared_are_refused(here: Path, text: str) -> None:
    source = f"{IMPORTS}\ndef find(profiled):\n    {text}\n\nOWN = S('own', 'x', G.LAYER, 'clip', 'x', find)\n"
    (here / "my_schemes.py").write_text(source)
    with pytest.raises(GoldenError) as error:
        bounded(here, "my_schemes.py")
    assert WRONG[text] in str(error.value)
    assert "\n" not in str(error.value)


def test_rows_of_bit_errors(here: Path, fitact: Fitact) -> None:
    bounded(here, HALF)
    schemes = f"unprotected,{HALF},{HALF}+check"
    done = fitact(
        *("resilience", "my_net", "--schemes", schemes, "--word", "8", "--rates", "1e-2", "--maps", "3"),
        *("--images", "8", "--out", "study"),
    )
    assert done.code == 0, done.err
    with (here / "study" / "data" / "resilience.csv").open(newline="") as stream:
        rows = [(row["scheme"], float(row["rate"]), row["bound_bytes"]) for row in csv.DictReader(stream)]
    assert [row for row in rows if row[1]] == [
        ("unprotected", 0.01, "0"),
        ("half", 0.01, "1"),
        ("half+check", 0.01, "1"),
    ]
    page = (here / "study" / "resilience.md").read_text()
    assert "half the maximum + range check" in page
    assert f"--schemes unprotected,{HALF},{HALF}+check" in page


def test_a_row_of_costs(here: Path) -> None:
    assert scheme_of(PERCENTILE)
    chosen = choose("percentile")
    assert [scheme.key for scheme in chosen] == ["unprotected", "percentile"]
    assert chosen[1].title == "99.9th percentile (layer bound, saturates)"
    costs = evaluate(TINY, load_technology(None, here), SramModel(), here, schemes=chosen)
    [(key, logic, memory, _, _)] = split_lines(dict(costs))
    assert key == "percentile"
    assert logic > 0 == memory


@pytest.mark.rtl
def test_rtl_equals_golden_and_upsets_strike(here: Path, fitact: Fitact) -> None:
    bounded(here, HALF, PERCENTILE)
    OWN.clear()
    machine = {name: value for name, value in TINY.model_dump(mode="json").items() if value is not None}
    lines = [f"{name} = {json.dumps(value)}" for name, value in machine.items() if not isinstance(value, list | dict)]
    (here / "tiny.toml").write_text("\n".join(lines) + "\n")
    done = fitact("sim", "my_net", "--scheme", HALF, "--config", "tiny.toml", "--faults", "14", "--images", "2")
    assert done.code == 0, done.err
    results = json.loads((here / "build" / "my_net" / "results.json").read_text())
    assert {row["differing"] for row in results["layers"]} == {0}
    assert set(results["upsets"]["counts"]) == {"unprotected", "half", "percentile"}
    assert "half the maximum" in done.out
    run = ("campaign", "run", "my_net", "--schemes", f"unprotected,{HALF}", "--config", "tiny.toml")
    done = fitact(*run, "--structures", "pe_psum,output_buffer", "--faults", "20", "--images", "2", "--out", "campaign")
    assert done.code == 0, done.err
    OWN.clear()
    done = fitact("campaign", "report", "campaign")
    assert done.code == 0, done.err
    page = (here / "campaign" / "report.html").read_text()
    assert "half the maximum" in page
    assert f"--schemes unprotected,{HALF}" in page
    (here / "my_schemes.py").write_text((here / "my_schemes.py").read_text() + "# another file\n")
    OWN.clear()
    done = fitact("campaign", "resume", "campaign", "--faults", "30")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "my_schemes.py has changed since the bounds of half were found" in done.err


def test_compositions_are_made_of_two_declarations(here: Path) -> None:
    scheme = scheme_of(HALF)
    found = find_protection("half+bitcheck")
    assert (found.scheme, found.spec) == (scheme, f"{HALF}+bitcheck")
    assert found.title == f"{scheme.title} + range check by bits"
    assert np.all([found.look == find_protection("fitact+bitcheck").look, found.look != scheme.look])
