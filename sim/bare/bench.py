"""Simulation speed: the whole machine on a real program next to a bare PE array of the same size, same flags."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from fitact_hw.config import AcceleratorConfig
from sim.build import Build, build, in_use, machine_files, main_program, run_environment
from sim.cache import Note, log_tail
from sim.errors import SimulationError
from sim.job import Job, Status
from sim.simulator import Progress, Simulator
from sim.verilate import Sources

HERE = Path(__file__).resolve().parent
BARE_CYCLES = 300_000
BARE_LIMIT_SECONDS = 600
REPEATS = 3


def bare_sources(config: AcceleratorConfig) -> Sources:
    """The generated array alone in bare_tb.sv, with the same fault sites public as in the whole machine."""
    keep = ("fitact_array.v", "fitact_pe.v", "fitact_skew.v")
    files = {name: text for name, text in machine_files(config).items() if name in keep}
    control = [
        line
        for line in machine_files(config)["sites.vlt"].splitlines()
        if line.startswith("`") or any(f'"{Path(name).stem}"' in line for name in keep)
    ]
    files["sites.vlt"] = "\n".join(control) + "\n"
    files["bare_tb.sv"] = (HERE / "bare_tb.sv").read_text()
    files["main.cpp"] = main_program()
    return Sources("bare_tb", files, {"SIDE": config.side, "DATA_W": config.word_bits, "ACC_W": config.acc_bits})


def run_bare(built: Build, cycles: int) -> float:
    """Simulate ``cycles`` cycles of the bare array; cycles per CPU second. Raises SimulationError."""
    with tempfile.TemporaryDirectory() as name, in_use(built):
        folder = Path(name)
        extra = {
            "FITACT_CYCLES": str(cycles),
            "FITACT_OUT": str(folder / "out.json"),
            "COCOTB_LOG_LEVEL": "WARNING",
            "COCOTB_RESULTS_FILE": str(folder / "results.xml"),
        }
        environment = run_environment(built, "sim.bare.cocotb_bare", extra)
        log = built.folder / "run.log"
        with log.open("w") as output:
            try:
                subprocess.run(
                    [str(built.executable)], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                    stderr=subprocess.STDOUT, check=True, timeout=BARE_LIMIT_SECONDS,
                )  # fmt: skip
                record = json.loads((folder / "out.json").read_text())
            except (subprocess.SubprocessError, OSError, ValueError) as error:
                raise SimulationError(f"bare array failed ({type(error).__name__}): {log_tail(log)}") from None
    if int(record["checksum"], 16) == 0:
        raise SimulationError("bare array computed only zeros: its speed would mean nothing")
    return float(record["cycles"] / record["cpu_seconds"])


def bench(
    job: Job,
    *,
    repeats: int = REPEATS,
    cycles: int = BARE_CYCLES,
    note: Note = print,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run bare array and machine in turn, ``repeats`` times, and compare the medians.

    ``job``: a fault-free run of a real program. Speeds are per CPU second. MAC/s: of the bare array every PE's in every
    cycle; of the machine the program's useful ones. Raises SimulationError.
    """
    config = job.program.config
    bare = build(config, sources=bare_sources(config), variant="bare", note=note)
    simulator = Simulator(config, note=note)
    simulator.build()
    speeds: dict[str, list[float]] = {"bare": [], "machine": []}
    macs = sum(span.macs for span in job.program.spans)
    machine_cycles = 0
    for number in range(repeats):
        speeds["bare"].append(run_bare(bare, cycles))
        [result] = simulator.run([job])
        if result.status is not Status.DONE:
            raise SimulationError(f"the program did not finish (status {result.status.value}, code {result.code})")
        machine_cycles = result.cycles
        speeds["machine"].append(result.cycles_per_second)
        if progress:
            progress(number + 1, repeats)
    bare_speed, machine_speed = statistics.median(speeds["bare"]), statistics.median(speeds["machine"])
    pes = config.rows * config.cols
    return {
        "config": config.fingerprint,
        "network": job.program.network,
        "images": job.program.images,
        "cycles": machine_cycles,
        "utilisation": macs / (machine_cycles * pes),
        "bare_cycles_per_second": bare_speed,
        "machine_cycles_per_second": machine_speed,
        "bare_macs_per_second": bare_speed * pes,
        "machine_macs_per_second": machine_speed * macs / machine_cycles,
        "ratio": machine_speed / bare_speed,
        "samples": speeds,
        "cpus": os.cpu_count(),
    }


def describe(result: dict[str, Any]) -> list[str]:
    """The lines that `make bench` prints."""
    return [
        f"bare {result['config'].split('w')[0]} array: {result['bare_cycles_per_second']:>10,.0f} cycles/s"
        f" {result['bare_macs_per_second'] / 1e6:>8,.1f} M MAC/s",
        f"whole machine:    {result['machine_cycles_per_second']:>10,.0f} cycles/s"
        f" {result['machine_macs_per_second'] / 1e6:>8,.1f} M MAC/s"
        f" ({result['network']}, batch {result['images']}, {result['utilisation']:.1%} of the array used)",
        f"ratio:            {result['ratio']:.0%}",
    ]
