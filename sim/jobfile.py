"""The job file: what :mod:`sim.simulator` hands to :mod:`sim.cocotb_run` in the simulator process."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fitact_hw.config import AcceleratorConfig
from fitact_hw.faults import FaultError, Upset
from fitact_hw.registers import Control
from sim.build import Build
from sim.errors import SimulationError
from sim.job import Job

if TYPE_CHECKING:  # importing it parses nothing, but needs pyverilog
    from fitact_hw.sites import FaultSite

START_LATENCY = 2
"""Falling clock edges from the accepted write of CONTROL.start to machine cycle 0 (checked on every fault-free run)."""

_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_$]*)(?:\[(\d+)\])?")

READ_AT_END = (
    *("STATUS", "CYCLES_LOW", "CYCLES_HIGH", "INSTRUCTIONS", "CORRECTED", "DETECTED"),
    *("CLAMP_HITS", "CLAMP_FIRST", "RANGE_HITS"),
)
"""Registers that are read after the interrupt, as far as the machine has them."""


def register_offsets(config: AcceleratorConfig) -> dict[str, int]:
    """Register name -> byte offset."""
    from fitact_hw.csr import machine_registers  # reads the register map: only when something runs

    return {name: register.offset for name, register in machine_registers(*config.register_parts).items()}


def start_writes(
    program_address: int,
    window: tuple[int, int],
    watchdog: int,
    *,
    halt_on_detect: bool = False,
    alarm_threshold: int = 0,
) -> list[tuple[str, int]]:
    """What the host writes, in this order, to start a program whose end raises the interrupt: (register, value).

    ``window``: first and last byte that the machine may access; ``watchdog``: cycles, 0 for none;
    ``alarm_threshold``: clamp hits, 0 for none.
    """
    control = Control.START | Control.IRQ_ENABLE | (Control.HALT_ON_DETECT if halt_on_detect else Control(0))
    return [
        ("PROGRAM", program_address),
        ("WINDOW_BASE", window[0]),
        ("WINDOW_LAST", window[1]),
        ("WATCHDOG", watchdog),
        *([("ALARM_THRESHOLD", alarm_threshold)] if alarm_threshold else []),
        ("CONTROL", int(control)),
    ]


def _sites(config: AcceleratorConfig) -> dict[str, FaultSite]:
    """Path -> site of everything that can be hit."""
    from fitact_hw.sites import list_sites  # parses the machine: only when there are upsets

    return {site.path: site for site in list_sites(config)}


def _upset(upset: Upset, sites: dict[str, FaultSite]) -> dict[str, Any]:
    """An upset as the test bench takes it; word -1 stands for a register. Raises FaultError if there is no such bit."""
    if upset.site not in sites:
        raise FaultError(f"{upset.site}: no such fault site in this configuration; list them with `fitact sites`")
    site = sites[upset.site]
    if upset.word >= site.depth or upset.mask >> site.width:
        raise FaultError(f"{upset.id}: the site has {site.depth} words of {site.width} bits")
    steps = _site_steps(upset.site)
    return {
        "site": steps,
        "word": upset.word if site.kind == "memory" else -1,
        "mask": f"{upset.mask:x}",
        "cycle": upset.cycle,
        "stuck": upset.stuck,
        "last": upset.last,
    }


def _site_steps(path: str) -> list[tuple[str, int | None]]:
    """`a.b[3].c` -> [(a, None), (b, 3), (c, None)]. Raises SimulationError."""
    steps: list[tuple[str, int | None]] = []
    for part in path.split("."):
        match = _STEP.fullmatch(part)
        if match is None:
            raise SimulationError(f"{path!r} is no site path: write names like u_array.g_row[3].u_pe.weight_q")
        steps.append((match[1], int(match[2]) if match[2] else None))
    return steps


def job_file(
    config: AcceleratorConfig,
    built: Build,
    folder: Path,
    jobs: Sequence[Job],
    workers: int,
    share_prefix: bool,
) -> dict[str, Any]:
    """What cocotb_run.py reads: groups of runs with the same start, each ordered by its first upset."""
    images: dict[str, Path] = {}
    groups: dict[str, dict[str, Any]] = {}
    registers = register_offsets(config)
    sites = _sites(config) if any(job.upsets for job in jobs) else {}
    for index, job in enumerate(jobs):
        if job.waves and built.wave_suffix is None:
            raise SimulationError("waves were asked from a simulator without them: use Simulator(config, waves=True)")
        if job.halt_on_detect and not config.protected:
            raise SimulationError("halt_on_detect needs a machine with buffer protection: set `protection`")
        if job.alarm_threshold and not config.clamp_alarm:
            raise SimulationError("alarm_threshold needs a machine with an alarm of the clamps: set `clamp_alarm`")
        image = np.ascontiguousarray(job.image, np.uint8)
        digest = hashlib.sha256(image.data).hexdigest()
        if digest not in images:
            images[digest] = folder / f"memory-{len(images)}.bin"
            images[digest].write_bytes(image.data)
        first, last = job.window or (0, int(image.size) - 1)
        group: dict[str, Any] = {
            "image": str(images[digest]),
            "options": job.model.options(),
            "writes": start_writes(
                job.program.program_address,
                (first, last),
                job.watchdog,
                halt_on_detect=job.halt_on_detect,
                alarm_threshold=job.alarm_threshold,
            ),
        }
        key = json.dumps([group, None if share_prefix else index])
        run = {
            "index": index,
            "fork_cycle": job.fork_cycle(),
            "limit": job.limit_cycles,
            "upsets": [_upset(upset, sites) for upset in job.upsets],
            "keep": list(job.regions().values()),
            "keep_file": str(folder / f"kept-{index}.bin"),
            "trace_file": str(folder / f"trace-{index}.bin") if job.trace else None,
            "waves": job.waves and _wave_spec(job, built),
        }
        groups.setdefault(key, {**group, "runs": []})["runs"].append(run)
    for group in groups.values():
        group["runs"] = sorted(group["runs"], key=lambda run: run["fork_cycle"])
    return {
        "registers": registers,
        "read_at_end": [name for name in READ_AT_END if name in registers],
        "start_latency": START_LATENCY,
        "workers": workers,
        "results": str(folder / "results.jsonl"),
        "groups": list(groups.values()),
    }


def _wave_spec(job: Job, built: Build) -> dict[str, Any]:
    assert job.waves is not None
    assert built.wave_suffix is not None
    path = wave_path(job, built.wave_suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    return {"first": max(0, job.waves.first), "last": job.waves.last, "file": str(path)}


def wave_path(job: Job, suffix: str) -> Path:
    """The wave file of ``job`` with the suffix of its format."""
    assert job.waves is not None
    return job.waves.file.resolve().with_suffix(f".{suffix}")
