"""ctypes binding of engine.cpp: one machine per process."""

from __future__ import annotations

import ctypes
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fitact_hw.config import AcceleratorConfig
from fitact_hw.faults import FaultError, Upset
from fitact_hw.sites import FaultSite
from fitact_hw.verilog.program import TOKENS
from sim.build import sites_of
from sim.cache import Note
from sim.engine.build import build_library
from sim.engine.layout import BLOCK_BYTES, REQUEST_DTYPE, WRITE_DTYPE, End, Record, Role
from sim.engine.strikes import Strike
from sim.errors import SimulationError
from sim.job import MemoryModel
from sim.jobfile import READ_AT_END, START_LATENCY, register_offsets, start_writes

CLAMP_COUNT = "u_alarm.u_count.count_q"
"""Counter of the clamps' alarm."""

OBSERVERS = (
    "u_control.cycles_q",
    "u_control.instructions_q",
    "u_control.error_code_q",
    "u_csr.program_address_q",
    "u_csr.window_base_address_q",
    "u_csr.window_last_address_q",
    "u_csr.watchdog_cycles_q",
    "u_csr.rdata_q",
    "u_csr.rresp_q",
    "u_csr.bresp_q",
    "u_csr.status_detected_q",
    "u_protection.detected_count_q",
    "u_protection.g_corrects.corrected_count_q",
    "u_csr.status_clamped_q",
    "u_csr.status_alarm_q",
    "u_csr.alarm_threshold_hits_q",
    *(f"u_alarm.{name}_q" for name in ("number", "seen", "first_number", "first_lane", "reached")),
    CLAMP_COUNT,
    "u_range_count.count_q",
)
"""Registers that are no part of the state: once a program runs, nothing depends on them but what the host reads at the
end, the watchdog (counter and limit) and the check of addresses (window). Who compares states must look at these."""

_SUMS, _RESULTS = ("u_lanes.u_epilogue.valid_q",), ("u_lanes.u_epilogue.out_wr_q",)
_HIT = r"u_lanes\.g_lane\[\d+\]\.u_lane\.u_clamp\.g_bound\.g_alarm\.hit_q"
_LANE = r"u_lanes\.g_lane\[\d+\]\.u_lane\."
PASSING = {
    r"u_load\.word_q": ("u_load.slot_q", "u_load.wr_en_q"),
    r"u_buffers\.u_accumulator\.rd_data_q": _SUMS,
    _LANE + "sum_q": _SUMS,
    r"u_buffers\.u_bias\.rd_data_q": _RESULTS,
    _LANE + r"(biased|shift|rounded|u_clamp\.\w+)_q": _RESULTS,
    r"u_buffers\.u_output\.rd_data_q": ("u_store.held_q",),
    r"u_store\.wdata_q": ("u_store.wvalid_q",),
}
"""Registers (patterns of their paths) through which data pass -> registers that are 0 when there are none. Then
they keep old data, which nothing reads, until others come: whether they differ does not matter."""


@dataclass(frozen=True, eq=False)
class MemoryDifference:
    """``blocks``: addresses uint64 (n,); ``contents``: uint8 (n, 2, 64), [:, 0] fault-free, [:, 1] faulty.

    ``written``: uint64 (n,), last cycle in which the faulty run wrote the block (the maximum if it never did).
    """

    blocks: np.ndarray
    contents: np.ndarray
    written: np.ndarray


FLIP, FOREVER = 2, (1 << 64) - 1
"""For fe_act: bits flip (0, 1: are forced to it); a last cycle that never comes."""

_SCOPE = "TOP.fitact_tb.u_top"

