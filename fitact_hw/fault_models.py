"""Fault models: what a drawn bit, word and cycle become. A model of your own is one more entry of MODELS.

A drawn fault is a flip of the bits of ``--shape`` at a uniform (bit, cycle) point of its structure. A model makes of it
what strikes: the flip itself, a bit that is stuck, several flips.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from fitact_hw.errors import FitActError
from fitact_hw.faults import FaultEvent, Shape, Storage, Upset, faults
from golden.support.choices import must_be

Make = Callable[[Sequence[FaultEvent], np.random.Generator], FaultEvent]


@dataclass(frozen=True)
class FaultModel:
    """``make``: the fault that becomes of ``draws`` drawn ones, which may draw more; ``name`` with its argument."""

    name: str
    make: Make
    draws: int = 1


def held(event: FaultEvent, stuck: int, first: int, last: int | None = None) -> FaultEvent:
    """The bits of ``event`` stuck at 0 or 1 from cycle ``first`` to ``last`` (None: to the end)."""
    upsets = (Upset(upset.site, upset.word, upset.mask, first, stuck, last) for upset in event.upsets)
    return replace(event, upsets=tuple(upsets))


def _seu(_: str) -> FaultModel:
    return FaultModel("seu", lambda events, rng: events[0])


def _stuck(value: int) -> Callable[[str], FaultModel]:
    return lambda _: FaultModel(f"stuck-at-{value}", lambda events, rng: held(events[0], value, 0))


def _intermittent(argument: str) -> FaultModel:
    cycles = _count("intermittent", argument, "cycles")

    def make(events: Sequence[FaultEvent], rng: np.random.Generator) -> FaultEvent:
        event = events[0]
        return held(event, int(rng.integers(2)), event.cycle, event.cycle + cycles - 1)

    return FaultModel(f"intermittent:{cycles}", make)


def _several(argument: str) -> FaultModel:
    number = _count("several", argument, "upsets")

    def make(events: Sequence[FaultEvent], rng: np.random.Generator) -> FaultEvent:
        upsets = sorted((upset for event in events for upset in event.upsets), key=lambda upset: upset.cycle)
        return replace(events[0], upsets=tuple(upsets))

    return FaultModel(f"several:{number}", make, number)


MODELS: dict[str, tuple[Callable[[str], FaultModel], str]] = {
    "seu": (_seu, ""),
    "stuck-at-0": (_stuck(0), ""),
    "stuck-at-1": (_stuck(1), ""),
    "intermittent": (_intermittent, "K"),
    "several": (_several, "N"),
}
"""Name -> how it is made of its argument, and what the argument is called ("": it has none).

``seu``: the drawn flip. ``stuck-at-0``, ``stuck-at-1``: the bit has this value in every cycle of the run.
``intermittent:K``: from the drawn cycle on it is stuck for K cycles, at 0 or 1 as a fair coin says. ``several:N``: N
drawn flips of the same structure in one run.
"""

SEU = MODELS["seu"][0]("")


def draw(
    structures: Mapping[str, Sequence[Storage]],
    number: int,
    cycles: int,
    seed: int,
    model: FaultModel = SEU,
    *,
    shape: Shape = Shape.SINGLE,
    interleave: int = 1,
) -> list[FaultEvent]:
    """``number`` faults of ``model``, made of those that :func:`fitact_hw.faults.sample` draws.

    What a model draws besides comes from a generator of its own for each structure: a longer list starts with the
    shorter one. Raises FaultError when there is nothing to draw from.
    """
    drawn = faults(structures, cycles, seed, shape=shape, interleave=interleave)
    generators = [np.random.default_rng([seed, *model.name.encode(), *name.encode()]) for name in structures]
    found: list[FaultEvent] = []
    while len(found) < number:
        turns = [list(islice(drawn, len(generators))) for _ in range(model.draws)]
        found += [model.make(events, rng) for *events, rng in zip(*turns, generators, strict=True)]
    return found[:number]


def model_names() -> list[str]:
    """How models are written."""
    return [f"{name}:{argument}" if argument else name for name, (_, argument) in MODELS.items()]


def parse_model(text: str) -> FaultModel:
    """The model called ``text``. Raises FitActError."""
    name, _, argument = text.partition(":")
    if name not in MODELS or bool(argument) != bool(MODELS[name][1]):
        raise FitActError(f"fault model {text!r} {must_be(text, model_names())}")
    return MODELS[name][0](argument)


def shortcuts_off(name: str) -> str:
    """What is not exact for a model, so that it is not done, and what that costs; empty for single upsets."""
    if name == SEU.name:
        return ""
    until = "to the end of its run" if name.startswith("stuck") else "at least until its last cycle has passed"
    return (
        f"{name}: no fault is dead, collapsed with another or judged without RTL; each is simulated from its first "
        f"cycle {until}, which takes tens to thousands of times as long as a single upset"
    )


def _count(model: str, argument: str, what: str) -> int:
    if not argument.isdecimal() or not int(argument):
        raise FitActError(f"fault model {model}:{argument}: give a whole number of {what}, at least 1")
    return int(argument)
