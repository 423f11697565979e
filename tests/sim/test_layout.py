"""Packed keys and records: C++ and Python mean the same bits."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fitact_hw.verilog.top import TRACES
from sim.build import TB
from sim.engine.layout import ACCESS, HEADER, REQUEST_DTYPE, TOKEN_CHANGE, WRITE_DTYPE, Key, Role, header
from sim.job import OPTIONS_DTYPE, STALL_CHANNELS, TRACE_DTYPE, MemoryModel
from sim.toolchain import find_toolchain
from sim.trace import Event

KEYS = (ACCESS, TOKEN_CHANGE)
STRUCTS = {"Write": WRITE_DTYPE, "Request": REQUEST_DTYPE, "Options": OPTIONS_DTYPE, "TraceEvent": TRACE_DTYPE}


def largest(key: Key) -> dict[str, int]:
    """The greatest value of every field."""
    return {field: (1 << width) - 1 for field, width in key.widths.items()}


def test_cpp_packs_keys_and_lays_out_records_as_python_does(tmp_path: Path) -> None:
    (tmp_path / HEADER).write_text(header())
    lines = []
    expected = []
    for key in KEYS:
        for wanted in key.widths:  # one field full, the others empty
            values = {field: value if field == wanted else 0 for field, value in largest(key).items()}
            lines.append(f"{key.name}({', '.join(f'{value}ull' for value in values.values())})")
            expected.append(key.pack(**values))
    for name, dtype in STRUCTS.items():
        for field, (_, place, *_) in (dtype.fields or {}).items():
            lines.append(f"offsetof({name}, {field})")
            expected.append(place)
    for role in Role:
        lines.append(role.name)
        expected.append(role.value)
    body = "\n".join(f'    std::printf("%llu\\n", static_cast<unsigned long long>({line}));' for line in lines)
    source = f'#include <cstddef>\n#include <cstdio>\n#include "{HEADER}"\nint main() {{\n{body}\n}}\n'
    (tmp_path / "main.cpp").write_text(source)
    command = [find_toolchain().cxx, "-std=gnu++20", "-Wall", "-Werror", "-Wpadded", "main.cpp", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    found = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout.split()
    assert list(map(int, found)) == expected


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_fields_do_not_overlap_and_come_back(key: Key) -> None:
    rng = np.random.default_rng(1)
    values = {field: rng.integers(0, 1 << width, 100, np.uint64) for field, width in key.widths.items()}
    packed = key.pack(**values)
    assert packed.dtype == np.uint64
    for field, value in values.items():
        assert np.array_equal(key.get(packed, field), value)
        assert key.get(int(packed[3]), field) == int(value[3])
        if key.widths[field] <= 8:
            assert np.array_equal(key.get_bytes(packed, field), value)
    assert key.pack(**largest(key)) == (1 << sum(key.widths.values())) - 1


def test_options_of_a_memory_model_are_the_fields_of_the_record() -> None:
    """Each alone, so that none lies in another's place."""
    plain = MemoryModel(reorder=False, seed=1)
    changes: dict[str, dict[str, object]] = {name: {name: 7} for name in OPTIONS_DTYPE.names[:5]}  # type: ignore[index]
    changes |= {"reorder": {"reorder": True}, "seed": {"seed": 7}}
    for name, change in changes.items():
        found = as_options(replace(plain, **change))  # type: ignore[arg-type]
        assert {field for field in found if found[field] != as_options(plain)[field]} == {name}
    for place, channel in enumerate(STALL_CHANNELS):
        stalls = as_options(replace(plain, **{f"stall_{channel}": 9}))["stall"]  # type: ignore[arg-type]
        assert stalls == [9 if place == other else 0 for other in range(len(STALL_CHANNELS))]
    found = as_options(replace(plain, errors=(3, 4)))
    assert (found["error_first"], found["error_last"]) == (3, 4)
    found = as_options(plain)
    assert found["error_first"] > found["error_last"]


def as_options(model: MemoryModel) -> dict[str, Any]:
    """What C++ reads."""
    [record] = np.array(model.options(), np.uint64).view(OPTIONS_DTYPE)
    return {name: record[name].tolist() for name in OPTIONS_DTYPE.names or ()}


def test_traced_events_are_wired_as_their_bits() -> None:
    top = (TB / "fitact_tb.sv").read_text()
    wires = dict(re.findall(r"\.trace_(\w+) *\(trace_events\[(\d+)\]\)", top))
    assert {event.name.lower(): str(event.value) for event in Event} == wires
    assert set(wires) == set(TRACES)
    assert f"wire [{len(Event) - 1}:0] trace_events;" in top


def test_keys_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="65 bits"):
        Key("wide", high=33, low=32)
    with pytest.raises(ValueError, match="takes high, low"):
        Key("narrow", high=33, low=31).pack(high=1)
