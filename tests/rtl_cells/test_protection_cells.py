"""Codecs and counters of buffer protection: every flip of one and two bits, no false alarm, each wrong word once."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

from fitact_hw.config import secded_check_bits
from fitact_hw.overhead.formal import prove
from fitact_hw.registers import ErrorCode
from tests.rtl_cells.cell_runner import RTL, run_cell

CELLS = (
    "fitact_parity_encoder.v", "fitact_parity_checker.v", "fitact_secded_encoder.v", "fitact_secded_decoder.v",
    "fitact_secded_matrix.v", "fitact_word_check.v", "fitact_protection.v",
)  # fmt: skip
TOP = Path(__file__).with_name("protection_cells.v")
SECDED_WIDTHS = (8, 16, 32, 38, 64, 70)
PARITY_WIDTHS = (8, 38)


class Codec:
    """One codec with two lanes of ``width`` data and ``check`` check bits."""

    def __init__(self, dut: Any, kind: str, width: int) -> None:
        self.dut, self.width = dut, width
        self.unit = getattr(dut, f"u_{kind}_{width}")
        self.check = secded_check_bits(width) if kind == "secded" else 1
        self.bits = width + self.check

    def place(self, lane: int, bit: int) -> int:
        """Bit ``bit`` of the code word of ``lane`` (data first) in the word of the memory."""
        check = 2 * self.width + lane * self.check + bit - self.width
        return lane * self.width + bit if bit < self.width else check

    async def read(self, word: int, flips: int) -> tuple[list[int], int, int]:
        """Lanes, corrected and detected bits of ``word`` with ``flips``."""
        self.dut.word.value, self.dut.flips.value = word, flips
        await Timer(1, "ns")
        data = int(self.unit.data.value)
        lanes = [data >> i * self.width & (1 << self.width) - 1 for i in (0, 1)]
        corrected = int(self.unit.corrected.value) if self.check > 1 else 0
        return lanes, corrected, int(self.unit.detected.value)

    def words(self) -> Any:
        """All zeros, all ones, then random words with their lanes."""
        for number in itertools.count():
            word = (0, (1 << 2 * self.width) - 1)[number] if number < 2 else random.getrandbits(2 * self.width)
            yield word, [word >> i * self.width & (1 << self.width) - 1 for i in (0, 1)]


@cocotb.test()
async def secded_corrects_one_and_detects_two(dut: Any) -> None:
    """Every single and every double flip of a code word, with the other lane right, wrong or twice wrong."""
    for width in SECDED_WIDTHS:
        codec = Codec(dut, "secded", width)
        words = codec.words()
        for _ in range(50):
            word, lanes = next(words)
            assert await codec.read(word, 0) == (lanes, 0, 0)
        patterns: list[tuple[int, ...]] = [(bit,) for bit in range(codec.bits)]
        patterns += list(itertools.combinations(range(codec.bits), 2))
        for lane, pattern in itertools.product((0, 1), patterns):
            other = random.sample(range(codec.bits), random.choice((0, 1, 2)))
            word, expected = next(words)
            flips = sum(1 << codec.place(lane, bit) for bit in pattern)
            flips += sum(1 << codec.place(1 - lane, bit) for bit in other)
            corrected = (len(pattern) == 1) << lane | (len(other) == 1) << (1 - lane)
            detected = (len(pattern) == 2) << lane | (len(other) == 2) << (1 - lane)
            expected = [0 if detected >> i & 1 else expected[i] for i in (0, 1)]
            assert await codec.read(word, flips) == (expected, corrected, detected), (width, lane, pattern, other)


@cocotb.test()
async def secded_never_passes_a_triple_error_as_right(dut: Any) -> None:
    """Three flips are mistaken for one or detected, but always reported."""
    for width in SECDED_WIDTHS:
        codec = Codec(dut, "secded", width)
        for word, _ in itertools.islice(codec.words(), 200):
            flips = sum(1 << codec.place(1, bit) for bit in random.sample(range(codec.bits), 3))
            lanes, corrected, detected = await codec.read(word, flips)
            assert corrected ^ detected == 2
            assert not detected or lanes[1] == 0


@cocotb.test()
async def parity_detects_odd_flips(dut: Any) -> None:
    """Odd numbers of flips zero their lane, even ones pass."""
    for width in PARITY_WIDTHS:
        codec = Codec(dut, "parity", width)
        words = codec.words()
        for count in range(5):
            for lane, _ in itertools.product((0, 1), range(60)):
                bits = random.sample(range(codec.bits), count)
                word, lanes = next(words)
                flips = sum(1 << codec.place(lane, bit) for bit in bits)
                wrong = sum(1 << bit for bit in bits if bit < width)
                lanes[lane] = 0 if count % 2 else lanes[lane] ^ wrong
                assert await codec.read(word, flips) == (lanes, 0, (count % 2) << lane)
        for lane, bit in itertools.product((0, 1), range(codec.bits)):  # each single one, check bits included
            word, _ = next(words)
            assert (await codec.read(word, 1 << codec.place(lane, bit)))[2] == 1 << lane


async def start(dut: Any) -> None:
    """Clock and reset, all inputs 0."""
    Clock(dut.clk, 2, unit="ns").start()
    for name in (
        "clear", "rd_en", "lanes_corrected", "lanes_detected", "corrected_words", "detected_words",
        "halt_on_detect", "token_overflow", "set_error", "error_code",
    ):  # fmt: skip
        getattr(dut, name).value = 0
    dut.rst_n.value = 0
    await FallingEdge(dut.clk)
    await FallingEdge(dut.clk)
    dut.rst_n.value = 1


@cocotb.test()
async def each_wrong_word_counts_once(dut: Any) -> None:
    """Plain: only in the cycle after the read. Held: also when it becomes wrong, or worse, later."""
    await start(dut)
    read, held = False, False
    before: tuple[bool, bool] = (False, False)  # (fixed, lost) in the last cycle
    events = 0
    for step in range(3000):
        enable, clear = random.random() < 0.3, step % 500 == 499
        corrected, detected = (random.getrandbits(2) if random.random() < 0.4 else 0 for _ in range(2))
        dut.rd_en.value, dut.clear.value = int(enable), int(clear)
        dut.lanes_corrected.value, dut.lanes_detected.value = corrected, detected
        await FallingEdge(dut.clk)
        lost = bool(detected)
        fixed = bool(corrected) and not lost
        late = held and not before[1]
        wanted_fixed = [fixed and read, fixed and (read or (late and not before[0])), False, False]
        wanted_lost = [lost and read, lost and (read or late)] * 2
        if clear:
            wanted_fixed, wanted_lost = [False] * 4, [False] * 4
        assert int(dut.corrected_word.value) == sum(v << i for i, v in enumerate(wanted_fixed)), step
        assert int(dut.detected_word.value) == sum(v << i for i, v in enumerate(wanted_lost)), step
        events += sum(wanted_fixed) + sum(wanted_lost)
        before = (False, False) if clear else (fixed, lost)
        read, held = (False, False) if clear else (enable, held or enable)
    assert events > 1000


@cocotb.test()
async def counters_and_halt(dut: Any) -> None:
    """Counts of simultaneous events; a halt is an uncorrected word and no other error is."""
    await start(dut)
    corrected = detected = 0
    code = 0
    halted = False
    for step in range(1500):
        clear = step % 300 == 299
        one, two = random.getrandbits(3), random.getrandbits(3) if random.random() < 0.3 else 0
        halt, overflow = random.random() < 0.5, random.random() < 0.2
        set_error = random.random() < 0.2
        dut.corrected_words.value, dut.detected_words.value, dut.clear.value = one, two, int(clear)
        dut.halt_on_detect.value, dut.token_overflow.value = int(halt), int(overflow)
        dut.set_error.value = int(set_error)
        await Timer(100, "ps")
        stop = bool(two) and halt
        assert int(dut.detected_set.value) == bool(two)
        assert int(dut.overflow_error.value) == (stop or overflow)
        await FallingEdge(dut.clk)
        corrected, detected = corrected + one.bit_count(), detected + two.bit_count()
        if set_error:
            halted = stop
            code = random.choice((ErrorCode.ILLEGAL_INSTRUCTION, ErrorCode.WATCHDOG, ErrorCode.TOKEN_OVERFLOW))
        if clear:
            corrected, detected, code, halted = 0, 0, 0, False
        dut.error_code.value = code
        await Timer(100, "ps")
        assert (int(dut.corrected_count.value), int(dut.detected_count.value)) == (corrected, detected)
        told_apart = halted and code == ErrorCode.TOKEN_OVERFLOW
        assert int(dut.status_code.value) == (ErrorCode.UNCORRECTED_WORD if told_apart else code)


def test_codecs_and_counters() -> None:
    assert run_cell("protection_cells", __name__, sources=[*CELLS, TOP]) == 5


BENCH = """
module bench(input wire [{w}-1:0] word, input wire [{w}+{c}-1:0] flips);
    wire [{c}-1:0] check;
    wire [{w}-1:0] data;
    wire corrected, detected;
    fitact_secded_encoder #(.LANES(1), .LANE_W({w}), .CHECK_W({c})) u_encoder (.data(word), .check(check));
    fitact_secded_decoder #(.LANES(1), .LANE_W({w}), .CHECK_W({c})) u_decoder (.stored(word ^ flips[{w}-1:0]),
        .check(check ^ flips[{w}+{c}-1:{w}]), .data(data), .corrected(corrected), .detected(detected));
    wire [{w}+{c}-1:0] rest = flips & (flips - 1'b1);
    wire none = flips == 0;
    wire single = !none && rest == 0;
    wire double = rest != 0 && (rest & (rest - 1'b1)) == 0;
    always @* begin
        assert (!none || (data == word && !corrected && !detected));
        assert (!single || (data == word && corrected && !detected));
        assert (!double || {double});
        assert (!detected || data == 0);
    end
endmodule
"""


@pytest.mark.parametrize(("double", "holds"), [("(detected && !corrected)", True), ("corrected", False)])
def test_secded_is_proved_for_all_words(double: str, holds: bool) -> None:
    """Every word of 8 bits with every pattern of flips, by SAT; a wrong claim is refuted."""
    files = {name: (RTL / name).read_text() for name in CELLS if "secded" in name}
    assert prove(files, BENCH.format(w=8, c=5, double=double), stages=0) is holds


def test_parity_is_proved_for_all_words() -> None:
    """Exactly the lanes with a wrong bit read as zero."""
    bench = """
module bench(input wire [15:0] word, input wire [1:0] hit, input wire [2:0] place);
    wire [1:0] check;
    wire [15:0] flips = {hit[1] ? 8'd1 << place : 8'd0, hit[0] ? 8'd1 << place : 8'd0};
    wire [15:0] data;
    wire [1:0] detected;
    fitact_parity_encoder #(.LANES(2), .LANE_W(8)) u_encoder (.data(word), .check(check));
    fitact_parity_checker #(.LANES(2), .LANE_W(8)) u_checker (.stored(word ^ flips), .check(check),
        .data(data), .detected(detected));
    always @* begin
        assert (detected == hit);
        assert (data[7:0] == (hit[0] ? 8'd0 : word[7:0]));
        assert (data[15:8] == (hit[1] ? 8'd0 : word[15:8]));
    end
endmodule
"""
    files = {name: (RTL / name).read_text() for name in CELLS if "parity" in name}
    assert prove(files, bench, stages=0)


def test_secded_columns_of_the_widest_lane() -> None:
    """Different columns with an odd number of ones, three or more: that corrects one and detects two."""
    bench = """
module bench(input wire [5:0] i, input wire [5:0] j);
    wire [7:0] first, second;
    fitact_secded_encoder #(.LANES(1), .LANE_W(64), .CHECK_W(8)) u_first (.data(64'd1 << i), .check(first));
    fitact_secded_encoder #(.LANES(1), .LANE_W(64), .CHECK_W(8)) u_second (.data(64'd1 << j), .check(second));
    always @* begin
        assert (^first);
        assert ((first & (first - 1'b1)) != 0);
        assert (i == j || first != second);
    end
endmodule
"""
    files = {name: (RTL / name).read_text() for name in CELLS if "secded" in name}
    assert prove(files, bench, stages=0)


@pytest.mark.parametrize("lanes", [9, 16])
def test_secded_of_many_lanes(lanes: int) -> None:
    """One wrong bit anywhere in a word of more than eight lanes: corrected there, every other lane untouched."""
    bits = 13 * lanes
    bench = f"""
module bench(input wire [{8 * lanes}-1:0] word, input wire [7:0] place);
    wire [{5 * lanes}-1:0] check;
    wire [{8 * lanes}-1:0] data;
    wire [{lanes}-1:0] corrected, detected;
    wire [{bits}-1:0] flips = {bits}'d1 << place;
    wire [7:0] lane = place < {8 * lanes} ? place / 8 : (place - {8 * lanes}) / 5;
    fitact_secded_encoder #(.LANES({lanes}), .LANE_W(8), .CHECK_W(5)) u_encoder (.data(word), .check(check));
    fitact_secded_decoder #(.LANES({lanes}), .LANE_W(8), .CHECK_W(5)) u_decoder (
        .stored(word ^ flips[0 +: {8 * lanes}]), .check(check ^ flips[{8 * lanes} +: {5 * lanes}]),
        .data(data), .corrected(corrected), .detected(detected));
    always @* begin
        assert (data == word);
        assert (detected == 0);
        assert (corrected == (place < {bits} ? {lanes}'d1 << lane : 0));
    end
endmodule
"""
    files = {name: (RTL / name).read_text() for name in CELLS if "secded" in name}
    assert prove(files, bench, stages=0)
