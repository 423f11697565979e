"""What is compared: activation schemes and, beside them, protection of the buffers and of the lanes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fitact_hw.config import SHIFT_BITS, AcceleratorConfig, Granularity
from fitact_hw.isa import ActMode

Protection = Literal["none", "parity", "secded"]


@dataclass(frozen=True)
class Scheme:
    """One machine of the comparison.

    ``mode``: the one activation its lanes have beside linear; None: all modes of the generated lane, as
    simulated. ``protection`` of every buffer word; ``copies`` of each lane (3: with a voter).
    """

    key: str
    title: str
    bounds: Granularity
    mode: ActMode | None
    protection: Protection = "none"
    copies: int = 1

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
    Scheme("parity", "ReLU, parity on the buffers", Granularity.NONE, ActMode.RELU, "parity"),
    Scheme("secded", "ReLU, SECDED on the buffers", Granularity.NONE, ActMode.RELU, "secded"),
    Scheme("tmr", "ReLU, triplicated lanes", Granularity.NONE, ActMode.RELU, copies=3),
)

BASELINE = SCHEMES[0]


def machine(config: AcceleratorConfig, bounds: Granularity) -> AcceleratorConfig:
    """The same machine with other bound hardware."""
    return AcceleratorConfig.create(**{**config.model_dump(), "bounds": bounds})


def lane_parameters(config: AcceleratorConfig, scheme: Scheme) -> dict[str, int]:
    """Verilog parameters of ``fitact_lane``, or ``fitact_lane_mode`` if the scheme has one mode."""
    parameters = {
        "DATA_W": config.word_bits,
        "ACC_W": config.acc_bits,
        "SHIFT_W": SHIFT_BITS,
        "HAS_BOUND": int(scheme.bounds is not Granularity.NONE),
    }
    return parameters if scheme.mode is None else {**parameters, "MODE": int(scheme.mode)}
