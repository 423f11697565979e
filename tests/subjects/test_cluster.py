"""A campaign on a network of one's own through a Dask cluster whose workers know it only by its folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fitact_hw.campaign.plan import CampaignOptions
from fitact_hw.campaign.pool import Dask, Forks
from fitact_hw.campaign.run import run_campaign
from fitact_hw.campaign.store import CampaignError, Row
from fitact_hw.config import AcceleratorConfig
from golden.errors import GoldenError
from golden.search.own import find_own_bounds
from golden.subjects.data import from_arrays
from golden.subjects.make import import_checked, write_subject
from golden.subjects.names import IMAGES, resolved
from golden.support.output import Output, speaking
from tests.campaign.tiny import rows_of

MACHINE = AcceleratorConfig.create(rows=4, cols=4, word_bits=8)


def digits() -> dict[str, Any]:
    found = pytest.importorskip("sklearn.datasets").load_digits()
    images = ((found.images - 4.9) / 6.0).astype(np.float32)[:, None]
    return {"images": images[:300], "labels": found.target[:300], "class_names": [f"digit {n}" for n in range(10)]}


def write_digits(folder: Path, seed: int = 1) -> str:
    """A subject of a small network, trained for a second; returns what workers are told."""
    arrays = digits()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(
            *(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10)),
        )
        x, y = torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"])
        optimiser = torch.optim.Adam(model.parameters(), 0.02)
        for _ in range(30):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimiser.step()
    made = write_subject(import_checked(model, from_arrays(arrays, "digits")), folder, "tests")
    with speaking(Output(quiet=True)):
        find_own_bounds(made, ("ranger",))
    return resolved(str(folder))


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of two worker processes, which have imported nothing of the program before."""
    distributed = pytest.importorskip("distributed")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).resolve().parents[2])]))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        yield cluster.scheduler_address


def options(uri: str, faults: int = 24) -> CampaignOptions:
    structures = ("weight_buffer", "pe_psum", "token")
    return CampaignOptions(uri, MACHINE, ("unprotected", "ranger"), structures, faults=faults, images=2)


def strike(uri: str, folder: Path, pool: Any) -> list[Row]:
    run_campaign(options(uri), folder, pool=pool, note=lambda _: None, chunk=4)
    return rows_of(folder)


def test_workers_know_the_network_by_its_folder(tmp_path: Path, address: str) -> None:
    uri = write_digits(tmp_path / "digits")
    here, there = strike(uri, tmp_path / "here", Forks(1)), strike(uri, tmp_path / "there", Dask(address))
    assert len(here) == 48
    assert there == here
    assert {row.scheme for row in there} == {"unprotected", "ranger"}
    assert len({row.outcome for row in there}) > 1


def test_a_worker_with_another_folder_is_told(tmp_path: Path, address: str) -> None:
    """The folder is damaged, replaced by another network, or gone, after the campaign has read it here."""
    uri = write_digits(tmp_path / "digits")
    other = Path(write_digits(tmp_path / "other" / "digits", seed=2))

    def damaged() -> None:
        file = Path(uri, IMAGES)
        file.write_bytes(file.read_bytes()[:-1] + b"x")

    def replaced() -> None:
        shutil.rmtree(uri)
        shutil.copytree(other, uri)

    def gone() -> None:
        shutil.rmtree(uri)

    for change, line in (
        (damaged, r"images.safetensors is damaged"),
        (replaced, r"has another network or other images of .*digits \(unprotected\) than the campaign: copy"),
        (gone, r"digits does not exist: name a network"),
    ):
        with pytest.raises((CampaignError, GoldenError), match=line) as caught:
            strike(uri, tmp_path / change.__name__, _After(Dask(address), change))
        assert "\n" not in str(caught.value)
        shutil.rmtree(uri, ignore_errors=True)
        write_digits(Path(uri))


class _After:
    """A pool that changes something before its workers begin."""

    def __init__(self, pool: Dask, change: Any) -> None:
        self.workers, self.shared, self._pool, self._change = pool.workers, pool.shared, pool, change

    def run(self, tasks: Any) -> Any:
        tasks = list(tasks)
        self._change()
        return self._pool.run(tasks)
