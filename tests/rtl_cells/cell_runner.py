"""Builds one leaf cell with Verilator and runs cocotb tests on it: `run_cell(...)`.

Builds are kept in the build cache (:mod:`sim.cache`) under `tests/<top>-...`: a rerun of unchanged sources needs none.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import Verilator

from sim import cache
from sim.toolchain import find_toolchain
from sim.verilate import COCOTB_MAIN, Flags, Sources, build_inputs, verilate

ROOT = Path(__file__).resolve().parents[2]
RTL = ROOT / "rtl"

COVERAGE = os.environ.get("FITACT_COVERAGE", "")
"""Folder into which every run writes its coverage (`make coverage`); empty: none is taken."""

FLAGS = Flags(
    verilator=(
        *("-Wno-fatal", "--x-initial", "unique", "-O3", "--public-flat-rw"),
        *(["--coverage-line", "--coverage-toggle"] if COVERAGE else []),
    ),
    compiler=(),
    fast="-O1",
    slow="-O0",
    runtime="-O0",
    timescale="1ns/1ps",
)
"""Chosen for a short build: a cell simulates only some 10 000 cycles."""


class CellTestFailure(AssertionError):
    """At least one cocotb test of a cell failed; its log is printed above."""


def build_cell(top: str, sources: Sequence[Path | str], parameters: Mapping[str, int]) -> Path:
    """Verilate ``top`` and return its build folder.

    ``sources``: Verilog files, names are taken from `rtl/`. ``parameters``: Verilog parameters of ``top``.
    """
    files = [RTL / source if isinstance(source, str) else source for source in sources]
    texts = {file.name: file.read_text() for file in [*files, *RTL.glob("*.vh"), COCOTB_MAIN]}
    design = Sources(top, texts, parameters)
    toolchain = find_toolchain()
    name = f"{top}-{cache.digest_of(dict(parameters))[:6]}" if parameters else top
    wanted = cache.entry("tests", name, build_inputs(design, toolchain, FLAGS), design.products)
    cache.obtain(wanted, lambda folder: verilate(design, toolchain, FLAGS, folder), f"cell {name}", cache.silent)
    return wanted.folder


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
    coverage = [f"+verilator+coverage+file+{COVERAGE}/{uuid4().hex}.dat"] if COVERAGE else []
    with cache.in_use(folder), tempfile.TemporaryDirectory() as runs:
        try:
            results = Verilator().test(
                test_module=test_module,
                hdl_toplevel=top,
                hdl_toplevel_lang="verilog",
                build_dir=folder,
                test_dir=runs,
                testcase=testcase,
                seed=seed,
                plusargs=["+verilator+rand+reset+2", f"+verilator+seed+{seed}", *coverage],
                extra_env={"COCOTB_LOG_LEVEL": "WARNING", **(env or {})},
            )
            ran, failed = get_results(results)
        except SystemExit as error:
            raise CellTestFailure(f"{top}: simulation failed ({error}); log above") from None
    if failed or not ran:
        raise CellTestFailure(f"{top}: {failed} of {ran} cocotb tests failed")
    return ran
