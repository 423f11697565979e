"""Maps blocks to gates, several times with slightly different scripts: their spread is the tools' noise."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fitact_hw.overhead import jobs
from fitact_hw.overhead.design import Block
from fitact_hw.overhead.jobs import SynthesisError, cached, digest, run_job
from fitact_hw.overhead.sta import analyse
from fitact_hw.overhead.technology import DONT_USE, Technology
from fitact_hw.overhead.worker import BLOCK

SYNTH_OPTIONS = "-booth"

_SCRIPT = (
    "strash; {before}&get -n; &fraig -x; &put; scorr; dc2; strash; {between}&get -n; &dch -f; "
    "&nf -D {target}; &put; buffer; upsize -D {target}; dnsize -D {target}; stime -p"
)

PERTURBATIONS: dict[str, tuple[str, str, float]] = {
    "plain": ("", "", 1.0),
    "permuted": ("permute; strash; ", "", 1.0),
    "balanced": ("", "balance; ", 1.0),
    "refactored": ("drf; ", "", 1.0),
    "compressed": ("dc2; ", "", 1.0),
    "rewritten": ("drw; ", "", 1.0),
    "tighter": ("", "", 0.95),
    "rewritten late": ("", "rewrite; ", 1.0),
}
"""Equally good ABC scripts: commands before and between the optimisations, factor on the delay target."""

SRAM_PORTS: dict[str, tuple[str, ...]] = {
    "fitact_pe": ("act_in", "weight_in"),
    "fitact_lane": ("acc_data", "bias", "shift"),
    "fitact_lanes": ("bound_rd_data",),
}
"""Inputs that come straight from an SRAM, by module: their paths start with its access time."""

_CACHE_FORMAT = 5


@dataclass(frozen=True)
class Mapped:
    """One block in gates, over all runs. Areas in um2, delays in ns.

    ``*_sd`` are standard deviations of one run; ``sram_path`` is the worst path from the inputs that come
    from an SRAM, without its access time (0: none).
    """

    name: str
    runs: int
    area: float
    area_sd: float
    flop_area: float
    flops: int
    cells: float
    delay: float
    delay_sd: float
    abc_delay: float
    sram_path: float

    def mean_error(self, value: float) -> float:
        """Standard error of the mean for a standard deviation ``value`` of one run."""
        return value / max(self.runs, 1) ** 0.5


def recipes(target_ps: float, names: Sequence[str]) -> list[dict[str, Any]]:
    """ABC scripts by name, as the worker takes them."""
    result = []
    for name in names:
        before, between, factor = PERTURBATIONS[name]
        script = _SCRIPT.format(before=before, between=between, target=round(target_ps * factor))
        result.append({"name": name.replace(" ", "_"), "commands": script.split("; ")})
    return result


def map_job(technology: Technology, names: Sequence[str], **extra: Any) -> dict[str, Any]:
    """A mapping job without its files."""
    return {
        "action": "map",
        "top": BLOCK,
        "synth": SYNTH_OPTIONS,
        "liberty": [str(path) for path in technology.files],
        "dont_use": list(DONT_USE),
        "driver": technology.driver,
        "load_ff": technology.load_ff,
        "target_ps": technology.target_ps,
        "recipes": recipes(technology.target_ps, names),
        **extra,
    }


def map_block(block: Block, technology: Technology, folder: Path, names: Sequence[str]) -> Mapped:
    """Map one block with the scripts called ``names``; cached by content."""
    job = map_job(technology, names, files=["block.il"])
    settings = {name: value for name, value in job.items() if name != "liberty"}
    key = digest("map", _CACHE_FORMAT, jobs.yosys_version(), technology.digest, settings, block.name, block.rtlil)

    def make() -> dict[str, Any]:
        runs = run_job(job, {"block.il": block.rtlil})["runs"]
        return {"runs": [_measure(run, block, technology) for run in runs]}

    runs = cached(folder, key, make)["runs"]
    areas, delays = [run["area"] for run in runs], [run["delay"] for run in runs]
    return Mapped(
        name=block.name,
        runs=len(runs),
        area=statistics.mean(areas),
        area_sd=statistics.stdev(areas) if len(runs) > 1 else 0.0,
        flop_area=runs[0]["flop_area"],
        flops=runs[0]["flops"],
        cells=statistics.mean(run["cells"] for run in runs),
        delay=statistics.mean(delays),
        delay_sd=statistics.stdev(delays) if len(runs) > 1 else 0.0,
        abc_delay=statistics.mean(run["abc_ps"] for run in runs) / 1000,
        sram_path=statistics.mean(run["sram_path"] for run in runs),
    )


def _measure(run: dict[str, Any], block: Block, technology: Technology) -> dict[str, Any]:
    """Numbers of one run; the netlist itself is not kept."""
    library = technology.library
    known = set(library.cells)
    ours = [cell for cell in run["cells"] if cell[0] in known]
    left = sorted({cell[0] for cell in run["cells"]} - known)
    unmapped = [name for name in left if name.startswith("$") and not name.startswith("$paramod")]
    if unmapped:
        raise SynthesisError(f"{block.name}: cells left unmapped by {technology.name}: {', '.join(unmapped[:4])}")
    flops = [library.area(cell[0]) for cell in ours if library.is_flop(cell[0])]
    area = sum(library.area(cell[0]) for cell in ours)
    late = SRAM_PORTS.get(block.name, ())
    if abs(area - run["area"]) > 0.01 * max(area, 1.0):
        raise SynthesisError(f"{block.name}: Yosys counts {run['area']:.1f} um2, the cells sum up to {area:.1f}")
    return {
        "recipe": run["recipe"],
        "area": area,
        "flop_area": sum(flops),
        "flops": len(flops),
        "cells": len(ours),
        "abc_ps": run["abc_ps"],
        "delay": analyse(run["cells"], run["ports"], technology).period_ns,
        "sram_path": analyse(run["cells"], run["ports"], technology, start=late).period_ns if late else 0.0,
    }


def map_all(
    work: Sequence[tuple[Block, Sequence[str]]],
    technology: Technology,
    folder: Path,
    workers: int,
    progress: Callable[[str], None],
) -> dict[str, Mapped]:
    """Map blocks in parallel; the result is keyed by :attr:`Block.key`.

    ``progress`` gets the name of each block that is done.
    """
    result: dict[str, Mapped] = {}
    with ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(map_block, block, technology, folder, names): block for block, names in work}
        try:
            for future in as_completed(futures):
                block = futures[future]
                result[block.key] = future.result()
                progress(block.name)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return result
