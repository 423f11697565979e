"""The protection schemes: which activations are bounded, how finely, and what happens above the bound.

The only place that knows their names. A further scheme is one more entry in :data:`SCHEMES`, and a function that finds
its bounds in :data:`golden.search.find.SEARCHES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from golden.bounds.granularity import Granularity
from golden.errors import GoldenError
from golden.support.choices import unknown

if TYPE_CHECKING:  # it needs torch, and the command line lists schemes
    from golden.frontend.activations import Mode


@dataclass(frozen=True)
class Scheme:
    """``granularity``: who shares a bound; ``last``: in the last activation, if it differs there; ``mode``: above the
    bound, zero or saturation (None: there are no bounds); ``source``: the paper."""

    name: str
    title: str
    granularity: Granularity
    mode: Mode | None
    source: str
    last: Granularity | None = None

    @property
    def hardware(self) -> Granularity:
        """The bound hardware that it needs: that of its finest bounds."""
        known = list(Granularity)
        return max(self.granularity, self.last or self.granularity, key=known.index)


UNPROTECTED = Scheme("unprotected", "unprotected", Granularity.NONE, None, "-")
RANGER = Scheme("ranger", "Ranger", Granularity.LAYER, "saturate", "Ranger, DSN 2021, arXiv 2003.13874")
CLIPACT = Scheme("clipact", "Clip-Act", Granularity.LAYER, "clip", "FT-ClipAct, DATE 2020, arXiv 1912.00941")
PROACT = Scheme(
    "proact", "ProAct", Granularity.LAYER, "clip", "ProAct, 2024, arXiv 2406.06313", last=Granularity.NEURON
)
FITACT = Scheme("fitact", "FitAct", Granularity.NEURON, "clip", "FitAct, DATE 2022, arXiv 2112.13544")

SCHEMES: dict[str, Scheme] = {scheme.name: scheme for scheme in (UNPROTECTED, RANGER, CLIPACT, PROACT, FITACT)}
"""By name, in the order of tables and charts."""

DEFAULT = FITACT
"""What commands take if none is named, and what reports compare the others with. It uses every buffer."""


@dataclass(frozen=True)
class ParameterCheck:
    """A range check of stored parameters, beside any scheme: ``exact``: against the layer's largest fault-free word,
    else against its number of magnitude bits. See :mod:`golden.parameter_check`."""

    name: str
    title: str
    exact: bool


CHECKS: dict[str, ParameterCheck] = {
    check.name: check
    for check in (
        ParameterCheck("check", "range check", exact=True),
        ParameterCheck("bitcheck", "range check by bits", exact=False),
    )
}
"""By name. A scheme with one is written ``fitact+check``."""


def find_protection(label: str) -> tuple[Scheme, ParameterCheck | None]:
    """Scheme and parameter check of ``label``: a scheme's name, ``+`` and a check's, or one alone.

    A check alone is that of the unprotected network. Raises GoldenError listing the known ones.
    """
    if label in CHECKS:
        return UNPROTECTED, CHECKS[label]
    name, plus, check = label.partition("+")
    scheme = find_scheme(name)
    if not plus:
        return scheme, None
    if check not in CHECKS:
        raise GoldenError(unknown("parameter check", check, tuple(CHECKS)))
    return scheme, CHECKS[check]


def find_scheme(name: str) -> Scheme:
    """The scheme called ``name``. Raises GoldenError listing the known ones if there is none."""
    if name not in SCHEMES:
        raise GoldenError(unknown("scheme", name, tuple(SCHEMES)))
    return SCHEMES[name]


def title_of(name: str) -> str:
    """How reports write the scheme called ``name``; an unknown one as it is."""
    try:
        scheme, check = find_protection(name)
    except GoldenError:
        return name
    if check is None:
        return scheme.title
    return check.title if scheme is UNPROTECTED else f"{scheme.title} + {check.title}"


def titled(label: str) -> str:
    """``label`` with the scheme's title for its name, if it begins with one."""
    scheme, _, rest = label.partition(" ")
    return " ".join([title_of(scheme), rest]).strip()
