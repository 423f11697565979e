"""Whatever is killed, full or doubled: after resuming, the rows are those of an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from fitact_hw.campaign.plan import CampaignOptions
from fitact_hw.campaign.pool import Dask, Forks, Results
from fitact_hw.campaign.store import CampaignError, Row, Store
from fitact_hw.campaign.subjects import Subject
from fitact_hw.campaign.work import Task
from tests.campaign import tiny
from tests.campaign.tiny import OPTIONS, rows_of, run_campaign
from tests.e2e.command import ROOT
from tests.processes import alive, children

PATIENCE_SECONDS = 600
"""A guard against waiting for ever; nothing is timed."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Rows of a run in one go."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run_campaign(OPTIONS, folder)
    rows = rows_of(folder)
    assert len(rows) == OPTIONS.faults * len(OPTIONS.schemes)
    return rows


def _start(folder: Path, *options: str, limit: int | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.campaign.tiny", str(folder), "--chunk", "5", *options]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
        preexec_fn=_limited(limit) if limit else None,
    )


def _advance(process: subprocess.Popen[str], least: int) -> None:
    """Let the process go on until it has at least so many rows; it then works on its next task."""
    assert process.stdout is not None
    assert process.stdin is not None
    done = -1
    while done < least:
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        if line[0].isdigit():
            done = int(line.split()[0])
            print(file=process.stdin, flush=True)


def test_two_processes_on_one_store_killed_one_after_the_other(tmp_path: Path, undisturbed: list[Row]) -> None:
    """Each dies at its own random moment, the second after it has gone on alone; then a third finishes."""
    moments = random.Random(20)
    processes = [_start(tmp_path), _start(tmp_path)]
    stored = 0
    for process in processes:
        _advance(process, stored + moments.randrange(5, 20))
        time.sleep(moments.random() / 10)
        process.kill()
        process.communicate()
        rows = rows_of(tmp_path)
        assert stored < len(rows) < len(undisturbed)
        assert set(rows) < set(undisturbed)
        stored = len(rows)
    run_campaign(OPTIONS, tmp_path)
    assert rows_of(tmp_path) == undisturbed


def test_killed_worker_is_replaced(tmp_path: Path, undisturbed: list[Row]) -> None:
    said: list[str] = []
    died = "a worker process died; going on with new ones"

    def finished(done: int, total: int, rows: list[Row]) -> None:
        if rows and died not in said:
            for worker in filter(alive, set(children(os.getpid())) - others):
                os.kill(worker, signal.SIGKILL)

    others = set(children(os.getpid()))  # of earlier tests, as torch's compilers
    run_campaign(OPTIONS, tmp_path, pool=Forks(2), chunk=10, finished=finished, note=said.append)
    assert died in said
    assert rows_of(tmp_path) == undisturbed
    assert not set(children(os.getpid())) - others


