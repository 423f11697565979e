"""Composes the lanes below the array with the control that drives them all."""

from __future__ import annotations

from fitact_hw.config import SHIFT_BITS, AcceleratorConfig, BoundFormat, Granularity, address_bits
from fitact_hw.verilog import alarm, pixel_token
from fitact_hw.verilog.module import Module, same
from golden.bounds.code import BASE_BITS, CODE_BITS


def has_bound(config: AcceleratorConfig) -> bool:
    """Whether the lanes have a bound register and its comparators."""
    return config.bounds is not Granularity.NONE


def has_bound_buffer(config: AcceleratorConfig) -> bool:
    """Whether there is a buffer of bounds."""
    return config.bounds.buffered


BOUND_WALKS = {Granularity.NEURON: 0, Granularity.PATCH: 1, Granularity.CHANNEL: 2}
"""Parameter WALK of ``fitact_bound_walk``: who shares a bound of the buffer."""


def bound_pack_bits(config: AcceleratorConfig) -> int:
    """Logarithm of the bounds in a lane of a bound word (0: one)."""
    return config.bounds_per_lane.bit_length() - 1


def token_bits(config: AcceleratorConfig) -> int:
    """Width of a pixel's token (bits): only what this configuration's lanes need travels with it."""
    parameters = {
        "HAS_BOUND": int(has_bound(config)),
        "HAS_BOUND_BUFFER": int(has_bound_buffer(config)),
        "SHIFT_W": SHIFT_BITS,
        "DATA_W": config.word_bits,
        "ACC_ADDR_W": address_bits(config.accumulator_words),
        "BIAS_ADDR_W": address_bits(config.bias_words),
        "OUT_ADDR_W": address_bits(config.output_words),
        "BOUND_ADDR_W": address_bits(config.bound_entries),
    }
    return sum(pixel_token.widths(parameters).values())


