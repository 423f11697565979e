"""Bugs of the area "compiler"."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

MUTANTS: list[Mutant] = []
