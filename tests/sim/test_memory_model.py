"""The memory model itself, driven beat by beat through its C interface: data, lanes, errors, and what it must catch."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from sim.build import TB
from sim.engine.layout import HEADER, header
from sim.job import MemoryModel
from sim.toolchain import find_toolchain

BUS_BYTES = 16
MEMORY_BYTES = 16384

_FLAG, _WORD = ctypes.c_ubyte, ctypes.c_uint
ADDRESS = {"valid": 0, "addr": 0, "id": 0, "len": 0, "size": 4, "burst": 1}
FAST = MemoryModel(read_latency=0, write_latency=0)


@dataclass
class Bus:
    """One clock cycle after the other of the memory's interface."""

    library: ctypes.CDLL
    out: dict[str, int] = field(default_factory=dict)

    def cycle(self, ar: dict[str, int] | None = None, aw: dict[str, int] | None = None, **w: int) -> dict[str, int]:
        """Signals that the master shows in this cycle (others are 0); returns what the memory shows in the next."""

        def address(values: dict[str, int] | None) -> list[object]:
            shown = ADDRESS | ({"valid": 1} | values if values else {})
            return [_FLAG(shown["valid"])] + [_WORD(shown[name]) for name in ("addr", "id", "len", "size", "burst")]

        data = (ctypes.c_uint * (BUS_BYTES // 4)).from_buffer_copy(w.get("data", 0).to_bytes(BUS_BYTES, "little"))
        strobe = (ctypes.c_uint * 1)(w.get("strb", (1 << BUS_BYTES) - 1))
        r_data = (ctypes.c_uint * (BUS_BYTES // 4))()
        flags = {n: _FLAG() for n in ("ar_ready", "r_valid", "r_last", "aw_ready", "w_ready", "b_valid", "active")}
        words = {n: _WORD() for n in ("r_id", "r_resp", "b_id", "b_resp")}
        ref = {name: ctypes.byref(value) for name, value in (flags | words).items()}
        self.library.fitact_memory_cycle(
            BUS_BYTES, *address(ar), _FLAG(1), *address(aw),
            _FLAG(int("last" in w)), data, strobe, _FLAG(w.get("last", 0)), _FLAG(1),
            ref["ar_ready"], ref["r_valid"], ref["r_id"], r_data, ref["r_resp"], ref["r_last"],
            ref["aw_ready"], ref["w_ready"], ref["b_valid"], ref["b_id"], ref["b_resp"], ref["active"],
        )  # fmt: skip
        self.out = {name: value.value for name, value in (flags | words).items()}
        self.out["r_data"] = int.from_bytes(bytes(r_data), "little")
        return self.out

    def read(self, **burst: int) -> list[dict[str, int]]:
        """A read burst: the state of the R channel in every cycle with a beat."""
        while not self.out.get("ar_ready"):
            self.cycle()
        beats = []
        out = self.cycle(ar=burst)
        for _ in range(1000):
            if out["r_valid"]:
                beats.append(dict(out))
                if out["r_last"]:
                    self.cycle()
                    return beats
            out = self.cycle()
        raise AssertionError("no last beat")

    def write(self, beats: list[tuple[int, int, int]], **burst: int) -> dict[str, int]:
        """A write burst of (data, strobes, last); the B channel's answer."""
        while not self.out.get("aw_ready"):
            self.cycle()
        out = self.cycle(aw=burst)
        for data, strobes, last in beats:
            while not out["w_ready"]:
                out = self.cycle()
            out = self.cycle(data=data, strb=strobes, last=last)
        for _ in range(1000):
            if out["b_valid"]:
                return dict(out)
            out = self.cycle()
        raise AssertionError("no response")

    @property
    def violation(self) -> str:
        """First breach of the protocol."""
        return str(self.library.fitact_memory_violation().decode())

    def byte(self, address: int) -> int:
        """One byte of memory."""
        return int(ctypes.string_at(self.library.fitact_memory_data() + address, 1)[0])


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    tools = find_toolchain()
    target = tmp_path_factory.mktemp("memory") / "memory.so"
    (target.parent / HEADER).write_text(header())
    include = tools.verilator_root / "include"
    command = [tools.cxx, "-std=gnu++20", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    command += [f"-I{include}/vltstd", f"-I{target.parent}"]
    subprocess.run([*command, str(TB / "memory.cpp"), "-o", str(target)], check=True)
    result = ctypes.CDLL(str(target))
    result.fitact_memory_violation.restype = ctypes.c_char_p
    result.fitact_memory_data.restype = ctypes.c_void_p
    return result


@pytest.fixture
def image(tmp_path: Path) -> np.ndarray:
    """The content of the memory file: random bytes."""
    values = np.random.default_rng(4).integers(0, 256, MEMORY_BYTES).astype(np.uint8)
    values.tofile(tmp_path / "memory.bin")
    return values


@pytest.fixture
def bus(library: ctypes.CDLL, image: np.ndarray, tmp_path: Path) -> Bus:
    return start(library, tmp_path, FAST)


def start(library: ctypes.CDLL, folder: Path, model: MemoryModel) -> Bus:
    """A fresh memory."""
    options = model.options()
    assert (
        library.fitact_memory_map(str(folder / "memory.bin").encode(), (ctypes.c_uint64 * len(options))(*options)) == 0
    )
    return Bus(library)


def test_wide_burst_streams_one_beat_a_cycle(bus: Bus, image: np.ndarray) -> None:
    beats = bus.read(addr=256, len=7)
    assert [beat["r_data"] for beat in beats] == [
        int.from_bytes(image[256 + 16 * i : 272 + 16 * i].tobytes(), "little") for i in range(8)
    ]
    assert [beat["r_last"] for beat in beats] == [0] * 7 + [1]
    assert bus.violation == ""


@pytest.mark.parametrize(("burst", "order"), [(1, [5, 6, 7, 8]), (0, [5, 5, 5, 5]), (2, [5, 6, 7, 4])])
def test_narrow_beats_use_their_own_lanes(bus: Bus, image: np.ndarray, burst: int, order: list[int]) -> None:
    for beat, word in zip(bus.read(addr=20, len=3, size=2, burst=burst), order, strict=True):
        raw, lane = beat["r_data"].to_bytes(BUS_BYTES, "little"), 4 * word % BUS_BYTES
        assert raw[lane : lane + 4] == image[4 * word : 4 * word + 4].tobytes()
        assert set(raw[:lane] + raw[lane + 4 :]) == {0xDB}, "other lanes are poisoned"


def test_strobes_and_write_response(bus: Bus, image: np.ndarray) -> None:
    data = int.from_bytes(bytes(range(16)), "little")
    answer = bus.write([(data, 0b1001, 0), (data, 0xFFFF, 1)], addr=512, len=1, id=1)
    assert (answer["b_id"], answer["b_resp"], bus.violation) == (1, 0, "")
    assert [bus.byte(512 + i) for i in range(4)] == [0, image[513], image[514], 3]
    assert [bus.byte(528 + i) for i in range(16)] == list(range(16))


def test_errors_answer_and_protect(library: ctypes.CDLL, image: np.ndarray, tmp_path: Path) -> None:
    bus = start(library, tmp_path, MemoryModel(read_latency=0, write_latency=0, errors=(1024, 1027)))
    assert [beat["r_resp"] for beat in bus.read(addr=1008, len=2)] == [0, 2, 0]
    assert bus.write([(0, 0xFFFF, 1)], addr=1024)["b_resp"] == 2
    assert bus.byte(1024) == image[1024]
    assert bus.read(addr=MEMORY_BYTES, len=0)[0]["r_resp"] == 3
    assert bus.write([(0, 0xFFFF, 1)], addr=1 << 31)["b_resp"] == 3


def test_fresh_mapping_forgets_writes(library: ctypes.CDLL, image: np.ndarray, tmp_path: Path) -> None:
    first = start(library, tmp_path, FAST)
    first.write([(0, 1, 1)], addr=0)
    assert first.byte(0) == 0 != image[0]
    assert start(library, tmp_path, FAST).byte(0) == image[0]


def test_reorder_answers_ids_out_of_order_but_each_in_order(
    library: ctypes.CDLL, image: np.ndarray, tmp_path: Path
) -> None:
    bus = start(library, tmp_path, MemoryModel(read_latency=2, read_interval=4, reorder=True, seed=3))
    bus.cycle()
    asked = [(number % 2, 16 * number) for number in range(6)]
    answers = []
    for burst in [{"id": i, "addr": a} for i, a in asked] + [None] * 40:
        out = bus.cycle(ar=burst)
        if out["r_valid"]:
            answers.append((out["r_id"], out["r_data"]))
    expected = [(i, int.from_bytes(image[a : a + 16].tobytes(), "little")) for i, a in asked]
    assert sorted(answers) == sorted(expected)
    assert answers != expected
    for identity in (0, 1):
        assert [a for a in answers if a[0] == identity] == [a for a in expected if a[0] == identity]


def test_catches_broken_masters(library: ctypes.CDLL, image: np.ndarray, tmp_path: Path) -> None:
    bus = start(library, tmp_path, FAST)
    bus.read(addr=4096 - 32, len=2)
    assert "4 KiB" in bus.violation
    bus = start(library, tmp_path, FAST)
    bus.write([(0, 0xFFFF, 1), (0, 0xFFFF, 1)], addr=0, len=1)
    assert "WLAST" in bus.violation
    bus = start(library, tmp_path, FAST)
    bus.write([(0, 0xFFFF, 1)], addr=0, size=2)
    assert "strobe" in bus.violation
    bus = start(library, tmp_path, FAST)
    bus.cycle(ar={"addr": 0})  # not ready in the first cycle
    bus.cycle()
    assert "AR: valid dropped" in bus.violation
    bus = start(library, tmp_path, FAST)
    bus.cycle(aw={"addr": 0})
    bus.cycle(aw={"addr": 16})
    assert "AW: payload changed" in bus.violation
    bus = start(library, tmp_path, FAST)
    bus.cycle(data=1, last=0)
    bus.cycle(data=2, last=0)
    assert "W: payload changed" in bus.violation
