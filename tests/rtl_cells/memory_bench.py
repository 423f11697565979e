"""Bench for `memory_cells.v`: fetch, load and store on one cocotbext-axi AxiRam with random stalls.

The models here are independent of the RTL: `load_words` and `store_bytes` follow the instruction tables of
`fitact_hw.isa` word by word. Everything is driven and sampled at the falling edge, the bus model works at the
rising edge.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge
from cocotbext.axi import AxiBus, AxiRam

from tests.rtl_cells.cell_runner import ROOT

BIAS_BUFFER = 2
LIMIT_CYCLES = 12000
"""No single wait of these tests takes longer."""
PULSES = ("range", "bus", "address", "push", "retire", "start")
"""Bits 0..5 of `load_pulses` and `store_pulses`."""

SOURCES = (
    ROOT / "tests" / "rtl_cells" / "memory_cells.v",
    "fitact_fetch.v",
    "fitact_load.v",
    "fitact_store.v",
    "fitact_read_arbiter.v",
    "fitact_bursts.v",
    "fitact_fifo.v",
)


@dataclass(frozen=True)
class Point:
    """Sizes of one build of `memory_cells`: bus and output word in bits, memory words in bytes."""

    bus_bits: int
    lane_word_bits: int
    word_bytes: int
    bias_word_bytes: int

    def parameters(self) -> dict[str, int]:
        """Verilog parameters of `memory_cells`."""
        return {
            "BUS_BITS": self.bus_bits,
            "LANE_WORD_BITS": self.lane_word_bits,
            "WORD_BYTES": self.word_bytes,
            "BIAS_WORD_BYTES": self.bias_word_bytes,
            "WR_DATA_W": 8 * max(self.word_bytes, self.bias_word_bytes),
        }


POINTS = {
    "equal": Point(128, 128, 16, 128),
    "wide": Point(32, 96, 16, 64),
    "narrow": Point(256, 24, 4, 16),
    "mixed": Point(64, 16, 2, 16),
    "bus256": Point(256, 256, 32, 128),
    "bus512": Point(512, 512, 64, 128),
}
"""Words as wide as the bus, wider (with padding lanes), both narrower, and activation narrower than bias; then buses on
which 256 beats would be more than 4 KiB."""

Fields = dict[str, int]


def load_words(fields: Fields, word_bytes: int, read: Callable[[int, int], bytes]) -> Iterator[tuple[int, int, int]]:
    """Yield (buffer, buffer word, value) for each word that a LOAD writes, in order."""
    address = fields["buffer_base"]
    width = fields["pad_left"] + fields["cols"] + fields["pad_right"]
    for plane in range(fields["planes"]):
        for row in range(-fields["pad_top"], fields["rows"] + fields["pad_bottom"]):
            for column in range(-fields["pad_left"], width - fields["pad_left"]):
                value = 0
                if 0 <= row < fields["rows"] and 0 <= column < fields["cols"]:
                    place = fields["mem_addr"] + plane * fields["plane_stride"] + row * fields["row_stride"]
                    value = int.from_bytes(read(place + column * word_bytes, word_bytes), "little")
                yield fields["buffer"], address, value
                address += 1


def output_word(address: int, word_bytes: int, lane_bytes: int) -> bytes:
    """Word of the bench's output buffer as it must stand in memory."""
    word = bytes((37 * address + 101 * (address >> 8) + 11 * i) & 0xFF for i in range(lane_bytes))
    return word + bytes(word_bytes - lane_bytes)