_U64, _INT, _VOID = ctypes.c_uint64, ctypes.c_int, ctypes.c_void_p
_SIGNATURES: dict[str, tuple[object, list[object]]] = {
    "fe_create": (_INT, []),
    "fe_state_bytes": (_U64, []),
    "fe_add_register": (_INT, [ctypes.c_char_p, ctypes.c_char_p, _INT]),
    "fe_add_buffer": (_INT, [ctypes.c_char_p, ctypes.c_char_p]),
    "fe_add_token": (_INT, [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p]),
    "fe_register_bytes": (ctypes.c_uint32, [_INT]),
    "fe_register_words": (ctypes.c_uint32, [_INT]),
    "fe_buffer_bytes": (ctypes.c_uint32, [_INT]),
    "fe_buffer_words": (ctypes.c_uint32, [_INT]),
    "fe_set_points": (None, [_VOID, _VOID, _U64, _U64, _VOID]),
    "fe_begin": (_INT, [ctypes.c_char_p, _VOID, _VOID, _INT, _INT]),
    "fe_record": (None, [_INT, _VOID, _U64]),
    "fe_register": (_U64, [_INT]),
    "fe_watch": (None, [_INT]),
    "fe_watched": (_U64, []),
    "fe_run": (_INT, [_U64]),
    "fe_cycle": (_U64, []),
    "fe_fork": (None, [_U64]),
    "fe_back": (None, []),
    "fe_skipped": (_U64, []),
    "fe_act": (None, [_INT, _INT, ctypes.c_uint32, ctypes.c_char_p, _INT, _U64, _U64]),
    "fe_flip": (None, [_INT, _INT, ctypes.c_uint32, ctypes.c_char_p]),
    "fe_strike": (None, [ctypes.c_uint32, ctypes.c_uint32, _INT, ctypes.c_uint32]),
    "fe_run_faulty": (_INT, [_U64]),
    "fe_passing": (_U64, []),
    "fe_diff": (_U64, []),
    "fe_diff_blocks": (_VOID, []),
    "fe_diff_cycles": (_VOID, []),
    "fe_diff_bytes": (_VOID, []),
    "fe_buffers_now": (_U64, []),
    "fe_buffers_expected": (_U64, []),
    "fe_word_hash": (_U64, [_U64, ctypes.c_char_p, _U64]),
    "fe_accesses": (_VOID, []),
    "fe_access_count": (_U64, []),
    "fe_token_changes": (_VOID, []),
    "fe_token_change_count": (_U64, []),
    "fe_requests": (_VOID, []),
    "fe_request_count": (_U64, []),
    "fe_forget_accesses": (None, []),
    "fe_writes": (_VOID, []),
    "fe_write_count": (_U64, []),
    "fe_read_registers": (_INT, [_VOID, _VOID, _INT]),
    "fe_hash_control": (_U64, []),
    "fitact_memory_data": (_VOID, []),
    "fitact_memory_size": (_U64, []),
    "fitact_memory_violation": (ctypes.c_char_p, []),
}


def _copied(address: int | None, dtype: np.dtype, count: int) -> np.ndarray:
    """``count`` items of C memory as an array of its own."""
    if not count or address is None:
        return np.empty(0, dtype)
    content = memoryview((ctypes.c_char * (count * dtype.itemsize)).from_address(address)).cast("B")
    return np.frombuffer(content, dtype).copy()


def _passing(sites: Mapping[str, FaultSite], config: AcceleratorConfig) -> dict[str, tuple[str, ...]]:
    """The registers of PASSING; without those of protected buffers, at whose words a decoder looks all the time."""
    found = {}
    patterns = {**PASSING, **({_HIT: _RESULTS} if config.clamp_alarm else {})}
    for pattern, flags in patterns.items():
        paths = [path for path in sites if re.fullmatch(pattern, path)]
        if missing := [name for name, known in [(pattern, paths), *((f, f in sites) for f in flags)] if not known]:
            raise SimulationError(f"the machine has no register {missing[0]}: PASSING in the engine is not of this RTL")
        guarded = tuple(f"u_buffers.u_{buffer}." for buffer in config.protected)
        found.update({path: flags for path in paths if not path.startswith(guarded)})
    return found


def check_upset(sites: Mapping[str, FaultSite], upset: Upset) -> None:
    """Raises FaultError if the machine with these ``sites``, by path, does not have the bit of ``upset``."""
    site = sites.get(upset.site)
    if site is None:
        raise FaultError(f"{upset.site}: no such fault site in this configuration; list them with `fitact sites`")
    if upset.word >= site.depth or upset.mask >> site.width:
        raise FaultError(f"{upset.id}: the site has {site.depth} words of {site.width} bits")


