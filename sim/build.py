"""Verilator builds of a configuration, cached by everything that goes into them.

`build/<config fingerprint>/<variant>-<hash>/` holds one build; the hash covers every source text, tool version and
flag, so a changed input is a new folder. `stamp.json` is written last: a folder without it is never used.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cocotb_tools.runner import Verilator

from fitact_hw.config import AcceleratorConfig
from fitact_hw.interrupts import end_with_parent, held_back
from sim.errors import SimulationError
from sim.toolchain import Toolchain, find_toolchain

ROOT = Path(__file__).resolve().parent.parent
TB = Path(__file__).resolve().parent / "tb"

Note = Callable[[str], None]
"""Receives one-line messages for the user."""

JOBS = 2
"""Parallel compiler processes."""

FLAGS = ("--timing", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--threads", "1", "-Wno-fatal")
CXX_FLAGS = ("-DVL_TIME_CONTEXT", "-march=native")
LINK_FLAGS = ("-rdynamic",)  # Python finds the memory's functions in the executable
LOG_LINES = 6


def build_root() -> Path:
    """Folder of everything built: $FITACT_BUILD, else `build/` beside `sim/`."""
    return Path(os.environ.get("FITACT_BUILD") or ROOT / "build").resolve()


@dataclass(frozen=True)
class Sources:
    """Everything that determines a build. ``files``: name -> text of Verilog, C++ and control files."""

    top: str
    files: Mapping[str, str]
    parameters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Build:
    """A finished build. ``wave_suffix`` is ``fst`` or ``vcd`` when it can dump waves, else None."""

    folder: Path
    executable: Path
    top: str
    wave_suffix: str | None


def _end_with_parent() -> None:
    """In a child: SIGTERM when we die, so that no compiler goes on in a folder that nobody holds."""
    end_with_parent(signal.SIGTERM)


def run_tool(command: Sequence[str], cwd: Any, env: Mapping[str, str], stdout: Any) -> int:
    """Run a build tool, its messages to ``stdout``; its exit status. It ends when we are interrupted or die."""
    process = None
    try:
        with held_back():  # Python runs its own hooks after the fork and drops what is raised in them
            process = subprocess.Popen(
                command, cwd=cwd, env=env, stdout=stdout, stderr=subprocess.STDOUT, preexec_fn=_end_with_parent
            )
        return process.wait()
    except BaseException:
        if process:
            process.terminate()  # make ends its compilers
            process.wait()
        raise


class _Runner(Verilator):
    """cocotb's Verilator runner, with exactly the signals public that the control file names, and our main()."""

    def __init__(self, toolchain: Toolchain, wave_flag: str | None, sources: Sequence[str], runtime: Path) -> None:
        super().__init__()
        self._runtime = runtime
        self._toolchain = toolchain
        self._wave_flag = wave_flag
        self._cpp = [name for name in sources if name.endswith(".cpp")]

    def _set_env_common(self) -> None:
        super()._set_env_common()
        self.env.update(self._toolchain.environment())

    def _simulator_in_path_build_only(self) -> None:
        self.executable = str(self._toolchain.verilator_root / "bin" / "verilator")

    def _execute_cmds(self, cmds: Sequence[list[str]], cwd: Any, stdout: Any = None) -> None:
        for command in cmds:
            status = run_tool(command, cwd, self.env, stdout)
            if status:
                raise RuntimeError(f"{Path(command[0]).name} ended with status {status}")

    def _build_command(self) -> list[list[str]]:
        self.waves = False  # decided by us, not by $WAVES
        verilate, make = super()._build_command()
        kept = [a for a in verilate if a != "--public-flat-rw" and Path(a).name != "verilator.cpp"]
        place = kept.index("-LDFLAGS") + 1
        kept[place] = " ".join([kept[place], *LINK_FLAGS])
        extra = [self._wave_flag] if self._wave_flag else []
        make = [
            "make",
            "-j",
            str(JOBS),
            *make[make.index("-C") : -1],
            f"VM_TRACE={int(bool(self._wave_flag))}",
        ]
        # Copies are newer than what they are made from: make takes them as they are.
        reuse = (
            [["cp", *map(str, sorted(self._runtime.glob("*.o"))), str(self.build_dir)]]
            if self._runtime.is_dir()
            else []
        )
        return [kept + extra + self._cpp, *reuse, make]


