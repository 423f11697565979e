"""``file.py:name``: what the user's Python gives, with errors of one line that say where."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from golden.errors import GoldenError


def is_callable(text: str) -> bool:
    """Whether ``text`` is of the form ``file.py:name``."""
    file, _, name = text.rpartition(":")
    return file.endswith(".py") and name.isidentifier()


def source_file(text: str) -> Path:
    """The file of ``file.py:name``. Raises GoldenError if it is not there."""
    path = Path(text.rpartition(":")[0])
    if not path.is_file():
        raise GoldenError(f"{path} does not exist: name file.py:function")
    return path


def load(text: str) -> Any:
    """What ``file.py:name`` is; the file's folder is searched for its own imports. Raises GoldenError."""
    path, name = source_file(text).resolve(), text.rpartition(":")[2]
    module = load_module(path)
    if not hasattr(module, name):
        raise GoldenError(f"{path.name} has no {name}")
    return getattr(module, name)


def load_module(path: Path) -> ModuleType:
    """A Python file that is there, by its whole path, as a module. Raises GoldenError."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before, sys.path[:0] = sys.modules.get(path.stem), [str(path.parent)]
    sys.modules[path.stem] = module  # dataclasses and torch look there
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's own code raises
        raise GoldenError(f"{path.name} cannot be read: {one_line(error, path)}") from error
    finally:
        sys.path.remove(str(path.parent))
        if before is not None:
            sys.modules[path.stem] = before
    return module


def one_line(error: BaseException, path: Path) -> str:
    """What the user's own code raised, and where in ``path`` it did."""
    return f"{_line(error)}{_place(error, path)}"


def call(text: str) -> Any:
    """What the function ``file.py:name`` returns, called without arguments; what it is, if it is no function."""
    value = load(text)
    if not callable(value):
        return value
    path = source_file(text).resolve()
    try:
        return value()
    except Exception as error:  # whatever the user's own code raises
        raise GoldenError(f"{text} failed: {one_line(error, path)}") from error


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _place(error: BaseException, path: Path) -> str:
    """Where in the user's file it happened."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f" at {path.name}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f" at {path.name}:{frames[-1].lineno}: {frames[-1].line}" if frames else ""
