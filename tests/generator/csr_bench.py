"""cocotb side of `test_registers`: the register block against a plain model, with random stalls."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from fitact_hw.csr import REGISTER_BYTES, FieldKind, machine_registers
from fitact_hw.verilog.csr_block import signal

REGISTERS = machine_registers(bool(int(os.environ["FITACT_PROTECTED"])))
BEYOND = len(REGISTERS) * REGISTER_BYTES


def _stalls(rng: random.Random) -> Iterator[bool]:
    while True:
        yield rng.random() < 0.5


class Bench:
    """Clock, reset, bus master with independent stalls on all five channels, and the model's stored bits."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.rng = random.Random(random.getrandbits(32))
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst_n, reset_active_level=False)
        write, read = self.master.write_if, self.master.read_if
        for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
            channel.set_pause_generator(_stalls(self.rng))
        self.stored = {name: sum(f.insert(f.reset) for f in r.fields) for name, r in REGISTERS.items()}
        self.inputs: dict[str, int] = {}

    async def start(self) -> None:
        """Reset, and constant random values on every hardware input."""
        Clock(self.dut.clk, 10, "ns").start()
        self.dut.rst_n.value = 0
        self.dut.clear.value = 0
        for register in REGISTERS.values():
            for field in register.fields:
                name = signal(register, field)
                if field.kind is FieldKind.INPUT:
                    self.inputs[name] = self.rng.getrandbits(field.bits)
                    getattr(self.dut, name).value = self.inputs[name]
                elif field.kind is FieldKind.STICKY:
                    getattr(self.dut, f"{name}_set").value = 0
        for _ in range(4):
            await RisingEdge(self.dut.clk)
        self.dut.rst_n.value = 1

    def expected(self, name: str) -> int:
        """What a read of the register must return."""
        word = 0
        for field in REGISTERS[name].fields:
            if field.kind is FieldKind.INPUT:
                word |= field.insert(self.inputs[signal(REGISTERS[name], field)])
            elif field.kind is not FieldKind.PULSE:
                word |= self.stored[name] & field.mask
        return word

    def write(self, name: str, data: bytes, lane: int) -> None:
        """Apply a write of ``data`` at byte ``lane`` of the register to the model."""
        mask = ((1 << 8 * len(data)) - 1) << 8 * lane
        value = int.from_bytes(data, "little") << 8 * lane
        for field in REGISTERS[name].fields:
            place = mask & field.mask
            if field.kind is FieldKind.STORED:
                self.stored[name] = self.stored[name] & ~place | value & place
            elif field.kind is FieldKind.STICKY:
                self.stored[name] &= ~(value & place)


@cocotb.test()
async def behaves_like_its_description(dut: Any) -> None:
    """Random reads and writes of any bytes of any register, also beyond the map."""
    bench = Bench(dut)
    await bench.start()
    for _ in range(300):
        offset = bench.rng.randrange(0, BEYOND + 16, REGISTER_BYTES)
        lane = bench.rng.randrange(REGISTER_BYTES)
        data = bench.rng.randbytes(bench.rng.randint(1, REGISTER_BYTES - lane))
        inside = offset < BEYOND
        name = list(REGISTERS)[offset // REGISTER_BYTES] if inside else ""
        wanted = AxiResp.OKAY if inside else AxiResp.SLVERR
        if bench.rng.random() < 0.5:
            answer = await bench.master.write(offset + lane, data)
            assert answer.resp == wanted
            if inside:
                bench.write(name, data, lane)
        else:
            read = await bench.master.read(offset, REGISTER_BYTES)
            assert read.resp == wanted
            assert int.from_bytes(read.data, "little") == (bench.expected(name) if inside else 0), name
    for name, register in REGISTERS.items():
        for field in register.fields:
            if field.kind is FieldKind.STORED:
                assert int(getattr(dut, signal(register, field)).value) == field.extract(bench.stored[name])


@cocotb.test()
async def sticky_bits_and_pulses(dut: Any) -> None:
    """Hardware sets a sticky bit; 1 clears it, 0 does not, `clear` does; start is one cycle wide."""
    bench = Bench(dut)
    await bench.start()
    status, control = REGISTERS["STATUS"], REGISTERS["CONTROL"]

    async def pulse(handle: Any) -> None:
        handle.value = 1
        await RisingEdge(dut.clk)
        handle.value = 0
        await RisingEdge(dut.clk)
        await RisingEdge(dut.clk)

    names = [field.name for field in status.fields if field.kind is FieldKind.STICKY]
    for name, other in zip(names, names[1:] + names[:1], strict=True):
        field = status.field(name)
        await pulse(getattr(dut, f"status_{name}_set"))
        await bench.master.write_dword(status.offset, status.field(other).mask)
        assert field.extract(await bench.master.read_dword(status.offset)) == 1
        await bench.master.write_dword(status.offset, field.mask)
        assert field.extract(await bench.master.read_dword(status.offset)) == 0
        await pulse(getattr(dut, f"status_{name}_set"))
        await pulse(dut.clear)
        assert field.extract(await bench.master.read_dword(status.offset)) == 0

    starts = 0

    async def count() -> None:
        nonlocal starts
        while True:
            await RisingEdge(dut.clk)
            starts += int(dut.control_start.value)

    cocotb.start_soon(count())
    await bench.master.write_dword(control.offset, control.field("start").mask)
    await bench.master.read_dword(control.offset)
    assert starts == 1
    await bench.master.write_dword(control.offset, control.field("irq_enable").mask)
    await bench.master.read_dword(control.offset)
    assert starts == 1
