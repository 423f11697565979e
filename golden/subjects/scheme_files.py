"""Schemes of the user's by their files: ``file.py:NAME`` in the place of a name."""

from __future__ import annotations

from golden.bounds.own import declare, of_file
from golden.bounds.schemes import SCHEMES, Scheme
from golden.errors import GoldenError
from golden.subjects.names import source_path
from golden.subjects.source import is_callable, load_module


def is_scheme_file(text: str) -> bool:
    """Whether ``text`` is of the form ``file.py`` or ``file.py:NAME``."""
    return text.endswith(".py") or is_callable(text)


def scheme_of(text: str) -> Scheme:
    """The scheme that ``file.py:NAME`` declares, or the only one in ``file.py``; known by its name from now on.

    Raises GoldenError in one line.
    """
    path = source_path(text)
    if not path.is_file():
        raise GoldenError(f"{path} does not exist: name a scheme, or file.py:NAME that declares one")
    module = load_module(path.resolve())
    shipped = tuple(SCHEMES.values())
    found = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, Scheme) and name[0] != "_" and not any(value is other for other in shipped)
    }
    if is_callable(text):
        name = text.rpartition(":")[2]
        if name not in found:
            raise GoldenError(f"{path.name} has no scheme {name}: it declares {', '.join(found) or 'none'}")
    elif len(found) == 1:
        [name] = found
    else:
        raise GoldenError(f"{path.name} declares {', '.join(found) or 'no scheme'}: name one as {path.name}:NAME")
    scheme = of_file(found[name], path, name)
    if scheme.bounded and scheme.find is None:
        raise GoldenError(f"{scheme.spec} does not say how its bounds are found: give it find=")
    return declare(scheme)


def named(label: str) -> str:
    """The name of a protection, where a scheme's file may stand for its name."""
    scheme, plus, check = label.partition("+")
    return f"{scheme_of(scheme).name if is_scheme_file(scheme) else scheme}{plus}{check}"
