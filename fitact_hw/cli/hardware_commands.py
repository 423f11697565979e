"""Commands about the machine itself: rtl, lint, docs, doctor, bench."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from fitact_hw.cli.options import ColsOption, ConfigOption, RowsOption, WordOption, with_machine
from fitact_hw.config import AcceleratorConfig, Granularity
from fitact_hw.errors import FitActError

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
)
"""Machines that `fitact lint` checks; the test suite checks a larger matrix."""


def rtl(
    rows: RowsOption = None,
    cols: ColsOption = None,
    word: WordOption = None,
    config: ConfigOption = None,
    bounds: BoundsOption = None,
    default: Annotated[bool, typer.Option("--default", help="refresh rtl/generated in the source tree")] = False,
    out: Annotated[Path | None, typer.Option(help="folder for the Verilog [build/<fingerprint>/rtl]")] = None,
) -> None:
    """Generate the Verilog of one machine."""
    from fitact_hw import verilog

    machine = AcceleratorConfig.load(config, rows=rows, cols=cols, word_bits=word, bounds=bounds)
    if default or (machine == AcceleratorConfig.create() and out is None):
        written = verilog.write_default()
    else:
        written = verilog.write(machine, out or Path("build") / machine.fingerprint / "rtl")
    folder = os.path.relpath(written[0].parent)
    print(f"wrote {len(written)} composed modules to {folder}; the {len(verilog.rtl_sources())} leaf cells are in rtl/")


def lint() -> None:
    """Verilator lint (-Wall) over several machines."""
    failed = 0
    for values in LINT_CONFIGS:
        machine = AcceleratorConfig.create(**values)
        messages = lint_machine(machine)
        what = f"bounds={machine.bounds.value:7s} protected buffers={len(machine.protected)}"
        print(f"{machine.fingerprint:28s} {what} {'NOT CLEAN' if messages else 'clean'}")
        if messages:
            failed += 1
            print(messages)
    if failed:
        raise FitActError(f"{failed} of {len(LINT_CONFIGS)} machines are not lint clean; see the messages above")


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
    structure: Annotated[str | None, typer.Option(help="list every site of one structure")] = None,
) -> None:
    """What an upset can hit: storage of the machine by structure, or every site of one structure."""
    from fitact_hw.sites import list_sites

    found = list_sites(machine)
    groups = {name: [site for site in found if site.structure == name] for name in sorted({s.structure for s in found})}
    if structure is not None:
        if structure not in groups:
            raise FitActError(f"no structure {structure!r} in this machine: there are {', '.join(groups)}")
        for site in groups[structure]:
            print(f"{site.path}  {site.depth} x {site.width} bits")
        return
    table = Table("structure", "sites", "bits", "share", title=f"Fault sites of {machine.fingerprint}")
    total = sum(site.bits for site in found)
    for name, group in groups.items():
        bits = sum(site.bits for site in group)
        table.add_row(name, str(len(group)), f"{bits:,}", f"{bits / total:.2%}")
    table.add_row("all", str(len(found)), f"{total:,}", "100 %", style="bold")
    Console().print(table)


def docs() -> None:
    """Regenerate the pages of docs/ that derive from definitions."""
    from fitact_hw import docs_gen

    for path in docs_gen.write_docs(docs_gen.documents()):
        print(f"wrote {path}")


def doctor() -> None:
    """Check every tool that the testbed needs and say what to install."""
    from sim.toolchain import doctor as check

    table = Table("tool", "found", "fix")
    missing = 0
    for tool in check():
        missing += tool.version is None and not tool.optional
        absent = "missing (optional)" if tool.optional else "[red]missing[/]"
        table.add_row(tool.name, tool.version or absent, "" if tool.version else tool.fix)
    Console().print(table)
    if missing:
        raise FitActError(f"{missing} tools are missing; the table says what to install")


@with_machine
def bench(
    machine: AcceleratorConfig,
    repeats: Annotated[int, typer.Option(min=1, help="runs of each; the median counts")] = 3,
) -> None:
    """Simulated cycles/s and MAC/s of the full machine next to a bare PE array, in one run."""
    from fitact_hw.bench.simulation import run_bench

    run_bench(machine, repeats)


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    for function in (rtl, sites, lint, docs, doctor, bench):
        app.command()(function)
