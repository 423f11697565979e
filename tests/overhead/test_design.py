"""Unique blocks, instance counts, memories, and keys that depend on content only."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitact_hw.config import AcceleratorConfig, Granularity
from fitact_hw.overhead.cost import Machine, build
from fitact_hw.overhead.design import SRAM_MODULE, Design, base_name, elaborate
from fitact_hw.overhead.jobs import SynthesisError
from fitact_hw.overhead.schemes import SCHEMES, Scheme
from fitact_hw.overhead.sram import SramModel

CONFIG = AcceleratorConfig.create(rows=3, cols=3, activation_words=64, weight_words=32, output_words=32)
BY_KEY = {scheme.key: scheme for scheme in SCHEMES}

LEAF = "module leaf(input a, output y); assign y = ~a; endmodule\n"
PAIR = "module pair(input a, output y); wire m; leaf u_1(.a(a), .y(m)); leaf u_2(.a(m), .y(y)); endmodule\n"
TOP = "module top(input a, output y); wire m; pair u_1(.a(a), .y(m)); leaf u_2(.a(m), .y(y)); endmodule\n"


def memory_module(name: str, depth: int) -> str:
    return f"""
module {name}(input clk, input we, input [15:0] addr, input [7:0] d, output reg [7:0] q);
    reg [7:0] data_mem [0:{depth - 1}];
    always @(posedge clk) begin if (we) data_mem[addr] <= d; q <= data_mem[addr]; end
