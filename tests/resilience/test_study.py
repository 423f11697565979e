"""Experiments: same maps for all, resumable after a kill, and never mixed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console

from fitact_hw.resilience import pool, study
from fitact_hw.resilience.pool import Plan
from fitact_hw.resilience.store import DATABASE, ResultStore, Row, open_store
from fitact_hw.resilience.subjects import FAULTY, PROTECTED, Settings, granularity_subjects, scheme_subjects
from fitact_hw.resilience.work import Group, Outcome
from golden import reference
from golden.bounds.schemes import COMPARED
from golden.data.cifar10 import sample_images
from golden.errors import GoldenError, StoreError
from golden.fault_maps import Memory, corrupt, draw
from golden.networks.zoo import load_qnetwork
from golden.quantisation.quantise import quantise_images
from tests.processes import alive, children
from tests.resilience import tiny_study

ROOT = Path(__file__).parents[2]


def count_rows(folder: Path) -> int:
    """Rows committed so far, read beside the writer."""
    try:
        with sqlite3.connect(f"file:{folder / DATABASE}?mode=ro", uri=True) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM parts").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def test_rows_are_what_the_reference_says(tmp_path: Path) -> None:
    rows = tiny_study.run(tmp_path)
    assert len(rows) == 4 * (1 + 2 * 6)
    images, _ = tiny_study.pictures()
    by_key = {(row.scheme, row.memory, row.rate, row.map): row for row in rows}
    for subject in tiny_study.subjects():
        qnet, _ = subject.load()
        words = quantise_images(qnet, images.images[:, :8, :8])
        for rate, index in ((1e-3, 5), (1e-4, 0)):
            faults = draw(qnet, rate, 1, index, Memory(bounds=subject.memory == FAULTY))
            row = by_key[subject.scheme, subject.memory, rate, index]
            top = reference.logits(corrupt(qnet, faults), words).argmax(axis=1)
            assert row.correct == int((top == images.labels).sum())
            assert (row.weight_flips, row.bias_flips) == (faults.count("weight"), faults.count("bias"))
            assert row.bound_flips == (faults.count("bound") if subject.memory == FAULTY else 0)


def test_the_store_says_where_its_rows_come_from(tmp_path: Path) -> None:
    tiny_study.run(tmp_path)
    tiny_study.run(tmp_path)  # nothing to do: no run
    with ResultStore(tmp_path / DATABASE) as store:
        [record] = store.runs()
    assert record["seed"] == 1
    assert record["seconds"] > 0
    assert record["packages"]["torch"] == metadata.version("torch")  # a CUDA wheel says 2.13.0, the module 2.13.0+cu130
    assert len(record["fingerprints"]["images"]) == 16


def test_all_schemes_see_the_same_flips(tmp_path: Path) -> None:
    flips: dict[tuple[float, int], set[tuple[int, int]]] = {}
    for row in tiny_study.run(tmp_path):
        flips.setdefault((row.rate, row.map), set()).add((row.weight_flips, row.bias_flips))
    assert all(len(values) == 1 for values in flips.values())
    assert any(values != {(0, 0)} for values in flips.values())


def test_killed_run_resumes_to_the_same_rows(tmp_path: Path) -> None:
    whole = tiny_study.run(tmp_path / "whole")
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "tests.resilience.tiny_study", str(folder), "700", "1"]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        deadline = time.monotonic() + 200
        while count_rows(folder) == 0 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.wait()
    kept = count_rows(folder)
    assert 0 < kept < len(whole)
    assert tiny_study.run(folder) == whole
    assert tiny_study.run(folder) == whole  # nothing left to do


@pytest.mark.parametrize(
    ("cores", "free", "count"),
    [(16, 128 << 30, 16), (16, 7 << 30, 2), (2, 128 << 30, 2), (4, 1 << 30, 1), (None, 8 << 30, 1)],
)
def test_processes_fit_the_cores_and_the_free_memory(
    cores: int | None, free: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "default_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(pool.os, "cpu_count", lambda: cores)
    monkeypatch.setattr(pool.psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    assert pool.default_processes() == pool.Processes(count, 1)


def test_a_gpu_serves_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "default_device", lambda: torch.device("cuda"))
    assert pool.default_processes() == pool.Processes(1, 1)


def test_any_number_of_processes_gives_the_same_rows(tmp_path: Path) -> None:
    assert tiny_study.run(tmp_path / "two", workers=2) == tiny_study.run(tmp_path / "one")


@pytest.mark.parametrize("workers", [1, 3])
def test_slabs_of_images_give_the_same_rows(workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tiny_study.run(tmp_path / "whole")
    monkeypatch.setattr(study, "_SLAB_IMAGES", 1)
    assert tiny_study.run(tmp_path / "slabs", workers=workers) == whole


def test_every_network_sees_a_slab_before_any_sees_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "_SLAB_IMAGES", 3)
    stored: list[int] = []
    add = ResultStore.add

    def note(store: ResultStore, rows: list[Row]) -> None:
        stored.extend(row.images for row in rows)
        add(store, rows)

    monkeypatch.setattr(ResultStore, "add", note)
    rows = tiny_study.run(tmp_path)
    assert stored == [3] * len(rows) + [4] * len(rows)


def test_later_images_wait_for_earlier_ones(tmp_path: Path) -> None:
    def part(correct: int) -> Row:
        return Row("fitact", 32, "faulty", 1e-3, 0, 2, correct, 1, 2, 3, 4)

    with open_store(tmp_path) as store:
        rows = study.ExtendedRows(store, [])
        rows.add(4, [part(2)])
        rows.add(2, [part(1)])
        assert store.rows() == []
        rows.add(0, [part(0)])
        sums = [part(0), replace(part(1), images=4), replace(part(3), images=6)]
        assert store.rows() == sums
        again = study.ExtendedRows(store, store.rows())
        again.add(6, [part(2)])
        assert store.rows() == [*sums, replace(part(5), images=8)]


def test_pieces_are_small_only_at_the_end() -> None:
    subject = tiny_study.subjects()[0]
    jobs = tuple((1e-3, index) for index in range(6))
    plan = Plan([Group(subject, jobs, 0, 2), Group(subject, jobs[:3], 2, 4)], workers=2)
    plan.learn(Outcome(Group(subject, jobs, 0, 2), [], "", 30.0))
    pieces = iter(plan.next, None)
    assert [(len(piece.jobs), piece.first, piece.stop) for piece in pieces] == [
        (4, 0, 2),
        (2, 0, 2),
        (2, 2, 4),
        (1, 2, 4),
    ]


def is_worker(process: int) -> bool:
    """Whether a process is one that evaluates."""
    try:
        return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):  # it ended since it was listed
        return False


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux")
@pytest.mark.parametrize("victim", ["worker", "main"])
def test_killed_process_loses_nothing_and_leaves_no_others(victim: str, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "tests.resilience.tiny_study", str(folder), "1500", "2"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while count_rows(folder) == 0 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    workers = [child for child in children(process.pid) if is_worker(child)]
    assert len(workers) == 2
    os.kill(workers[0] if victim == "worker" else process.pid, signal.SIGKILL)
    error = process.communicate(timeout=100)[1]
    if victim == "worker":
        assert process.returncode == 1
        assert "GoldenError: a worker process died" in error
    while any(alive(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(alive(worker) for worker in workers)
    kept = count_rows(folder)
    whole = tiny_study.run(tmp_path / "whole")
    assert 0 < kept < len(whole)
    assert tiny_study.run(folder) == whole


def test_more_images_extend_a_study(tmp_path: Path) -> None:
    whole = tiny_study.run(tmp_path / "whole")
    few = tiny_study.run(tmp_path / "part", replace(tiny_study.SETTINGS, images=1, maps=3))
    assert {row.images for row in few} == {1}
    assert tiny_study.run(tmp_path / "part", replace(tiny_study.SETTINGS, images=3, maps=2)) != whole
    assert tiny_study.run(tmp_path / "part") == whole
    fewer = replace(tiny_study.SETTINGS, images=2)
    assert tiny_study.run(tmp_path / "part", fewer) == tiny_study.run(tmp_path / "two", fewer)


def test_a_study_stopped_within_a_slab_can_be_reported_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tiny_study.run(tmp_path, replace(tiny_study.SETTINGS, images=2))
    add = ResultStore.add

    def stop(store: ResultStore, rows: list[Row]) -> None:
        add(store, rows)
        raise KeyboardInterrupt

    monkeypatch.setattr(ResultStore, "add", stop)
    with pytest.raises(KeyboardInterrupt):
        tiny_study.run(tmp_path)
    monkeypatch.setattr(ResultStore, "add", add)
    with open_store(tmp_path) as store:
        assert any(row.images == 4 for row in store.rows())
    assert tiny_study.run(tmp_path, replace(tiny_study.SETTINGS, images=2)) == first
    assert tiny_study.run(tmp_path) == tiny_study.run(tmp_path / "whole")


@pytest.mark.parametrize("table", ["parts", "results"])
def test_a_store_of_an_older_version_goes_on(tmp_path: Path, table: str) -> None:
    """Of before the file was marked, and of before it had a row for every slab."""
    tiny_study.run(tmp_path, replace(tiny_study.SETTINGS, images=2))
    with sqlite3.connect(tmp_path / DATABASE) as connection:
        for change in (
            "PRAGMA application_id=0",
            "PRAGMA user_version=0",
            "ALTER TABLE settings RENAME COLUMN key TO name",
            f"ALTER TABLE parts RENAME TO {table}" if table != "parts" else "",
        ):
            connection.execute(change)
    assert tiny_study.run(tmp_path) == tiny_study.run(tmp_path / "whole")


def test_refuses_other_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_study.run(tmp_path, replace(tiny_study.SETTINGS, images=2, maps=1))
    images, source = tiny_study.pictures()
    images.images[0] ^= 1
    monkeypatch.setattr(tiny_study, "pictures", lambda: (images, source))
    with pytest.raises(GoldenError, match="another first 2 images"):
        tiny_study.run(tmp_path)


def test_more_maps_and_rates_extend_a_study(tmp_path: Path) -> None:
    small = tiny_study.run(tmp_path, replace(tiny_study.SETTINGS, maps=2, rates=(1e-3,)))
    large = tiny_study.run(tmp_path)
    assert len(small) == 4 * 3
    assert set(small) <= set(large)


def test_refuses_other_settings_and_other_networks(tmp_path: Path) -> None:
    tiny_study.run(tmp_path, replace(tiny_study.SETTINGS, maps=1))
    with pytest.raises(GoldenError, match=r"another study \(seed 1 there, 2 here\): choose another folder"):
        tiny_study.run(tmp_path, replace(tiny_study.SETTINGS, maps=2, seed=2))
    for maps in (1, 2):  # also if nothing is left to do
        with pytest.raises(GoldenError, match="another ranger 32 bits"):
            tiny_study.run(tmp_path, replace(tiny_study.SETTINGS, maps=maps), seed=2)


def test_refuses_a_second_run_and_a_damaged_database(tmp_path: Path) -> None:
    with open_store(tmp_path), pytest.raises(StoreError, match="another run"), open_store(tmp_path):
        pass
    (tmp_path / DATABASE).write_bytes(b"no database, but long enough to be read as one" * 100)
    with pytest.raises(GoldenError, match="no result database: move it away"), open_store(tmp_path):
        pass
    with pytest.raises(StoreError, match="is no folder"), open_store(tmp_path / DATABASE):
        pass


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE parts SET correct = 999",
        "UPDATE parts SET correct = 'many'",
        "ALTER TABLE parts DROP COLUMN bound_flips",
        "UPDATE settings SET value = '{'",
        "UPDATE settings SET value = '3'",
    ],
)
def test_damage_within_the_database_is_one_clear_line(damage: str, tmp_path: Path) -> None:
    settings = replace(tiny_study.SETTINGS, maps=1, images=1)
    tiny_study.run(tmp_path, settings)
    with sqlite3.connect(tmp_path / DATABASE) as connection:
        connection.execute(damage)
    with pytest.raises(GoldenError, match="damaged or no result database") as caught:
        tiny_study.run(tmp_path, replace(settings, maps=2))
    assert "\n" not in str(caught.value)


def test_a_damaged_page_of_the_database_is_one_clear_line(tmp_path: Path) -> None:
    tiny_study.run(tmp_path)
    path = tmp_path / DATABASE
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(GoldenError, match="damaged or no result database"):
        tiny_study.run(tmp_path)


def test_full_disk_loses_nothing(tmp_path: Path) -> None:
    row = Row("fitact", 32, FAULTY, 1e-6, 0, 10, 5, 1, 0, 0, 4)
    with open_store(tmp_path) as store:
        store.add([row])
        store._db.execute("PRAGMA max_page_count = 1")
        with pytest.raises(GoldenError, match="disk is full: free some space"):
            store.add(replace(row, map=index) for index in range(1, 1000))
        assert store.rows() == [row]


def test_a_row_never_changes(tmp_path: Path) -> None:
    row = Row("fitact", 32, FAULTY, 1e-6, 0, 10, 5, 1, 0, 0, 4)
    with open_store(tmp_path) as store:
        store.add([row])
        store.add([row])
        with pytest.raises(GoldenError, match="was"):
            store.add([replace(row, map=1), replace(row, correct=6)])
        assert store.rows() == [row]  # all or none
        store.add([row.plus(replace(row, images=3, correct=1))])
        assert store.rows() == [row, replace(row, images=13, correct=6)]
        with pytest.raises(GoldenError, match="was"):
            row.plus(replace(row, weight_flips=2))


def test_schemes_come_from_the_registry() -> None:
    subjects = scheme_subjects(Settings("alexnet", words=(8, 32), memories=(FAULTY, PROTECTED)))
    assert {subject.scheme for subject in subjects} == set(COMPARED)
    memories = [s.memory for s in subjects if s.scheme == "unprotected" and s.word_bits == 8]
    assert memories == [FAULTY]
    assert [s.memory for s in subjects if s.scheme == "fitact" and s.word_bits == 8] == [FAULTY, PROTECTED]


def test_granularity_subjects_of_alexnet() -> None:
    subjects = granularity_subjects(Settings("alexnet"))
    assert len(subjects) == 16
    sizes = {}
    for subject in subjects:
        if subject.scheme in ("layer-clip-word", "neuron-clip-word", "neuron-saturate-code4"):
            _, stored = subject.load()
            assert stored is not None
            sizes[subject.scheme] = sum(s.storage_bits for s in stored.values())
    bounded = load_qnetwork("alexnet", "fitact", 32)
    neurons = sum(int(np.prod(x.out_shape)) for x in bounded.layers if x.bound is not None)
    assert sizes == {
        "layer-clip-word": 7 * 32,
        "neuron-clip-word": neurons * 32,
        "neuron-saturate-code4": neurons * 4,
    }
    with pytest.raises(GoldenError, match="no neuron bounds"):
        granularity_subjects(Settings("alexnet"), "ranger")


def test_sample_images_stand_in_with_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITACT_CIFAR10", "")
    monkeypatch.chdir(tmp_path)
    console = Console(record=True, width=200, quiet=False, file=(tmp_path / "log").open("w"))
    images, source = study.evaluation_images("alexnet", 1000, console)
    assert np.array_equal(images.images, sample_images().images)
    assert "sample images" in source
    assert "20 sample images are used instead" in console.export_text()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"maps": 0}, "must be positive"),
        ({"rates": (0.0,)}, "between 0 and 1"),
        ({"schemes": ("fitact", "magic")}, "unknown scheme 'magic'"),
        ({"words": (12,)}, "12 bits is not supported"),
        ({"memories": ("stone",)}, "must be faulty or protected"),
    ],
)
def test_bad_settings_are_one_clear_line(values: dict[str, object], message: str) -> None:
    with pytest.raises(GoldenError, match=message) as caught:
        Settings("alexnet", **values)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
