"""One line about a name or value that is none of those allowed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

LIKENESS = 0.7
"""Names that are less like what was given (difflib's ratio) are not suggested."""


def listed(names: Iterable[object], last: str = "or") -> str:
    """``8, 16 or 32``."""
    *first, end = map(str, names)
    return f"{', '.join(first)} {last} {end}" if first else end


def nearest(given: str, known: Iterable[str]) -> str:
    """Of ``known`` the name that was probably meant, else nothing; upper and lower case are alike."""
    folded = {name.casefold(): name for name in known}
    found = get_close_matches(given.casefold(), folded, n=1, cutoff=LIKENESS)
    return folded[found[0]] if found else ""


def must_be(given: str, known: Iterable[object], last: str = "or") -> str:
    """``must be 1x1, 2x1 or 2x2; did you mean 2x1?``."""
    names = list(map(str, known))
    meant = nearest(given, names)
    return f"must be {listed(names, last)}{f'; did you mean {meant}?' if meant else ''}"


def unknown(what: str, given: str, known: Sequence[str], are: str = "known are", within: str = "") -> str:
    """``unknown scheme 'fitct' (did you mean fitact?): known are ...``; ``within``: what stands before a name."""
    meant = nearest(given, known)
    return f"unknown {what} {within + given!r}{f' (did you mean {meant}?)' if meant else ''}: {are} {', '.join(known)}"
