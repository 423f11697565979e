"""cocotb side of `test_registers`: the register block against a plain model, with random stalls."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from fitact_hw.csr import REGISTER_BYTES, FieldKind, machine_registers
from fitact_hw.verilog.csr_block import signal

REGISTERS = machine_registers(*(bool(int(part)) for part in os.environ["FITACT_PARTS"].split(",")))
NAMES = {register.offset: name for name, register in REGISTERS.items()}
"""Byte offset -> register; gaps are of parts that this machine does not have."""
BEYOND = max(NAMES) + REGISTER_BYTES


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
        inside = offset in NAMES
        name = NAMES.get(offset, "")
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


class Cycles:
    """The register block cycle by cycle, from docs/reference/registers.md and the rules of AXI4-Lite: what every output
    must be. A write takes effect one cycle after its later half was taken, or with the response before it; an answer
    stands until it is taken; hardware that sets a sticky bit wins over `clear`, and that over a write of 1."""

    def __init__(self) -> None:
        self.stored = {name: sum(f.insert(f.reset) for f in r.fields) for name, r in REGISTERS.items()}
        self.address: int | None = None
        self.data: tuple[int, int] | None = None
        self.written: int | None = None  # response of the last write, until taken
        self.read: tuple[int, int] | None = None  # data and response of the last read, until taken
        self.pulses: dict[str, int] = {}

    def step(self, pins: dict[str, int]) -> None:
        """One rising edge with these inputs."""
        write = self.address is not None and self.data is not None and (self.written is None or pins["bready"])
        before = dict(self.stored)
        chosen = NAMES.get(self.address or 0) if write else None
        value, strobes = self.data if write and self.data else (0, 0)
        mask = sum(0xFF << 8 * lane for lane in range(4) if strobes >> lane & 1)
        self.pulses = {}
        for name, register in REGISTERS.items():
            for field in register.fields:
                place = mask & field.mask if name == chosen else 0
                if field.kind is FieldKind.STORED:
                    self.stored[name] = self.stored[name] & ~place | value & place
                elif field.kind is FieldKind.PULSE:
                    self.pulses[signal(register, field)] = field.extract(value & place)
                elif field.kind is FieldKind.STICKY:
                    if pins[f"{signal(register, field)}_set"]:
                        self.stored[name] |= field.mask
                    elif pins["clear"] or value & place:
                        self.stored[name] &= ~field.mask
        if pins["rready"] or self.read is None:
            self.read = self._answer(pins, before) if pins["arvalid"] else None
        took_address = bool(pins["awvalid"]) and self.address is None
        took_data = bool(pins["wvalid"]) and self.data is None
        if write:
            self.written = 0 if chosen else 2
            self.address = self.data = None
        elif pins["bready"]:
            self.written = None
        if took_address:
            self.address = pins["awaddr"] & ~3
        if took_data:
            self.data = pins["wdata"], pins["wstrb"]

    def _answer(self, pins: dict[str, int], stored: dict[str, int]) -> tuple[int, int]:
        address = pins["araddr"] & ~3
        if address not in NAMES:
            return 0, 2
        name = NAMES[address]
        word = 0
        for field in REGISTERS[name].fields:
            if field.kind is FieldKind.INPUT:
                word |= field.insert(pins[signal(REGISTERS[name], field)])
            elif field.kind is not FieldKind.PULSE:
                word |= stored[name] & field.mask
        return word, 0

    def outputs(self) -> dict[str, int | None]:
        """Outputs of the bus until the next edge; None where anything may stand."""
        return {
            "awready": int(self.address is None),
            "wready": int(self.data is None),
            "bvalid": int(self.written is not None),
            "bresp": self.written,
            "rvalid": int(self.read is not None),
            "rdata": self.read[0] if self.read else None,
            "rresp": self.read[1] if self.read else None,
        }


@cocotb.test()
async def overlapping_accesses(dut: Any) -> None:
    """Every pin at random in every cycle: reads and writes at once, clear and set in one cycle, answers that wait."""
    rng = random.Random(random.getrandbits(32))
    Clock(dut.clk, 10, "ns").start()
    bus = {"awvalid": 1, "wvalid": 1, "arvalid": 1, "bready": 1, "rready": 1, "wstrb": 4, "wdata": 32}
    inputs: dict[str, int] = {"clear": 1}
    for register in REGISTERS.values():
        for field in register.fields:
            if field.kind is FieldKind.INPUT:
                inputs[signal(register, field)] = field.bits
            elif field.kind is FieldKind.STICKY:
                inputs[f"{signal(register, field)}_set"] = 1
    pins = dict.fromkeys([*bus, *inputs, "awaddr", "araddr"], 0)

    def drive() -> None:
        for name, value in pins.items():
            getattr(dut, name if name in inputs else f"s_axil_{name}").value = value

    drive()
    dut.rst_n.value = 0
    for _ in range(3):
        await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    model = Cycles()
    taken: dict[str, int | None] = {}
    waited = {"b": 0, "r": 0}
    for cycle in range(6000):
        likely = (0.2, 0.5, 0.9)[cycle // 500 % 3]
        now = model.outputs()
        for valid, payload in (("awvalid", ("awaddr",)), ("wvalid", ("wdata", "wstrb")), ("arvalid", ("araddr",))):
            if pins[valid] and not taken[valid]:
                continue  # a request stands until it is taken
            pins[valid] = int(rng.random() < likely)
            for name in payload:
                near = rng.choice([4, 8, rng.randrange(0, BEYOND + 16)])  # mostly CONTROL and STATUS
                pins[name] = near + rng.randrange(4) if name.endswith("addr") else rng.getrandbits(bus[name])
        pins["bready"], pins["rready"] = (int(rng.random() < rng.choice((likely, 0.1))) for _ in range(2))
        for name, bits in inputs.items():
            pins[name] = rng.getrandbits(bits) if bits > 1 else int(rng.random() < 0.2)
        drive()
        await ReadOnly()
        for name, value in now.items():
            if value is not None:
                assert int(getattr(dut, f"s_axil_{name}").value) == value, f"cycle {cycle}: {name}"
        ready = int(now["rvalid"] == 0 or pins["rready"])
        assert int(dut.s_axil_arready.value) == ready, f"cycle {cycle}: arready"
        for name, register in REGISTERS.items():
            for field in register.fields:
                if field.kind in (FieldKind.STORED, FieldKind.STICKY):
                    found = int(getattr(dut, signal(register, field)).value)
                    assert found == field.extract(model.stored[name]), f"cycle {cycle}: {name}.{field.name}"
        for name, level in model.pulses.items():
            assert int(getattr(dut, name).value) == level, f"cycle {cycle}: {name}"
        taken = {"awvalid": now["awready"], "wvalid": now["wready"], "arvalid": ready}
        waited["b"] += bool(now["bvalid"]) and not pins["bready"]
        waited["r"] += bool(now["rvalid"]) and not pins["rready"]
        model.step(pins)
        await FallingEdge(dut.clk)
    assert min(waited.values()) > 500
