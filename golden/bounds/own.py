"""Schemes of the user's: declared in a file of theirs, remembered as plain values wherever their bounds are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from golden.bounds.granularity import Granularity
from golden.bounds.schemes import OWN, SCHEMES, Look, Scheme
from golden.errors import GoldenError


def declare(scheme: Scheme) -> Scheme:
    """Make a user's scheme known by its name in this process; it takes the place of an earlier one.

    Raises GoldenError if the name is that of another kind.
    """
    if scheme.name in SCHEMES:
        raise GoldenError(f"{scheme.spec}: {scheme.name} is the name of a scheme that there is: choose another")
    OWN[scheme.name] = scheme
    return scheme


def remember(scheme: Scheme) -> bool:
    """The same of a declaration that was kept with bounds or results, unless one of another file is known already.
    Returns whether it is of that file."""
    known = OWN.get(scheme.name)
    if known is None or (known.digest == scheme.digest and not known.path.is_file()):
        declare(scheme)
        return True
    return known.digest == scheme.digest


def to_json(scheme: Scheme, with_folder: bool = True) -> dict[str, Any]:
    """A declaration as plain values, without how bounds are found."""
    return {
        "name": scheme.name,
        "title": scheme.title,
        "granularity": scheme.granularity.value,
        "last": None if scheme.last is None else scheme.last.value,
        "mode": scheme.mode,
        "source": scheme.source,
        "look": list(scheme.look),
        "file": scheme.origin if with_folder else scheme.spec,
        "sha256": scheme.digest,
    }


def from_json(value: Mapping[str, Any]) -> Scheme:
    """Inverse of :func:`to_json`. Raises GoldenError for values that are no declaration."""
    try:
        return Scheme(
            str(value["name"]),
            str(value["title"]),
            Granularity(value["granularity"]),
            value["mode"],
            str(value["source"]),
            last=None if value["last"] is None else Granularity(value["last"]),
            look=Look(*value["look"]),
            compared=True,
            origin=str(value["file"]),
            digest=str(value["sha256"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise GoldenError(f"a declaration of a scheme is damaged ({error!r})") from error


def of_file(scheme: Scheme, file: Path, attribute: str) -> Scheme:
    """``scheme`` as what ``file`` declares under the name ``attribute``."""
    return replace(scheme, origin=f"{file.resolve()}:{attribute}", digest=digest_of(file), compared=True)


def digest_of(file: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def check_unchanged(names: Iterable[str]) -> None:
    """Raises GoldenError if the file of a user's scheme, where it still is, is not the one that its bounds were found
    with."""
    for name in names:
        scheme = OWN.get(name)
        if scheme is not None and scheme.path.is_file() and digest_of(scheme.path) != scheme.digest:
            raise GoldenError(
                f"{scheme.path.name} has changed since the bounds of {name} were found: find them again (fitact "
                "bounds, fitact post-train) and begin anew, or take the change back"
            )


def own_of(names: Iterable[str]) -> tuple[Scheme, ...]:
    """Those of ``names`` that are the user's."""
    return tuple(OWN[name] for name in names if name in OWN)


def kept(found: Mapping[str, Any], stored: Iterable[str] | None = None) -> tuple[str, ...]:
    """Names of the schemes whose bounds are kept: ``found`` has the record of each, and so the declaration of a user's
    own, which becomes known; one that was declared otherwise since is left out. In the order of tables."""
    names = set(found if stored is None else stored)
    own = [from_json(found[name]["declaration"]) for name in sorted(names) if "declaration" in found.get(name, {})]
    return (*(name for name in SCHEMES if name in names), *(scheme.name for scheme in own if remember(scheme)))
