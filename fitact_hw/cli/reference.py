"""The page on the command line, made of the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import typer

from fitact_hw.cli import application
from fitact_hw.cli.command import PANEL as OUTPUT
from fitact_hw.docs_gen import DOCS, table
from fitact_hw.reporting.command import NAME

ROOT = DOCS.parent

PAGE = "reference/command-line.md"

_HEAD = """# Command line

Made from the commands by `fitact docs`. With make, options are variables: `make sim MODEL=vgg16 WORD=32` is
`fitact sim vgg16 --word 32`; `make help` lists the targets.

What is built or fetched and can be had again goes to one folder, whatever the working directory: `build/` of the
checkout, for an installed package `fitact` in the user's cache folder (`~/.cache/fitact` on Linux); the variable
`FITACT_BUILD` or `fitact --build FOLDER <command>` names another. Results go to `build/<name>` in the working
directory, or where `--out` says.

Every command has `--help`. Commands with a result also take:"""

_CODES = (
    """Exit codes: 0 success, 2 an expected failure (one line on standard error says what to do), 130 interrupted."""
)


def command_line_md() -> str:
    """Every command in its group, with arguments and options."""
    commands = list(_commands(typer.main.get_command(application()), NAME))
    output = dict(record for _, _, command in commands for record in _records(command, panel=OUTPUT))
    lines = [_HEAD, "", *table(("option", "meaning"), output.items()), "", _CODES]
    heading = ""
    for group, name, command in commands:
        if group != heading:
            heading = group
            lines += ["", f"## {group}"]
        lines += ["", f"### `{name}`", "", " ".join((command.help or "").split())]
        records = list(_records(command))
        if records:
            lines += ["", *table(("argument or option", "meaning"), records)]
    return "\n".join(lines) + "\n"


def _commands(parent: Any, path: str, group: str = "") -> Iterator[tuple[str, str, Any]]:
    """(group in the help, whole name, command); commands of a subcommand like `campaign` belong to its group."""
    members: Mapping[str, Any] = parent.commands
    for word, command in members.items():
        title = group or command.rich_help_panel
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {word}", title)
        else:
            yield title, f"{path} {word}", command


def _records(command: Any, panel: str | None = None) -> Iterator[tuple[str, str]]:
    """(how it is written, what it means) of the parameters of a panel, `--help` left out."""
    context = typer.Context(command, info_name=command.name)
    for parameter in sorted(command.get_params(context), key=lambda item: item.param_type_name):  # arguments first
        record = parameter.get_help_record(context)
        if record and "--help" not in parameter.opts and getattr(parameter, "rich_help_panel", None) == panel:
            text = " ".join(record[1].split()).replace(f"{ROOT}/", "")
            yield f"`{record[0].replace('|', ', ')}`", text.replace("\\[", "[").replace("<", "&lt;")


def documents() -> dict[str, str]:
    """Path in `docs/` -> text."""
    return {PAGE: command_line_md()}
