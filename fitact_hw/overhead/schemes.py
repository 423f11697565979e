"""What is compared: activation schemes and, beside them, protection of the buffers and of the lanes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fitact_hw.config import SHIFT_BITS, AcceleratorConfig, BoundFormat, Granularity, Protection, RangeCheck
from fitact_hw.errors import FitActError
from fitact_hw.isa import ActMode
from golden.bounds import schemes
from golden.bounds.granularity import PATCH_SIDE
from golden.bounds.stored import variant_name
from golden.support.choices import unknown

DEEP = 4
"""A deep bound buffer has this many times the configured words."""

LEAST_BOUND_WORDS = 2


@dataclass(frozen=True)
class Scheme:
    """One machine of the comparison.

    ``mode``: the one activation its lanes have beside linear; None: all modes of the generated lane, as
    simulated. ``protection`` of every buffer word; ``copies`` of each lane (3: with a voter). ``bound_format`` of the
    bound buffer; it holds the bounds of as many pixels as the configured one, or ``DEEP`` times as many. ``accuracy``:
    network of the accuracy studies that it runs; empty if its protection does nothing for faults in memory.
    ``parameter_check``: range check of parameters as they are loaded.
    """

    key: str
    title: str
    short: str
    bounds: Granularity
    mode: ActMode | None
    protection: Protection = Protection.NONE
    copies: int = 1
    bound_format: BoundFormat = BoundFormat.WORD
    deep: bool = False
    accuracy: str = ""
    parameter_check: RangeCheck = RangeCheck.NONE

    @property
    def activation(self) -> str:
        """What the lanes do, for the report."""
        return "linear, " + (self.mode.name.lower() if self.mode is not None else "ReLU, clip, saturate")


_ABOVE = {"clip": (ActMode.CLIP, "zeroes"), "saturate": (ActMode.SATURATE, "saturates")}


def _machine_of(scheme: schemes.Scheme) -> Scheme:
    """The smallest machine that runs a scheme of the registry."""
    if scheme.mode is None:
        return Scheme(
            scheme.name, f"{scheme.title} ReLU", scheme.title, Granularity.NONE, ActMode.RELU, accuracy=scheme.name
        )
    mode, above = _ABOVE[scheme.mode]
    bounds = f"{scheme.hardware.value} bound{'s' if scheme.hardware.buffered else ''}"
    title = f"{scheme.title} ({bounds}, {above})"
    return Scheme(scheme.name, title, scheme.title, scheme.hardware, mode, accuracy=scheme.name)


def _cheap(key: str, title: str, short: str, bounds: Granularity, form: BoundFormat) -> Scheme:
    """Bounds of neurons, shared by more of them or stored as codes."""
    accuracy = variant_name(bounds, False, form.value)
    return Scheme(key, title, short, bounds, ActMode.CLIP, bound_format=form, accuracy=accuracy)


ACTIVATIONS = tuple(
    _machine_of(scheme) for scheme in schemes.SCHEMES.values() if scheme.compared and scheme.last is None
)
"""Those that are compared; one whose last activation differs runs on the machine of another. Any other one has a row
where it is named."""

BASELINE = next(scheme for scheme in ACTIVATIONS if scheme.key == schemes.UNPROTECTED.name)
NEURON = next(scheme for scheme in ACTIVATIONS if scheme.key == schemes.FITACT.name)
_NAME, _TITLE = NEURON.key, NEURON.short

ALL_MODES = replace(
    NEURON, key=f"{_NAME}_all", title=f"{_TITLE}, lane with all modes", short=f"{_TITLE}, all modes", mode=None
)
DEEP_BUFFER = replace(
    NEURON, key=f"{_NAME}_deep", title=f"{_TITLE}, deep bound buffer", short=f"{_TITLE}, deep buffer", deep=True
)
CHEAP = (
    _cheap("code4", f"{_TITLE}, 4-bit bounds", "4-bit bounds", Granularity.NEURON, BoundFormat.CODE),
    _cheap("patch", "a bound for each 2x2 patch", "2x2 patches", Granularity.PATCH, BoundFormat.WORD),
    _cheap("patch_code4", "4-bit bound for each 2x2 patch", "4-bit patches", Granularity.PATCH, BoundFormat.CODE),
    _cheap("channel", "a bound for each channel", "channels", Granularity.CHANNEL, BoundFormat.WORD),
)


def _checked(scheme: Scheme, check: RangeCheck) -> Scheme:
    """``scheme`` with a range check of parameters."""
    what = schemes.CHECKS[check.value]
    alone = scheme is BASELINE
    label = check.value if alone else f"{scheme.key}+{check.value}"
    short = what.title if alone else f"{scheme.short} + {what.title}"
    title = f"{scheme.title}, {what.title}"
    return replace(scheme, key=label, title=title, short=short, accuracy=label, parameter_check=check)


CHECKED = (
    _checked(BASELINE, RangeCheck.BITS),
    _checked(BASELINE, RangeCheck.WORD),
    _checked(NEURON, RangeCheck.BITS),
)
"""Protection against faults in external memory, before the buffers."""

ON_CHIP = (
    Scheme("parity", "ReLU, parity on the buffers", "parity", Granularity.NONE, ActMode.RELU, Protection.PARITY),
    Scheme("secded", "ReLU, SECDED on the buffers", "SECDED", Granularity.NONE, ActMode.RELU, Protection.SECDED),
    Scheme("tmr", "ReLU, triplicated lanes", "3 lanes + voter", Granularity.NONE, ActMode.RELU, copies=3),
)
"""Protection against upsets on the chip: of no use against faults in external memory."""

SCHEMES = (*ACTIVATIONS, ALL_MODES, DEEP_BUFFER, *CHEAP, *CHECKED, *ON_CHIP)


def clamp_of(scheme: Scheme) -> Scheme:
    """The first scheme with the same clamp."""
    looks = (scheme.bounds is Granularity.NONE, scheme.mode)
    return next(other for other in SCHEMES if (other.bounds is Granularity.NONE, other.mode) == looks)


def short_of(key: str) -> str:
    """What tables call the scheme of a key; an unknown one as it is."""
    short = next((scheme.short for scheme in SCHEMES if scheme.key == key), None)
    return short or schemes.title_of(key)


def choose(names: str) -> tuple[Scheme, ...]:
    """Schemes by their keys, commas between; unprotected is always there. Raises FitActError for an unknown one."""
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    known = tuple(scheme.key for scheme in SCHEMES)
    declared = tuple(name for name in schemes.known() if name not in known)
    if others := sorted(wanted.difference(known, declared)):
        raise FitActError(unknown("scheme", others[0], (*known, *declared), "there are"))
    usual = tuple(scheme for scheme in SCHEMES if scheme is BASELINE or not wanted or scheme.key in wanted)
    return (*usual, *(_machine_of(schemes.find_scheme(name)) for name in declared if name in wanted))


def machine(config: AcceleratorConfig, scheme: Scheme) -> AcceleratorConfig:
    """The same machine with the scheme's bound hardware, buffer protection and range check."""
    changes: dict[str, object] = {"bounds": scheme.bounds, "bound_format": scheme.bound_format}
    if scheme.protection is not Protection.NONE:
        changes["protection"] = scheme.protection
    if scheme.parameter_check is not RangeCheck.NONE:
        changes["parameter_check"] = scheme.parameter_check
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
