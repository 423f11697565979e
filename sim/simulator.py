"""`Simulator`: runs programs on the RTL, many in one simulator process, with or without upsets."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fitact_hw.config import AcceleratorConfig
from sim.build import Build, build, in_use, run_environment
from sim.cache import Note, log_tail
from sim.errors import SimulationError
from sim.job import TRACE_DTYPE, Job, RunResult, Status
from sim.jobfile import job_file, wave_path

Progress = Callable[[int, int], None]
"""Called with (finished runs, all runs)."""

SILENCE_SECONDS = 120.0
SLOWEST_CYCLES_PER_SECOND = 2000.0
"""No result for SILENCE_SECONDS + the longest limit at this speed: the simulator hangs."""

POLL_SECONDS = 0.02


class Simulator:
    """The simulator of one configuration.

    ``waves``: a build that can dump waves (slower). ``workers``: processes that simulate at the same time. Neither
    changes a result. Built on first use; building raises SimulationError.
    """

    def __init__(
        self,
        config: AcceleratorConfig,
        *,
        waves: bool = False,
        workers: int = 1,
        note: Note = print,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self.config = config
        self._waves = waves
        self._workers = max(1, workers)
        self._note = note
        self._silence = silence_seconds
        self._build: Build | None = None

    def build(self) -> Build:
        """Make sure that the simulator exists."""
        if self._build is None:
            self._build = build(self.config, waves=self._waves, note=self._note)
        return self._build

    def run(
        self, jobs: Sequence[Job], *, progress: Progress | None = None, share_prefix: bool = True
    ) -> list[RunResult]:
        """Run all jobs; results in the order of the jobs.

        With ``share_prefix`` runs of the same memory and settings start as copies of one fault-free run, taken at their
        first upset; results are the same without it. Raises SimulationError if the simulator crashes or hangs.
        """
        if not jobs:
            return []
        built = self.build()
        runs = built.folder.parent / "runs"
        runs.mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=runs))
        keep = False
        try:
            with in_use(built):
                return self._run(built, folder, jobs, progress, share_prefix)
        except SimulationError:
            keep = True  # its log is named in the message
            raise
        finally:
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)

    def _run(
        self, built: Build, folder: Path, jobs: Sequence[Job], progress: Progress | None, share_prefix: bool
    ) -> list[RunResult]:
        spec = job_file(self.config, built, folder, jobs, self._workers, share_prefix)
        (folder / "jobs.json").write_text(json.dumps(spec))
        log = folder / "sim.log"
        extra = {
            "FITACT_JOBS": str(folder / "jobs.json"),
            "COCOTB_LOG_LEVEL": "WARNING",
            "COCOTB_RESULTS_FILE": str(folder / "results.xml"),
            "OPENBLAS_NUM_THREADS": "1",  # the process forks: no threads
            "OMP_NUM_THREADS": "1",
        }
        environment = run_environment(built, "sim.cocotb_run", extra)
        longest = max(min(job.limit_cycles, 1 << 32) for job in jobs)
        patience = self._silence + longest / SLOWEST_CYCLES_PER_SECOND
        records: dict[int, dict[str, Any]] = {}
        with log.open("w") as output:
            process = subprocess.Popen(
                [str(built.executable)],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us, and we end the whole group
            )
            try:
                self._collect(process, Path(spec["results"]), records, len(jobs), patience, log, progress)
            finally:
                _end(process)
        return [_result(self.config, job, index, records[index], folder) for index, job in enumerate(jobs)]

    def _collect(
        self,
        process: subprocess.Popen[bytes],
        results: Path,
        records: dict[int, dict[str, Any]],
        total: int,
        patience: float,
        log: Path,
        progress: Progress | None,
    ) -> None:
        """Read results as they come, until all are there."""
        position, heard = 0, time.monotonic()
        while True:
            ended = process.poll()
            text = results.read_bytes()[position:] if results.exists() else b""
            whole = text[: text.rfind(b"\n") + 1]
            position += len(whole)
            for line in whole.splitlines():
                record = json.loads(line)
                if "crash" in record:
                    raise SimulationError(
                        f"simulator failed in run {record['index']}: {record['crash']}: {log_tail(log)}"
                    )
                records[record["index"]] = record
            if whole:
                heard = time.monotonic()
                if progress:
                    progress(len(records), total)
            if len(records) == total:
                return
            if ended is not None:
                raise SimulationError(
                    f"simulator ended ({ended}) after {len(records)} of {total} runs: {log_tail(log)}"
                )
            if time.monotonic() - heard > patience:
                raise SimulationError(f"simulator gave no result for {patience:.0f} s, ended it: {log_tail(log)}")
            time.sleep(POLL_SECONDS)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the simulator and every run forked from it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _result(config: AcceleratorConfig, job: Job, index: int, record: dict[str, Any], folder: Path) -> RunResult:
    """The record of one run with its kept memory and trace."""
    from fitact_hw.csr import StatusWord, clamp_place, range_hits  # reads the register map: only when something runs

    registers, word = record["registers"], None
    if registers is None:
        status, code, cycles, instructions = Status.TIMEOUT, 0, int(record["end_cycle"]), 0
    else:
        word = StatusWord.of(registers["STATUS"], *config.register_parts)
        status, code = Status.ERROR if word.error else Status.DONE, word.code
        cycles = registers["CYCLES_HIGH"] << 32 | registers["CYCLES_LOW"]
        instructions = registers["INSTRUCTIONS"]
        if not job.upsets and record["end_cycle"] != cycles:
            raise SimulationError(
                f"the machine counts {cycles} cycles, the test bench {record['end_cycle']}: "
                "correct START_LATENCY in sim/jobfile.py"
            )
    regions = {}
    wanted = job.regions()
    if wanted:
        kept = np.fromfile(folder / f"kept-{index}.bin", np.uint8)
        ends = np.cumsum([size for _, size in wanted.values()])
        regions = dict(zip(wanted, np.split(kept, ends[:-1]), strict=True))
    events = None
    if job.trace:
        events = np.fromfile(folder / f"trace-{index}.bin", TRACE_DTYPE)
        events["cycle"] -= record["first_edge"]
    return RunResult(
        job=job,
        status=status,
        code=code,
        cycles=cycles,
        instructions=instructions,
        applied=record["applied"],
        read_beats=record["read_beats"],
        write_beats=record["write_beats"],
        violation=record["violation"],
        seconds=record["seconds"],
        cpu_seconds=record["cpu_seconds"],
        simulated_cycles=record["simulated_cycles"],
        regions=regions,
        events=events,
        waves=wave_path(job, record["wave_suffix"]) if job.waves else None,
        detected=word is not None and word.detected,
        corrected_words=(registers or {}).get("CORRECTED", 0),
        detected_words=(registers or {}).get("DETECTED", 0),
        clamp_hits=(registers or {}).get("CLAMP_HITS", 0),
        clamp_first=clamp_place((registers or {}).get("CLAMP_FIRST", 0)),
        clamped=word is not None and word.clamped,
        alarm=word is not None and word.alarm,
        range_hits=range_hits(registers),
    )
