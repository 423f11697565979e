"""More bugs of what composes the machine: queues, decoder, lanes, buffers, registers, fault sites, configuration."""

from __future__ import annotations

from functools import partial

from tests.mutation.mutant import planted_in

_in = partial(planted_in, "generator")
SAME = "tests/generator/test_same_verilog.py"

MUTANTS = [
    *_in(
        "fitact_hw/verilog/dispatch.py",
        SAME,
        ('return ("pop_next", "push_next")', 'return ("push_next",)'),
        ('names.add("buffer")', "pass"),
        ('terms.append("gemm_act_mode < CLIP")', "pass"),
        ('terms.append("load_buffer != BOUND_BUFFER")', "pass"),
        ('return () if has_bound_buffer(config) else ("neuron_bounds",)', "return ()"),
        ('"offered && is_finish"', '"offered && is_finish && queue_ready"'),
        ('Unit("store", Opcode.STORE, ("prev",))', 'Unit("store", Opcode.STORE, ("prev", "next"))'),
        (
            '"{instr_data[OPCODE_W +: COMPUTE_BITS-1], is_sync}"',
            '"{instr_data[OPCODE_W +: COMPUTE_BITS-1], is_compute}"',
        ),
        ("config.queue_depth, ", "config.queue_depth - 1, "),
    ),
    *_in(
        "fitact_hw/verilog/lanes.py",
        SAME,
        ("config.bounds_per_lane.bit_length() - 1", "config.bounds_per_lane.bit_length()"),
        ("address_bits(config.bound_entries),\n    }", "address_bits(config.bound_words),\n    }"),
        ('f"layer_bound[{BASE_BITS - 1}:0]"', 'f"layer_bound[{BASE_BITS}:1]"'),
        ('"BOUND_PACK_W": "BOUND_PACK_W" if coded else "0"', '"BOUND_PACK_W": "0"'),
        ('source = "layer_bound" if bound else', 'source = "layer_bound" if buffered else'),
        ('"bias_rd_data[c*BIAS_LANE_W+ACC_W +: SHIFT_W]"', '"bias_rd_data[c*BIAS_LANE_W+DATA_W +: SHIFT_W]"'),
        (
            '"HAS_BOUND_BUFFER": str(int(buffered)),\n            "TOKEN_W"',
            '"HAS_BOUND_BUFFER": str(int(bound)),\n            "TOKEN_W"',
        ),
    ),
    *_in(
        "fitact_hw/verilog/buffers.py",
        SAME,
        ("8 * max(config.word_bytes, config.bias_word_bytes)", "8 * config.word_bytes"),
        ('f"load_wr_en[{item.name.upper()}]"', '"load_wr_en[0]"'),
        ('"BIAS_SLOT", 8 * config.bias_lane_bytes', '"BIAS_SLOT", config.acc_bits + SHIFT_BITS'),
        (
            '(("ACC", config.accumulator_words), ("OUT", config.output_words))',
            '(("ACC", config.output_words), ("OUT", config.accumulator_words))',
        ),
        ('"wr_addr": "out_wr_addr"', '"wr_addr": "store_rd_addr[OUT_ADDR_W-1:0]"'),
    ),
    *_in(
        "fitact_hw/verilog/protection.py",
        SAME,
        ("int(Protection.SECDED in config.protected.values())", "1"),
        ('{"error_code": "control_code", "token_overflow": "overflow_error"}', '{"error_code": "control_code"}'),
        ("config.protected.get(name, Protection.NONE).value", "Protection.NONE.value"),
        ("{{{name}_check, {item.pins['wr_data']}}}", "{{{item.pins['wr_data']}, {name}_check}}"),
    ),
    *_in(
        "fitact_hw/verilog/pixel_token.py",
        f"{SAME} tests/generator/test_generated.py",
        ('Part("lshift", "SHIFT_W"', 'Part("lshift", 5'),
        ("if not part.only or parameters[part.only]:", "if True:"),
        ('"a bound of its lane, not a word", "HAS_BOUND_BUFFER")', '"a bound of its lane, not a word", "HAS_BOUND")'),
    ),
    *_in(
        "fitact_hw/verilog/datapath.py",
        SAME,
        (
            '("BOUND_ENTRIES", "BOUND_ENTRY_W") if buffered else ("1", "1")',
            '("BOUND_DEPTH", "BOUND_ADDR_W") if buffered else ("1", "1")',
        ),
        ('depths.get(buffer, "0")', 'depths.get(buffer, "1")'),
    ),
    *_in(
        "fitact_hw/verilog/array.py",
        SAME,
        ('{"WIDTH": "ACC_W", "DELAY": "COLS-1-c"}', '{"WIDTH": "ACC_W", "DELAY": "COLS-c"}'),
    ),
    *_in(
        "fitact_hw/config.py",
        f"{SAME} tests/generator/test_protection_config.py tests/generator/test_checks.py",
        ("while 1 << (check - 1) < bits + check:", "while 1 << check < bits + check:"),
        ("max(1, (depth - 1).bit_length())", "max(1, depth.bit_length())"),
        ("return 1 << (value - 1).bit_length()", "return 1 << value.bit_length()"),
        ("pow2_ceil(self.bias_lane_bits) // 8", "-(-self.bias_lane_bits // 8)"),
        (
            '{"bias": self.bias_lane_bits, "accumulator": self.acc_bits}',
            '{"bias": self.acc_bits, "accumulator": self.acc_bits}',
        ),
        ('kinds["bound"] = Protection.NONE', "pass"),
    ),
    *_in(
        "fitact_hw/structures.py",
        "tests/generator/test_sites.py",
        ('"swap_q": "pe_control"', '"swap_q": "pe_weight"'),
        ('if parts[0] == "u_buffers" and module == "fitact_word_check":', 'if module == "fitact_check":'),
        ('if parts[-1] == "data_mem" else _BUFFER_OUTPUT', "if True else _BUFFER_OUTPUT"),
        ('"u_store_queue": "queue"', '"u_store_queue": "store"'),
    ),
    *_in(
        "fitact_hw/sites.py",
        "tests/generator/test_sites.py",
        ("if site.structure in wanted)", "if site.structure not in wanted)"),
        ("self.width * self.depth", "self.width + self.depth"),
        ('if register.name.endswith("_mem")', 'if register.name.endswith("_q")'),
        ("for site in sites)\n    lines", "for site in list(sites)[1:])\n    lines"),
    ),
]
