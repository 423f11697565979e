"""How a function becomes a command: its group in the help, its output options, its result."""

from __future__ import annotations

import copy
import functools
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from fitact_hw.cli.paths import check_variable
from golden.support.output import Output, speaking

PANEL = "Output"

JsonOption = Annotated[
    bool,
    typer.Option(
        "--json", help="the result as JSON on standard output, all else on standard error", rich_help_panel=PANEL
    ),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="only the result: no notes, no progress", rich_help_panel=PANEL)
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="also where time and memory went", rich_help_panel=PANEL)
]

FOLDERS = ("FITACT_BUILD",)
"""Variables of the environment that name a folder."""


def add(
    app: typer.Typer, panel: str, function: Callable[..., Any], name: str | None = None, *, verbose: bool = False
) -> None:
    """Add a command to ``app``, in the group ``panel`` of its help.

    ``function`` returns its result as plain values or dataclasses; ``verbose``: it has diagnostics to show.
    """
    app.command(name or function.__name__.replace("_", "-"), rich_help_panel=panel)(with_output(function, verbose))


def with_output(function: Callable[..., Any], verbose: bool = False) -> Callable[..., None]:
    """``function`` with the options of its output; with ``--json`` what it returns is printed."""
    options = {"json": JsonOption, "quiet": QuietOption} | ({"verbose": VerboseOption} if verbose else {})
    kind = inspect.Parameter.KEYWORD_ONLY
    extra = [inspect.Parameter(name, kind, default=False, annotation=option) for name, option in options.items()]
    own = inspect.signature(function, eval_str=True).parameters.values()
    parameters = [parameter.replace(annotation=_literal(parameter.annotation)) for parameter in (*own, *extra)]

    @functools.wraps(function)
    def command(**given: Any) -> None:
        mode = Output(**{name: given.pop(name, False) for name in options})
        for variable in FOLDERS:
            check_variable(variable)
        with speaking(mode):
            result = function(**given)
        if mode.json:
            sys.stdout.write(json.dumps(plain(result), indent=1) + "\n")
        if code := getattr(result, "exit_code", 0):
            raise typer.Exit(code)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _literal(annotation: Any) -> Any:
    """The option with a help text whose brackets are shown: in rich's markup they would be styles."""
    kind, option = annotation.__origin__, copy.copy(annotation.__metadata__[0])
    option.help = escape(option.help or "")
    return Annotated[kind, option]


def plain(value: Any) -> Any:
    """``value`` as JSON has it: dataclasses and mappings as objects, arrays as lists, infinities and NaN as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy's, which is heavy to import
        return plain(value.tolist())
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value
