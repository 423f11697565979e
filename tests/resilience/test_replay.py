"""One fault map again: the file of its flips, and where both come from."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from rich.console import Console

from fitact_hw.reporting.provenance import of_weights
from fitact_hw.resilience.replay import run_replay
from fitact_hw.resilience.subjects import Settings
from golden.fault_maps import corrupt, draw
from golden.networks.zoo import load_qnetwork

SETTINGS = Settings("alexnet", schemes=("ranger",), words=(8,), rates=(3e-7,), seed=5)


def test_every_flip_is_in_the_file_and_its_origin_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    found = run_replay(SETTINGS, 2, 0, path, Console(quiet=True))
    network = load_qnetwork("alexnet", "ranger", 8)
    faults = draw(network, 3e-7, 5, 2)
    faulty = corrupt(network, faults)
    lines = list(csv.DictReader(path.open()))
    assert len(lines) == found["flips"] == found["weights"] + found["biases"] + found["bounds"] > 0
    for line in lines:
        if line["kind"] == "weight":
            place = tuple(map(int, line["index"].split()))
            for net, when in ((network, "before"), (faulty, "after")):
                words = net.layer(line["layer"]).weight
                assert words is not None
                assert words[place] == int(line[when])
    record = json.loads((tmp_path / "map.csv.json").read_text())
    assert record == {key: value for key, value in found.items() if key != "file"}
    assert (record["rate"], record["map"], record["provenance"]["seed"]) == (3e-7, 2, 5)
    assert record["provenance"]["fingerprints"]["weights"] == of_weights("alexnet")
