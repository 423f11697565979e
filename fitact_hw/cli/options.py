"""Options that several commands share."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import FitActError

RowsOption = Annotated[int | None, typer.Option("--rows", help="rows of the PE array (input channels) [16]")]
ColsOption = Annotated[int | None, typer.Option("--cols", help="columns of the PE array (output channels) [16]")]
WordOption = Annotated[int | None, typer.Option("--word", help="word width in bits: 8, 16 or 32 (Q15.16) [8]")]
SeedOption = Annotated[int, typer.Option("--seed", help="seed of every random draw; recorded in the results")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file with fields of AcceleratorConfig (buffer depths, bus, ...)"),
]


def with_machine(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of a machine (rows, cols, word, config) in place of its parameter ``machine``."""
    options = (
        ("rows", RowsOption),
        ("cols", ColsOption),
        ("word", WordOption),
        ("config", ConfigOption),
    )
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if parameter.name == "machine":
            kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
            parameters += [inspect.Parameter(n, kind, default=None, annotation=a) for n, a in options]
        else:
            parameters.append(parameter)

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        rows, cols, word, config = (given.pop(name) for name, _ in options)
        command(**given, machine=AcceleratorConfig.load(config, rows=rows, cols=cols, word_bits=word))

    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def fraction(text: str, option: str) -> float:
    """``5%`` or ``0.05`` as 0.05. Raises FitActError unless it lies between 0 and 1."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise FitActError(f"{option} {text}: write it as 1% or 0.01, more than 0 and less than 100%")
    return value


def names(text: str) -> tuple[str, ...]:
    """The parts of a list with commas, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