endmodule
"""


def counts(design: Design) -> dict[str, int]:
    return {block.name: block.count for block in design.blocks}


def test_instances_are_counted_through_the_hierarchy(cache: Path) -> None:
    design = elaborate({"all.v": LEAF + PAIR + TOP}, "top", cache)
    assert counts(design) == {"top": 1, "pair": 1, "leaf": 3}
    flat = elaborate({"all.v": LEAF + PAIR + TOP}, "top", cache, flatten=True)
    assert counts(flat) == {"top": 1}


def test_keys_depend_on_content_only(cache: Path) -> None:
    blocks = {b.name: b for b in elaborate({"all.v": LEAF + PAIR + TOP}, "top", cache).blocks}
    moved = {b.name: b for b in elaborate({"a.v": "\n\n" + PAIR, "b.v": LEAF}, "pair", cache).blocks}
    other = {b.name: b for b in elaborate({"a.v": PAIR, "b.v": LEAF.replace("~a", "a")}, "pair", cache).blocks}
    assert moved["leaf"].key == blocks["leaf"].key
    assert moved["pair"].key == blocks["pair"].key
    assert other["leaf"].key != blocks["leaf"].key


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("\\plain", "plain"),
        ("$paramod\\fitact_pe\\DATA_W=s32'00000000000000000000000000001000", "fitact_pe"),
        ("$paramod$0123456789abcdef\\fitact_lane", "fitact_lane"),
    ],
)
def test_names_of_elaborated_modules(module: str, name: str) -> None:
    assert base_name(module) == name


def test_large_memories_never_become_flops_by_accident(cache: Path) -> None:
    with pytest.raises(SynthesisError, match="32768 bits"):
        elaborate({"m.v": memory_module("other", 4096)}, "other", cache)
    small = elaborate({"m.v": memory_module("other", 16)}, "other", cache)
    assert [(m.module, m.bits) for m in small.flop_memories] == [("other", 128)]
    macro = elaborate({"m.v": memory_module(SRAM_MODULE, 4096)}, SRAM_MODULE, cache)
    assert [m.bits for m in macro.macros] == [32768]
    assert not macro.blocks


def test_parameters_of_children_do_not_matter(cache: Path) -> None:
    """What a module holds as a black box changes the module only where its ports change."""
    leaf = "module leaf #(parameter W = 1, parameter K = 0) (input [W-1:0] a, output y); assign y = ^a ^ K; endmodule\n"
    pair = (
        "module pair #(parameter W = 1, parameter K = 0) (input [W-1:0] a, output y); leaf #(W, K) u(a, y); endmodule\n"
    )

    def key(width: int, constant: int) -> str:
        design = elaborate({"all.v": leaf + pair}, "pair", cache, {"W": width, "K": constant})
        return next(block.key for block in design.blocks if block.name == "pair")

    assert key(2, 0) == key(2, 1)
    assert key(2, 0) != key(3, 0)


def test_verilog_errors_are_one_line(cache: Path) -> None:
    with pytest.raises(SynthesisError) as caught:
        elaborate({"bad.v": "module bad(input a) endmodule"}, "bad", cache)
    assert "\n" not in str(caught.value)
    assert "bad.v" in str(caught.value)


@pytest.fixture(scope="module")
def machines(cache: Path) -> dict[str, Machine]:
    return {key: build(CONFIG, scheme, SramModel(), cache) for key, scheme in BY_KEY.items()}


def uses(machine: Machine) -> dict[str, int]:
    result: dict[str, int] = {}
    for use in machine.uses:
        result[use.block.name] = result.get(use.block.name, 0) + use.count
    return result


def test_every_machine_has_its_array_and_lanes(machines: dict[str, Machine]) -> None:
    for machine in machines.values():
        found = uses(machine)
        assert found["fitact_pe"] == 9
        clamps = found.get("fitact_clamp_mode", 0) + found.get("fitact_clamp", 0)
        assert found["fitact_lane"] == clamps == 3 * machine.scheme.copies
        assert found["fitact_top"] == 1


def test_buffers_are_macros_of_the_configured_size(machines: dict[str, Machine]) -> None:
    shapes = {b.name: (b.width, b.depth) for b in machines["fitact"].buffers}
    assert shapes["activation"] == (3 * 8, 64)
    assert shapes["bound"] == (3 * 8, CONFIG.bound_words)
    assert shapes["accumulator"] == (3 * 32, CONFIG.accumulator_words)
    assert set(shapes) - {b.name for b in machines["unprotected"].buffers} == {"bound"}


def test_same_hardware_has_the_same_key(machines: dict[str, Machine]) -> None:
    """What a scheme does not change cancels out exactly, because it is the same block."""
    keys = {
        name: {use.block.key for use in machine.uses if use.block.name in ("fitact_pe", "fitact_store", "fitact_lane")}
        for name, machine in machines.items()
    }
    assert len({frozenset(value) for value in keys.values()}) == 1
    lanes = {
        name: next(u.block.key for u in m.uses if u.block.name.startswith("fitact_clamp"))
        for name, m in machines.items()
    }
    assert len({lanes[key] for key in ("unprotected", "check", "bitcheck", "parity", "secded", "tmr")}) == 1
    assert lanes["fitact"] == lanes["fitact+bitcheck"]
    assert len({lanes[key] for key in ("unprotected", "ranger", "clipact", "fitact_all")}) == 4
    assert lanes["clipact"] == lanes["fitact"], "the same lane; neuron bounds cost outside of it"


def test_protection_adds_check_bits_and_codecs(machines: dict[str, Machine]) -> None:
    plain, secded, parity = (machines[key] for key in ("unprotected", "secded", "parity"))
    checks = {b.name: (b.width, b.check) for b in secded.buffers}
    assert checks["activation"] == (24, 3 * 5), "one code word for each lane, as in the generated machine"
    assert checks["accumulator"] == (96, 3 * 7)
    assert {b.check for b in parity.buffers} == {3}
    assert {b.check for b in plain.buffers} == {0}
    found = uses(secded)
    assert found["fitact_secded_encoder"] == found["fitact_secded_decoder"] == len(secded.buffers)
    assert "fitact_secded_matrix" not in found, "a constant is mapped with its user"
    assert uses(parity)["fitact_parity_checker"] == len(parity.buffers)
    units = {use.block.name: use.unit for use in secded.uses}
    assert units["fitact_secded_decoder"] == units["fitact_word_check"] == "protection"


def test_a_range_check_adds_two_cells_and_nothing_to_the_memories(machines: dict[str, Machine]) -> None:
    """One for words, one for biases, with their counter; limits make queues wider, the unit that loads is the same."""
    for checked, plain in (("bitcheck", "unprotected"), ("check", "unprotected"), ("fitact+bitcheck", "fitact")):
        found, without = uses(machines[checked]), uses(machines[plain])
        more = {name: count - without.get(name, 0) for name, count in found.items() if count != without.get(name, 0)}
        assert more == {"fitact_range_check": 2, "fitact_range_count": 1, "fitact_fifo": 1}
        assert machines[checked].buffers == machines[plain].buffers
        units = {use.block.name: use.unit for use in machines[checked].uses}
        assert units["fitact_range_check"] == units["fitact_range_count"] == "protection"


def test_cheap_bounds_take_less_memory(machines: dict[str, Machine]) -> None:
    bits = {key: sum(b.bits for b in machine.buffers if b.name == "bound") for key, machine in machines.items()}
    assert bits["fitact_deep"] == 4 * bits["fitact"] == 8 * bits["code4"]
    assert bits["code4"] > bits["patch"] > bits["patch_code4"] > 0
    assert bits["channel"] == 0
    small = [use for use in machines["channel"].uses if use.block.name == SRAM_MODULE]
    assert [(use.unit, use.count) for use in small] == [("small buffers", 1)], "two words are flip-flops"
    assert uses(machines["code4"])["fitact_bound_code"] == 3
    assert "fitact_bound_code" not in uses(machines["patch"])
    assert uses(machines["tmr"])["fitact_voter"] == 3


def test_no_scheme_is_compared_with_bounds_it_lacks() -> None:
    def consistent(scheme: Scheme) -> bool:
        return (scheme.bounds is Granularity.NONE) == (scheme.mode is not None and scheme.mode < 2)

    assert all(consistent(scheme) for scheme in SCHEMES)
