"""Verilator and the C++ compiler: from sources to an executable that runs under cocotb, and a library beside it."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cocotb_tools import config as cocotb_config

from golden.support.folders import build_root
from sim.cache import digest_of, keep_whole, log_tail
from sim.errors import SimulationError
from sim.toolchain import Toolchain, run_tool

JOBS = 2
"""Parallel compiler processes."""

COCOTB_MAIN = cocotb_config.share_dir / "lib" / "verilator" / "verilator.cpp"
"""The main program that cocotb has of its own."""

INTERMEDIATE = (".o", ".a", ".gch", ".d", ".cpp", ".h")
"""Files that a finished build needs no longer."""


@dataclass(frozen=True)
class Sources:
    """Everything that determines a build but flags. ``files``: name -> text of Verilog, C++ and control files.

    All C++ files but ``library`` go into the executable. ``library``: the C++ file that makes, with the same model, a
    shared library. ``headers``: names of files that others include. ``executable``: False makes the library alone.
    """

    top: str
    files: Mapping[str, str]
    parameters: Mapping[str, int] = field(default_factory=dict)
    library: str | None = None
    headers: tuple[str, ...] = ()
    executable: bool = True

    @property
    def products(self) -> tuple[str, ...]:
        """Names of what is built: the executable, then the library."""
        return (*([self.top] if self.executable else []), *([library_name(self)] if self.library else []))


def library_name(sources: Sources) -> str:
    """Name of the shared library."""
    return f"lib{sources.top}.so"


@dataclass(frozen=True)
class Flags:
    """How a design is verilated and compiled: ``fast`` the model, ``slow`` what runs once, ``runtime`` Verilator's."""

    verilator: tuple[str, ...]
    compiler: tuple[str, ...]
    fast: str
    slow: str
    runtime: str
    timescale: str = "1ns/1ns"


NO_PRE = ("-fno-tree-pre", "-fno-code-hoisting")
"""GCC's elimination of partial redundancies takes three quarters of the time in Verilator's long straight code; the
simulators came out no faster for it."""


def simulation_flags(toolchain: Toolchain, *, timing: bool, trace: str | None = None) -> Flags:
    """Flags of a simulator.

    ``timing``: the design has delays; else main.cpp drives its clock. ``trace``: Verilator's option for waves.
    """
    gcc = "clang" not in Path(toolchain.cxx).name
    return Flags(
        verilator=(
            *("-O3", "--x-assign", "fast", "--x-initial", "fast", "--threads", "1", "-Wno-fatal"),
            "--timing" if timing else "--no-timing",
            *([trace] if trace else []),
        ),
        # Executable and library have the same objects. -fno-gnu-unique: libraries of two configurations in one process
        # must not share Verilator's statics.
        compiler=(
            *("-DVL_TIME_CONTEXT", "-march=native", "-fPIC", "-fno-semantic-interposition"),
            *(["-fno-gnu-unique"] if gcc else []),
            *([] if timing else ["-DFITACT_CLOCK"]),
        ),
        fast=" ".join(["-O3", *(NO_PRE if gcc else ())]),
        # The table of public signals is one function of thousands of statements, run once: -O1 takes a minute.
        slow="-O0",
        runtime="-O1",
    )


