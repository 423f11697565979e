"""Whatever is killed, full or doubled: after resuming, the rows are those of an undisturbed run."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fitact_hw.campaign import run
from fitact_hw.campaign.run import run_campaign
from fitact_hw.campaign.store import CampaignError, Row, Store
from fitact_hw.injection.engine import Engine
from tests.campaign import tiny
from tests.campaign.test_campaign import Immediate, use_executor
from tests.campaign.tiny import OPTIONS, rows_of
from tests.e2e.conftest import ROOT

PATIENCE_SECONDS = 600
"""A guard against waiting for ever; nothing is timed."""


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    """This process runs the tiny campaign with its one engine; workers of their own get it by the task."""
    tiny.use(monkeypatch, engine)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> list[Row]:
    """Rows of a run in one go."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        tiny.use(patch, engine)
        _here(patch)
        run_campaign(OPTIONS, folder)
    rows = rows_of(folder)
    assert len(rows) == OPTIONS.faults * len(OPTIONS.schemes)
    return rows


def _here(patch: pytest.MonkeyPatch) -> None:
    """Run tasks in this process."""
    use_executor(patch, Immediate())


def _start(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.campaign.tiny", str(folder), "--chunk", "5", *options]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


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


def test_two_processes_on_one_store_killed_one_after_the_other(
    tmp_path: Path, undisturbed: list[Row], monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
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
    _here(monkeypatch)
    run_campaign(OPTIONS, tmp_path)
    assert rows_of(tmp_path) == undisturbed


def test_killed_worker_is_replaced(tmp_path: Path, undisturbed: list[Row]) -> None:
    said: list[str] = []
    killed: list[int] = []

    def finished(done: int, total: int, rows: list[Row]) -> None:
        if rows and not killed:
            worker = multiprocessing.active_children()[0]
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
            killed.append(worker.pid)

    run_campaign(OPTIONS, tmp_path, workers=1, chunk=20, finished=finished, note=said.append)
    assert killed
    assert "a worker process died; going on with new ones" in said
    assert rows_of(tmp_path) == undisturbed


def test_full_disk_keeps_what_is_stored(
    tmp_path: Path, undisturbed: list[Row], monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    _here(monkeypatch)
    connect = Store._connect
    with monkeypatch.context() as patch:

        def small(store: Store, create: bool) -> object:
            database = connect(store, create)
            database.execute("PRAGMA max_page_count=9")
            return database

        patch.setattr(Store, "_connect", small)
        with pytest.raises(CampaignError, match="disk is full: free some space and resume"):
            run_campaign(OPTIONS, tmp_path, chunk=5)
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
    path, limit = tmp_path / "c.sqlite", 100_000
    done = subprocess.run(
        [sys.executable, "-c", FILLER, str(path)], cwd=ROOT, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
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
    monkeypatch: pytest.MonkeyPatch,
    engine: Engine,
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
        run_campaign(OPTIONS, folder, scheduler=address, chunk=5, finished=finished)
    rows = rows_of(folder)
    assert 0 < len(rows) < len(undisturbed)
    assert set(rows) < set(undisturbed)
    _here(monkeypatch)
    run_campaign(OPTIONS, folder)
    assert rows_of(folder) == undisturbed


def test_unreachable_dask_scheduler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "CONNECT_SECONDS", 1)
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        with pytest.raises(CampaignError, match="no Dask scheduler at"):
            run_campaign(OPTIONS, tmp_path, scheduler=address)
