"""The planted bugs, a module for each area."""

from __future__ import annotations

from tests.mutation.mutant import Mutant
from tests.mutation.planted import campaign, cells, compiler, generator, golden

MUTANTS: tuple[Mutant, ...] = (
    *cells.MUTANTS, *generator.MUTANTS, *compiler.MUTANTS, *campaign.MUTANTS, *golden.MUTANTS,
)  # fmt: skip
"""All of them; `tests/mutation/test_mutants.py` holds each against the present sources."""
