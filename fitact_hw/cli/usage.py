"""What was typed wrong, as one line: the option, what it may be, the nearest name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from fitact_hw.cli.panels import PANELS
from fitact_hw.errors import FitActError
from fitact_hw.reporting.command import NAME
from golden.support.choices import must_be, unknown

UsageError: type[Any] = typer.BadParameter.__mro__[1]
"""Base of what typer raises about the words of a command line; it has no public name there."""

EXTRA = re.compile(r"Got unexpected extra argument.*?\((?P<words>[^()]*)\)\.?")
"""How typer says that there are too many words."""

KINDS = {int: "a whole number", float: "a number"}


class Commands(TyperGroup):
    """A group in the order of its panels, which names the nearest command and all there are when one is unknown."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, panel by panel (:data:`fitact_hw.cli.panels.PANELS`), as they were added."""

        def place(name: str) -> int:
            panel = getattr(self.commands[name], "rich_help_panel", None)
            return PANELS.index(panel) if panel in PANELS else len(PANELS)

        return sorted(self.commands, key=place)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that ``args`` begins with. Raises FitActError if there is none."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            if ctx.resilient_parsing:  # completion
                return None, None, args[1:]
            raise FitActError(unknown("command", args[0], self.list_commands(ctx), f"{ctx.command_path} has"))
        return super().resolve_command(ctx, args)


def explain(error: Any) -> str:
    """The line about a usage error of typer."""
    context: Any = getattr(error, "ctx", None)
    parameter: Any = getattr(error, "param", None)
    command = context.command_path if context else NAME
    if hasattr(error, "possibilities"):
        return unknown("option", error.option_name, _options(context), f"{command} has")
    if hasattr(error, "param_type"):
        usage = context.get_usage().removeprefix("Usage: ")
        return f"{_name(parameter)} is missing ({parameter.help}): {usage}"
    if parameter is not None:
        given, why = _finding(error)
        allowed = _allowed(parameter, given)
        what = f"{_name(parameter)} {given}".strip() if parameter.param_type_name == "option" else given
        return f"{what}: {allowed}" if allowed else f"{what} {why}"
    if hasattr(error, "option_name"):
        return f"{error.option_name} {'takes no' if 'does not take' in error.message else 'needs a'} value"
    if extra := EXTRA.fullmatch(error.message):
        return f"unexpected argument {extra['words']}: see `{command} --help`"
    return f"{_lower(error.message)}: see `{command} --help`"


def _name(parameter: Any) -> str:
    """``--rows``, or the name of an argument in capitals."""
    if parameter.param_type_name == "option":
        return str(max(parameter.opts, key=len))
    return str(parameter.metavar or parameter.name.upper())


def _options(context: Any) -> Sequence[str]:
    """Every long option of a command."""
    found = [option for parameter in context.command.get_params(context) for option in parameter.opts]
    return [option for option in found if option.startswith("--")]


def _finding(error: Any) -> tuple[str, str]:
    """What was given, and what is wrong with it."""
    from pydantic import ValidationError

    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        return "", _lower(error.message)
    first = cause.errors()[0]
    return str(first["input"]) or "''", _lower(first["msg"].removeprefix("Value error, "))


def _allowed(parameter: Any, given: str) -> str:
    """What a choice or a number may be; empty for other kinds."""
    kind = getattr(parameter, "type_descriptor", None)
    if kind is None:
        return ""
    if kind.choices:
        return must_be(given, [getattr(choice, "value", choice) for choice in kind.choices])
    for number, word in KINDS.items():
        if kind.annotation is number:
            return f"must be {word}{_span(parameter.min, parameter.max)}"
    return ""


def _span(least: float | None, most: float | None) -> str:
    if least is None:
        return "" if most is None else f", at most {most:g}"
    return f", at least {least:g}" if most is None else f" from {least:g} to {most:g}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")