@functools.cache
def _cpu() -> str:
    """What -march=native depends on: a build folder shared by different machines must not mix them."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return line
    return platform.processor() or platform.machine()


def build_inputs(sources: Sources, toolchain: Toolchain, flags: Flags) -> dict[str, Any]:
    """Everything that a build depends on."""
    return {
        "top": sources.top,
        "files": dict(sources.files),
        "parameters": dict(sources.parameters),
        "library": sources.library,
        **_common_inputs(toolchain, flags),
    }


def _common_inputs(toolchain: Toolchain, flags: Flags) -> dict[str, Any]:
    return {
        "tools": toolchain.versions,
        "cocotb": str(cocotb_config.libs_dir),  # an executable names it
        "flags": [*flags.verilator, *flags.compiler, flags.fast, flags.slow, flags.runtime, flags.timescale],
        "cpu": _cpu(),
    }


def verilate(sources: Sources, toolchain: Toolchain, flags: Flags, folder: Path) -> None:
    """Write the sources, run Verilator and make in ``folder``, and leave the products and the log there.

    Raises SimulationError that names the log.
    """
    place = folder / "src"
    place.mkdir()
    for name, text in sources.files.items():
        (place / name).write_text(text)
    makefile = folder / "fitact.mk"
    makefile.write_text(_makefile(sources))
    # Verilator's run-time objects are half of a small build, and the same for every design.
    runtime = build_root() / "runtime" / digest_of(_common_inputs(toolchain, flags))
    environment, log = toolchain.environment(), folder / "build.log"
    optimise = [f"OPT_FAST={flags.fast}", f"OPT_SLOW={flags.slow}", f"OPT_GLOBAL={flags.runtime}"]
    with log.open("w") as output:
        _run(_verilator(sources, toolchain, flags, place), folder, environment, output, log)
        # Copies are newer than what they are made from: make takes them as they are.
        for path in sorted(runtime.glob("*.o")):
            shutil.copyfile(path, folder / path.name)
        make = ["make", "-j", str(JOBS), "-C", str(folder), "-f", makefile.name, *optimise, *sources.products]
        _run(make, folder, environment, output, log)
    keep_whole(runtime, lambda part: _copy_runtime(folder, part))
    shutil.rmtree(place)
    for path in folder.iterdir():
        if path.suffix in INTERMEDIATE:
            path.unlink()


def _copy_runtime(folder: Path, part: Path) -> None:
    for path in folder.glob("verilated*.o"):
        shutil.copyfile(path, part / path.name)


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str], output: Any, log: Path) -> None:
    status = run_tool(command, folder, environment, output)
    output.flush()
    if status:
        name = Path(command[0]).name
        raise SimulationError(f"Verilator build failed ({name} ended with status {status}): {log_tail(log)}")


def _verilator(sources: Sources, toolchain: Toolchain, flags: Flags, place: Path) -> list[str]:
    """Verilator's command. The executable finds cocotb's library; Python finds its functions (-rdynamic)."""
    others = (sources.library, *sources.headers)
    paths = {suffix: [] for suffix in (".vlt", ".v", ".sv", ".cpp")}  # type: dict[str, list[str]]
    for name in sources.files:
        suffix = Path(name).suffix
        if suffix in paths and name not in others:
            paths[suffix].append(str(place / name))
    libs = cocotb_config.libs_dir
    return [
        *(str(toolchain.verilator_root / "bin" / "verilator"), "--cc", "--exe", "--vpi", *flags.verilator),
        *("--top-module", sources.top, "--prefix", "Vtop", "-Mdir", str(place.parent), "-o", sources.top),
        *("--timescale", flags.timescale, f"-I{place}", "-CFLAGS", " ".join([*flags.compiler, f"-I{place}"])),
        *("-LDFLAGS", f"-rdynamic -Wl,-rpath,{libs} -L{libs} -lcocotbvpi_verilator"),
        *(f"-G{name}={value}" for name, value in sources.parameters.items()),
        *(path for of_suffix in paths.values() for path in of_suffix),
    ]


def _makefile(sources: Sources) -> str:
    """Verilator's makefile, and the library from the same objects."""
    text = "include Vtop.mk\n"
    if sources.library:
        unit = Path(sources.library).stem
        text += (
            f"{unit}.o: src/{sources.library}\n\t$(CXX) $(OPT_FAST) $(CXXFLAGS) $(CPPFLAGS) -c -o $@ $<\n"
            f"{library_name(sources)}: {unit}.o $(VK_GLOBAL_OBJS) $(VM_PREFIX)__ALL.a\n"
            "\t$(LINK) -shared -o $@ $^\n"
        )
    return text


def run_environment(top: str, module: str, extra: Mapping[str, str], path: Path) -> dict[str, str]:
    """Environment in which an executable of design ``top`` runs the cocotb tests of ``module``, with ``path`` first
    where Python looks."""
    from cocotb_tools.runner import Verilator

    runner = Verilator()
    runner.env = dict(extra)
    runner.sim_hdl_toplevel, runner.test_module, runner.hdl_toplevel_lang = top, module, "verilog"
    runner._set_env_test()
    runner.env["PYTHONPATH"] = os.pathsep.join([str(path), runner.env["PYTHONPATH"]])
    return runner.env
