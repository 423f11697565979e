"""The page of `fitact overhead-power`."""

from __future__ import annotations

from collections.abc import Sequence

from fitact_hw.config import AcceleratorConfig
from fitact_hw.overhead.crosscheck import table_head, table_row
from fitact_hw.overhead.power.cell_power import BlockEnergy
from fitact_hw.overhead.power.measure import COMPARED, CYCLES, PowerResult
from fitact_hw.overhead.schemes import BASELINE, short_of


def markdown(config: AcceleratorConfig, results: Sequence[PowerResult], command: str) -> str:
    """The page for one or more technologies."""
    first = results[0]
    lines = [
        f"# Energy from switching activity: {first.network}",
        "",
        f"Made by `{command}`.",
        "",
        f"* **machine**: {config.rows}x{config.cols} array, {config.word_bits}-bit words, "
        f"{config.acc_bits}-bit accumulators",
        f"* **activity**: mapped PE, lane body and clamps, simulated for {CYCLES} pixels in {first.streams} places "
        f"(seed {first.seed}) with the network's operands; every output word equal to the golden model's",
        f"* **layers drawn from**: {first.covered:.1%} of the MACs (layers that fill the rows; no residual sums, no "
        "fully connected ones)",
        "* **left out**: wires, clock tree, glitches (zero delays), loading of weights, padding lanes, control",
        "* **buffers**: SRAM model at "
        + ", ".join(f"{result.sram_nm} nm" for result in results)
        + "; words counted in the compiled program",
        "",
    ]
    for result in results:
        lines += [f"## {result.technology}", "", *_cycles(result), "", *_inference(result), ""]
    return "\n".join(lines)


def _cycles(result: PowerResult) -> list[str]:
    """Energy of one cycle by block."""
    lines = table_head(["one cycle (pJ)", "nets", "inside cells", "clock pins", "sum", "cited model", "leakage (nW)"])
    mac, lane = (f"{value:.2f}" for value in result.cited_pj)
    lines.append(_cycle("PE, one MAC", result.element, mac))
    base = result.schemes[BASELINE.key]
    lines.append(_cycle("lane body, unfinished sum", base.body[0], ""))
    lines.append(_cycle("lane body, output", base.body[1], lane))
    for scheme in COMPARED:
        for when, block in zip(("unfinished sum", "output"), result.schemes[scheme.key].clamp, strict=True):
            lines.append(_cycle(f"clamp, {short_of(scheme.key)}, {when}", block, ""))
    return lines


def _cycle(name: str, block: BlockEnergy, cited: str) -> str:
    values = (block.nets, block.cells, block.clock, block.pj)
    return table_row([name, *(f"{value:.3f}" for value in values), cited, f"{block.leakage_nw:.3g}"])


def _inference(result: PowerResult) -> list[str]:
    """Energy of one image by part, against unprotected."""
    lines = table_head(["one image (uJ)", *(short_of(scheme.key) for scheme in COMPARED)])
    base = result.schemes[BASELINE.key]
    for name, attribute in (
        ("array", "array_uj"),
        ("lanes", "lanes_uj"),
        ("buffers", "buffers_uj"),
        ("chip", "chip_uj"),
    ):
        cells = []
        for scheme in COMPARED:
            value = getattr(result.schemes[scheme.key], attribute)
            change = f" ({value / getattr(base, attribute) - 1:+.2%})" if scheme is not BASELINE else ""
            cells.append(f"{value:.1f}{change}")
        lines.append(table_row([name, *cells]))
    return lines
