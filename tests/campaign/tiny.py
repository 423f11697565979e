"""A campaign of seconds: small random networks on the tiny machine, also in worker processes of their own.

`python -m tests.campaign.tiny FOLDER` runs it as a user's process would, with `--faults`, `--workers` and
`--chunk`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fitact_hw.campaign import run, work
from fitact_hw.campaign.plan import CampaignOptions, Subject
from fitact_hw.campaign.store import CampaignError, Row, Store, store_path
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.verdict import Times
from tests.injection.tiny_machine import make_case
from tests.sim.machines import TINY

OPTIONS = CampaignOptions(
    "tiny", TINY, ("unprotected", "fitact"), ("weight_buffer", "bound_buffer", "pe_psum"), faults=60, images=2
)

BOUNDS = {"unprotected": "none", "fitact": "neuron"}


def subjects(options: CampaignOptions) -> dict[str, Subject]:
    """Stand-ins for the trained networks."""
    found = {}
    for scheme, bound in BOUNDS.items():
        if scheme not in options.schemes:
            continue
        case = make_case(bound)
        rng = np.random.default_rng(options.seed)
        images = rng.integers(-128, 128, (options.images, 3, 6, 6), np.int64)
        found[scheme] = Subject(replace(case.network, scheme=scheme), case.program, images)
    return found


def use(patch: pytest.MonkeyPatch, engine: Engine) -> None:
    """Run these networks with ``engine`` in this process, and in its workers with their own."""
    patch.setattr(run, "load_subjects", subjects)
    patch.setattr(run, "Engine", lambda config, note: engine)
    patch.setattr(run, "run_task", run_task)
    patch.setattr(work, "process_engine", lambda config: engine)


def run_task(task: work.Task) -> tuple[list[Row], Times]:
    """As the real one, in a worker that was given these networks."""
    work.process_subject = lambda options, scheme: subjects(options)[scheme]
    return work.run_task(task)


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
    run.load_subjects = subjects
    run.run_task = run_task

    def finished(done: int, total: int, rows: list[Row]) -> None:
        print(done, total, flush=True)
        sys.stdin.readline()

    try:
        run.run_campaign(
            replace(OPTIONS, faults=given.faults),
            given.folder,
            workers=given.workers,
            chunk=given.chunk,
            finished=finished,
        )
    except CampaignError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
