"""The array that C++ computes is the generated one, edge by edge."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitact_hw.config import AcceleratorConfig
from fitact_hw.verilog import RTL, generate
from sim.build import ENGINE, TB
from sim.engine.layout import SIZES, sizes
from tests.rtl_cells.cell_runner import run_cell


@pytest.mark.parametrize(("side", "word", "acc"), [(2, 8, 32), (3, 16, 48), (5, 32, 64), (4, 8, 64)])
def test_both_give_the_same_sums(side: int, word: int, acc: int, tmp_path: Path) -> None:
    config = AcceleratorConfig.create(rows=side, cols=side, word_bits=word, acc_bits=acc, weight_words=64)
    texts = {
        "fitact_array.v": generate(config)["fitact_array.v"],
        "behavioural_array.sv": (TB / "fitact_array.sv").read_text().replace("module fitact_", "module behavioural_"),
        SIZES: sizes(config, behavioural=True),
        "array.h": (ENGINE / "array.h").read_text(),
        "array.cpp": '#include "array.h"\n',
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    cells = [RTL / "fitact_pe.v", RTL / "fitact_skew.v", Path(__file__).with_name("array_pair.sv")]
    parameters = {"SIDE": side, "DATA_W": word, "ACC_W": acc}
    sources = [*(tmp_path / name for name in texts), *cells]
    bench = "tests.sim.array_pair_bench"
    assert run_cell("array_pair", bench, parameters=parameters, sources=sources, env={"PAIR_SEED": str(side)}) == 1
