"""The programs of examples/ run from any folder, are short, and print what they promise."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.docs import evidence as e
from tests.docs.pages import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
MOST_LINES, MOST_SECONDS = 60, 60


def run(name: str, folder: Path, *arguments: str) -> str:
    """Standard output of an example, started in ``folder``."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "FITACT_BUILD": os.environ.get("FITACT_BUILD", str(ROOT / "build")),
    }
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py"), *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_short_and_say_how_to_start_them(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= MOST_LINES
    assert f"python examples/{path.name}" in "\n".join(lines[:5])


@pytest.mark.rtl
def test_a_layer_on_the_rtl_is_the_golden_model_s(tmp_path: Path) -> None:
    printed = run("run_layer", tmp_path)
    assert "status done" in printed
    elements, zeroed = re.search(r"(\d+) elements, (\d+) above their bound", printed).groups()  # type: ignore[union-attr]
    assert 0 < int(zeroed) < int(elements)
    assert "0 differ from the golden model" in printed


@pytest.mark.rtl
def test_a_struck_bit_is_followed_through_the_layers(tmp_path: Path) -> None:
    run("strike_one_bit", tmp_path)  # builds, if it must
    started = time.monotonic()
    printed = run("strike_one_bit", tmp_path)
    assert time.monotonic() - started < MOST_SECONDS
    assert printed.count("done after") == 2
    for part in printed.split("fitact:"):
        shares = [float(share) for share in re.findall(r"^ +\w+ +([\d.]+)% of", part, re.M)]
        assert shares[0] == 0, "the layer before it is untouched"
        assert max(shares) > 0, "and something behind it is not"


def test_schemes_are_compared_on_the_same_maps(tmp_path: Path) -> None:
    printed = run("compare_schemes", tmp_path, "ranger", "fitact")
    means = dict(re.findall(r"BER 1e-05 (\w+) +([\d.]+)", printed))
    assert float(means["fitact"]) > float(means["ranger"]) + 30
    assert "fitact better on 10 maps, worse on 0" in printed


def test_a_campaign_is_read_as_its_table_has_it(tmp_path: Path) -> None:
    printed = run("read_campaign", tmp_path, "--plot", "chart.png")
    names = printed.splitlines()[1].split()
    for structure in ("bias_buffer", "token"):
        (line,) = [line for line in printed.splitlines() if line.startswith(structure)]
        for scheme, share in zip(names, line.split()[1:], strict=True):
            row = e.one(
                e.campaign("alexnet", 32), group="structure", key=structure, scheme=scheme, rival="", measure="sdc"
            )
            assert share == f"{100 * int(row['hits']) / int(row['upsets']):.2f}"
    assert (tmp_path / "chart.png").stat().st_size > 5_000


@pytest.mark.rtl
def test_a_network_of_one_s_own_goes_through_everything(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    printed = run("own_network", tmp_path)
    assert "can run: True" in printed
    assert re.search(r"The RTL equals the golden model on all [\d,]+ values of 4 layers", printed)
    assert "airplane" not in printed
    right = {name: float(share) for name, share in re.findall(r"^(\w+) BER 0.001: ([\d.]+) % right", printed, re.M)}
    assert set(right) == {"unprotected", "ranger", "fitact"}
    classes = json.loads((tmp_path / "digits-sim" / "results.json").read_text())["classes"]
    assert sum(row["rtl"] == row["label"] for row in classes) >= 7
    assert set(json.loads((tmp_path / "digits" / "manifest.json").read_text())) >= {"graph.json", "weights.safetensors"}


def test_every_example_is_run() -> None:
    text = Path(__file__).read_text()
    assert all(f'run("{path.stem}"' in text for path in EXAMPLES)
