"""Files are written whole or not at all, and a folder has one writer at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from golden.support.files import replacing, write_bytes, write_json, write_text, writing

WRITERS: dict[str, Callable[[Path], None]] = {
    "bytes": lambda path: write_bytes(path, b"new"),
    "text": lambda path: write_text(path, "new"),
    "json": lambda path: write_json(path, {"new": 1}),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_is_the_old_or_the_new_one(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the process is stopped just before the new one takes its place."""
    path = tmp_path / "deep" / "file"
    WRITERS[kind](path)
    assert b"new" in path.read_bytes()
    path.write_bytes(b"old")

    def stopped(self: Path, target: Path) -> Path:
        assert b"new" in self.read_bytes()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stopped)
        with pytest.raises(KeyboardInterrupt):
            WRITERS[kind](path)
    assert path.read_bytes() == b"old"
    assert [item.name for item in path.parent.iterdir()] == ["file"]
    WRITERS[kind](path)
    assert b"new" in path.read_bytes()
    assert [item.name for item in path.parent.iterdir()] == ["file"]


def test_an_error_in_the_block_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def half() -> None:
        with replacing(path) as stream:
            stream.write(b"half of")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_durable_content_is_on_the_disk_before_it_replaces_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    original = Path.replace

    def replaced(self: Path, target: Path) -> Path:
        steps.append("replace")
        return original(self, target)

    monkeypatch.setattr(os, "fsync", lambda descriptor: steps.append("fsync"))
    monkeypatch.setattr(Path, "replace", replaced)
    write_json(tmp_path / "a.json", [1])
    assert steps == ["fsync", "replace"]
    assert json.loads((tmp_path / "a.json").read_text()) == [1]


CHILD = """
import sys, time
from pathlib import Path
from golden.support.files import writing
with writing(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_writers_wait_for_each_other_and_not_for_the_dead(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    waiter = subprocess.Popen(
        [sys.executable, "-c", CHILD.replace("time.sleep(60)", ""), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    time.sleep(1)
    assert waiter.poll() is None, "did not wait"
    child.kill()
    child.wait()
    assert waiter.communicate(timeout=60)[0] == "held\n"
    assert list(tmp_path.iterdir()) == []
    with writing(tmp_path):
        pass
