"""What a run of `fitact sim` showed, in two sentences that claim no more than their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from fitact_hw.reporting.formats import percent_interval
from fitact_hw.reporting.statistics import Difference, paired_difference
from golden.bounds.schemes import UNPROTECTED, titled

SIGNIFICANCE = 0.05
"""Two schemes are told apart if McNemar's exact p-value is below and the interval of the difference leaves 0 out."""


@dataclass(frozen=True)
class Verdict:
    """Both sentences and what they rest on; ``difference``: of the SDC probabilities, without protection minus with."""

    exactness: str
    upsets: str | None
    difference: Difference | None

    @property
    def text(self) -> str:
        """For the terminal."""
        return " ".join(filter(None, (self.exactness, self.upsets)))


def verdict(
    values: int,
    layers: int,
    images: int,
    differing: int,
    sdc: Mapping[str, Set[int]] | None = None,
    total: int = 0,
    protected: str = "",
) -> Verdict:
    """``values`` of ``layers`` compared over ``images``; ``sdc``: scheme -> numbers of those of its ``total`` upsets
    that changed the class (a number is the same bits at the same moment for every scheme); ``protected``: the scheme
    that is held against no protection, if it has bounds."""
    exactness = _exactness(values, layers, images, differing)
    if not sdc or not total:
        return Verdict(exactness, None, None)
    bare = UNPROTECTED.name
    if bare not in sdc or protected not in sdc or protected == bare:
        return Verdict(exactness, _counts(sdc, total), None)
    without, having = sdc[bare], sdc[protected]
    difference = paired_difference(len(without - having), len(having - without), total)
    return Verdict(exactness, _compared(without, having, total, protected, difference), difference)


def _exactness(values: int, layers: int, images: int, differing: int) -> str:
    where = f"values of {layers} layers for {images} image{'s' if images != 1 else ''}"
    if differing:
        return f"The RTL differs from the golden model in {differing:,} of {values:,} {where}: this is a defect."
    return f"The RTL equals the golden model on all {values:,} {where}."


def _counts(sdc: Mapping[str, Set[int]], total: int) -> str:
    parts = [f"{len(numbers)} with {titled(scheme)}" for scheme, numbers in sdc.items()]
    return f"Of {total} upsets in live bits these changed the class: {', '.join(parts)}."


def _compared(without: Set[int], having: Set[int], total: int, protected: str, difference: Difference) -> str:
    name = titled(protected)
    if difference.p < SIGNIFICANCE and difference.shown:
        meaning = f"{'fewer' if difference.value > 0 else 'more'} with {name} on the same bits"
    else:
        meaning = "these few upsets do not tell the two apart"
    points = percent_interval(difference).replace(" %", " points")
    return (
        f"Of {total} upsets in live bits {len(without)} changed the class without protection, "
        f"{len(having)} with {name}: {meaning} (difference {points}, 95 % interval; "
        f"McNemar's exact p = {difference.p:.2g})."
    )
