"""Builds the machine as a shared library, from the same sources and in the same cache as the cocotb simulator."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from pathlib import Path

from fitact_hw.config import AcceleratorConfig
from sim import build as cocotb_build
from sim.build import CXX_FLAGS, FLAGS, JOBS, TB, Note, Sources, build_root, log_tail, machine_files
from sim.engine.layout import HEADER, header
from sim.errors import SimulationError
from sim.toolchain import Toolchain, find_toolchain

LIBRARY = "libfitact.so"

LIBRARY_CXX_FLAGS = (*CXX_FLAGS, "-fPIC", "-fno-gnu-unique", "-fno-semantic-interposition")
"""`-fno-gnu-unique`: libraries of two configurations in one process must not share Verilator's statics."""

LIBRARY_FLAGS = (*(flag for flag in FLAGS if flag != "--timing"), "--no-timing", "--vpi", "-DFITACT_NATIVE")

TRACED_PORTS = {
    "fitact_sram": ("wr_en", "wr_addr", "rd_en", "rd_addr"),
    "fitact_issue": ("queue_valid", "pop_prev", "pop_next"),
}
"""Module -> ports that the access trace reads."""


def _sources(config: AcceleratorConfig) -> Sources:
    from fitact_hw.verilog.csr_block import ADDRESS_BITS

    files = machine_files(config)
    ports = [
        f'public_flat_rd -module "{module}" -var "{name}"' for module, names in TRACED_PORTS.items() for name in names
    ]
    files["sites.vlt"] += "\n".join(ports) + "\n"
    files |= {name: (TB / name).read_text() for name in ("fitact_tb.sv", "memory.cpp")}
    files |= {path.name: path.read_text() for path in Path(__file__).parent.iterdir() if path.suffix in (".cpp", ".h")}
    files[HEADER] = header()
    return Sources("fitact_tb", files, {"BUS_BITS": config.bus_bits, "CSR_ADDR_W": ADDRESS_BITS})


def _commands(sources: Sources, folder: Path, toolchain: Toolchain) -> list[list[str]]:
    control = [name for name in sources.files if name.endswith(".vlt")]
    verilog = sorted(name for name in sources.files if name.endswith((".v", ".sv")))
    verilate = [
        str(toolchain.verilator_root / "bin" / "verilator"), "--cc", "--exe", *LIBRARY_FLAGS,
        "--top-module", sources.top, "--prefix", "Vtop", "-Mdir", str(folder), "--timescale", "1ns/1ns",
        "-CFLAGS", " ".join([*LIBRARY_CXX_FLAGS, f"-I{folder / 'src'}"]), "-LDFLAGS", "-shared", "-o", LIBRARY,
        *(f"-G{name}={value}" for name, value in sources.parameters.items()),
        *(str(folder / "src" / name) for name in [*control, *verilog]),
        str(folder / "src" / "engine.cpp"),
    ]  # fmt: skip
    return [verilate, ["make", "-j", str(JOBS), "-C", str(folder), "-f", "Vtop.mk"]]


def _compile(sources: Sources, folder: Path, toolchain: Toolchain) -> None:
    cocotb_build.write_sources(sources, folder)
    log = folder / "build.log"
    with log.open("w") as output:
        for command in _commands(sources, folder, toolchain):
            if cocotb_build.run_tool(command, folder, toolchain.environment(), output):
                raise SimulationError(f"build of the native engine failed ({Path(command[0]).name}): {log_tail(log)}")


def source_fingerprint(config: AcceleratorConfig) -> str:
    """Hash of RTL, test top, memory model and engine: equal ones give equal results, on whatever computer."""
    sources = _sources(config)
    text = json.dumps([dict(sources.files), dict(sources.parameters)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def build_library(config: AcceleratorConfig, note: Note = print) -> Path:
    """The shared library of ``config``, built if it is not there yet.

    Two processes at the same time: the second waits with a note. Raises SimulationError if a tool is missing or the
    build fails.
    """
    toolchain = find_toolchain()
    sources = _sources(config)
    digest = cocotb_build.build_digest(sources, toolchain, [*LIBRARY_FLAGS, *LIBRARY_CXX_FLAGS])
    folder = build_root() / config.fingerprint / f"native-{digest}"
    library = folder / LIBRARY
    if cocotb_build.is_whole(folder, digest, LIBRARY):
        return library
    with cocotb_build.build_lock(folder.with_name(folder.name + ".lock"), shared=False, note=note):
        if cocotb_build.is_whole(folder, digest, LIBRARY):
            return library
        started = time.monotonic()
        note(f"building the native engine of {config.fingerprint}, about a minute ...")
        _compile(sources, folder, toolchain)
        shutil.rmtree(folder / "src", ignore_errors=True)
        for path in folder.iterdir():
            if path.suffix in (".o", ".a", ".gch", ".d", ".cpp", ".h"):
                path.unlink()
        cocotb_build.write_stamp(folder, digest, library)
        note(f"built in {time.monotonic() - started:.0f} s")
    cocotb_build.drop_older(folder.parent, "native", folder.name)
    return library
