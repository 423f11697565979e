"""What all tests need."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import Phase, settings

from tests.markers import marks_of

pytest_plugins = ["tests.machine_fixtures"]

# For planted bugs (`make mutate`): the first failing example is enough, shrinking it would look like a time-out.
settings.register_profile("mutation", phases=(Phase.explicit, Phase.generate), database=None)

# One test process per core (`make test`), so one thread in each
# and in the programs that it starts; set before NumPy and torch load.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

# A shell starts background jobs with Ctrl-C ignored, and children inherit that: tests of interruption would hang.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give every test the marks of its file."""
    for item in items:
        for mark in marks_of(item.path.relative_to(config.rootpath).as_posix()):
            item.add_marker(mark)
