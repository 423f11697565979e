"""Simulators of the machine: under cocotb as an executable, and as a library for the native engine, in one build."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fitact_hw.config import AcceleratorConfig
from sim import cache, verilate
from sim.cache import Note
from sim.engine.layout import HEADER, header
from sim.toolchain import find_toolchain
from sim.verilate import Sources

SIM = Path(__file__).resolve().parent
TB = SIM / "tb"
ENGINE = SIM / "engine"

TRACED_PORTS = {
    "fitact_sram": ("wr_en", "wr_addr", "rd_en", "rd_addr"),
    "fitact_issue": ("queue_valid", "pop_prev", "pop_next"),
}
"""Module -> ports that the native engine's access trace reads."""


@dataclass(frozen=True)
class Build:
    """A finished build.

    ``wave_suffix`` is ``fst`` or ``vcd`` when it can dump waves, else None. ``library``: the machine for the native
    engine; None for other sources than the machine's.
    """

    folder: Path
    executable: Path
    top: str
    wave_suffix: str | None
    library: Path | None = None


def machine_files(config: AcceleratorConfig) -> dict[str, str]:
    """Texts of the generated machine, its leaf cells, and the control file that makes its fault sites public."""
    from fitact_hw.sites import list_sites, verilator_control  # heavy (pyverilog): only when a build is checked
    from fitact_hw.verilog import generate, leaf_cells

    files = leaf_cells() | generate(config)
    return files | {"sites.vlt": verilator_control(list_sites(config))}


def model_sources(config: AcceleratorConfig) -> Sources:
    """The machine in its test top, with memory and native engine: what decides every result of a simulation."""
    from fitact_hw.verilog.csr_block import ADDRESS_BITS

    files = machine_files(config)
    ports = [
        f'public_flat_rd -module "{module}" -var "{name}"' for module, names in TRACED_PORTS.items() for name in names
    ]
    files["sites.vlt"] += "\n".join(ports) + "\n"
    files |= {name: (TB / name).read_text() for name in ("fitact_tb.sv", "memory.cpp")}
    files |= {path.name: path.read_text() for path in sorted(ENGINE.iterdir()) if path.suffix in (".cpp", ".h")}
    files[HEADER] = header()
    return Sources("fitact_tb", files, {"BUS_BITS": config.bus_bits, "CSR_ADDR_W": ADDRESS_BITS}, "engine.cpp")


def machine_sources(config: AcceleratorConfig) -> Sources:
    """All sources of a simulator: the model's, and the main program that runs it under cocotb."""
    model = model_sources(config)
    return Sources(model.top, {**model.files, "main.cpp": main_program()}, model.parameters, model.library)


def main_program() -> str:
    """Text of the main program of every simulator under cocotb."""
    return (TB / "main.cpp").read_text()


def build(
    config: AcceleratorConfig,
    *,
    waves: bool = False,
    sources: Sources | None = None,
    variant: str = "machine",
    note: Note = print,
) -> Build:
    """The simulator of ``config``, built if it is not there yet.

    ``sources`` replaces the machine and its test top (``variant`` then names the build). Two processes at the same
    time: the second waits with a note. Raises SimulationError if a tool is missing or the build fails.
    """
    toolchain = find_toolchain()
    trace = None if not waves else "--trace-fst" if toolchain.fst else "--trace-vcd"
    if waves and not toolchain.fst:
        note("waves are written as VCD: liblz4-dev, which FST needs, is not installed")
    flags = verilate.simulation_flags(toolchain, timing=sources is not None, trace=trace)
    chosen = sources or machine_sources(config)
    variant += "-waves" if waves else ""
    inputs = verilate.build_inputs(chosen, toolchain, flags)
    wanted = cache.entry(config.fingerprint, variant, inputs, chosen.products)
    what = f"the simulator of {config.fingerprint} ({variant}), about a minute, once"
    cache.obtain(wanted, lambda folder: verilate.verilate(chosen, toolchain, flags, folder), what, note)
    executable, *library = (wanted.folder / name for name in chosen.products)
    return Build(wanted.folder, executable, chosen.top, trace and trace.removeprefix("--trace-"), *library)


@contextlib.contextmanager
def in_use(build: Build) -> Iterator[None]:
    """While this is held no other process removes the build."""
    with cache.in_use(build.folder):
        yield


def run_environment(build: Build, module: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Environment in which ``build.executable`` runs the cocotb tests of ``module``."""
    return verilate.run_environment(build.top, module, extra, SIM.parent)
