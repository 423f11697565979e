"""One planted bug, and how it is put into a copy of the project."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

AREAS = ("cells", "generator", "compiler", "campaign", "golden")
"""RTL cells; what composes them; compiler and functional simulator; engine, campaign and statistics; golden model."""


class MutantError(ValueError):
    """A mutant that does not fit the project any more, or tests that cannot judge it."""


@dataclass(frozen=True)
class Mutant:
    """Replace ``old`` by ``new`` in ``file``: one of ``tests`` must fail.

    ``file``: relative to the project. ``old`` must be there exactly once. ``tests``: as pytest takes them.
    ``equivalent``: why no test can tell the mutant from the product; such a one is listed, but not run.
    """

    area: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    equivalent: str = ""

    @property
    def name(self) -> str:
        """The change in one line."""
        before, after = (" ".join(text.split()) for text in (self.old, self.new))
        return f"{self.file}: {before} -> {after or '(nothing)'}"

    def mutated(self, text: str) -> str:
        """``text`` of the file with the bug. Raises MutantError unless ``old`` is in it exactly once."""
        if self.old == self.new:
            raise MutantError(f"{self.name}: changes nothing")
        if (count := text.count(self.old)) != 1:
            raise MutantError(f"{self.name}: the text to change is there {count} times, not once")
        return text.replace(self.old, self.new)

    @contextmanager
    def planted(self, project: Path) -> Iterator[None]:
        """While this is held, the file below ``project`` has the bug; then it is as before, whatever happened."""
        path = project / self.file
        text = path.read_text()
        try:
            path.write_text(self.mutated(text))
            yield
        finally:
            path.write_text(text)


def planted_in(area: str, file: str, tests: str, *changes: tuple[str, str] | tuple[str, str, str]) -> list[Mutant]:
    """Mutants of one file with the same tests (separated by spaces): (old, new) or (old, new, why equivalent)."""
    return [Mutant(area, file, change[0], change[1], tuple(tests.split()), *change[2:]) for change in changes]
