"""Bad input that is found while a command works: one clear line, exit code 2, nothing half-written is later taken for
whole. What is found on the command line: tests/cli.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from golden.errors import StoreError
from golden.support.files import locked, read_json, write_json
from tests.e2e.command import FITACT, ROOT, error_line, fitact


def test_buffers_too_small_name_the_layer_and_the_fix(tmp_path: Path) -> None:
    machine = tmp_path / "machine.toml"
    machine.write_text("weight_words = 40\n")
    done = fitact("sim", "alexnet", "--config", str(machine), "--images", "1", "--faults", "0", "--out", str(tmp_path))
    assert done.returncode == 2
    line = error_line(done)
    assert "weight_words" in line
    assert "conv" in line


def test_more_images_than_there_are() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "FITACT_CIFAR10"}
    done = fitact("sim", "alexnet", "--images", "21", env=environment)
    assert done.returncode == 2
    assert "FITACT_CIFAR10" in error_line(done)


def test_missing_compiler(tmp_path: Path) -> None:
    environment = {**os.environ, "CXX": str(tmp_path / "no-compiler"), "FITACT_BUILD": str(tmp_path / "build")}
    done = fitact("sim", "alexnet", "--images", "1", "--faults", "0", "--out", str(tmp_path / "out"), env=environment)
    assert done.returncode == 2
    assert "C++ compiler not found" in error_line(done)


def test_second_run_in_the_same_folder(tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        done = fitact("sim", "alexnet", "--images", "1", "--faults", "0", "--out", str(tmp_path))
    assert done.returncode == 2
    assert "4711" in error_line(done)


def test_ctrl_c_leaves_nothing_half_written(tmp_path: Path) -> None:
    command = [str(FITACT), "sim", "alexnet", "--images", "8", "--faults", "64", "--out", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 900
        while not (tmp_path / ".lock").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    lines = [line for line in errors.splitlines() if line.strip()]
    assert len(lines) == 1, errors
    assert "interrupted" in lines[0]
    assert not (tmp_path / "results.json").exists()


def test_json_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}
    path.write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        read_json(path)


def test_lock_is_released(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(StoreError, match=str(os.getpid())), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_file_is_no_result_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match="is no folder: choose another one"), locked(path):
            pass
