"""One factor on the profiled maxima of a whole network, as small as its clean accuracy allows: nothing is searched."""

from __future__ import annotations

from dataclasses import asdict

from golden.bounds.recipes import LeastMaxima
from golden.bounds.schemes import Scheme
from golden.frontend.activations import apply_bounds
from golden.networks.evaluate import accuracy
from golden.networks.zoo import Bounds
from golden.search.profiled import Profiled, Record


def least_factor(profiled: Profiled, scheme: Scheme, maxima: Bounds, recipe: LeastMaxima) -> tuple[Bounds, Record]:
    """``maxima`` times the factor of ``recipe``, and a record with every factor tried and its accuracy (0..1)."""
    assert scheme.mode is not None
    images = profiled.validation.part(0, recipe.validation)
    limit = accuracy(profiled.network(), images) - recipe.delta
    found, tried = 1.0, dict[str, float]()
    for number in range(1, round(1 / recipe.step)):
        factor = round(1 - number * recipe.step, 6)
        scaled = {name: bound * factor for name, bound in maxima.items()}
        hard = accuracy(apply_bounds(profiled.network(), scaled, scheme.mode), images)
        tried[f"{factor:g}"] = round(hard, 4)
        if hard < limit:
            break
        found = factor
    who = scheme.granularity.value
    return {name: bound * found for name, bound in maxima.items()}, {
        **asdict(recipe),
        "bound": f"profiled maximum of the {who} times the least factor that keeps the accuracy",
        "factor": found,
        "clean_limit": round(limit, 4),
        "accuracy_with_factor": tried,
    }
