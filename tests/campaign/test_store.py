"""The store: nothing twice, nothing lost, nothing mixed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fitact_hw.campaign.store import CampaignError, Row, Store

ROW = Row(
    "fitact", 0, 1, "weight_buffer", "conv1", "u_buffers.u_weight.data_mem", 3, 2, 1, 77, "x[3]^0x4@77", "sdc", 0, 900,
    "golden", 12, 4, "[1, 2]", "",
)  # fmt: skip

WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from fitact_hw.campaign.store import Store
from tests.campaign.test_store import ROW
store = Store(Path(sys.argv[1]), create=True)
for number in range(100000):
    store.add([replace(ROW, number=2 * number), replace(ROW, number=2 * number + 1)])
    print(number, flush=True)
"""


def test_rows_come_back_and_count_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "c.sqlite", create=True)
    assert store.add([ROW, replace(ROW, number=1, outcome="masked")]) == 2
    assert store.add([replace(ROW, outcome="hang"), replace(ROW, number=2)]) == 1
    assert [row.number for row in store.rows()] == [0, 1, 2]
    assert store.rows()[0] == ROW
    assert store.present() == {("fitact", 0), ("fitact", 1), ("fitact", 2)}
    assert store.counts("scheme", "outcome") == {("fitact", "sdc"): 2, ("fitact", "masked"): 1}


@pytest.mark.parametrize("version", [2, 3])
def test_older_tables_are_read_as_they_are_and_get_their_columns_when_written(tmp_path: Path, version: int) -> None:
    path = tmp_path / "c.sqlite"
    with Store(path, create=True) as store:
        store.claim({"model": "alexnet"})
        store.add([ROW])
    new = ("clamp_hits", *(("status", "detected", "corrected_words", "detected_words") if version == 2 else ()))
    lost = [f"ALTER TABLE injection DROP COLUMN {name}" for name in new] + ["DROP TABLE rtl"] * (version == 2)
    _sqlite(path, *lost, f"PRAGMA user_version={version}", "PRAGMA journal_mode=DELETE")
    before = path.read_bytes()
    with Store(path) as store:
        assert store.rows() == [ROW]
        assert store.row("fitact", 0) == ROW
        assert store.rtl() == {}
    assert path.read_bytes() == before
    counted = replace(ROW, number=1, status="done", detected=0, corrected_words=2, detected_words=0, clamp_hits=9)
    with Store(path, create=True) as store:
        store.claim({"model": "alexnet"})
        store.add([counted])
        store.add_rtl({("fitact", 1): "", ("fitact", 0): "other"})
        assert store.rows() == [ROW, counted]
        assert store.rtl() == {("fitact", 0): "other", ("fitact", 1): ""}


def test_a_flipped_cycle_counter_comes_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "c.sqlite", create=True)
    rows = [replace(ROW, number=k, cycles=cycles) for k, cycles in enumerate((0, (1 << 63) + 5, (1 << 64) - 1))]
    assert store.add(rows) == 3
    assert store.rows() == rows


def test_another_campaign_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "c.sqlite", create=True)
    store.claim({"model": "alexnet", "programs": {"fitact": "abc"}})
    store.claim({"model": "alexnet", "programs": {"fitact": "abc"}})
    with pytest.raises(CampaignError, match="other programs:"):
        store.claim({"model": "alexnet", "programs": {"fitact": "abd"}})
    assert store.identity()["programs"] == {"fitact": "abc"}


def _sqlite(path: Path, *statements: str) -> Path:
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()
    return path


@pytest.mark.parametrize("create", [False, True])
def test_files_that_are_no_store_of_ours_are_named_and_left_alone(tmp_path: Path, create: bool) -> None:
    with pytest.raises(CampaignError, match="does not exist"):
        Store(tmp_path / "none.sqlite")
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(b"no database at all, but long enough to be read as one" * 40)
    foreign = _sqlite(tmp_path / "foreign.sqlite", "CREATE TABLE injection (a)", "PRAGMA user_version=2")
    newer = tmp_path / "newer.sqlite"
    Store(newer, create=True).close()
    _sqlite(newer, "PRAGMA user_version=99")
    for path, says in ((damaged, "damaged"), (foreign, "no campaign store"), (newer, "table version 99.*update")):
        before = path.read_bytes()
        with pytest.raises(CampaignError, match=says):
            Store(path, create=create)
        assert path.read_bytes() == before


def test_an_empty_file_is_a_new_store_for_writing_only(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    path.touch()
    with pytest.raises(CampaignError, match="is empty"):
        Store(path)
    Store(path, create=True).close()
    Store(path).close()


def test_a_damaged_page_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with Store(path, create=True) as store:
        store.add([replace(ROW, number=number) for number in range(500)])
    data = bytearray(path.read_bytes())
    data[4096 * 4 :] = b"\xff" * (len(data) - 4096 * 4)
    path.write_bytes(data)
    with Store(path) as store, pytest.raises(CampaignError, match="damaged"):
        store.rows()


def test_reading_changes_nothing_and_sees_one_moment(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with Store(path, create=True) as writer, Store(path) as reader:
        writer.add([ROW])
        with reader.snapshot():
            assert len(reader.rows()) == 1
            writer.add([replace(ROW, number=1)])
            assert len(reader.rows()) == 1
        assert len(reader.rows()) == 2
        with pytest.raises(CampaignError, match="readonly"):
            reader.add([replace(ROW, number=2)])


def test_facts_are_kept_beside_the_identity(tmp_path: Path) -> None:
    with Store(tmp_path / "c.sqlite", create=True) as store:
        store.note(faults=10, cycles={"fitact": 5})
        store.note(faults=20)
        assert store.facts() == {"faults": 20, "cycles": {"fitact": 5}}
        assert store.identity() == {}
        store.add([ROW])
        assert store.row("fitact", 0) == ROW
        assert store.row("fitact", 1) is None


def test_two_processes_may_create_one_store(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    code = "import sys; from pathlib import Path; from fitact_hw.campaign.store import Store; "
    code += "Store(Path(sys.argv[1]), create=True).claim({'model': 'x'})"
    processes = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert Store(path).identity() == {"model": "x"}


def test_killed_writer_leaves_whole_transactions(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while int(process.stdout.readline()) < 20:
        pass
    other = Store(path, create=True)  # a second process reads and writes meanwhile
    other.add([replace(ROW, scheme="ranger")])
    time.sleep(0.05)
    process.kill()
    printed = [int(line) for line in process.stdout.read().split()]
    process.wait()
    numbers = sorted(number for scheme, number in Store(path).present() if scheme == "fitact")
    assert numbers == list(range(len(numbers)))
    assert len(numbers) % 2 == 0
    assert len(numbers) // 2 >= max(printed, default=20) + 1
    assert ("ranger", 0) in other.present()
