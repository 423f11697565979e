"""Commands about the installation: doctor."""

from __future__ import annotations

from typing import Any

import typer
from rich.table import Table

from fitact_hw.cli.command import add
from fitact_hw.cli.panels import INSTALLATION
from fitact_hw.errors import FitActError
from fitact_hw.reporting.terminal import terminal


def doctor() -> Any:
    """Check every tool that the testbed needs and say what to install."""
    from sim.toolchain import doctor as check

    table = Table("tool", "found", "fix")
    missing = 0
    found = check()
    for tool in found:
        missing += tool.version is None and not tool.optional
        absent = "missing (optional)" if tool.optional else "[red]missing[/]"
        table.add_row(tool.name, tool.version or absent, "" if tool.version else tool.fix)
    terminal().print(table)
    if missing:
        raise FitActError(f"{missing} tools are missing; the table says what to install")
    return found


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    add(app, INSTALLATION, doctor)
