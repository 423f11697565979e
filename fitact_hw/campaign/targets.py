"""What a margin is asked of: the SDC rate of the machine, a structure or a layer, or a paired difference of two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fitact_hw.errors import FitActError
from golden.bounds.schemes import DEFAULT
from golden.support.choices import unknown

MACHINE, STRUCTURES, LAYERS, DIFFERENCES = "machine", "structures", "layers", "differences"
"""Targets that stand for several quantities: of each scheme, structure, layer, rival of the reference."""

LAYER = "layer:"
"""Before the name of a layer."""

AGAINST = "-"
"""Between two schemes: the paired difference of their rates."""

REFERENCE = DEFAULT.name
"""The scheme that the others are compared with, if the campaign has it (else the first)."""


def reference_of(schemes: Iterable[str]) -> str:
    """The scheme that a report compares the others with."""
    names = list(schemes)
    return REFERENCE if REFERENCE in names else names[0]


@dataclass(frozen=True)
class Quantity:
    """The SDC rate under ``scheme`` of an upset anywhere, in ``structure`` or while ``layer`` runs; with ``rival`` the
    rate under ``scheme`` minus that under ``rival``, on the same upsets."""

    scheme: str
    rival: str = ""
    structure: str = ""
    layer: str = ""


def quantities(
    targets: Sequence[str], schemes: Sequence[str], structures: Sequence[str], layers: Sequence[str] | None
) -> list[Quantity]:
    """All that ``targets`` ask for. ``structures``, ``layers``: of the campaign (None: not known yet, so any name will
    do). Raises FitActError for what is none."""
    found: list[Quantity] = []
    for target in targets:
        if target == MACHINE:
            found += [Quantity(scheme) for scheme in schemes]
        elif target == DIFFERENCES:
            reference = reference_of(schemes)
            found += [Quantity(rival, reference) for rival in schemes if rival != reference]
        elif target in (STRUCTURES, *structures):
            chosen = structures if target == STRUCTURES else [target]
            found += [Quantity(scheme, structure=name) for scheme in schemes for name in chosen]
        elif target == LAYERS or target.startswith(LAYER):
            chosen = layers or () if target == LAYERS else [target.removeprefix(LAYER)]
            if layers and (wrong := next((name for name in chosen if name not in layers), "")):
                raise FitActError(unknown("layer", wrong, layers))
            found += [Quantity(scheme, layer=name) for scheme in schemes for name in chosen]
        elif pair := next(((a, b) for a in schemes for b in schemes if a != b and target == a + AGAINST + b), None):
            found.append(Quantity(*pair))
        else:
            pairs = [f"{rival}{AGAINST}{reference_of(schemes)}" for rival in schemes if rival != reference_of(schemes)]
            known = [MACHINE, STRUCTURES, LAYERS, DIFFERENCES, *structures, f"{LAYER}NAME", *pairs]
            raise FitActError(unknown("target", target, known))
    if targets and set(targets) == {DIFFERENCES} and not found:
        raise FitActError(f"--target {DIFFERENCES}: one scheme has none")
    return list(dict.fromkeys(found))
