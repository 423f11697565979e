"""Commands about the machine itself: rtl, sites, lint, docs."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from fitact_hw.cli.checks import known_structure
from fitact_hw.cli.command import add
from fitact_hw.cli.options import (
    ColsOption,
    ConfigOption,
    ParameterCheckOption,
    RowsOption,
    WordOption,
    folder_option,
    with_machine,
)
from fitact_hw.cli.panels import MACHINE
from fitact_hw.config import AcceleratorConfig, Granularity
from fitact_hw.errors import FitActError
from fitact_hw.reporting.terminal import terminal
from golden.support.choices import unknown

BoundsOption = Annotated[Granularity | None, typer.Option("--bounds", help="bound hardware of the lanes [neuron]")]
LINT_CONFIGS: tuple[dict[str, Any], ...] = (
    {},
    {"rows": 2, "cols": 2, "bounds": "none"},
    {"rows": 3, "cols": 3, "word_bits": 16, "bounds": "layer"},
    {"rows": 7, "cols": 7, "word_bits": 32},
    {"rows": 32, "cols": 32, "bus_bits": 512},
    {"rows": 4, "cols": 4, "protection": {"activation": "secded", "weight": "parity", "output": "parity"}},
    {"protection": "secded"},
    {"rows": 4, "cols": 4, "bounds": "channel", "bound_words": 2},
    {"word_bits": 16, "bounds": "patch", "bound_format": "code4", "protection": {"bound": "secded"}},
    {"parameter_check": "bitcheck"},
    {"rows": 4, "cols": 4, "word_bits": 32, "protection": {"bias": "secded"}, "parameter_check": "check"},
    {"word_bits": 16, "bounds": "none", "parameter_check": "bitcheck"},
)
"""Machines that `fitact lint` checks; the test suite checks a larger matrix."""


def rtl(
    rows: RowsOption = None,
    cols: ColsOption = None,
    word: WordOption = None,
    config: ConfigOption = None,
    bounds: BoundsOption = None,
    parameter_check: ParameterCheckOption = None,
    default: Annotated[bool, typer.Option("--default", help="refresh rtl/generated in the source tree")] = False,
    out: Annotated[Path | None, folder_option("export everything that another tool needs to this folder")] = None,
) -> Any:
    """Generate the Verilog of one machine; with --out, a folder that stands alone: cells, file list, registers."""
    values = {"rows": rows, "cols": cols, "word_bits": word, "bounds": bounds, "parameter_check": parameter_check}
    machine = AcceleratorConfig.load(config, **values)
    if default and out:
        raise FitActError("--default refreshes rtl/generated and --out exports a folder: give one of them")
    from fitact_hw import verilog
    from fitact_hw.export import FILE_LIST, export
    from fitact_hw.reporting.provenance import version

    if out:
        written = export(machine, out, version())
        terminal().print(f"exported {len(written)} files to {out}: its README.md and {FILE_LIST} say how to use them")
    else:
        refresh = default or machine == AcceleratorConfig.create()
        folder = Path("build") / machine.fingerprint / "rtl"
        written = verilog.write_default() if refresh else verilog.write(machine, folder)
        place, leaves = os.path.relpath(written[0].parent), len(verilog.rtl_sources())
        terminal().print(f"wrote {len(written)} composed modules to {place}; the {leaves} leaf cells are in rtl/")
    folder = Path(os.path.relpath(written[0].parent))
    return {"machine": machine.fingerprint, "folder": str(folder), "files": [path.name for path in written]}


def lint() -> Any:
    """Verilator lint (-Wall) over several machines."""
    console, found = terminal(), {}
    for values in LINT_CONFIGS:
        machine = AcceleratorConfig.create(**values)
        messages = lint_machine(machine)
        what = f"bounds={machine.bounds.value:7s} protected buffers={len(machine.protected)}"
        console.print(f"{machine.fingerprint:28s} {what} {'NOT CLEAN' if messages else 'clean'}", soft_wrap=True)
        if messages:
            console.print(messages, markup=False, soft_wrap=True)
        found[machine.fingerprint] = messages
    if failed := sum(map(bool, found.values())):
        raise FitActError(f"{failed} of {len(LINT_CONFIGS)} machines are not lint clean; see the messages above")
    return found


def lint_machine(machine: AcceleratorConfig) -> str:
    """What `verilator --lint-only -Wall` says about a machine: empty if it is clean."""
    from fitact_hw import verilog
    from sim.toolchain import find_toolchain

    tools = find_toolchain()
    with tempfile.TemporaryDirectory() as folder:
        files = [*verilog.rtl_sources(), *verilog.write(machine, Path(folder))]
        command = [
            str(tools.verilator_root / "bin" / "verilator"),
            "--lint-only",
            "-Wall",
            f"-I{verilog.RTL}",
            "--top-module",
            "fitact_top",
        ]
        done = subprocess.run(
            [*command, *map(str, files)], env=tools.environment(), capture_output=True, text=True, check=False
        )
    return (done.stderr + done.stdout).strip() if done.returncode or "%Warning" in done.stderr else ""


@with_machine
def sites(
    machine: AcceleratorConfig,
    structure: Annotated[
        str | None, typer.Option(help="list every site of one structure", callback=known_structure)
    ] = None,
) -> Any:
    """What an upset can hit: storage of the machine by structure, or every site of one structure."""
    from fitact_hw.sites import list_sites

    console, found = terminal(), list_sites(machine)
    groups = {name: [site for site in found if site.structure == name] for name in sorted({s.structure for s in found})}
    if structure is not None:
        if structure not in groups:
            raise FitActError(unknown("structure", structure, tuple(groups), "this machine has"))
        for site in groups[structure]:
            console.print(f"{site.path}  {site.depth} x {site.width} bits", markup=False, soft_wrap=True)
        return groups[structure]
    table = Table("structure", "sites", "bits", "share", title=f"Fault sites of {machine.fingerprint}")
    total = sum(site.bits for site in found)
    for name, group in groups.items():
        bits = sum(site.bits for site in group)
        table.add_row(name, str(len(group)), f"{bits:,}", f"{bits / total:.2%}")
    table.add_row("all", str(len(found)), f"{total:,}", "100 %", style="bold")
    console.print(table)
    by_structure = {name: sum(site.bits for site in group) for name, group in groups.items()}
    return {"machine": machine.fingerprint, "bits": total, "structures": by_structure}


def docs() -> Any:
    """Regenerate the pages of docs/ that derive from definitions."""
    from fitact_hw import docs_gen
    from fitact_hw.cli import python_reference, reference
    from golden.support.installation import source_tree

    source_tree("`fitact docs`")
    pages = docs_gen.documents() | reference.documents() | python_reference.documents()
    console, written = terminal(), docs_gen.write_docs(pages)
    for path in written:
        console.print(f"wrote {path}", markup=False, soft_wrap=True)
    return written


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    for function in (rtl, sites, lint, docs):
        add(app, MACHINE, function)
