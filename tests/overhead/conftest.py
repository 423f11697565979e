"""Shared by the overhead tests: the compact technology and the lanes' Verilog."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitact_hw.overhead import technology
from fitact_hw.overhead.cost import PROPOSED
from fitact_hw.overhead.technology import Technology
from fitact_hw.verilog import rtl_sources


@pytest.fixture(scope="session")
def tech(tmp_path_factory: pytest.TempPathFactory) -> Technology:
    return technology.load(None, tmp_path_factory.mktemp("technology"))


@pytest.fixture(scope="session")
def lane_verilog() -> dict[str, str]:
    """The lane, its clamp and its wrapper: file name -> text."""
    cells = [path for path in rtl_sources() if path.name in ("fitact_lane.v", "fitact_clamp.v")]
    return {path.name: path.read_text() for path in (*cells, PROPOSED / "fitact_lane_mode.v")}


@pytest.fixture(scope="session")
def cells_verilog(lane_verilog: dict[str, str]) -> dict[str, str]:
    """Lanes and voter."""
    return lane_verilog | {path.name: path.read_text() for path in PROPOSED.glob("fitact_*.v")}


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that the tests of one session share."""
    return tmp_path_factory.mktemp("overhead")
