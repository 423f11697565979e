"""Bugs of what composes the machine: register block, buffers, lanes, array, decoder, protection."""

from __future__ import annotations

from functools import partial

from tests.mutation.mutant import planted_in

_in = partial(planted_in, "generator")
REGISTERS = "tests/generator/test_registers.py::test_register_block_behaves_like_csr_rdl"
WHOLE = "tests/generator/test_second_simulator.py"
NETWORK = f"{WHOLE}::test_a_network_in_another_simulator"
HELD = f"{WHOLE}::test_a_bound_word_that_is_held_stays_protected"

MUTANTS = [
    *_in(
        "fitact_hw/verilog/csr_block.py",
        REGISTERS,
        ("if (s_axil_awready) aw_index_q", "if (s_axil_awvalid) aw_index_q"),
        ("aw_held_q && w_held_q && (!bvalid_q || s_axil_bready)", "aw_held_q && w_held_q"),
        (
            "            if (s_axil_arvalid && s_axil_arready) begin\n                rdata_q",
            "            if (s_axil_arvalid) begin\n                rdata_q",
        ),
        ("if (write) bresp_q <=", "bresp_q <="),
        ('"!rvalid_q || s_axil_rready"', '"!rvalid_q"'),
        ('"    else if (clear) {name} <= 1\'b0;"', '"    else if (clear && !write) {name} <= 1\'b0;"'),
        (
            "else if (s_axil_bready)               bvalid_q <= 1'b0;",
            "else                                  bvalid_q <= 1'b0;",
        ),
        ("{name} <= ({name} & ~{mask}) | ({data} & {mask});", "{name} <= {data};"),
        (
            "else if (s_axil_rready)                    rvalid_q <= 1'b0;",
            "else                                       rvalid_q <= 1'b0;",
        ),
        ('m.assign("s_axil_wready", "!w_held_q")', 'm.assign("s_axil_wready", "!w_held_q || write")'),
    ),
    *_in(
        "fitact_hw/verilog/range_check.py",
        "tests/rtl_cells/test_range_check.py tests/sim/test_range_check.py",
        ("LOADS = 6", "LOADS = 5"),
        ('_PORTS = {Buffer.WEIGHT: "word", Buffer.BOUND: "word", ', '_PORTS = {Buffer.WEIGHT: "word", '),
        ('("bias", "ACC_W", "BIAS_LANE_W", "bias_wr_data")', '("bias", "BIAS_LANE_W", "BIAS_LANE_W", "bias_wr_data")'),
        ('"out_ready": "load_retire"', '"out_ready": "load_start"'),
        ("config.parameter_check is RangeCheck.WORD", "config.parameter_check is RangeCheck.BITS"),
    ),
    *_in(
        "fitact_hw/verilog/protection.py",
        HELD,
        ('name == "output" or (name == "bound" and shared)', 'name == "output"'),
        (
            "config.bounds is not Granularity.NEURON or config.bounds_per_lane > 1",
            "config.bounds is not Granularity.NEURON",
        ),
        ("config.bounds is not Granularity.NEURON or config.bounds_per_lane > 1", "config.bounds_per_lane > 1"),
        ('"CORRECTS": str(int(secded))}', '"CORRECTS": "0"}'),
    ),
    *_in(
        "fitact_hw/verilog/lanes.py",
        NETWORK,
        ('f"bound_select ? {stored} : layer_bound"', 'f"bound_select ? layer_bound : {stored}"'),
        ('"acc_rd_data[c*ACC_W +: ACC_W]"', '"acc_rd_data[0 +: ACC_W]"'),
        ("bound_rd_data[c*DATA_W + {CODE_BITS}*bound_part +: {CODE_BITS}]", "bound_rd_data[c*DATA_W +: {CODE_BITS}]"),
        ("Granularity.PATCH: 1, Granularity.CHANNEL: 2", "Granularity.PATCH: 0, Granularity.CHANNEL: 2"),
    ),
    *_in(
        "fitact_hw/verilog/buffers.py",
        NETWORK,
        ("load_wr_data[c*BIAS_SLOT +: BIAS_LANE_W]", "load_wr_data[c*BIAS_LANE_W +: BIAS_LANE_W]"),
        ('"rd_en": "store_rd_en"', '"rd_en": "out_wr_en"'),
    ),
    *_in(
        "fitact_hw/verilog/array.py",
        NETWORK,
        ('{"WIDTH": "ACC_W", "DELAY": "COLS-1-c"}', '{"WIDTH": "ACC_W", "DELAY": "c"}'),
        ('"load[0]", "load_in[r]"', '"load[0]", "load_in[ROWS-1-r]"'),
        ('"swap_in": "swap[c]"', '"swap_in": "swap[0]"'),
    ),
    *_in(
        "fitact_hw/verilog/dispatch.py",
        "tests/generator/test_dispatch.py",
        ('"offered && legal && queue_ready"', '"offered && queue_ready"'),
        ('return ("pop_prev", "push_prev")', 'return ("pop_prev",)'),
        (
            '("kernel_rows", "kernel_cols", "channel_tiles", "images", "rows", "cols")',
            '("kernel_rows", "kernel_cols", "channel_tiles", "images", "cols")',
        ),
        ('"offered && !legal"', '"offered && !legal && queue_ready"'),
    ),
]
