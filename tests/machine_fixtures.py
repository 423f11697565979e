"""Fixtures of the tiny machine: as native engine and as cocotb simulator, one of each for a whole session."""

from __future__ import annotations

import pytest

from fitact_hw.injection.engine import Engine
from sim.simulator import Simulator
from tests.sim.machines import TINY


@pytest.fixture(scope="session")
def engine() -> Engine:
    """One engine for the whole session (a process holds one machine of a configuration)."""
    return Engine(TINY)


@pytest.fixture(scope="session")
def simulator() -> Simulator:
    """The cocotb simulator of the same machine."""
    return Simulator(TINY, workers=2)
