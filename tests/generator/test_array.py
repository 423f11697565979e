"""The composed array against numpy: latency, skews, and tiles that follow each other without a gap."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitact_hw.config import AcceleratorConfig
from fitact_hw.verilog import RTL, generate
from tests.rtl_cells.cell_runner import run_cell


@pytest.mark.parametrize(("side", "word", "acc"), [(3, 8, 32), (4, 16, 48)])
def test_array_streams_tiles(side: int, word: int, acc: int, tmp_path: Path) -> None:
    """Random tiles at the smallest interval, N cycles, and at longer ones."""
    config = AcceleratorConfig.create(rows=side, cols=side, word_bits=word, acc_bits=acc)
    array = tmp_path / "fitact_array.v"
    array.write_text(generate(config)[array.name])
    sources = [array, RTL / "fitact_pe.v", RTL / "fitact_skew.v"]
    assert run_cell("fitact_array", "tests.generator.array_bench", sources=sources) == 1
