"""The lane of every scheme in several technologies: what the clamp adds, and that it does not limit the lane.

A lane is one block, the body, that all schemes share, and a clamp behind its registers. So this needs no whole
machine and takes a minute per library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from fitact_hw.config import AcceleratorConfig
from fitact_hw.overhead.cost import CLAMP, CLAMP_OF_SCHEME, LANE, cells
from fitact_hw.overhead.crosscheck import table_head, table_row
from fitact_hw.overhead.design import Block, elaborate
from fitact_hw.overhead.mapping import PERTURBATIONS, Mapped, map_block
from fitact_hw.overhead.metrics import SIGMAS
from fitact_hw.overhead.schemes import BASELINE, SCHEMES, clamp_of, clamp_parameters, short_of
from fitact_hw.overhead.technology import Technology

BODY = "body"
DECODER = "4-bit decoder"
CLAMPS = tuple(scheme.key for scheme in SCHEMES if clamp_of(scheme) is scheme)
"""Schemes with clamps of their own; the others share one of these."""


@dataclass(frozen=True)
class Library:
    """One technology and its mapped blocks: the body, the decoder of coded bounds, a clamp for each of `CLAMPS`."""

    technology: Technology
    blocks: Mapping[str, Mapped]

    def gates(self, area: float) -> float:
        """Gate equivalents of an area (um2)."""
        return area / self.technology.nand2_um2

    def added(self, key: str) -> tuple[float, float]:
        """Area (um2) of a clamp beyond the unprotected one, and its noise (two standard errors)."""
        clamp, base = self.blocks[key], self.blocks[BASELINE.key]
        noise = SIGMAS * math.hypot(*(block.mean_error(block.area_sd) for block in (clamp, base)))
        return clamp.area - base.area, noise


def lane_blocks(config: AcceleratorConfig, folder: Path) -> dict[str, Block]:
    """The blocks of a lane, ready to be mapped."""
    files = cells()

    def one(top: str, parameters: dict[str, int], flatten: bool) -> Block:
        wanted = {f"{name}.v": files[f"{name}.v"] for name in (LANE, CLAMP, CLAMP_OF_SCHEME, "fitact_bound_code")}
        blocks = elaborate(wanted, top, folder, parameters, flatten=flatten).blocks
        return next(block for block in blocks if block.name == top)

    result = {BODY: one(LANE, {"DATA_W": config.word_bits, "ACC_W": config.acc_bits}, False)}
    for scheme in SCHEMES:
        if scheme.key in CLAMPS:
            top = CLAMP if scheme.mode is None else CLAMP_OF_SCHEME
            result[scheme.key] = one(top, clamp_parameters(config, scheme), True)
    result[DECODER] = one("fitact_bound_code", {"DATA_W": config.word_bits}, True)
    return result


def measure(
    config: AcceleratorConfig,
    technologies: Sequence[Technology],
    folder: Path,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Library]:
    """Map the blocks with every library. Raises SynthesisError."""
    blocks, result = lane_blocks(config, folder), []
    scripts = list(PERTURBATIONS)
    for technology in technologies:
        mapped = {}
        for name, block in blocks.items():
            progress(f"{technology.name}: {name}")
            mapped[name] = map_block(block, technology, folder, scripts[:1] if name == BODY else scripts)
        result.append(Library(technology, mapped))
    return result


def markdown(config: AcceleratorConfig, libraries: Sequence[Library], command: str) -> str:
    """The comparison as a Markdown page; the first library is compared with the others of its node."""
    names = [library.technology.name for library in libraries]
    lines = [
        f"# One lane in {len(libraries)} technologies",
        "",
        f"Made by `{command}`: {config.word_bits}-bit words, {config.acc_bits}-bit accumulators, before layout.",
        "",
        "## Area (um2; gate equivalents)",
        "",
        *table_head(["block", *names]),
    ]
    for key in (BODY, *CLAMPS, DECODER):
        cells = []
        for library in libraries:
            block = library.blocks[key]
            error = SIGMAS * block.mean_error(block.area_sd)
            cells.append(f"{block.area:,.1f} ± {error:.1f}; {library.gates(block.area):,.0f}")
        lines.append(table_row([_title(key), *cells]))
    lines += ["", "## Added to the lane by a clamp (gate equivalents; percent of the unprotected lane)", ""]
    lines += table_head(["clamp", *names])
    for key in CLAMPS[1:]:
        cells = []
        for library in libraries:
            lane = library.blocks[BODY].area + library.blocks[BASELINE.key].area
            area, noise = library.added(key)
            cells.append(
                f"{library.gates(area):.0f} ± {library.gates(noise):.0f} ({area / lane:+.1%})",
            )
        lines.append(table_row([short_of(key), *cells]))
    lines += ["", "Order, cheapest first (`=`: the difference is within noise):", ""]
    lines += [f"* {library.technology.name}: {ranking(library)}" for library in libraries]
    lines += ["", "## Longest paths (ns)", "", *table_head(["stage", *names])]
    for key in (BODY, *CLAMPS, DECODER):
        lines.append(table_row([_title(key), *(f"{library.blocks[key].delay:.3f}" for library in libraries)]))
    lines += [
        "",
        "The body limits the lane wherever its path is the longest: then the clamp adds nothing to the clock period,",
        "in an array of any size.",
    ]
    return "\n".join([*lines, *_ratios(libraries), ""])


def ranking(library: Library) -> str:
    """Clamps by the area that they add; neighbours within noise are joined by ``=``."""
    order = sorted(CLAMPS[1:], key=lambda key: library.added(key)[0])
    text = short_of(order[0])
    for before, key in pairwise(order):
        one, other = library.blocks[before], library.blocks[key]
        noise = SIGMAS * math.hypot(*(block.mean_error(block.area_sd) for block in (one, other)))
        text += f" {'=' if other.area - one.area <= noise else '<'} {short_of(key)}"
    return text


def _ratios(libraries: Sequence[Library]) -> list[str]:
    """The first library against each other one of the same node, block by block and delta by delta."""
    first = libraries[0]
    peers = [other for other in libraries[1:] if other.technology.node_nm == first.technology.node_nm]
    lines = ["", f"## {first.technology.name} over others of its node", ""]
    lines += table_head(["area of", *(peer.technology.name for peer in peers)])
    for key in (BODY, *CLAMPS, DECODER):
        base = first.gates(first.blocks[key].area)
        lines.append(table_row([_title(key), *(f"{base / p.gates(p.blocks[key].area):.3f}" for p in peers)]))
    for key in CLAMPS[1:]:
        base = first.gates(first.added(key)[0])
        cells = [f"{base / peer.gates(peer.added(key)[0]):.3f}" for peer in peers]
        lines.append(table_row([f"{short_of(key)}, added to unprotected", *cells]))
    lines.append("")
    lines.append("Areas are divided by the library's own NAND2, so libraries of different cell heights compare.")
    return lines if peers else []


def _title(key: str) -> str:
    return key if key in (BODY, DECODER) else f"clamp: {short_of(key)}"
