"""The command line `fitact`: thin commands over the packages, one module per group of commands."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import NoReturn

import typer
from rich.console import Console

from golden.errors import UserError

app = typer.Typer(
    name="fitact",
    help="RTL co-simulation testbed for FitAct: bounded activations in a generated systolic-array accelerator.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

EXIT_ERROR = 2
"""Exit code of every expected failure."""

EXIT_INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells report it."""


def _register() -> None:
    from fitact_hw.cli import (
        campaign_commands,
        golden_commands,
        hardware_commands,
        overhead_commands,
        resilience_commands,
        sim_commands,
    )

    for module in (
        sim_commands,
        campaign_commands,
        resilience_commands,
        overhead_commands,
        hardware_commands,
        golden_commands,
    ):
        module.register(app)


def _terminate(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _fail(message: str, code: int) -> NoReturn:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]error:[/] {message}", markup=True)
    sys.exit(code)


def main() -> None:
    """Entry point. Prints expected failures as one line and exits with code 2; Ctrl-C exits with 130."""
    _register()
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except UserError as error:
        _fail(" ".join(str(error).split()), EXIT_ERROR)
    except KeyboardInterrupt:
        _interrupted()
    except SystemExit as stop:
        if stop.code == EXIT_INTERRUPTED:  # typer turns Ctrl-C inside a command into this, without a word
            _interrupted()
        raise
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        place = f" ({error.filename})" if error.filename else ""
        reason = os.strerror(error.errno or 0)
        _fail(f"{reason}{place}: free some space or choose another folder with OUT=", EXIT_ERROR)


def _interrupted() -> NoReturn:
    _fail("interrupted; what had finished is kept, nothing half-written is used later", EXIT_INTERRUPTED)