def store_bytes(fields: Fields, word_bytes: int, lane_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Yield (byte address, bytes) for each word that a STORE writes, in order."""
    address = fields["buffer_base"]
    for plane in range(fields["planes"]):
        for row in range(fields["rows"]):
            for column in range(fields["cols"]):
                place = fields["mem_addr"] + plane * fields["plane_stride"] + row * fields["row_stride"]
                yield place + column * word_bytes, output_word(address, word_bytes, lane_bytes)
                address += 1


def random_transfer(word_bytes: int, beats: int) -> Fields:
    """A LOAD or STORE inside the first 64 KiB; many rows cross a 4 KiB page. ``beats``: of one word."""
    most = max(2, min(150, 600 // beats))
    planes, rows = random.choice([(1, 1), (1, 3), (2, 2), (3, 1), (2, 5)])
    cols = random.randint(1, max(1, most // (planes * rows)))
    row_stride = (cols + random.choice([0, 0, 1, 7])) * word_bytes
    plane_stride = (rows * row_stride) + random.choice([0, 1, 9]) * word_bytes
    page = random.randrange(1, 4) * 4096
    start = page - random.randint(0, min(cols, page // word_bytes)) * word_bytes
    return {
        "push": random.getrandbits(1),
        "buffer": 0,
        "buffer_base": random.randrange(0, 8),
        "mem_addr": start if random.random() < 0.7 else random.randrange(0, 16384 // word_bytes) * word_bytes,
        "cols": cols,
        "rows": rows,
        "planes": planes,
        "row_stride": row_stride,
        "plane_stride": plane_stride,
        **{f"pad_{side}": 0 for side in ("left", "right", "top", "bottom")},
    }


def _pauses(likelihood: float) -> Iterator[bool]:
    while True:
        yield random.random() < likelihood


class MemoryBench:
    """Owns clock, reset, bus model and monitors of `memory_cells`."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        logging.getLogger("cocotb.memory_cells.m_axi").setLevel(logging.WARNING)
        Clock(dut.clk, 2, unit="ns").start()
        self.ram = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst_n, reset_active_level=False, size=1 << 32)
        self.word_bytes = int(dut.WORD_BYTES.value)
        self.bias_word_bytes = int(dut.BIAS_WORD_BYTES.value)
        self.lane_bytes = int(dut.LANE_WORD_BITS.value) // 8
        self.bus_bytes = int(dut.BUS_BITS.value) // 8
        self.cycle = 0
        self.reset_records()

    def reset_records(self) -> None:
        """Forget what the monitors saw."""
        self.writes: list[tuple[int, int, int]] = []
        self.write_cycles: list[int] = []
        self.reads: list[tuple[int, int, int]] = []  # id, first byte, last byte
        self.announced: list[tuple[int, int]] = []  # write bursts: first byte, last byte
        self.pulses: Counter[str] = Counter()

    def size_of(self, buffer: int) -> int:
        """Bytes of a word of ``buffer`` in memory."""
        return self.bias_word_bytes if buffer == BIAS_BUFFER else self.word_bytes

    async def reset(self) -> None:
        """Idle inputs, reset of the cells, start of the monitors, 64 KiB of random bytes in memory."""
        dut = self.dut
        for name in ("clear", "halt", "start", "load_valid", "store_valid", "bad_rresp", "bad_bresp"):
            getattr(dut, name).value = 0
        dut.fetch_ready.value, dut.window_base.value, dut.window_last.value = 0, 0, 0xFFFFFFFF
        dut.program_address.value, dut.rst_n.value = 0, 0
        for _ in range(4):
            await FallingEdge(dut.clk)
        dut.rst_n.value = 1
        self.ram.write(0, random.randbytes(1 << 16))
        cocotb.start_soon(self._monitor())
        await FallingEdge(dut.clk)

    def stall(self, likelihood: float) -> None:
        """Pause each of the five channels at random with ``likelihood`` per cycle; 0 switches pauses off."""
        read, write = self.ram.read_if, self.ram.write_if
        channels = (read.ar_channel, read.r_channel, write.aw_channel, write.w_channel, write.b_channel)
        for channel in channels:
            channel.clear_pause_generator()
            channel.pause = False
            if likelihood:
                channel.set_pause_generator(_pauses(likelihood))

    async def clear(self) -> None:
        """One cycle of `clear`, with halt and injected errors withdrawn."""
        dut = self.dut
        dut.halt.value, dut.bad_rresp.value, dut.bad_bresp.value = 0, 0, 0
        dut.clear.value = 1
        await FallingEdge(dut.clk)
        dut.clear.value = 0

    async def issue(self, unit: str, fields: Fields) -> None:
        """Hand one instruction to ``unit`` ("load" or "store") and return once it was taken."""
        dut = self.dut
        for name, value in fields.items():
            getattr(dut, f"instr_{name}").value = value
        valid, ready = getattr(dut, f"{unit}_valid"), getattr(dut, f"{unit}_ready")
        valid.value = 1
        taken = False
        for _ in range(LIMIT_CYCLES):
            taken = bool(int(ready.value))  # of a register: it stands until the rising edge
            await FallingEdge(dut.clk)
            if taken:
                break
        valid.value = 0
        assert taken, f"{unit} took no instruction for {LIMIT_CYCLES} cycles"

    async def idle(self) -> None:
        """Wait until load and store are idle. Fails after LIMIT_CYCLES."""
        for _ in range(LIMIT_CYCLES):
            await FallingEdge(self.dut.clk)
            if not int(self.dut.load_busy.value) and not int(self.dut.store_busy.value):
                await FallingEdge(self.dut.clk)  # the last pulses may stand in the first idle cycle
                return
        raise AssertionError(f"still busy after {LIMIT_CYCLES} cycles")

    def check_rules(self) -> None:
        """The AXI checker saw nothing wrong."""
        assert int(self.dut.violations.value) == 0, f"violations {self.dut.violations.value}"

    async def _monitor(self) -> None:
        """Record bus requests, buffer writes and pulses as they stand at each rising edge."""
        dut = self.dut
        edge = RisingEdge(dut.clk)
        while True:
            await edge
            self.cycle += 1
            enables = int(dut.wr_en.value)
            if enables:
                assert enables & (enables - 1) == 0, "two buffers written at once"
                buffer = enables.bit_length() - 1
                mask = (1 << 8 * self.size_of(buffer)) - 1
                self.writes.append((buffer, int(dut.wr_addr.value), int(dut.wr_data.value) & mask))
                self.write_cycles.append(self.cycle)
            for unit, signal in (("load", dut.load_pulses), ("store", dut.store_pulses)):
                bits = int(signal.value)
                if bits:
                    self.pulses.update(f"{unit}_{name}" for i, name in enumerate(PULSES) if bits >> i & 1)
            if int(dut.m_axi_arvalid.value) and int(dut.m_axi_arready.value):
                first = int(dut.m_axi_araddr.value)
                length = (int(dut.m_axi_arlen.value) + 1) << int(dut.m_axi_arsize.value)
                self.reads.append((int(dut.m_axi_arid.value), first, first + length - 1))
            if int(dut.m_axi_awvalid.value) and int(dut.m_axi_awready.value):
                first = int(dut.m_axi_awaddr.value)
                length = (int(dut.m_axi_awlen.value) + 1) << int(dut.m_axi_awsize.value)
                self.announced.append((first, first + length - 1))
