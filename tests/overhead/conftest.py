"""Shared by the overhead tests: the compact technology and the lanes' Verilog."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitact_hw.overhead import technology
from fitact_hw.overhead.cost import PROPOSED, cells
from fitact_hw.overhead.technology import Technology


@pytest.fixture(scope="session")
def tech(tmp_path_factory: pytest.TempPathFactory) -> Technology:
    return technology.load(None, tmp_path_factory.mktemp("technology"))


@pytest.fixture(scope="session")
def lane_verilog() -> dict[str, str]:
    """The lane, its clamp and its wrapper: file name -> text."""
    return {f"fitact_{name}.v": cells()[f"fitact_{name}.v"] for name in ("lane", "clamp", "lane_mode")}


@pytest.fixture(scope="session")
def cells_verilog(lane_verilog: dict[str, str]) -> dict[str, str]:
    """Lanes and voter."""
    return lane_verilog | {path.name: cells()[path.name] for path in PROPOSED.glob("fitact_*.v")}


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that the tests of one session share."""
    return tmp_path_factory.mktemp("overhead")
