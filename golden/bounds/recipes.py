"""How the bounds of a scheme are found, as its declaration says it. The searches are in :mod:`golden.search`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from golden.errors import GoldenError


@dataclass(frozen=True)
class Maxima:
    """The profiled maximum of those that share a bound, times ``factor``: nothing is searched."""

    factor: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.factor < math.inf:
            raise GoldenError(f"factor {self.factor} of the profiled maxima must be positive")


@dataclass(frozen=True)
class LeastMaxima:
    """The profiled maximum of those that share a bound, times one factor for the whole network.

    The factor is the last of 1 - ``step``, 1 - 2 ``step``, ... before the first that lowers the clean accuracy (hard
    form, the first ``validation`` images held out) by more than ``delta``: a few fault-free evaluations, no faults, no
    gradients.
    """

    step: float = 0.05
    delta: float = 0.003
    validation: int = 2_000

    def __post_init__(self) -> None:
        if not (0 < self.step < 1 and 0 <= self.delta < 1 and self.validation > 0):
            raise GoldenError(f"a common factor on the maxima cannot be found with {self}")


@dataclass(frozen=True)
class ThresholdSearch:
    """FT-ClipAct's interval search, layer by layer: :mod:`golden.search.clipact`.

    ``rates``: bit error rates of Q15.16 parameter memory, 0 for none; the area is the mean over
    them, so they should be evenly spaced in their logarithm. ``points`` thresholds per ``iterations``, each
    judged on ``images`` training images under ``maps`` fault maps per rate. ``strike``: what a map hits, all layers or
    the searched one."""

    rates: tuple[float, ...] = (0.0, 1e-6, 1e-5)
    maps: int = 2
    iterations: int = 2
    points: int = 4
    images: int = 150
    seed: int = 1
    strike: Literal["all", "layer"] = "all"

    def passes(self, calls: int) -> float:
        """Forward passes for each image, about, in a network of so many activation calls."""
        return calls * self.iterations * self.points * (1 + self.maps * (len(self.rates) - 1)) / 2


LAYERWISE = ThresholdSearch(
    rates=(0.0, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4), maps=10, iterations=3, points=4, images=150, strike="layer"
)
"""The search with faults in the searched layer, at five rates with ten draws: one layer has few bits, so the rates go
higher than those that strike all."""


@dataclass(frozen=True)
class PostTraining:
    """Bounds learned with frozen weights: :mod:`golden.search.post_training`.

    ``k``: slope of the smooth form. ``zeta``: weight of bounds in the loss. ``delta``: largest
    accepted drop of hard-form accuracy on validation images (0.003 is 0.3 points). ``lr``: Adam's rate on
    bounds as a fraction of their start. ``images`` of the training set are used per epoch, ``batch`` at a time
    (0: as many as fit, at most 250); the drop is checked ``checks`` times an epoch on ``validation`` images. Where
    it is too large, the bounds go back to the last accepted ones and learning goes on at half the rate, at most
    ``backoffs`` times.
    ``distil``: share of knowledge distillation in the loss, the rest is cross entropy; ``temperature`` of both
    distributions. ``layer_wise``: one activation after the other, from the last to the first; epochs, images and checks
    count for each."""

    k: float = 20.0
    zeta: float = 0.02
    delta: float = 0.003
    lr: float = 0.01
    epochs: int = 2
    images: int = 8_000
    batch: int = 0
    checks: int = 3
    backoffs: int = 3
    validation: int = 2_000
    distil: float = 0.0
    temperature: float = 4.0
    seed: int = 1
    layer_wise: bool = False

    def __post_init__(self) -> None:
        positive = (self.k, self.lr, self.temperature, self.epochs, self.checks, self.images, self.validation)
        others = (self.zeta, self.batch, self.backoffs, self.seed)
        shares = (self.delta, self.distil)
        # written so that NaN and infinity fail as well
        if not (
            all(0 < value < math.inf for value in positive)
            and all(0 <= value < math.inf for value in others)
            and all(0 <= value <= 1 for value in shares)
        ):
            raise GoldenError(f"post-training options are out of range: {self}")

    def passes(self, calls: int) -> float:
        """Forward passes for each image, about (a step with gradients counts as three)."""
        return self.epochs * 3 * (calls if self.layer_wise else 1)


Recipe = Maxima | LeastMaxima | ThresholdSearch | PostTraining | Callable[..., Any]
"""One of these, or a function of a :class:`golden.search.profiled.Profiled` that returns the bounds by activation name,
or these and a record of how they were found."""
