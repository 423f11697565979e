"""One simulator of the tiny machine for all tests of this folder."""

from __future__ import annotations

import pytest

from sim.simulator import Simulator
from tests.sim.machines import TINY


@pytest.fixture(scope="session")
def simulator() -> Simulator:
    """Built on first use, then taken from the build cache."""
    return Simulator(TINY)
