"""The build cache: nothing stale, nothing half-written, nothing built twice; a missing tool is named."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from golden.support.folders import build_root
from sim import toolchain
from sim.build import SIM, Build, build, main_program
from sim.errors import SimulationError
from sim.toolchain import doctor, find_toolchain
from sim.verilate import Sources
from tests.sim.machines import TINY

TOP = """
module counter;
    bit clk = 0;
    always #5 clk = ~clk;
    bit [7:0] count_q /*verilator public_flat_rw*/;
    always @(posedge clk) count_q <= count_q + STEP;
endmodule
"""


def sources(step: int = 1, top: str = TOP) -> Sources:
    """A design that compiles in seconds."""
    files = {"counter.sv": top.replace("STEP", str(step)), "main.cpp": main_program()}
    return Sources("counter", files)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty build folder that shares only Verilator's run-time objects with the real one."""
    (build_root() / "runtime").mkdir(parents=True, exist_ok=True)
    (tmp_path / "runtime").symlink_to(build_root() / "runtime")
    monkeypatch.setenv("FITACT_BUILD", str(tmp_path))
    return tmp_path


def make(notes: list[str], **options: object) -> Build:
    """Build the counter, collecting the notes."""
    step = int(options.pop("step", 1))  # type: ignore[call-overload]
    return build(TINY, sources=sources(step), variant="counter", note=notes.append, **options)  # type: ignore[arg-type]


def built(notes: list[str]) -> int:
    """How many builds these notes tell of."""
    return sum(note.startswith("built in") for note in notes)


def test_cache(root: Path) -> None:
    notes: list[str] = []
    first = make(notes)
    assert built(notes) == 1
    assert first.executable.is_file()
    assert make(notes) == first
    assert built(notes) == 1, "unchanged inputs were built again"

    second = make(notes, step=3)
    assert second.folder != first.folder
    assert built(notes) == 2
    assert not list(second.folder.glob("*.o")), "intermediate files stay"


CHILD = """
import sys
from tests.sim.test_build import sources
from tests.sim.machines import TINY
from sim.build import build
print(build(TINY, sources=sources(7), variant="counter", note=lambda text: print(text, flush=True)).executable)
"""


def test_two_processes_build_once(root: Path) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD], cwd=SIM.parent, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        for _ in range(2)
    ]
    texts = [child.communicate(timeout=300)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert sum("built in" in text for text in texts) == 1
    assert sum("waiting for another process" in text for text in texts) == 1
    assert len({text.split()[-1] for text in texts}) == 1


def test_killed_build_leaves_no_compiler_and_is_not_taken_for_whole(root: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], cwd=SIM.parent, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    deadline = time.monotonic() + 120
    while not list(root.glob("*/counter-*/Vtop.mk")) and time.monotonic() < deadline:
        time.sleep(0.05)
    child.kill()
    child.communicate()
    [folder] = [path for path in root.glob("*/counter-*") if path.is_dir()]
    deadline = time.monotonic() + 30
    while _processes_in(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _processes_in(folder)
    assert not (folder / "stamp.json").exists()
    notes: list[str] = []
    make(notes, step=7)
    assert built(notes) == 1


def _processes_in(folder: Path) -> list[str]:
    """Processes that work in ``folder``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve() == folder.resolve():
                found.append(process.name)
        except OSError:
            continue
    return found


def test_broken_source_names_the_log(root: Path) -> None:
    broken = sources(top=TOP.replace("endmodule", "nonsense"))
    with pytest.raises(SimulationError, match=r"build failed.*build\.log"):
        build(TINY, sources=broken, variant="counter", note=lambda _: None)


@pytest.mark.parametrize(
    ("missing", "message"), [("g++", "C.. compiler not found.*apt install g"), ("make", "install GNU make")]
)
def test_missing_tool_is_named(missing: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = toolchain.shutil.which
    hidden = {"g++", "c++", "clang++"} if missing == "g++" else {missing}
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: None if name in hidden else found(name))
    find_toolchain.cache_clear()
    try:
        with pytest.raises(SimulationError, match=message):
            find_toolchain()
    finally:
        find_toolchain.cache_clear()


def test_doctor_finds_what_the_tests_run_with() -> None:
    tools = {tool.name: tool for tool in doctor()}
    assert all(tool.version for tool in tools.values() if not tool.optional)
    assert tools["verilator"].version == "5.48.0"
    assert all(len(tuple(tool)) == 3 and tool.fix for tool in tools.values())