class Library:
    """The machine of ``config``: a fault-free run, forks of it that carry upsets, and what they recorded.

    ``behavioural``: C++ computes what the array does (`array.h`), many times as fast; the array's registers are no
    sites then. ``sites``: what can be struck, by path; ``buffers``: the traced memories in the order of the live sets;
    ``tokens``: paths of the token counters; ``passing``: as PASSING, of this machine; ``runs``: programs that were
    started (what was recorded is of the last); ``folder``: of its build. Builds the library if needed; raises
    SimulationError if it does not fit.
    """

    def __init__(self, config: AcceleratorConfig, note: Note = print, *, behavioural: bool = False) -> None:
        self.config, self.behavioural = config, behavioural
        path = build_library(config, note, behavioural=behavioural)
        self.folder = path.parent
        self._c = ctypes.CDLL(str(path))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self._c, name)
            function.restype, function.argtypes = result, arguments
        if self._c.fe_create():
            raise SimulationError(f"{path} lacks signals of the test top: remove its folder and build again")
        self._numbers: dict[str, tuple[int, int]] = {}
        self._bytes: dict[str, int] = {}
        self.sites = {site.path: site for site in sites_of(config, behavioural=behavioural)}
        self.passing = _passing(self.sites, config)
        self._groups = sorted(set(self.passing.values()))
        self.buffers: list[FaultSite] = []
        for site in self.sites.values():
            self._add(site)
        if CLAMP_COUNT in self._numbers:
            self._c.fe_watch(self._numbers[CLAMP_COUNT][1])
        self.tokens = tuple(f"u_{name}.count_q" for name, _, _ in TOKENS)
        for name, _, pop in TOKENS:
            unit, _, side = pop.partition("_take_")
            gate = f"{_SCOPE}.u_{unit}_queue.u_issue"
            if self._c.fe_add_token(f"{_SCOPE}.u_{name}".encode(), gate.encode(), f"pop_{side}".encode()):
                raise SimulationError(f"the native engine has no token counter u_{name}: remove its build folder")
        offsets = register_offsets(config)
        self._offsets = {name: offsets[name] for name in READ_AT_END if name in offsets}
        self.runs = 0
        self._folder = tempfile.TemporaryDirectory(prefix="fitact-engine-")

    def _add(self, site: FaultSite) -> None:
        scope, _, name = f"{_SCOPE}.{site.path}".rpartition(".")
        traced = site.module == "fitact_sram" and site.kind == "memory"
        place = scope.encode(), name.encode()
        number = self._c.fe_add_buffer(*place) if traced else self._c.fe_add_register(*place, self._role(site.path))
        if number < 0:
            raise SimulationError(f"the native engine has no storage {site.path}: remove its build folder")
        kind = "buffer" if traced else "register"
        words = getattr(self._c, f"fe_{kind}_words")(number)
        size = getattr(self._c, f"fe_{kind}_bytes")(number)
        if words != site.depth or 8 * size < site.width:
            raise SimulationError(f"{site.path} is {words} x {size} bytes in the engine, expected {site.depth} words")
        if traced:
            self.buffers.append(site)
        self._numbers[site.path], self._bytes[site.path] = (int(traced), number), size

    def _role(self, path: str) -> int:
        """State, observer, or a group of passing registers, which have the same flags."""
        if path in self.passing:
            return Role.PASSING + self._groups.index(self.passing[path])
        return Role.OBSERVER if path in OBSERVERS else Role.STATE

    def begin(self, memory: np.ndarray, program_address: int, watchdog: int, model: MemoryModel) -> None:
        """Reset and start a program on a uint8 memory image; afterwards the cycle is 0. Raises SimulationError."""
        self.runs += 1
        image = Path(self._folder.name) / f"memory-{os.getpid()}.bin"  # forks of this process have their own
        image.unlink(missing_ok=True)  # the old mapping keeps the old file
        image.write_bytes(np.ascontiguousarray(memory).data)
        offsets = register_offsets(self.config)
        pairs = start_writes(program_address, (0, memory.size - 1), watchdog)
        writes = [number for name, value in pairs for number in (offsets[name], value)]
        array = (_U64 * len(writes))(*writes)
        options = (_U64 * len(model.options()))(*model.options())
        error = self._c.fe_begin(str(image).encode(), options, array, len(writes) // 2, START_LATENCY)
        if error:
            reason = os.strerror(error) if error > 0 else "the register block does not answer"
            raise SimulationError(f"the native engine cannot start a program: {reason}")

    def set_points(self, points: np.ndarray, boundary: np.ndarray, live: np.ndarray) -> None:
        """Compare states in these cycles, ascending; ``live``: uint64 (points, words64), live buffer words in each.

        ``boundary``: bool (points,), where :meth:`run_faulty` also stops if only buffers differ.
        """
        points, live = np.ascontiguousarray(points, np.uint64), np.ascontiguousarray(live, np.uint64)
        flags = np.ascontiguousarray(boundary, np.uint8)
        self._c.fe_set_points(points.ctypes.data, flags.ctypes.data, len(points), live.shape[1], live.ctypes.data)

    def record(self, *, accesses: bool = False, states: bool = False, keep: Sequence[int] = ()) -> None:
        """What the fault-free run records from now on; ``keep``: ascending cycles in which it can be forked later."""
        cycles = np.array(keep, np.uint64)
        what = Record.ACCESSES * accesses | Record.STATES * states
        self._c.fe_record(what, cycles.ctypes.data, len(cycles))

    def run(self, cycle: int) -> bool:
        """Advance to ``cycle``; True if the interrupt came first."""
        return bool(self._c.fe_run(cycle))

    @property
    def cycle(self) -> int:
        """The present machine cycle (at its falling edge)."""
        return int(self._c.fe_cycle())

    def fork(self, number: int) -> None:
        """Become the faulty run that starts in cycle ``keep[number]`` of :meth:`record`, until :meth:`back`."""
        self._c.fe_fork(number)

    def back(self) -> None:
        """End the faulty run: memory is again that of the fault-free run."""
        self._c.fe_back()

    def value(self, path: str) -> int:
        """Present value of the register at ``path`` (at most 64 bits), 0 if this machine does not have it."""
        return int(self._c.fe_register(self._numbers[path][1])) if path in self._numbers else 0

    @property
    def clean_clamp_hits(self) -> int:
        """After :meth:`run_faulty`: the counter of the clamps' alarm in the fault-free run, in the same cycle."""
        return int(self._c.fe_watched())

    @property
    def skipped(self) -> int:
        """Cycles of the faulty run that were not simulated, because nothing could change in them."""
        return int(self._c.fe_skipped())

    @property
    def passing_matters(self) -> bool:
        """After :meth:`run_faulty`: whether registers of ``passing`` differ from the fault-free run while data pass."""
        different = int(self._c.fe_passing())
        return any(different >> k & 1 and any(map(self.value, flags)) for k, flags in enumerate(self._groups))

    def flip(self, upset: Upset) -> None:
        """Flip the bits of ``upset`` now, whatever its cycle."""
        is_buffer, number = self._numbers[upset.site]
        self._c.fe_flip(is_buffer, number, upset.word, upset.mask.to_bytes(self._bytes[upset.site], "little"))

    def strike(self, strike: Strike) -> None:
        """Upset the control of a behavioural array; the present cycle is :attr:`Strike.ahead` before the upset."""
        self._c.fe_strike(strike.row, strike.column, strike.load, strike.wait)

    def act(self, upset: Upset) -> None:
        """Have ``upset`` strike in its cycles, from now to :meth:`back`; it must not begin before the present cycle."""
        is_buffer, number = self._numbers[upset.site]
        mask = upset.mask.to_bytes(self._bytes[upset.site], "little")
        kind = FLIP if upset.stuck is None else upset.stuck
        last = upset.cycle if upset.flips else FOREVER if upset.last is None else upset.last
        self._c.fe_act(is_buffer, number, upset.word, mask, kind, upset.cycle, last)

    def run_faulty(self, limit: int) -> End:
        """Run the faulty machine until its state is the fault-free one, it raises the interrupt, or cycle ``limit``."""
        return End(self._c.fe_run_faulty(limit))

    def diff(self) -> MemoryDifference:
        """Blocks of memory that differ from the fault-free run now."""
        count = int(self._c.fe_diff())
        blocks = _copied(self._c.fe_diff_blocks(), np.dtype(np.uint64), count)
        cycles = _copied(self._c.fe_diff_cycles(), np.dtype(np.uint64), count)
        content = _copied(self._c.fe_diff_bytes(), np.dtype(np.uint8), 2 * count * BLOCK_BYTES)
        return MemoryDifference(blocks, content.reshape(count, 2, BLOCK_BYTES), cycles)

    def buffers_are(self, changed: Sequence[tuple[int, bytes, bytes]]) -> bool:
        """After :meth:`run_faulty`: whether the live buffer words are the fault-free ones but for ``changed``.

        ``changed``: (bit in the live sets, fault-free content, faulty content) of live words.
        """
        expected = int(self._c.fe_buffers_expected())
        for bit, before, after in changed:
            expected -= self._c.fe_word_hash(bit, before, len(before))
            expected += self._c.fe_word_hash(bit, after, len(after))
        return expected % (1 << 64) == int(self._c.fe_buffers_now())

    def accesses(self) -> np.ndarray:
        """Recorded buffer accesses, uint64 (ACCESS keys)."""
        return _copied(self._c.fe_accesses(), np.dtype(np.uint64), int(self._c.fe_access_count()))

    def token_changes(self) -> np.ndarray:
        """Recorded changes of token counters, uint64 (TOKEN_CHANGE keys)."""
        return _copied(self._c.fe_token_changes(), np.dtype(np.uint64), int(self._c.fe_token_change_count()))

    def requests(self) -> np.ndarray:
        """Recorded read bursts on the memory bus (REQUEST_DTYPE)."""
        return _copied(self._c.fe_requests(), REQUEST_DTYPE, int(self._c.fe_request_count()))

    def forget_accesses(self) -> None:
        """Free what :meth:`accesses` returns."""
        self._c.fe_forget_accesses()

    def writes(self) -> np.ndarray:
        """Recorded writes of the fault-free run (WRITE_DTYPE)."""
        return _copied(self._c.fe_writes(), WRITE_DTYPE, int(self._c.fe_write_count()))

    def memory(self, address: int, size: int) -> np.ndarray:
        """Bytes of memory now, uint8 (size,)."""
        if address + size > self._c.fitact_memory_size():
            raise SimulationError(f"address {address} + {size} is beyond the memory")
        return _copied(self._c.fitact_memory_data() + address, np.dtype(np.uint8), size)

    def registers(self) -> dict[str, int] | None:
        """READ_AT_END as far as the machine has them; None if they do not answer. Time goes on meanwhile."""
        addresses = (_U64 * len(self._offsets))(*self._offsets.values())
        numbers = (_U64 * len(self._offsets))()
        if self._c.fe_read_registers(addresses, numbers, len(self._offsets)):
            return None
        return dict(zip(self._offsets, numbers, strict=True))

    @property
    def control_hash(self) -> int:
        """Hash of all registers and of the memory's queues."""
        return int(self._c.fe_hash_control())

    @property
    def violation(self) -> str:
        """First breach of the AXI protocol, "" if none."""
        return str(self._c.fitact_memory_violation().decode())

    @property
    def state_bytes(self) -> int:
        """Size of a checkpoint of the machine."""
        return int(self._c.fe_state_bytes())


_LOADED: dict[tuple[AcceleratorConfig, bool], Library] = {}


def load_library(config: AcceleratorConfig, note: Note = print, *, behavioural: bool = False) -> Library:
    """The library of ``config``: one object of each kind in a process, because there is one machine of each. Raises
    SimulationError."""
    key = config, behavioural
    if key not in _LOADED:
        _LOADED[key] = Library(config, note, behavioural=behavioural)
    return _LOADED[key]
