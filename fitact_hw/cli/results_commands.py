"""Commands about published results: redraw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fitact_hw.cli.command import add
from fitact_hw.cli.options import given_folder
from fitact_hw.cli.panels import RESULTS
from fitact_hw.reporting.published import DATA


def _published(text: str | Path) -> Path:
    folder = given_folder(text)
    if not (folder / DATA).is_dir():
        raise ValueError(f"has no folder {DATA!r} of published tables: name a folder such as docs/results")
    return folder


def redraw(
    folder: Annotated[
        Path, typer.Argument(help="folder of pages, charts and a folder `data`", parser=_published, metavar="FOLDER")
    ] = Path("docs/results"),
) -> Any:
    """Draw every chart of published results again from the tables in the folder's `data`."""
    from fitact_hw.redraw import redraw as draw
    from fitact_hw.reporting.terminal import terminal

    console = terminal()
    return draw(folder, lambda path: console.print(f"drew {path}", soft_wrap=True))


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    add(app, RESULTS, redraw)