def lanes(config: AcceleratorConfig) -> Module:
    """``fitact_lanes``: one lane a column, between accumulator and output buffer."""
    buffered, bound = has_bound_buffer(config), has_bound(config)
    coded = buffered and config.bound_format is BoundFormat.CODE
    m = Module(
        "fitact_lanes",
        """
        The lanes below the array: accumulate, add the bias, shift and clamp one pixel a cycle.

        The only way from the partial sums to the output buffer leads through a lane and its clamp.
        """
        + {
            Granularity.NONE: "This configuration has no bound hardware.",
            Granularity.LAYER: "The bound of a layer comes with the pixel's token.",
        }.get(config.bounds, "The bound comes from the bound buffer or with the pixel's token.")
        + ("\n        The buffer holds 4-bit codes; their base comes with the token." if coded else ""),
    )
    m.parameter("COLS", config.cols)
    m.parameter("DATA_W", config.word_bits)
    m.parameter("ACC_W", config.acc_bits)
    m.parameter("SHIFT_W", SHIFT_BITS)
    m.parameter("BIAS_LANE_W", config.acc_bits + SHIFT_BITS, "bias and shift")
    addresses = {"ACC": config.accumulator_words, "BIAS": config.bias_words, "OUT": config.output_words}
    if buffered:
        addresses["BOUND"] = config.bound_entries
    for prefix, depth in addresses.items():
        m.parameter(f"{prefix}_ADDR_W", address_bits(depth))
    if coded:
        m.parameter("BOUND_PACK_W", bound_pack_bits(config), "2^BOUND_PACK_W bounds in a lane of a bound word")
    m.parameter("TOKEN_W", token_bits(config))

    m.input("clk")
    m.input("rst_n")
    m.input("clear")
    m.port_section("Pixel tokens, one cycle ahead of the partial sums.")
    m.input("token_valid")
    m.input("token_data", "TOKEN_W")
    m.input("psum", "COLS*ACC_W")
    m.port_section("Accumulator.")
    m.output("acc_rd_en")
    m.output("acc_rd_addr", "ACC_ADDR_W")
    m.input("acc_rd_data", "COLS*ACC_W")
    m.output("acc_wr_en")
    m.output("acc_wr_addr", "ACC_ADDR_W")
    m.output("acc_wr_data", "COLS*ACC_W")
    m.port_section("Bias" + (" and bound buffer." if buffered else " buffer."))
    m.output("bias_rd_en")
    m.output("bias_rd_addr", "BIAS_ADDR_W")
    m.input("bias_rd_data", "COLS*BIAS_LANE_W")
    if buffered:
        m.output("bound_rd_en")
        m.output("bound_rd_addr", "BOUND_ADDR_W-BOUND_PACK_W" if coded else "BOUND_ADDR_W")
        m.input("bound_rd_data", "COLS*DATA_W")
    m.port_section("Output buffer.")
    m.output("out_wr_en")
    m.output("out_wr_addr", "OUT_ADDR_W")
    m.output("out_wr_data", "COLS*DATA_W")
    alarm.lane_ports(m, config)
    m.port_section("End of an instruction.")
    m.output("retire")
    m.output("push_prev", None, "a token for the load unit")
    m.output("push_next", None, "a token for the store unit")
    m.output("busy")

    m.wire("acc_op", 2, "0 overwrite, 1 add, 2 maximum")
    m.wire("lshift", "SHIFT_W")
    m.wire("act_mode", 2, "0 linear, 1 ReLU, 2 clip, 3 saturate")
    m.wire("layer_bound", "DATA_W", "bound of every neuron of the pixel")
    m.wire("bound_select", None, "1: each lane takes its bound from the bound buffer")
    m.wire("bound_part", max(1, bound_pack_bits(config)), "which bound of its lane" if coded else "")
    if not config.clamp_alarm:
        m.wire("hits", "COLS")
    if not buffered:
        m.wire("bound_rd_en")
        m.wire("bound_rd_addr", 1)

    m.instance(
        "fitact_epilogue",
        "u_epilogue",
        {
            **same("DATA_W", "SHIFT_W", "ACC_ADDR_W", "BIAS_ADDR_W", "OUT_ADDR_W"),
            "BOUND_ADDR_W": "BOUND_ADDR_W" if buffered else "1",
            "BOUND_PACK_W": "BOUND_PACK_W" if coded else "0",
            "BOUND_PART_W": str(max(1, bound_pack_bits(config))),
            "HAS_BOUND": str(int(bound)),
            "HAS_BOUND_BUFFER": str(int(buffered)),
            "TOKEN_W": "TOKEN_W",
        },
        same(
            *("clk", "rst_n", "clear", "token_valid", "token_data"),
            *("acc_rd_en", "acc_rd_addr", "acc_op", "lshift", "acc_wr_en", "acc_wr_addr"),
            *(
                "bias_rd_en",
                "bias_rd_addr",
                "bound_rd_en",
                "bound_rd_addr",
                "bound_part",
                "bound_select",
                "layer_bound",
            ),
            *("act_mode", "out_wr_en", "out_wr_addr", "retire", "push_prev", "push_next", "busy"),
        ),
    )
    source = "layer_bound" if bound else "{DATA_W{1'b0}}"
    with m.loop("c", "COLS", "g_lane"):
        if buffered:
            stored = "bound_rd_data[c*DATA_W +: DATA_W]"
            if coded:
                stored = _decoder(m)
            m.wire("bound", "DATA_W")
            m.assign("bound", f"bound_select ? {stored} : layer_bound")
            source = "bound"
        m.instance(
            "fitact_lane",
            "u_lane",
            {**same("DATA_W", "ACC_W", "SHIFT_W"), "HAS_BOUND": str(int(bound)), **alarm.lane_parameters(config)},
            {
                "clk": "clk",
                "acc_op": "acc_op",
                "lshift": "lshift",
                "psum": "psum[c*ACC_W +: ACC_W]",
                "acc_data": "acc_rd_data[c*ACC_W +: ACC_W]",
                "sum_q": "acc_wr_data[c*ACC_W +: ACC_W]",
                "bias": "bias_rd_data[c*BIAS_LANE_W +: ACC_W]",
                "shift": "bias_rd_data[c*BIAS_LANE_W+ACC_W +: SHIFT_W]",
                "bound": source,
                "act_mode": "act_mode",
                "out_q": "out_wr_data[c*DATA_W +: DATA_W]",
                "hit": "hits[c]",
            },
        )
    lost: tuple[str, ...] = () if coded else ("bound_part",)
    lost += () if config.clamp_alarm else ("hits",)
    if not buffered:
        lost += ("bound_rd_en", "bound_rd_addr", "bound_select") + (() if bound else ("layer_bound",))
    if lost:
        m.unused("Constant 0 in this configuration.", *lost)
    return m


def _decoder(m: Module) -> str:
    """Add the decoder of one lane's bound; returns the net that holds the bound."""
    m.wire("code", CODE_BITS)
    m.wire("decoded", "DATA_W")
    m.assign("code", f"bound_rd_data[c*DATA_W + {CODE_BITS}*bound_part +: {CODE_BITS}]")
    m.instance(
        "fitact_bound_code",
        "u_bound_code",
        {"DATA_W": "DATA_W", "BASE_W": str(BASE_BITS)},
        {"code": "code", "base": f"layer_bound[{BASE_BITS - 1}:0]", "bound": "decoded"},
    )
    return "decoded"
