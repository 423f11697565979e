"""What happens when the simulator process itself fails, hangs or is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sim.build import SIM, Build
from sim.errors import SimulationError
from sim.job import Job
from sim.simulator import Simulator
from tests.sim.machines import TINY, assembled
from tests.sim.test_runs import FINISH


def fake(folder: Path, script: str) -> Simulator:
    """A simulator whose executable is a shell script."""
    executable = folder / "sim-fake" / "fake"
    executable.parent.mkdir()
    executable.write_text("#!/bin/sh\n" + script)
    executable.chmod(0o755)
    simulator = Simulator(TINY, silence_seconds=1)
    simulator._build = Build(executable.parent, executable, "fake", None)
    return simulator


def test_crash_reports_the_log(tmp_path: Path) -> None:
    simulator = fake(tmp_path, "echo something went wrong; exit 3\n")
    with pytest.raises(
        SimulationError, match=r"ended \(3\) after 0 of 1 runs: something went wrong \[.*sim\.log\]"
    ) as error:
        simulator.run([Job(assembled((FINISH,)), keep=(), limit_cycles=100)])
    log = Path(str(error.value).rsplit("[", 1)[1].rstrip("]"))
    assert "something went wrong" in log.read_text()


def test_hanging_simulator_is_ended(tmp_path: Path) -> None:
    simulator = fake(tmp_path, f"sleep 300 & echo $! > {tmp_path}/pid; wait\n")
    with pytest.raises(SimulationError, match="no result"):
        simulator.run([Job(assembled((FINISH,)), keep=(), limit_cycles=100)])
    pid, deadline = int((tmp_path / "pid").read_text()), time.monotonic() + 10
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    """Whether a process exists and is more than a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_crash_of_one_run_is_reported(simulator: Simulator, tmp_path: Path) -> None:
    """A run that cannot write its kept memory fails by itself: its Python error is the message."""
    job = Job(assembled((FINISH,)), keep=("*",), limit_cycles=100)
    broken = Job(assembled((FINISH,)), keep=("*",), limit_cycles=200)
    object.__setattr__(broken, "regions", lambda: {"*": (0, 1 << 30)})
    with pytest.raises(SimulationError, match=r"run 1.*beyond the memory"):
        simulator.run([job, broken])


INTERRUPTED = """
from sim.simulator import Simulator
from sim.job import Job
from tests.sim.machines import TINY, assembled
from tests.sim.test_runs import FINISH, load
Simulator(TINY, workers=2).run([Job(assembled((load(4096, pop_next=1), FINISH)), keep=())] * 2, share_prefix=False)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupt_leaves_nothing_running(simulator: Simulator, number: int) -> None:
    runs = simulator.build().folder.parent / "runs"
    before = set(runs.glob("*")) if runs.exists() else set()
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], cwd=SIM.parent, stderr=subprocess.PIPE, env=dict(os.environ)
    )
    deadline = time.monotonic() + 60
    while len(_simulators(runs, child.pid)) < 3 and time.monotonic() < deadline:  # the first process and two runs
        time.sleep(0.1)
    assert len(_simulators(runs, child.pid)) == 3
    child.send_signal(number)
    child.communicate(timeout=30)
    assert child.returncode != 0
    deadline = time.monotonic() + 10
    while _simulators(runs, child.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _simulators(runs, child.pid)
    left = [path for path in set(runs.glob("*")) - before if path.name.startswith(f"{child.pid}-")]
    assert bool(left) == (number == signal.SIGKILL)


DURING_FORK = """
import os, signal
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGINT))
from sim.toolchain import run_tool
run_tool(["sleep", "60"], ".", os.environ, None)
"""


def test_ctrl_c_during_the_fork_of_a_build_tool_is_not_lost() -> None:
    """Python drops what is raised in hooks after a fork, where a signal that came meanwhile is handled."""
    done = subprocess.run(
        [sys.executable, "-c", DURING_FORK], cwd=SIM.parent, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in done.stderr


def _simulators(runs: Path, owner: int) -> list[str]:
    """Processes that run in a run folder of process ``owner``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str((process / "cwd").readlink()).startswith(f"{runs}/{owner}-"):
                found.append(process.name)
        except OSError:
            continue
    return found
