"""The protection schemes: which activations are bounded, how finely, what happens above the bound, how it is found.

The only place that knows their names. A further scheme is one more declaration in :data:`SCHEMES`; tables, charts,
commands, machines of the cost comparison and searches follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from golden.bounds.granularity import Granularity
from golden.bounds.recipes import LeastMaxima, Maxima, PostTraining, Recipe, ThresholdSearch
from golden.errors import GoldenError
from golden.support.choices import unknown

if TYPE_CHECKING:  # it needs torch, and the command line lists schemes
    from golden.frontend.activations import Mode


T = TypeVar("T")


class Look(NamedTuple):
    """Colour (#rrggbb) and marker (of matplotlib) in every chart."""

    colour: str = "#7f7f7f"
    marker: str = "*"


OTHER = Look()
"""Of what has no look of its own."""


@dataclass(frozen=True)
class Scheme:
    """One protection of activations, declared.

    ``name``: on the command line and in files; ``title``: in reports; ``source``: the paper.
    ``granularity``: who shares a bound, and so what is stored and which bound buffer the machine needs; ``last``: in
    the last activation, if it differs there; ``mode``: above the bound, zero or saturation (None: there are no bounds).
    ``find``: how the bounds are found; ``budgets``: instead, for networks by name. ``look``: in charts.
    ``compared``: whether it takes part where commands are told no schemes. ``origin`` and ``digest``: path and name of
    a user's own, and the SHA-256 of that file. Raises GoldenError for parts that do not go together.
    """

    name: str
    title: str
    granularity: Granularity
    mode: Mode | None
    source: str
    find: Recipe | None = None
    last: Granularity | None = None
    budgets: Mapping[str, Recipe] = field(default_factory=dict, hash=False)
    look: Look = OTHER
    compared: bool = False
    origin: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        recipes = (self.find, *self.budgets.values())
        searched = any(isinstance(recipe, ThresholdSearch | PostTraining) for recipe in recipes)
        by_layer = any(isinstance(recipe, ThresholdSearch) for recipe in recipes)
        wrong = {
            "its name must be an identifier, like half_maximum": not self.name.isidentifier(),
            "mode must be clip, saturate or None": self.mode not in (None, "clip", "saturate"),
            "only without a granularity has it no mode": (self.mode is None) != (self.granularity is Granularity.NONE),
            "thresholds are searched and bounds learned for clip": searched and self.mode != "clip",
            "thresholds are searched for layers": by_layer and self.hardware is not Granularity.LAYER,
        }
        if problem := next((text for text, found in wrong.items() if found), None):
            raise GoldenError(f"scheme {self.name!r}: {problem}")

    @property
    def path(self) -> Path:
        """The file of a user's own."""
        return Path(self.origin.rpartition(":")[0])

    @property
    def spec(self) -> str:
        """What the command line takes for it, without a folder."""
        return f"{self.path.name}:{self.origin.rpartition(':')[2]}" if self.origin else self.name

    @property
    def hardware(self) -> Granularity:
        """The bound hardware that it needs: that of its finest bounds."""
        known = list(Granularity)
        return max(self.granularity, self.last or self.granularity, key=known.index)

    @property
    def bounded(self) -> bool:
        """Whether it has bounds."""
        return self.mode is not None

    def recipe(self, network: str = "") -> Recipe:
        """How its bounds are found for a network. Raises GoldenError if it has none, or if that is not known here."""
        found = self.budgets.get(network, self.find)
        if found is None and self.bounded:
            raise GoldenError(f"how the bounds of {self.name} are found is in {self.path}: name {self.spec} instead")
        if found is None:
            raise GoldenError(f"scheme {self.name} has no bounds: known are {', '.join(bounded_names())}")
        return found

    def granularity_in(self, last: bool) -> Granularity:
        """Who shares a bound in the last activation, or in the others."""
        return self.last if last and self.last is not None else self.granularity


UNPROTECTED = Scheme(
    "unprotected", "unprotected", Granularity.NONE, None, "-", look=Look("#3a3a3a", "X"), compared=True
)
RANGER = Scheme(
    "ranger",
    "Ranger",
    Granularity.LAYER,
    "saturate",
    "Ranger, DSN 2021, arXiv 2003.13874",
    Maxima(),
    look=Look("#e69f00", "s"),
    compared=True,
)
CLIPACT = Scheme(
    "clipact",
    "Clip-Act",
    Granularity.LAYER,
    "clip",
    "FT-ClipAct, DATE 2020, arXiv 1912.00941",
    ThresholdSearch(),
    # the time is linear in activations and in work per image: fewer images for the larger networks
    budgets={"vgg16": ThresholdSearch(images=300), "resnet50": ThresholdSearch(maps=1, images=100)},
    look=Look("#56b4e9", "^"),
    compared=True,
)
_PROACT = PostTraining(
    zeta=0.1, lr=0.04, epochs=1, images=5_000, checks=5, validation=1_000, distil=1.0, layer_wise=True
)
PROACT = Scheme(
    "proact",
    "ProAct",
    Granularity.LAYER,
    "clip",
    "ProAct, 2024, arXiv 2406.06313",
    _PROACT,
    last=Granularity.NEURON,
    budgets={
        # small batches: with 30 steps a bound could go all the way down, so accuracy ends it and not their number
        "vgg16": replace(_PROACT, images=1_500, batch=50),
        "resnet50": replace(_PROACT, images=300, batch=10, checks=3, validation=500),
    },
    look=Look("#cc79a7", "D"),
    compared=True,
)
FITACT = Scheme(
    "fitact",
    "FitAct",
    Granularity.NEURON,
    "clip",
    "FitAct, DATE 2022, arXiv 2112.13544",
    PostTraining(),
    budgets={"resnet50": PostTraining(epochs=1, images=6_000, validation=1_000)},
    look=Look("#0072b2", "o"),
    compared=True,
)

FITACT_CHANNEL = replace(
    FITACT,
    name="fitact_channel",
    title="FitAct, channels",
    granularity=Granularity.CHANNEL,
    source="FitAct's loss and options, one learned factor on the maximum of each channel",
    look=Look("#2800f2", "d"),
    compared=False,
)
SCALED_MAXIMUM = Scheme(
    "scaledmax",
    "layer maximum x f",
    Granularity.LAYER,
    "clip",
    "one factor f for the network, as small as its clean accuracy allows; no search",
    LeastMaxima(),
    look=Look("#ccc085", "h"),
)

SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme for scheme in (UNPROTECTED, RANGER, CLIPACT, PROACT, FITACT, FITACT_CHANNEL, SCALED_MAXIMUM)
}
"""By name, in the order of tables and charts."""

