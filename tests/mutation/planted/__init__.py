"""The planted bugs, one or more modules for each area."""

from __future__ import annotations

from tests.mutation.mutant import Mutant
from tests.mutation.planted import (
    campaign,
    cells,
    compiler,
    frontend,
    generator,
    golden,
    machine,
    programs,
    sampling,
)

MUTANTS: tuple[Mutant, ...] = (
    *cells.MUTANTS, *generator.MUTANTS, *machine.MUTANTS, *compiler.MUTANTS, *programs.MUTANTS,
    *campaign.MUTANTS, *sampling.MUTANTS,
    *golden.MUTANTS, *frontend.MUTANTS,
)  # fmt: skip
"""All of them; `tests/mutation/test_mutants.py` holds each against the present sources."""
