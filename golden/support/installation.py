"""How this program is installed, and what to say when a part of it is missing."""

from __future__ import annotations

from pathlib import Path

from golden.errors import UserError
from golden.support.folders import checkout

DISTRIBUTION = "fitact-testbed"


def how_to_install(extra: str = "") -> str:
    """What to do about a missing package; ``extra``: the optional part of the distribution that holds it."""
    return "run `make setup`" if checkout() else f"pip install '{DISTRIBUTION}{f'[{extra}]' if extra else ''}'"


def source_tree(what: str) -> Path:
    """The checkout, for ``what`` refreshes its files. Raises UserError if there is none."""
    tree = checkout()
    if tree is None:
        raise UserError(f"{what} needs the source tree: clone the repository and run it there")
    return tree