def machine_files(config: AcceleratorConfig) -> dict[str, str]:
    """Texts of the generated machine, its leaf cells, and the control file that makes its fault sites public."""
    from fitact_hw.sites import (
        list_sites,
        verilator_control,
    )  # heavy (pyverilog): only when a build is checked
    from fitact_hw.verilog import generate, leaf_cells

    files = leaf_cells() | generate(config)
    return files | {"sites.vlt": verilator_control(list_sites(config))}


def machine_sources(config: AcceleratorConfig) -> Sources:
    """The machine in its test top."""
    from fitact_hw.verilog.csr_block import ADDRESS_BITS

    bench = {name: (TB / name).read_text() for name in ("fitact_tb.sv", "memory.cpp", "main.cpp")}
    return Sources(
        "fitact_tb", machine_files(config) | bench, {"BUS_BITS": config.bus_bits, "CSR_ADDR_W": ADDRESS_BITS}
    )


def _cpu() -> str:
    """What -march=native depends on: a build folder shared by different machines must not mix them."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return line
    return platform.processor() or platform.machine()


def build_digest(sources: Sources, toolchain: Toolchain, flags: Sequence[str]) -> str:
    content = {
        "top": sources.top,
        "files": dict(sources.files),
        "parameters": dict(sources.parameters),
        "tools": toolchain.versions,
        "flags": [*flags, *CXX_FLAGS, *LINK_FLAGS, toolchain.environment()["MAKEFLAGS"]],
        "cpu": _cpu(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@contextlib.contextmanager
def build_lock(path: Path, shared: bool, note: Note) -> Iterator[None]:
    """Hold a lock on ``path`` (created if missing); says so once when it has to wait for another process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, mode | fcntl.LOCK_NB)
        except OSError:
            note(f"waiting for another process that builds {path.parent.name}/{path.stem}")
            fcntl.flock(lock, mode)
        yield


def is_whole(folder: Path, digest: str, top: str) -> bool:
    """Whether ``folder`` holds a finished build: its stamp names the inputs and the size of the executable."""
    try:
        stamp = json.loads((folder / "stamp.json").read_text())
        size = (folder / top).stat().st_size
    except (OSError, ValueError):
        return False
    return bool(stamp == {"inputs": digest, "bytes": size})


def write_stamp(folder: Path, digest: str, product: Path) -> None:
    """Say that the build in ``folder`` is finished (see :func:`is_whole`)."""
    part = folder / "stamp.part"
    part.write_text(json.dumps({"inputs": digest, "bytes": product.stat().st_size}))
    part.replace(folder / "stamp.json")


