"""A campaign of seconds: small random networks on the tiny machine, also in a process of its own.

`python -m tests.campaign.tiny FOLDER` runs it as a user's process would, with `--faults`, `--workers` and
`--chunk`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fitact_hw.campaign import run
from fitact_hw.campaign.plan import CampaignOptions
from fitact_hw.campaign.pool import Forks, Results
from fitact_hw.campaign.store import CampaignError, Row, Store, store_path
from fitact_hw.campaign.subjects import Subject
from fitact_hw.campaign.work import Task, run_task
from fitact_hw.injection.verdict import Times
from tests.injection.tiny_machine import make_case
from tests.sim.machines import TINY

OPTIONS = CampaignOptions(
    "tiny", TINY, ("unprotected", "fitact"), ("weight_buffer", "bound_buffer", "pe_psum"), faults=60, images=2
)

BOUNDS = {"unprotected": "none", "clipact": "layer", "fitact": "neuron"}


def load(options: CampaignOptions, scheme: str) -> Subject:
    """Stand-in for a trained network."""
    case = make_case(BOUNDS[scheme])
    rng = np.random.default_rng(options.seed)
    images = rng.integers(-128, 128, (options.images, 3, 6, 6), np.int64)
    return Subject(replace(case.network, scheme=scheme), case.program, images)


class Here:
    """Runs tasks one after another in this process; after ``tasks`` of them it is interrupted."""

    workers, shared = 1, True

    def __init__(self, tasks: int | None = None) -> None:
        self.left = tasks

    def run(self, tasks: Iterable[Task]) -> Results:
        """As in fitact_hw.campaign.pool.Pool."""
        for task in tasks:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left = None if self.left is None else self.left - 1
            yield run_task(task)


def run_campaign(options: CampaignOptions, folder: Path, **changes: Any) -> Times:
    """The campaign of these networks, by default in this process."""
    given = {"pool": Here(), "load": load, "note": lambda text: None, **changes}
    return run.run_campaign(options, folder, **given)


def rows_of(folder: Path) -> list[Row]:
    """What matters: who shared a simulation with whom depends on the tasks."""
    with Store(store_path(folder)) as store:
        return [replace(row, simulated_cycles=0) for row in store.rows()]


def main() -> None:
    """Run or continue the campaign; a line for every task that was stored, then it waits for a line (the go-ahead)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    for name, default in (("faults", OPTIONS.faults), ("workers", 1), ("chunk", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()

    def finished(done: int, total: int, rows: list[Row]) -> None:
        print(done, total, flush=True)
        sys.stdin.readline()

    options, pool = replace(OPTIONS, faults=given.faults), Forks(given.workers)
    try:
        run_campaign(options, given.folder, pool=pool, chunk=given.chunk, finished=finished, note=print)
    except CampaignError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
