"""The cocotb test bench: runs inside the simulator process, started by :class:`sim.simulator.Simulator`.

Reads the job file named by $FITACT_JOBS and appends one JSON line per run to its result file. Every run is a forked
copy of this process, so that all start from exactly the same state; runs of one group (same memory, same settings)
are forked off one fault-free run at the cycle of their first upset instead of repeating the way there.

Python sleeps while the machine computes: it wakes at an upset and at the interrupt.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cocotb
from cocotb.handle import Immediate
from cocotb.triggers import First, ReadWrite, RisingEdge, Timer
from cocotb.utils import get_sim_time

from sim.clock import CSR_LIMIT, HALF_PERIOD, PERIOD, RESET_CYCLES

EXIT_REPORTED = 3
"""Exit status of a run that failed with a Python exception and reported it."""

Run = dict[str, Any]


def now() -> tuple[float, float]:
    """Wall clock and CPU time of this process (s)."""
    return time.perf_counter(), time.process_time()


class Library:
    """The C functions of the executable we are running in (memory.cpp, main.cpp)."""

    def __init__(self) -> None:
        self._c = ctypes.CDLL(None)
        for name in ("fitact_memory_data", "fitact_trace_data"):
            getattr(self._c, name).restype = ctypes.c_void_p
        for name in ("size", "read_beats", "write_beats"):
            getattr(self._c, f"fitact_memory_{name}").restype = ctypes.c_uint64
        self._c.fitact_trace_count.restype = ctypes.c_uint64
        self._c.fitact_memory_violation.restype = ctypes.c_char_p

    def map(self, path: str, options: list[int]) -> None:
        """A fresh memory with the content of ``path``."""
        error = self._c.fitact_memory_map(path.encode(), (ctypes.c_uint64 * len(options))(*options))
        if error:
            raise OSError(error, os.strerror(error), path)

    def read(self, address: int, size: int) -> bytes:
        """``size`` bytes of memory at ``address``."""
        if address + size > self._c.fitact_memory_size():
            raise ValueError(f"address {address} + {size} is beyond the memory")
        return ctypes.string_at(self._c.fitact_memory_data() + address, size)

    def trace(self) -> bytes:
        """The log of traced events: pairs of uint64 (cycle, event bits)."""
        count = self._c.fitact_trace_count()
        return ctypes.string_at(self._c.fitact_trace_data(), 16 * count) if count else b""

    def statistics(self) -> dict[str, Any]:
        """Data beats moved and the first protocol violation ("" if none)."""
        return {
            "read_beats": self._c.fitact_memory_read_beats(),
            "write_beats": self._c.fitact_memory_write_beats(),
            "violation": self._c.fitact_memory_violation().decode(),
        }

    def open_waves(self, path: str) -> None:
        """Dump waves into ``path`` from now on."""
        if self._c.fitact_waves_open(path.encode()):
            raise RuntimeError("this simulator was built without waves")

    def close_waves(self) -> None:
        """End the wave file."""
        self._c.fitact_waves_close()

    def die_with_parent(self) -> None:
        """Have the kernel kill this process when its parent ends."""
        self._c.fitact_die_with_parent()


class Unanswered(Exception):
    """A register access got no answer."""


class Bench:
    """The machine as its host sees it: reset, registers, interrupt, time in cycles since start."""

    def __init__(self, dut: Any, spec: dict[str, Any]) -> None:
        self.dut = dut
        self.registers: dict[str, int] = spec["registers"]
        self.read_at_end: list[str] = spec["read_at_end"]
        self.start_latency: int = spec["start_latency"]
        self.library = Library()
        self.origin = 0  # time of the falling edge in cycle 0
        self._holds = 0  # upsets whose bits are stuck now: a coroutine of each forces them at every falling edge
        self._settled = -1  # time in which what was forced has been evaluated

    async def reset(self) -> None:
        """Hold reset for some cycles; leaves the time at a falling edge."""
        self.dut.rst_n.value = Immediate(0)
        await Timer(RESET_CYCLES * PERIOD, "step")
        self.dut.rst_n.value = Immediate(1)
        await Timer(PERIOD, "step")

    async def _handshake(self, *pairs: tuple[Any, Any]) -> None:
        """Raise each valid until its ready was seen at a rising edge. Starts and ends at a falling edge."""
        for valid, _ in pairs:
            valid.value = Immediate(1)
        waiting = list(pairs)
        for _ in range(CSR_LIMIT):
            await Timer(HALF_PERIOD - 1, "step")
            accepted = [pair for pair in waiting if int(pair[1].value)]
            await Timer(HALF_PERIOD + 1, "step")
            for pair in accepted:
                pair[0].value = Immediate(0)
                waiting.remove(pair)
            if not waiting:
                return
        raise Unanswered

    async def write(self, name: str, value: int) -> None:
        """Write a register."""
        dut = self.dut
        dut.s_axil_awaddr.value = Immediate(self.registers[name])
        dut.s_axil_wdata.value = Immediate(value)
        await self._handshake((dut.s_axil_awvalid, dut.s_axil_awready), (dut.s_axil_wvalid, dut.s_axil_wready))

    async def read(self, name: str) -> int:
        """Read a register."""
        dut = self.dut
        dut.s_axil_araddr.value = Immediate(self.registers[name])
        await self._handshake((dut.s_axil_arvalid, dut.s_axil_arready))
        for _ in range(CSR_LIMIT):  # rready is always high: the data stand for one cycle
            await self._settle()
            if int(dut.s_axil_rvalid.value):
                value = int(dut.s_axil_rdata.value)
                await Timer(PERIOD, "step")
                return value
            await Timer(PERIOD, "step")
        raise Unanswered

    async def start(self, group: dict[str, Any]) -> None:
        """Set all registers and start the program; afterwards :meth:`cycle` counts."""
        self.library.map(group["image"], group["options"])
        for name, value in group["writes"]:
            await self.write(name, value)
        # The last write was the start, accepted at the rising edge before the present falling edge.
        self.origin = int(get_sim_time("step")) + self.start_latency * PERIOD

    def cycle(self) -> int:
        """The machine's cycle counter now (between a rising edge and the next)."""
        return (int(get_sim_time("step")) - self.origin + HALF_PERIOD) // PERIOD

    async def advance(self, cycle: int) -> bool:
        """Sleep until the falling edge of ``cycle``; True if the interrupt came first (or is high).

        With stuck bits the interrupt counts at falling edges only: between a rising edge and the falling one, where
        they are forced again, it may be high for nothing.
        """
        if self._holds:
            return await self._advance_by_cycles(cycle)
        if int(self.dut.irq.value):
            return True
        steps = self.origin + cycle * PERIOD - int(get_sim_time("step"))
        if steps <= 0:
            return False
        wake = Timer(steps, "step")
        return await First(wake, RisingEdge(self.dut.irq)) is not wake

    async def _advance_by_cycles(self, cycle: int) -> bool:
        while self._holds:
            await self._settle()
            if int(self.dut.irq.value):
                return True
            if self.cycle() >= cycle:
                return False
            await Timer(PERIOD, "step")
        return await self.advance(cycle)

    async def _settle(self) -> None:
        """At a falling edge: wait until all stuck bits are forced and evaluated."""
        if self._holds and self._settled != (now := int(get_sim_time("step"))):
            await ReadWrite()
            self._settled = now

    def hold(self, upset: dict[str, Any]) -> None:
        """Force the bits of a stuck upset now and at every falling edge up to its last cycle."""
        self._force(upset)
        self._holds += 1
        self._settled = -1
        cocotb.start_soon(self._hold(upset))

    async def _hold(self, upset: dict[str, Any]) -> None:
        while True:
            await Timer(PERIOD, "step")
            if upset["last"] is not None and self.cycle() > upset["last"]:
                self._holds -= 1
                return
            self._force(upset)

    def _force(self, upset: dict[str, Any]) -> None:
        mask, value = int(upset["mask"], 16), int(upset["stuck"])
        self.change(upset["site"], upset["word"], lambda old: old | mask if value else old & ~mask)

    def upset(self, site: list[Any], word: int, mask: int) -> None:
        """Flip bits of a register, or of one word of a memory, at once."""
        self.change(site, word, lambda old: old ^ mask)

    def change(self, site: list[Any], word: int, new: Callable[[int], int]) -> None:
        """Give a register, or one word of a memory, the value ``new(old)`` at once."""
        handle = self.dut.u_top
        for name, index in site:
            handle = getattr(handle, name)
            if index is not None:
                handle = handle[index]
        if word >= 0:
            handle = handle[word]
        changed = new(int(handle.value))
        handle.value = Immediate(changed)
        if int(handle.value) != changed:
            raise RuntimeError(f"upset of {site} had no effect: is the site writable in this build?")


