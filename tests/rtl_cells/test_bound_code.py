"""`fitact_bound_code` decodes every code with every base as `golden.bounds.code` does, limited to the word."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
import pytest
from cocotb.triggers import Timer

from golden.bounds.code import BASE_BITS, CODE_BITS, decode
from tests.rtl_cells.cell_runner import run_cell


@cocotb.test()
async def every_code(dut: Any) -> None:
    """All codes, all bases."""
    top = (1 << (int(dut.DATA_W.value) - 1)) - 1
    half = 1 << (BASE_BITS - 1)
    for base in range(-half, half):
        expected = np.minimum(decode(np.arange(1 << CODE_BITS), base), top)
        for code in range(1 << CODE_BITS):
            dut.code.value, dut.base.value = code, base % (2 * half)
            await Timer(1, unit="ns")
            assert int(dut.bound.value) == expected[code], (code, base)


@pytest.mark.parametrize("data_w", [8, 16, 32])
def test_bound_code(data_w: int) -> None:
    assert run_cell("fitact_bound_code", __name__, parameters={"DATA_W": data_w}) == 1
