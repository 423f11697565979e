"""Simulators of the machine: under cocotb as an executable, and as a library for the native engine, in one build."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fitact_hw.config import AcceleratorConfig
from sim import cache, verilate
from sim.cache import Note
from sim.engine.layout import HEADER, SIZES, header, sizes
from sim.toolchain import find_toolchain
from sim.verilate import Sources

if TYPE_CHECKING:
    from fitact_hw.sites import FaultSite

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


ARRAY = "u_array."
"""Beginning of the paths of everything in the array."""


def sites_of(config: AcceleratorConfig, *, behavioural: bool = False) -> tuple[FaultSite, ...]:
    """The fault sites that a build has: all of the machine's, or those outside an array that C++ computes."""
    from fitact_hw.sites import list_sites  # heavy (pyverilog): only when a build is checked

    return tuple(site for site in list_sites(config) if not (behavioural and site.path.startswith(ARRAY)))


def machine_files(config: AcceleratorConfig, *, behavioural: bool = False) -> dict[str, str]:
    """Texts of the generated machine, its leaf cells, and the control file that makes its fault sites public.

    ``behavioural``: with the stand-in for the array.
    """
    from fitact_hw.sites import verilator_control
    from fitact_hw.verilog import generate, leaf_cells

    files = leaf_cells() | generate(config)
    if behavioural:
        del files["fitact_array.v"]
        files["fitact_array.sv"] = (TB / "fitact_array.sv").read_text()
    return files | {"sites.vlt": verilator_control(sites_of(config, behavioural=behavioural))}


def model_sources(config: AcceleratorConfig, *, behavioural: bool = False) -> Sources:
    """The machine in its test top, with memory and native engine: what decides every result of a simulation.

    ``behavioural``: for the native engine alone, with an array that C++ computes.
    """
    from fitact_hw.verilog.csr_block import ADDRESS_BITS

    files = machine_files(config, behavioural=behavioural)
    ports = [
        f'public_flat_rd -module "{module}" -var "{name}"' for module, names in TRACED_PORTS.items() for name in names
    ]
    files["sites.vlt"] += "\n".join(ports) + "\n"
    files |= {name: (TB / name).read_text() for name in ("fitact_tb.sv", "memory.cpp")}
    files |= {path.name: path.read_text() for path in sorted(ENGINE.iterdir()) if path.suffix in (".cpp", ".h")}
    files[HEADER], files[SIZES] = header(), sizes(config, behavioural=behavioural)
    parameters = {"BUS_BITS": config.bus_bits, "CSR_ADDR_W": ADDRESS_BITS}
    return Sources("fitact_tb", files, parameters, "engine.cpp", executable=not behavioural)


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
