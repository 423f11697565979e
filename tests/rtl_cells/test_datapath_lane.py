"""`fitact_lane` and `fitact_pe` against integer models: every mode, corner values, one new pixel a cycle."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from tests.rtl_cells.cell_runner import run_cell

PIXELS = 2500


def signed(value: int, bits: int) -> int:
    """``value`` modulo 2**bits as a two's complement number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def corner(bits: int) -> int:
    """A signed number of ``bits``: an extreme, a small one, one of random size or any."""
    high = (1 << bits - 1) - 1
    pick = random.randrange(4)
    if pick == 0:
        return random.choice((0, 1, -1, high, high - 1, -high - 1, -high))
    if pick == 1:
        return random.randint(-300, 300) if bits > 9 else random.randint(-8, 8)
    return signed(random.getrandbits(bits) >> random.randrange(bits), bits)


@dataclass(frozen=True)
class Pixel:
    """What one lane gets for one pixel, in the order of its stages."""

    acc_op: int
    lshift: int
    psum: int
    acc: int
    bias: int
    shift: int
    bound: int
    mode: int

    def sum(self, acc_w: int) -> int:
        """The accumulator's new value."""
        partial = signed(self.psum << self.lshift, acc_w)
        return {0: partial, 1: signed(self.acc + partial, acc_w), 2: max(self.acc, partial)}[self.acc_op]

    def output(self, acc_w: int, data_w: int) -> int:
        """The numbers contract of docs/reference/machine.md, with unlimited integers."""
        biased = signed(self.sum(acc_w) + self.bias, acc_w)
        value = (2 * biased + 2**self.shift) // 2 ** (self.shift + 1)
        least, most = -(1 << data_w - 1), (1 << data_w - 1) - 1
        if self.mode == 0:
            return min(max(value, least), most)
        if self.mode == 1:
            return min(max(0, value), most)
        if self.mode == 2:
            return value if 0 <= value <= self.bound else 0
        return min(max(value, 0), self.bound)

    def hit(self, acc_w: int, margin: int) -> int:
        """Whether the bound acts: the value, divided by 2**margin and rounded down, is above it."""
        biased = signed(self.sum(acc_w) + self.bias, acc_w)
        value = (2 * biased + 2**self.shift) // 2 ** (self.shift + 1)
        return int(self.mode >= 2 and value // 2**margin > self.bound)


def random_pixel(acc_w: int, data_w: int, has_bound: bool) -> Pixel:
    """A pixel whose shift often brings the value close to the word's range and its bound."""
    pixel = Pixel(
        acc_op=random.randrange(3),
        lshift=random.choice((0, 0, 0, 1, random.randrange(64))),
        psum=corner(acc_w),
        acc=corner(acc_w),
        bias=corner(acc_w),
        shift=0,
        bound=random.choice((0, (1 << data_w - 1) - 1, corner(data_w), abs(corner(data_w)) >> 1)),
        mode=random.randrange(4 if has_bound else 2),
    )
    biased = signed(pixel.sum(acc_w) + pixel.bias, acc_w)
    near = min(63, max(0, biased.bit_length() - data_w + random.randint(-1, 2)))
    return Pixel(**{**pixel.__dict__, "shift": random.choice((near, near, near, random.randrange(64), 0, 63))})


@cocotb.test()
async def lane_random(dut: Any) -> None:
    """One pixel every cycle; the sum after A0, the output after A3."""
    acc_w, data_w = int(dut.ACC_W.value), int(dut.DATA_W.value)
    has_bound, has_alarm = bool(int(dut.HAS_BOUND.value)), bool(int(dut.HAS_ALARM.value))
    margin, hits = int(dut.MARGIN.value), 0
    Clock(dut.clk, 2, unit="ns").start()
    await FallingEdge(dut.clk)
    pixels = [random_pixel(acc_w, data_w, has_bound) for _ in range(PIXELS)]
    outputs: list[int] = []
    for step in range(PIXELS + 3):
        if step < PIXELS:
            now = pixels[step]
            dut.acc_op.value, dut.lshift.value = now.acc_op, now.lshift
            dut.psum.value = now.psum & (1 << acc_w) - 1
            dut.acc_data.value = now.acc & (1 << acc_w) - 1
        if 0 <= step - 1 < PIXELS:
            dut.bias.value = pixels[step - 1].bias & (1 << acc_w) - 1
            dut.shift.value = pixels[step - 1].shift
        if 0 <= step - 2 < PIXELS:
            dut.bound.value = pixels[step - 2].bound & (1 << data_w) - 1
        if step >= 3:
            dut.act_mode.value = pixels[step - 3].mode
        await FallingEdge(dut.clk)
        if step < PIXELS:
            assert signed(int(dut.sum_q.value), acc_w) == pixels[step].sum(acc_w), pixels[step]
        if step >= 3:
            outputs.append(signed(int(dut.out_q.value), data_w))
            assert outputs[-1] == pixels[step - 3].output(acc_w, data_w), pixels[step - 3]
            assert int(dut.hit.value) == (has_alarm and pixels[step - 3].hit(acc_w, margin)), pixels[step - 3]
            hits += int(dut.hit.value)
    # The stimulus must reach both sides of every limit, or the comparison says little.
    assert not has_alarm or PIXELS / 10 < hits < PIXELS / 2
    most = (1 << data_w - 1) - 1
    for mode in range(4 if has_bound else 2):
        values = [value for value, pixel in zip(outputs, pixels, strict=True) if pixel.mode == mode]
        assert min(values) == {0: -most - 1, 1: 0, 2: 0, 3: min(values)}[mode]
        assert sum(0 < value < most for value in values) > 20
        if mode == 3:
            assert min(values) < 0


@cocotb.test()
async def pe_random(dut: Any) -> None:
    """Multiply-accumulate, both weight registers and the three registers that travel east."""
    acc_w, data_w = int(dut.ACC_W.value), int(dut.DATA_W.value)
    Clock(dut.clk, 2, unit="ns").start()
    weight = shadow = 0
    for step in range(1200):
        load, swap = (int(random.random() < 0.3) for _ in range(2))
        if step < 2:  # defines both registers
            load, swap = 1 - step, step
        act, word, psum = corner(data_w), corner(data_w), corner(acc_w)
        dut.act_in.value, dut.weight_in.value = act & (1 << data_w) - 1, word & (1 << data_w) - 1
        dut.psum_in.value, dut.load_in.value, dut.swap_in.value = psum & (1 << acc_w) - 1, load, swap
        await FallingEdge(dut.clk)
        if step >= 2:
            assert signed(int(dut.psum_q.value), acc_w) == signed(psum + act * weight, acc_w)
        assert signed(int(dut.act_q.value), data_w) == act
        assert (int(dut.load_q.value), int(dut.swap_q.value)) == (load, swap)
        if swap:
            weight = shadow  # the old shadow weight, also if a new one is loaded in the same cycle
        if load:
            shadow = word


@pytest.mark.parametrize(
    ("data_w", "acc_w", "has_bound", "alarm"),
    [(8, 32, 1, None), (16, 48, 1, 0), (32, 64, 1, None), (32, 32, 1, 2), (8, 32, 0, None), (8, 32, 1, 1)],
)
def test_lane(data_w: int, acc_w: int, has_bound: int, alarm: int | None) -> None:
    """``alarm``: the margin of its alarm (bits), None without one."""
    parameters = {"DATA_W": data_w, "ACC_W": acc_w, "HAS_BOUND": has_bound}
    if alarm is not None:
        parameters |= {"HAS_ALARM": 1, "MARGIN": alarm}
    cells = ["fitact_lane.v", "fitact_clamp.v"]
    assert run_cell("fitact_lane", __name__, sources=cells, parameters=parameters, testcase="lane_random") == 1


@pytest.mark.parametrize(("data_w", "acc_w"), [(8, 32), (32, 64), (32, 48)])
def test_pe(data_w: int, acc_w: int) -> None:
    parameters = {"DATA_W": data_w, "ACC_W": acc_w}
    assert run_cell("fitact_pe", __name__, parameters=parameters, testcase="pe_random") == 1
