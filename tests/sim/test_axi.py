"""An outside check of both buses: cocotbext-axi drives the registers and is the memory."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from cocotb_tools.check_results import get_results

from fitact_hw.fsim import run
from sim.build import build, in_use, machine_files, main_program, run_environment
from sim.verilate import Sources
from tests.sim.machines import TINY, program


@pytest.mark.parametrize("pause", ["0", "1"])
def test_program_between_cocotbext_axi_models(tmp_path: Path, pause: str) -> None:
    compiled, memory = program()
    sources = Sources("fitact_top", machine_files(TINY) | {"main.cpp": main_program()})
    built = build(TINY, sources=sources, variant="axi")
    memory.tofile(tmp_path / "image.bin")
    extra = {
        "FITACT_IMAGE": str(tmp_path / "image.bin"),
        "FITACT_OUT": str(tmp_path / "out.bin"),
        "FITACT_PROGRAM": str(compiled.program_address),
        "FITACT_PAUSE": pause,
        "COCOTB_LOG_LEVEL": "WARNING",
        "COCOTB_RESULTS_FILE": str(tmp_path / "results.xml"),
    }
    with in_use(built), (tmp_path / "sim.log").open("w") as log:
        environment = run_environment(built, "tests.sim.axi_bench", extra)
        subprocess.run(
            [built.executable],
            cwd=tmp_path,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
    text = (tmp_path / "sim.log").read_text()
    assert get_results(tmp_path / "results.xml") == (1, 0), text[-2000:]
    result = np.fromfile(tmp_path / "out.bin", np.uint8)
    np.testing.assert_array_equal(result, run(compiled, memory))
