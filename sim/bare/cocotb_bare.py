"""Times the bare array: started in the simulator process, Python sleeps while it runs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import Timer

PERIOD = 10
"""Time steps of a clock cycle, as in bare_tb.sv."""


@cocotb.test()
async def time_array(dut: Any) -> None:
    """Simulate $FITACT_CYCLES cycles and write CPU seconds and checksum to $FITACT_OUT."""
    cycles = int(os.environ["FITACT_CYCLES"])
    await Timer(PERIOD * 100, "step")
    began = time.process_time()
    await Timer(PERIOD * cycles, "step")
    seconds = time.process_time() - began
    result = {"cycles": cycles, "cpu_seconds": seconds, "checksum": f"{int(dut.checksum.value):x}"}
    Path(os.environ["FITACT_OUT"]).write_text(json.dumps(result))