class Slots:
    """At most ``workers`` processes simulate at a time, in this whole family of processes.

    A token is a byte in a pipe; who simulates holds one. A process that forks hands its token to the child and takes
    another one before it goes on.
    """

    def __init__(self, workers: int) -> None:
        self._out, self._in = os.pipe()
        os.set_blocking(self._out, False)
        os.write(self._in, b"t" * workers)
        self.children: dict[int, list[int]] = {}

    def release(self) -> None:
        """Give the own token back."""
        os.write(self._in, b"t")

    def acquire(self, report: Any) -> None:
        """Wait for a token, meanwhile burying children."""
        while True:
            self.bury(report, wait=False)
            if select.select([self._out], [], [], 0.05)[0]:
                with contextlib.suppress(BlockingIOError):  # another process was faster
                    os.read(self._out, 1)
                    return

    def bury(self, report: Any, wait: bool) -> None:
        """Reap finished children; with ``wait`` all of them. A crashed one is reported, and its token returned."""
        while self.children:
            pid, status = os.waitpid(-1, 0 if wait else os.WNOHANG)
            if pid == 0:
                return
            indices = self.children.pop(pid)
            if status == 0 or os.waitstatus_to_exitcode(status) == EXIT_REPORTED:
                continue
            self.release()
            for index in indices:
                report(
                    {
                        "index": index,
                        "crash": f"the simulator ended with status {os.waitstatus_to_exitcode(status)}",
                    }
                )

    def fork(self, indices: list[int], library: Library) -> bool:
        """Fork; True in the child, which takes over the token and knows no children."""
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            self.children[pid] = indices
            return False
        library.die_with_parent()
        self.children = {}
        return True


