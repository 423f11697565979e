"""Composes the systolic array: PEs, skews at its west and north edges, the deskew at its south edge."""

from __future__ import annotations

from fitact_hw.config import AcceleratorConfig
from fitact_hw.verilog.module import Module


def array(config: AcceleratorConfig) -> Module:
    """``fitact_array``: a word of activations in, one word of partial sums out 2N - 1 cycles later."""
    m = Module(
        "fitact_array",
        """
        Weight-stationary systolic array: ROWS input channels by COLS output channels.

        Activations travel east, partial sums south. Row r is skewed by r cycles and column c's result is
        deskewed, so that all COLS sums of a pixel stand at `psum_out` ROWS + COLS - 1 cycles after its
        activation word stood at `act_in`. Weights: see docs/reference/machine.md, "Weights".
        """,
    )
    m.parameter("ROWS", config.rows)
    m.parameter("COLS", config.cols)
    m.parameter("DATA_W", config.word_bits)
    m.parameter("ACC_W", config.acc_bits)
    m.input("clk")
    m.input("act_in", "ROWS*DATA_W", "lane r: input channel r of the pixel")
    m.input("weight_in", "COLS*DATA_W", "lane c: weight of output channel c")
    m.input("swap_in", None, "shadow weights become active, one cycle before the tile's first pixel")
    m.input("load_in", "ROWS", "bit r: weight_in holds the weights of row r")
    m.output("psum_out", "COLS*ACC_W", "lane c: partial sum of output channel c")

    m.wire("weight", "COLS*DATA_W", "weight_in, lane c skewed by c")
    m.wire("psum", "(ROWS+1)*COLS*ACC_W", "word r: partial sums as they enter row r from the north")
    m.assign("psum[0 +: COLS*ACC_W]", "{(COLS*ACC_W){1'b0}}")

    with m.loop("r", "ROWS", "g_row"):
        m.wire("act", "(COLS+1)*DATA_W", "word c: activation as it enters column c")
        m.wire("swap", "COLS+1", "bit c: swap as it enters column c")
        m.wire("load", "COLS+1", "bit c: load as it enters column c")
        m.assign("load[0]", "load_in[r]")
        m.instance(
            "fitact_skew",
            "u_act_skew",
            {"WIDTH": "DATA_W", "DELAY": "r"},
            {"clk": "clk", "in_data": "act_in[r*DATA_W +: DATA_W]", "out_data": "act[0 +: DATA_W]"},
        )
        m.instance(
            "fitact_skew",
            "u_swap_skew",
            {"WIDTH": "1", "DELAY": "r"},
            {"clk": "clk", "in_data": "swap_in", "out_data": "swap[0]"},
        )
        with m.loop("c", "COLS", "g_col"):
            m.instance(
                "fitact_pe",
                "u_pe",
                {"DATA_W": "DATA_W", "ACC_W": "ACC_W"},
                {
                    "clk": "clk",
                    "act_in": "act[c*DATA_W +: DATA_W]",
                    "swap_in": "swap[c]",
                    "load_in": "load[c]",
                    "weight_in": "weight[c*DATA_W +: DATA_W]",
                    "psum_in": "psum[(r*COLS+c)*ACC_W +: ACC_W]",
                    "act_q": "act[(c+1)*DATA_W +: DATA_W]",
                    "swap_q": "swap[c+1]",
                    "load_q": "load[c+1]",
                    "psum_q": "psum[((r+1)*COLS+c)*ACC_W +: ACC_W]",
                },
            )
        m.unused(
            "What leaves the last column goes nowhere.",
            "act[COLS*DATA_W +: DATA_W]",
            "swap[COLS]",
            "load[COLS]",
        )

    with m.loop("c", "COLS", "g_edge"):
        m.instance(
            "fitact_skew",
            "u_weight_skew",
            {"WIDTH": "DATA_W", "DELAY": "c"},
            {
                "clk": "clk",
                "in_data": "weight_in[c*DATA_W +: DATA_W]",
                "out_data": "weight[c*DATA_W +: DATA_W]",
            },
        )
        m.instance(
            "fitact_skew",
            "u_psum_deskew",
            {"WIDTH": "ACC_W", "DELAY": "COLS-1-c"},
            {
                "clk": "clk",
                "in_data": "psum[(ROWS*COLS+c)*ACC_W +: ACC_W]",
                "out_data": "psum_out[c*ACC_W +: ACC_W]",
            },
        )
    return m
