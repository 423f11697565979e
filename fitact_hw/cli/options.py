"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RowsOption = Annotated[int | None, typer.Option("--rows", help="rows of the PE array (input channels) [16]")]
ColsOption = Annotated[int | None, typer.Option("--cols", help="columns of the PE array (output channels) [16]")]
WordOption = Annotated[int | None, typer.Option("--word", help="word width in bits: 8, 16 or 32 (Q15.16) [8]")]
SeedOption = Annotated[int, typer.Option("--seed", help="seed of every random draw; recorded in the results")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file with fields of AcceleratorConfig (buffer depths, bus, ...)"),
]