OWN: dict[str, Scheme] = {}
"""Those of the user's files, as far as this process knows them: :mod:`golden.bounds.own`."""


def known() -> dict[str, Scheme]:
    """All schemes by name, the user's last."""
    return {**SCHEMES, **OWN}


COMPARED = tuple(scheme.name for scheme in SCHEMES.values() if scheme.compared)
"""What is compared where no schemes are named. Another one among them would change every seeded campaign."""

DEFAULT = FITACT
"""What commands take if none is named, and what reports compare the others with. It uses every buffer."""


@dataclass(frozen=True)
class ParameterCheck:
    """A range check of stored parameters, beside any scheme: ``exact``: against the layer's largest fault-free word,
    else against its number of magnitude bits. See :mod:`golden.parameter_check`. ``look``: alone; ``beside``: with a
    scheme."""

    name: str
    title: str
    exact: bool
    look: Look = OTHER
    beside: Look = OTHER


CHECKS: dict[str, ParameterCheck] = {
    check.name: check
    for check in (
        ParameterCheck("check", "range check", True, Look("#009e73", "v"), Look("#756bb1", "<")),
        ParameterCheck("bitcheck", "range check by bits", False, Look("#8c6d31", "P"), Look("#17a2b8", ">")),
    )
}
"""By name. A scheme with one is written ``fitact+check``."""


class Protection(NamedTuple):
    """A scheme with, or without, a check of the parameters: what a name like ``fitact+check`` declares."""

    scheme: Scheme
    check: ParameterCheck | None = None

    @property
    def spec(self) -> str:
        """What the command line takes for it, without a folder."""
        return self.scheme.spec if self.check is None else f"{self.scheme.spec}+{self.check.name}"

    @property
    def title(self) -> str:
        """In reports: a check alone is that of the unprotected network."""
        if self.check is None:
            return self.scheme.title
        return self.check.title if not self.scheme.bounded else f"{self.scheme.title} + {self.check.title}"

    @property
    def look(self) -> Look:
        """In charts."""
        if self.check is None:
            return self.scheme.look
        return self.check.look if not self.scheme.bounded else self.check.beside


def find_protection(label: str) -> Protection:
    """Scheme and parameter check of ``label``: a scheme's name, ``+`` and a check's, or one alone.

    A check alone is that of the unprotected network. Raises GoldenError listing the known ones.
    """
    if label in CHECKS:
        return Protection(UNPROTECTED, CHECKS[label])
    name, plus, check = label.partition("+")
    scheme = find_scheme(name)
    if not plus:
        return Protection(scheme)
    if check not in CHECKS:
        raise GoldenError(unknown("parameter check", check, tuple(CHECKS)))
    return Protection(scheme, CHECKS[check])


def find_scheme(name: str) -> Scheme:
    """The scheme called ``name``. Raises GoldenError listing the known ones if there is none."""
    if name not in known():
        raise GoldenError(unknown("scheme", name, tuple(known())))
    return known()[name]


def in_order(names: Iterable[str]) -> list[str]:
    """``names`` in the order of tables and charts, unknown ones after the others."""
    places = {name: place for place, name in enumerate(known())}
    return sorted(names, key=lambda name: places.get(name, len(places)))


def bounded_names() -> tuple[str, ...]:
    """Schemes whose bounds can be found."""
    return tuple(scheme.name for scheme in known().values() if scheme.find is not None)


def title_of(name: str) -> str:
    """How reports write the scheme called ``name``; an unknown one as it is."""
    return _of(name, lambda found: found.title, name)


def spec_of(name: str) -> str:
    """What the command line takes for the protection called ``name``; an unknown one as it is."""
    return name if name in CHECKS else _of(name, lambda found: found.spec, name)


def look_of(name: str) -> Look:
    """How charts show the protection called ``name``, an unknown one like all unknown ones."""
    return _of(name, lambda found: found.look, OTHER)


def _of(name: str, take: Callable[[Protection], T], otherwise: T) -> T:
    try:
        return take(find_protection(name))
    except GoldenError:
        return otherwise


def titled(label: str) -> str:
    """``label`` with the scheme's title for its name, if it begins with one."""
    scheme, _, rest = label.partition(" ")
    return " ".join([title_of(scheme), rest]).strip()