def drop_older(parent: Path, variant: str, keep: str) -> None:
    """Remove builds of the same variant with other inputs that no process uses."""
    for folder in parent.glob(f"{variant}-*"):
        if folder.name == keep or not folder.is_dir() or folder.name.rpartition("-")[0] != variant:
            continue
        with (parent / f"{folder.name}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue  # still simulated with
            shutil.rmtree(folder, ignore_errors=True)


def _runtime_folder(toolchain: Toolchain, flags: Sequence[str]) -> Path:
    """Where Verilator's run-time objects are kept: they are half of a build and the same for every configuration."""
    key = json.dumps([toolchain.versions, [*flags, *CXX_FLAGS], toolchain.environment()["MAKEFLAGS"], _cpu()])
    return build_root() / "runtime" / hashlib.sha256(key.encode()).hexdigest()[:16]


def _keep_runtime(folder: Path, runtime: Path) -> None:
    """Copy the run-time objects of a finished build; the folder appears whole or not at all."""
    if runtime.is_dir():
        return
    part = runtime.with_name(f"{runtime.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    for path in folder.glob("verilated*.o"):
        shutil.copy2(path, part)
    try:
        part.rename(runtime)
    except OSError:  # another build was faster
        shutil.rmtree(part, ignore_errors=True)


def write_sources(sources: Sources, folder: Path) -> None:
    """Write the sources to ``src`` of the emptied ``folder``. Raises SimulationError for a path that make refuses."""
    if any(character.isspace() for character in str(folder)):
        raise SimulationError(
            f"make cannot build in a path with spaces: set FITACT_BUILD to a folder without ({folder})"
        )
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "src").mkdir(parents=True)
    for name, text in sources.files.items():
        (folder / "src" / name).write_text(text)


def _compile(sources: Sources, folder: Path, toolchain: Toolchain, wave_flag: str | None) -> None:
    """Write the sources and run Verilator and make in ``folder`` (emptied first)."""
    write_sources(sources, folder)
    paths = [str(folder / "src" / name) for name in sources.files]
    control = [path for path in paths if path.endswith(".vlt")]
    verilog = [path for path in paths if path.endswith((".v", ".sv"))]
    runtime = _runtime_folder(toolchain, [*FLAGS, str(wave_flag)])
    runner = _Runner(toolchain, wave_flag, paths, runtime)
    runner.log.setLevel("ERROR")
    log = folder / "build.log"
    try:
        runner.build(
            sources=[*control, *verilog],
            hdl_toplevel=sources.top,
            parameters=sources.parameters,
            build_args=[*FLAGS, "-CFLAGS", " ".join(CXX_FLAGS)],
            build_dir=folder,
            log_file=log,
            timescale=("1ns", "1ns"),
        )
    except RuntimeError as error:
        raise SimulationError(f"Verilator build failed ({error}): {log_tail(log)}") from None
    _keep_runtime(folder, runtime)


def log_tail(log: Path, lines: int = LOG_LINES) -> str:
    """The last lines of a log on one line, with its path."""
    try:
        text = log.read_text(errors="replace").strip().splitlines()[-lines:]
    except OSError:
        text = ["(no log)"]
    return " | ".join(line.strip() for line in text) + f" [{log}]"


def build(
    config: AcceleratorConfig,
    *,
    waves: bool = False,
    sources: Sources | None = None,
    variant: str = "sim",
    note: Note = print,
) -> Build:
    """The simulator of ``config``, built if it is not there yet.

    ``sources`` replaces the machine and its test top (``variant`` then names the build). Two processes at the same
    time: the second waits with a note. Raises SimulationError if a tool is missing or the build fails.
    """
    toolchain = find_toolchain()
    sources = sources or machine_sources(config)
    wave_flag = None if not waves else "--trace-fst" if toolchain.fst else "--trace-vcd"
    if waves and not toolchain.fst:
        note("waves are written as VCD: liblz4-dev, which FST needs, is not installed")
    variant += "-waves" if waves else ""
    digest = build_digest(sources, toolchain, [*FLAGS, *([wave_flag] if wave_flag else [])])
    folder = build_root() / config.fingerprint / f"{variant}-{digest}"
    result = Build(folder, folder / sources.top, sources.top, wave_flag and wave_flag.removeprefix("--trace-"))
    if is_whole(folder, digest, sources.top):
        return result
    with build_lock(folder.with_name(folder.name + ".lock"), shared=False, note=note):
        if is_whole(folder, digest, sources.top):
            return result
        started = time.monotonic()
        note(f"building the simulator of {config.fingerprint} ({variant}), about a minute ...")
        _compile(sources, folder, toolchain, wave_flag)
        shutil.rmtree(folder / "src", ignore_errors=True)
        for path in folder.iterdir():
            if path.suffix in (".o", ".a", ".gch", ".d", ".cpp", ".h"):
                path.unlink()
        write_stamp(folder, digest, result.executable)
        note(f"built in {time.monotonic() - started:.0f} s")
    drop_older(folder.parent, variant, folder.name)
    return result


@contextlib.contextmanager
def in_use(build: Build) -> Iterator[None]:
    """While this is held no other process removes the build."""
    with build_lock(build.folder.with_name(build.folder.name + ".lock"), shared=True, note=lambda _: None):
        yield


def run_environment(build: Build, module: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Environment in which ``build.executable`` runs the cocotb tests of ``module``."""
    runner = Verilator()
    runner.env = dict(extra)
    runner.sim_hdl_toplevel, runner.test_module, runner.hdl_toplevel_lang = build.top, module, "verilog"
    runner._set_env_test()
    runner.env["PYTHONPATH"] = os.pathsep.join([str(ROOT), runner.env["PYTHONPATH"]])
    return runner.env
