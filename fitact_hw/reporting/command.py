"""The command line that repeats a run: defined once, quoted so that it can be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any


def command_line(*words: str, options: Mapping[str, Any], usual: Mapping[str, Any] | None = None) -> str:
    """``fitact``, ``words`` (command and arguments) and ``options`` by their names without dashes, quoted for a shell.

    An option is left out if it has its value in ``usual`` or if it is None, False, empty text or an empty tuple; a
    tuple is one value with commas between, a list repeats its option, True is a flag.
    """
    usual = usual or {}
    parts = ["fitact", *words]
    for name, value in options.items():
        if name in usual and value == usual[name]:
            continue
        parts += _option(f"--{name}", value)
    return shlex.join(parts)


def _option(name: str, value: Any) -> list[str]:
    if value is None or value is False or value == "" or value == () or value == []:
        return []
    if value is True:
        return [name]
    if isinstance(value, list):
        return [part for item in value for part in (name, _text(item))]
    return [name, _text(value)]


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    if isinstance(value, Enum):
        return str(value.value)
    return value.as_posix() if isinstance(value, PurePath) else str(value)