def test_workers_that_keep_dying_end_the_run_with_what_they_stored(tmp_path: Path, undisturbed: list[Row]) -> None:
    def finished(done: int, total: int, rows: list[Row]) -> None:
        if rows:
            kill.add(True)

    kill: set[bool] = set()

    class Deadly(Forks):
        """Kills every worker once something has been stored."""

        def run(self, tasks: Iterable[Task]) -> Results:
            for result in super().run(tasks):
                yield None if kill else result

    with pytest.raises(CampaignError, match=r"died 5 times in a row.*what had finished is kept"):
        run_campaign(OPTIONS, tmp_path, pool=Deadly(1), chunk=10, finished=finished)
    rows = rows_of(tmp_path)
    assert 0 < len(rows) < len(undisturbed)
    run_campaign(OPTIONS, tmp_path)
    assert rows_of(tmp_path) == undisturbed


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_main_process(tmp_path: Path, undisturbed: list[Row], blow: signal.Signals) -> None:
    process = _start(tmp_path, "--workers", "2")
    _advance(process, 0)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (workers := children(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(blow)
    process.communicate(timeout=PATIENCE_SECONDS)
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert workers
    assert not any(map(alive, workers))
    rows = rows_of(tmp_path)
    assert len(rows) < len(undisturbed)
    run_campaign(OPTIONS, tmp_path)
    assert rows_of(tmp_path) == undisturbed


def test_an_error_in_a_worker_is_raised_here(tmp_path: Path) -> None:
    def broken(options: CampaignOptions, scheme: str) -> Subject:
        if os.getpid() != here:
            raise CampaignError("the file is gone")
        return tiny.load(options, scheme)

    here, others = os.getpid(), set(children(os.getpid()))
    task = Task(OPTIONS, broken, "fitact", 0, (0,), ())
    with pytest.raises(CampaignError, match="the file is gone") as caught:
        list(Forks(2).run([task, task]))
    assert "in a worker process" in caught.value.__notes__[0]
    assert not set(children(here)) - others


def _limited(bytes_each: int) -> Callable[[], None]:
    """For a child: no file may grow beyond so many bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_each, bytes_each))


def test_full_disk_keeps_what_is_stored(tmp_path: Path, undisturbed: list[Row]) -> None:
    process = _start(tmp_path, limit=300_000)
    _, errors = process.communicate("\n" * 100, timeout=PATIENCE_SECONDS)
    assert process.returncode == 2, errors
    assert "put it right and resume" in errors or "free some space and resume" in errors
    rows = rows_of(tmp_path)
    assert 0 < len(rows) < len(undisturbed)
    run_campaign(OPTIONS, tmp_path)
    assert rows_of(tmp_path) == undisturbed


FILLER = """
import sys
from dataclasses import replace
from pathlib import Path
from fitact_hw.campaign.store import CampaignError, Store
from tests.campaign.test_store import ROW
store = Store(Path(sys.argv[1]), create=True)
for number in range(100000):
    try:
        store.add([replace(ROW, number=number)])
    except CampaignError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(number, flush=True)
"""


def test_file_that_may_not_grow_keeps_what_was_committed(tmp_path: Path) -> None:
    """The kernel refuses the write, wherever SQLite happens to be."""
    path = tmp_path / "c.sqlite"
    done = subprocess.run(
        [sys.executable, "-c", FILLER, str(path)], cwd=ROOT, capture_output=True, text=True, check=False,
        preexec_fn=_limited(100_000),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "what is stored stays" in done.stderr
    committed = len(done.stdout.split())
    assert committed > 10
    with Store(path, create=True) as store:
        assert [row.number for row in store.rows()] == list(range(committed))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a part of a Dask cluster: `scheduler`, or `worker`, as its command line does."""
    started: list[subprocess.Popen[bytes]] = []

    def start(part: str, *options: str) -> subprocess.Popen[bytes]:
        shared = ("--scheduler-file", str(tmp_path / "scheduler.json"), "--no-dashboard")
        command = [sys.executable, "-m", "dask", part, *shared, *options]
        with (tmp_path / f"{part}.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _address(tmp_path: Path) -> str:
    """Of the scheduler, as soon as it listens."""
    path, deadline = tmp_path / "scheduler.json", time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            return str(json.loads(path.read_text())["address"])
        except (FileNotFoundError, json.JSONDecodeError):
            time.sleep(0.2)
    raise AssertionError((tmp_path / "scheduler.log").read_text())


def test_dask_cluster_gives_the_same_rows_and_may_die(
    tmp_path: Path,
    undisturbed: list[Row],
    cluster: Callable[..., subprocess.Popen[bytes]],
) -> None:
    """A worker is killed (the cluster goes on with another), then the scheduler (the campaign is resumed without)."""
    scheduler = cluster("scheduler", "--host", "127.0.0.1", "--port", "0")
    address, folder = _address(tmp_path), tmp_path / "campaign"
    workers = [cluster("worker", "--nworkers", "1", "--nthreads", "1", "--no-nanny") for _ in range(2)]
    lines = 0

    def finished(done: int, total: int, rows: list[Row]) -> None:
        nonlocal lines
        lines += bool(rows)
        if lines == 2:
            workers[0].kill()
        if lines == 5:
            scheduler.kill()

    with pytest.raises(CampaignError, match=r"Dask scheduler went away.*resume"):
        run_campaign(OPTIONS, folder, pool=Dask(address), chunk=5, finished=finished)
    rows = rows_of(folder)
    assert 0 < len(rows) < len(undisturbed)
    assert set(rows) < set(undisturbed)
    run_campaign(OPTIONS, folder)
    assert rows_of(folder) == undisturbed


def test_unreachable_dask_scheduler_is_named() -> None:
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        with pytest.raises(CampaignError, match="no Dask scheduler at"):
            Dask(address, connect_seconds=1)
