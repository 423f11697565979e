"""Paths on the command line, checked before anything is loaded or computed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from fitact_hw.errors import FitActError


def out_folder(text: str | Path) -> Path:
    """A folder for results, which may be there or not. Raises ValueError if it cannot be one."""
    path = _named(text, "folder")
    if path.exists() and not path.is_dir():
        raise ValueError("is a file: name a folder")
    _check_writable(path)
    return path


def out_file(text: str | Path) -> Path:
    """A file to be written. Raises ValueError if it cannot be one."""
    path = _named(text, "file")
    if path.is_dir():
        raise ValueError("is a folder: name a file")
    _check_writable(path.absolute().parent)
    return path


def given_folder(text: str | Path) -> Path:
    """A folder that must be there. Raises ValueError."""
    path = _named(text, "folder")
    if not path.is_dir():
        raise ValueError("is a file: name a folder" if path.exists() else "does not exist: name a folder")
    return path


def given_file(text: str | Path) -> Path:
    """A file that must be there. Raises ValueError."""
    path = _named(text, "file")
    if not path.is_file():
        raise ValueError("is a folder: name a file" if path.exists() else "does not exist: name a file")
    return path


def check_variable(name: str, check: Callable[[str], Path] = out_folder) -> None:
    """A path in the environment, if it is set. Raises FitActError naming the variable."""
    if value := os.environ.get(name):
        try:
            check(value)
        except ValueError as error:
            raise FitActError(f"{name}={value} {error}") from None


def _named(text: str | Path, what: str) -> Path:
    if not str(text).strip():
        raise ValueError(f"is empty: name a {what}")
    return Path(text)


def _check_writable(folder: Path) -> None:
    """Write a nameless file to where the folder is or would be."""
    present = folder.absolute()
    while not present.exists() and present != present.parent:
        present = present.parent
    if not present.is_dir():
        raise ValueError(f"cannot be a folder: {present} is a file")
    try:
        with tempfile.TemporaryFile(dir=present):
            pass
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise ValueError(f"cannot be written: nothing can be in {present} ({reason}); choose another place") from None