class Session:
    """One job file."""

    def __init__(self, dut: Any, spec: dict[str, Any]) -> None:
        self.bench = Bench(dut, spec)
        self.groups: list[dict[str, Any]] = spec["groups"]
        self.slots = Slots(spec["workers"])
        self._results = os.open(spec["results"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def report(self, record: Run) -> None:
        """Append one result; a single write, so that no reader sees half a line of a finished run."""
        os.write(self._results, (json.dumps(record) + "\n").encode())

    async def run(self) -> None:
        """All groups, each in its own process."""
        await self.bench.reset()
        for group in self.groups:
            self.slots.acquire(self.report)
            indices = [run["index"] for run in group["runs"]]
            if self.slots.fork(indices, self.bench.library):
                await self._guarded(self._lead(group, indices), indices)
        self.slots.bury(self.report, wait=True)

    async def _guarded(self, work: Any, indices: list[int]) -> None:
        """Body of a forked process: does ``work``, gives the token back and ends the process."""
        status = 0
        try:
            await work
        except BaseException:
            status = EXIT_REPORTED
            text = traceback.format_exc()
            print(text, file=sys.stderr)
            for index in indices:
                self.report({"index": index, "crash": text.strip().splitlines()[-1]})
        self.slots.release()
        self.slots.bury(self.report, wait=True)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    async def _lead(self, group: dict[str, Any], indices: list[int]) -> None:
        """The fault-free run of a group, and at the first upset of each run a fork that finishes it.

        ``indices``: the runs that this process answers for; a forked run answers for itself.
        """
        bench, runs = self.bench, group["runs"]
        began = now()
        await bench.start(group)
        first = bench.cycle()
        finished = False
        for run in runs[:-1]:
            finished = finished or await bench.advance(run["fork_cycle"])
            if self.slots.fork([run["index"]], bench.library):
                await self._guarded(self._finish(run, now(), bench.cycle()), [run["index"]])
            indices.remove(run["index"])
            self.slots.acquire(self.report)
        await self._finish(runs[-1], began, first)

    async def _finish(self, run: Run, began: tuple[float, float], first: int) -> None:
        """Apply the run's upsets, wait for its end and report."""
        bench = self.bench
        applied = 0
        finished = False
        waves = run["waves"]
        events = [(upset["cycle"], 0, upset) for upset in run["upsets"]]
        if waves:
            events += [(waves["first"], 1, None), (waves["last"], 2, None)]
        for cycle, kind, upset in sorted(events, key=lambda event: event[:2]):
            finished = finished or await bench.advance(cycle)
            if kind == 0 and not finished:
                if upset["stuck"] is None:
                    bench.upset(upset["site"], upset["word"], int(upset["mask"], 16))
                else:
                    bench.hold(upset)
                applied += 1
            elif kind == 1 and not finished:
                bench.library.open_waves(waves["file"])
            elif kind == 2:
                bench.library.close_waves()
        finished = finished or await bench.advance(run["limit"])
        simulated, end = bench.cycle() - first, bench.cycle()
        record: Run = {"index": run["index"], "finished": finished, "end_cycle": end, "applied": applied}
        seconds, cpu_seconds = (after - before for after, before in zip(now(), began, strict=True))
        record |= {"seconds": seconds, "cpu_seconds": cpu_seconds, "simulated_cycles": simulated}
        record["first_edge"] = (bench.origin - HALF_PERIOD) // PERIOD  # number of the rising edge that begins cycle 0
        record["wave_suffix"] = Path(waves["file"]).suffix[1:] if waves else None
        record["registers"] = await self._registers() if finished else None
        bench.library.close_waves()
        if run["trace_file"]:
            Path(run["trace_file"]).write_bytes(bench.library.trace())
        if run["keep"]:
            with open(run["keep_file"], "wb") as file:
                for address, size in run["keep"]:
                    file.write(bench.library.read(address, size))
        self.report(record | bench.library.statistics())

    async def _registers(self) -> dict[str, int] | None:
        """Status registers after the interrupt; None if they do not answer."""
        time_to_falling = -int(get_sim_time("step")) % PERIOD
        if time_to_falling:
            await Timer(time_to_falling, "step")
        try:
            return {name: await self.bench.read(name) for name in self.bench.read_at_end}
        except Unanswered:
            return None


@cocotb.test()
async def run_jobs(dut: Any) -> None:
    """Entry point for cocotb."""
    spec = json.loads(Path(os.environ["FITACT_JOBS"]).read_text())
    session = Session(dut, spec)
    session.bench.library.die_with_parent()
    await session.run()
