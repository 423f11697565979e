"""Command lines that this program prints: defined once, quoted so that they can be pasted into a shell."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

from golden.support.folders import NAME


def command_line(*words: str, options: Mapping[str, Any], usual: Mapping[str, Any] | None = None) -> str:
    """For pages and records: ``fitact``, ``words`` (command and arguments) and ``options`` by names without dashes.

    An option is left out if it has its value in ``usual`` or if it is None, False, empty text or empty; a tuple is one
    value with commas between, a list repeats its option, True is a flag.
    """
    return shlex.join([NAME, *_words(words, options, usual or {})])


def here(*words: str, options: Mapping[str, Any] | None = None) -> str:
    """For the terminal: the same, with the program as it can be called from the working directory."""
    return shlex.join([*_program(), *_words(words, options or {}, {})])


def _program() -> list[str]:
    if shutil.which(NAME):
        return [NAME]
    beside = Path(sys.executable).with_name(NAME)
    return [os.path.relpath(beside)] if beside.exists() else [sys.executable, "-m", "fitact_hw"]


def _words(words: tuple[str, ...], options: Mapping[str, Any], usual: Mapping[str, Any]) -> list[str]:
    parts = list(map(str, words))
    for name, value in options.items():
        if name not in usual or value != usual[name]:
            parts += _option(f"--{name}", value)
    return parts


def _option(name: str, value: Any) -> list[str]:
    if value is None or value is False or value in ("", (), []):
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
