"""The build root: one folder for all that is kept between runs and can be made again, whatever the working directory.

Simulators, benches of cells, synthesis results, profiles, torch's compiled code and downloads are in it. Results of a
study are not: they go to `build/<name>` where the user is, or where `--out` says.
"""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

NAME = "fitact"
"""Of the program, and of its cache folder."""

BUILD = "FITACT_BUILD"
"""Variable that names another build root."""

_SOURCE = Path(__file__).resolve().parents[2]


def checkout() -> Path | None:
    """The source tree that this code runs from; None if it is installed as a package."""
    return _SOURCE if (_SOURCE / "pyproject.toml").is_file() and (_SOURCE / "Makefile").is_file() else None


def build_root() -> Path:
    """$FITACT_BUILD, else `build/` of the checkout, else `fitact` in the user's cache folder. It may not exist yet."""
    if named := os.environ.get(BUILD):
        return Path(named).resolve()
    tree = checkout()
    return tree / "build" if tree else user_cache_path(NAME, appauthor=False).resolve()


def keep_compiled_code() -> None:
    """Have torch keep what its C++ toolchain makes in the build root, not in a temporary folder.

    TORCHINDUCTOR_CACHE_DIR goes first. Torch's toolchain takes no path with spaces.
    """
    folder = str(build_root() / "torch")
    if not any(character.isspace() for character in folder):
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", folder)
