"""The command line `fitact`: thin commands over the packages, one module per group of commands."""

from __future__ import annotations

import errno
import functools
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from fitact_hw.cli.options import folder_option
from fitact_hw.cli.usage import Commands, UsageError, explain
from fitact_hw.reporting.command import NAME
from fitact_hw.reporting.provenance import note_command, version_line
from golden.errors import UserError
from golden.support.folders import BUILD

EXIT_ERROR = 2
"""Exit code of every expected failure."""

EXIT_INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells report it."""

PLACES = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG),
)
"""Errors of the operating system that speak of a place that the user chose."""


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version_line())
        raise typer.Exit


@functools.cache
def application() -> typer.Typer:
    """Every command, in its group."""
    from fitact_hw.cli import (
        alarm_commands,
        bench_commands,
        campaign_commands,
        doctor_commands,
        fmeda_commands,
        hardware_commands,
        network_commands,
        overhead_commands,
        resilience_commands,
        results_commands,
        sim_commands,
        subject_commands,
    )

    app = typer.Typer(
        name=NAME,
        cls=Commands,
        help="RTL co-simulation testbed for FitAct: bounded activations in a generated systolic-array accelerator.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def fitact(
        version: Annotated[
            bool, typer.Option("--version", callback=_print_version, is_eager=True, help="show the version and stop")
        ] = False,
        build: Annotated[
            Path | None,
            folder_option(
                "where builds, caches and downloads are kept [FITACT_BUILD; build/ of the checkout, or ~/.cache]"
            ),
        ] = None,
    ) -> None:
        if build:
            os.environ[BUILD] = str(build.resolve())

    for module in (
        sim_commands,
        subject_commands,
        campaign_commands,
        fmeda_commands,
        alarm_commands,
        resilience_commands,
        overhead_commands,
        hardware_commands,
        network_commands,
        bench_commands,
        results_commands,
        doctor_commands,
    ):
        module.register(app)
    return app


@functools.cache
def _command() -> Any:
    return typer.main.get_command(application())


def _terminate(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _fail(message: str, code: int = EXIT_ERROR) -> NoReturn:
    line = " ".join(message.split())
    Console(stderr=True, highlight=False, emoji=False, soft_wrap=True).print(f"[bold red]error:[/] {escape(line)}")
    sys.exit(code)


def main() -> NoReturn:
    """Entry point: exits with 0; with 2 after an expected failure, told in one line; with 130 after Ctrl-C."""
    signal.signal(signal.SIGTERM, _terminate)
    note_command(sys.argv[1:])
    try:
        code = _command()(prog_name=NAME, standalone_mode=False)
    except UserError as error:
        _fail(str(error))
    except UsageError as error:
        if not error.message and getattr(error, "param", None) is None:  # no arguments: the help has been printed
            sys.exit(EXIT_ERROR)
        _fail(explain(error))
    except KeyboardInterrupt:
        _interrupted()
    except SystemExit as stop:  # nobody reads what is printed
        sys.exit(EXIT_ERROR if stop.code else 0)
    except OSError as error:
        if error.errno not in PLACES:
            raise
        place = f" ({error.filename})" if error.filename else ""
        _fail(
            f"{os.strerror(error.errno or 0)}{place}: free some space or choose another folder with --out (make: OUT=)"
        )
    if code == EXIT_INTERRUPTED:  # typer makes this of Ctrl-C inside a command
        _interrupted()
    sys.exit(code if isinstance(code, int) else 0)


def _interrupted() -> NoReturn:
    _fail("interrupted; what had finished is kept, nothing half-written is used later", EXIT_INTERRUPTED)
