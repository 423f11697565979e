"""What is compared: activation schemes and, beside them, protection of the buffers and of the lanes."""

from __future__ import annotations

from dataclasses import dataclass

from fitact_hw.config import SHIFT_BITS, AcceleratorConfig, BoundFormat, Granularity, Protection
from fitact_hw.errors import FitActError
from fitact_hw.isa import ActMode
from golden.bounds.granularity import PATCH_SIDE
from golden.support.choices import unknown

DEEP = 4
"""A deep bound buffer has this many times the configured words."""

LEAST_BOUND_WORDS = 2


@dataclass(frozen=True)
class Scheme:
    """One machine of the comparison.

    ``mode``: the one activation its lanes have beside linear; None: all modes of the generated lane, as
    simulated. ``protection`` of every buffer word; ``copies`` of each lane (3: with a voter). ``bound_format`` of the
    bound buffer; it holds the bounds of as many pixels as the configured one, or ``DEEP`` times as many.
    """

    key: str
    title: str
    bounds: Granularity
    mode: ActMode | None
    protection: Protection = Protection.NONE
    copies: int = 1
    bound_format: BoundFormat = BoundFormat.WORD
    deep: bool = False

    @property
    def activation(self) -> str:
        """What the lanes do, for the report."""
        return "linear, " + (self.mode.name.lower() if self.mode is not None else "ReLU, clip, saturate")


SCHEMES = (
    Scheme("unprotected", "unprotected ReLU", Granularity.NONE, ActMode.RELU),
    Scheme("ranger", "Ranger (layer bound, saturates)", Granularity.LAYER, ActMode.SATURATE),
    Scheme("clipact", "Clip-Act (layer bound, zeroes)", Granularity.LAYER, ActMode.CLIP),
    Scheme("fitact", "FitAct (neuron bounds, zeroes)", Granularity.NEURON, ActMode.CLIP),
    Scheme("fitact_all", "FitAct, lane with all modes", Granularity.NEURON, None),
    Scheme("fitact_deep", "FitAct, deep bound buffer", Granularity.NEURON, ActMode.CLIP, deep=True),
    *(
        Scheme(key, title, bounds, ActMode.CLIP, bound_format=form)
        for key, title, bounds, form in (
            ("code4", "FitAct, 4-bit bounds", Granularity.NEURON, BoundFormat.CODE),
            ("patch", "a bound for each 2x2 patch", Granularity.PATCH, BoundFormat.WORD),
            ("patch_code4", "4-bit bound for each 2x2 patch", Granularity.PATCH, BoundFormat.CODE),
            ("channel", "a bound for each channel", Granularity.CHANNEL, BoundFormat.WORD),
        )
    ),
    Scheme("parity", "ReLU, parity on the buffers", Granularity.NONE, ActMode.RELU, Protection.PARITY),
    Scheme("secded", "ReLU, SECDED on the buffers", Granularity.NONE, ActMode.RELU, Protection.SECDED),
    Scheme("tmr", "ReLU, triplicated lanes", Granularity.NONE, ActMode.RELU, copies=3),
)

BASELINE = SCHEMES[0]


def choose(names: str) -> tuple[Scheme, ...]:
    """Schemes by their keys, commas between; unprotected is always there. Raises FitActError for an unknown one."""
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    known = tuple(scheme.key for scheme in SCHEMES)
    if others := sorted(wanted.difference(known)):
        raise FitActError(unknown("scheme", others[0], known, "there are"))
    return tuple(scheme for scheme in SCHEMES if scheme is BASELINE or not wanted or scheme.key in wanted)


def machine(config: AcceleratorConfig, scheme: Scheme) -> AcceleratorConfig:
    """The same machine with the scheme's bound hardware and buffer protection."""
    changes: dict[str, object] = {"bounds": scheme.bounds, "bound_format": scheme.bound_format}
    if scheme.protection is not Protection.NONE:
        changes["protection"] = scheme.protection
    if scheme.bounds.buffered:
        plain = AcceleratorConfig.create(**{**config.model_dump(), **changes})
        changes["bound_words"] = _bound_words(plain, scheme)
    return AcceleratorConfig.create(**{**config.model_dump(), **changes})


def _bound_words(config: AcceleratorConfig, scheme: Scheme) -> int:
    """Words that hold the bounds of as many pixels as the configured buffer, or of more."""
    if scheme.bounds is Granularity.CHANNEL:
        return LEAST_BOUND_WORDS
    pixels = config.bound_words * (DEEP if scheme.deep else 1)
    shared = PATCH_SIDE**2 if scheme.bounds is Granularity.PATCH else 1
    return max(LEAST_BOUND_WORDS, pixels // (shared * config.bounds_per_lane))


def clamp_parameters(config: AcceleratorConfig, scheme: Scheme) -> dict[str, int]:
    """Verilog parameters of ``fitact_clamp``, or ``fitact_clamp_mode`` if the scheme has one mode."""
    has_bound = int(scheme.bounds is not Granularity.NONE)
    parameters = {"DATA_W": config.word_bits, "ACC_W": config.acc_bits, "HAS_BOUND": has_bound}
    return parameters if scheme.mode is None else {**parameters, "MODE": int(scheme.mode)}


def lane_parameters(config: AcceleratorConfig, scheme: Scheme) -> dict[str, int]:
    """Verilog parameters of ``fitact_lane``, or ``fitact_lane_mode`` if the scheme has one mode."""
    return {**clamp_parameters(config, scheme), "SHIFT_W": SHIFT_BITS}
