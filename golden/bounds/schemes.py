"""The protection schemes: which activations are bounded, how finely, and what happens above the bound.

A further scheme is one more entry here and a function that finds its bounds (:mod:`golden.search.find`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from golden.errors import GoldenError
from golden.support.choices import unknown

if TYPE_CHECKING:  # it needs torch, and the command line lists schemes
    from golden.frontend.activations import Mode


@dataclass(frozen=True)
class Scheme:
    """``granularity``: one bound for each of these (hybrid: neuron in the last activation, layer elsewhere);
    ``mode``: above the bound, zero or saturation."""

    name: str
    title: str
    granularity: Literal["none", "layer", "hybrid", "neuron"]
    mode: Mode | None
    source: str


SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme("unprotected", "unprotected", "none", None, "-"),
        Scheme("ranger", "Ranger", "layer", "saturate", "Ranger, DSN 2021, arXiv 2003.13874"),
        Scheme("clipact", "Clip-Act", "layer", "clip", "FT-ClipAct, DATE 2020, arXiv 1912.00941"),
        Scheme("proact", "ProAct", "hybrid", "clip", "ProAct, 2024, arXiv 2406.06313"),
        Scheme("fitact", "FitAct", "neuron", "clip", "FitAct, DATE 2022, arXiv 2112.13544"),
    )
}


def find_scheme(name: str) -> Scheme:
    """The scheme called ``name``. Raises GoldenError listing the known ones if there is none."""
    if name not in SCHEMES:
        raise GoldenError(unknown("scheme", name, tuple(SCHEMES)))
    return SCHEMES[name]


def titled(label: str) -> str:
    """``label`` with the scheme's title for its name, if it begins with one."""
    scheme, _, rest = label.partition(" ")
    return " ".join([SCHEMES[scheme].title if scheme in SCHEMES else scheme, rest]).strip()
