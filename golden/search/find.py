"""The bounds of every scheme for a trained network: found as its declaration says, measured and stored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from golden.bounds.granularity import Granularity
from golden.bounds.own import to_json
from golden.bounds.recipes import LAYERWISE, LeastMaxima, Maxima, PostTraining, Recipe, ThresholdSearch
from golden.bounds.schemes import Scheme, bounded_names, find_scheme, in_order
from golden.data.dataset import DataSet
from golden.errors import GoldenError
from golden.networks.artefacts import WEIGHTS_FOLDER
from golden.networks.zoo import Bounds, copy_network, save_bounds
from golden.search.clipact import search
from golden.search.factor import least_factor
from golden.search.function import found_by
from golden.search.grouping import groups_of, shared_maxima
from golden.search.post_training import post_train
from golden.search.profile import subset
from golden.search.profiled import Profiled, Record, profiled_network


@dataclass(frozen=True)
class SearchOptions:
    """``recipes``: how bounds are found, by scheme, where that is not as declared. ``shared``: neurons that share what
    is learned, and start from the largest of their maxima, in schemes that learn a bound for each neuron."""

    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    shared: Granularity | None = None


def options_for(
    model: str,
    seed: int = 1,
    factor: float | None = None,
    layerwise: bool = False,
    shared: Granularity | None = None,
    **post_training: Any,
) -> SearchOptions:
    """What is declared for ``model``, every draw from ``seed``; fields of post-training that are not None apply to all
    schemes that learn. ``layerwise``: thresholds are searched with faults in the searched layer alone, as in
    :data:`golden.bounds.recipes.LAYERWISE`. ``factor`` and ``shared``: of schemes that learn a bound for each
    neuron; with a factor of the profiled maxima nothing is learned (to see what learning adds). Raises GoldenError if
    one is out of range."""
    if seed < 0:
        raise GoldenError(f"seed {seed} must not be negative")
    changes = {key: value for key, value in post_training.items() if value is not None}
    recipes: dict[str, Recipe] = {}
    for name in bounded_names():
        scheme = find_scheme(name)
        recipe = scheme.recipe(model)
        if isinstance(recipe, PostTraining):
            recipe = replace(recipe, seed=seed, **changes)
        elif isinstance(recipe, ThresholdSearch):
            searched = replace(LAYERWISE, images=min(LAYERWISE.images, recipe.images)) if layerwise else recipe
            recipe = replace(searched, seed=seed)
        recipes[name] = Maxima(factor) if factor is not None and _learns_neurons(scheme) else recipe
    return SearchOptions(recipes, shared)


def _learns_neurons(scheme: Scheme) -> bool:
    return isinstance(scheme.find, PostTraining) and scheme.granularity is Granularity.NEURON


def find_one(
    profiled: Profiled, scheme: Scheme, recipe: Recipe, shared: Granularity | None = None
) -> tuple[Bounds, Record]:
    """The bounds of a scheme by ``recipe``, and a record of how; ``shared`` as in :class:`SearchOptions`."""
    if shared is Granularity.NEURON or not _learns_neurons(scheme):
        shared = None
    start, groups = _start(profiled, scheme, shared)
    record: Record = {} if shared is None else {"granularity": shared.value}
    if isinstance(recipe, Maxima):
        scaled = {name: bound * recipe.factor for name, bound in start.items()}
        who = (shared or scheme.granularity).value
        return scaled, {"bound": f"profiled maximum of the {who}, not learned", "factor": recipe.factor, **record}
    if isinstance(recipe, LeastMaxima):
        return least_factor(profiled, scheme, start, recipe)
    if isinstance(recipe, ThresholdSearch):
        images = subset(profiled.learnable, recipe.images, recipe.seed)
        return search(profiled.network(), start, images, recipe, profiled.checkpoint(scheme.name, recipe))
    if isinstance(recipe, PostTraining):
        stages = [[name] for name in reversed(start)] if recipe.layer_wise else []
        kept = profiled.checkpoint(scheme.name, recipe) if recipe.layer_wise else None
        images_of = (profiled.learnable, profiled.validation)
        bounds, learned = post_train(profiled.network(), start, *images_of, recipe, stages, kept, groups)
        return bounds, {**record, **learned}
    return found_by(recipe, profiled, scheme)


def _start(profiled: Profiled, scheme: Scheme, shared: Granularity | None) -> tuple[Bounds, dict[str, Tensor]]:
    """The profiled maxima of those that share a bound: () of a layer, else (*neurons); and who shares one, by
    activation, where that is a group of neurons. ``shared``: instead of the scheme's own granularity."""
    start: Bounds = {}
    groups: dict[str, Tensor] = {}
    for number, (name, maxima) in enumerate(profiled.maxima.items(), 1):
        granularity = shared or scheme.granularity_in(last=number == len(profiled.maxima))
        if granularity is Granularity.NEURON:
            start[name] = maxima
        elif granularity is Granularity.LAYER and shared is None:
            start[name] = profiled.layer_maxima[name]
        else:
            groups[name] = groups_of(maxima, granularity)
            start[name] = shared_maxima(maxima, groups[name])
    return start, groups


def find_bounds(
    model: str,
    training: DataSet,
    options: SearchOptions | None = None,
    schemes: Iterable[str] = (),
    folder: Path = WEIGHTS_FOLDER,
    out: Path | None = None,
    cache: Path | None = None,
    origin: Callable[[], Mapping[str, Any]] = dict,
) -> Record:
    """Find the bounds of ``schemes`` (default all) for the network stored in ``folder``; returns the record.

    Each scheme is stored in ``out`` (default ``folder``) as soon as it is found. ``cache``: folder where the
    profile is kept for the next time. ``origin`` gives the record of where bounds come from, kept with each scheme as
    ``provenance``. Raises GoldenError for an unknown scheme, WeightsError for damaged weights.
    """
    wanted = bounded_schemes(schemes)
    profiled = profiled_network(model, training, folder, cache)
    if out is not None and out != folder:
        copy_network(model, folder, out)

    def save(scheme: str, bounds: Bounds, record: Record) -> None:
        save_bounds(model, {scheme: bounds}, record, out or folder)

    return search_all(profiled, options or options_for(model), wanted, save, origin)


def bounded_schemes(schemes: Iterable[str]) -> list[Scheme]:
    """These, or all that have bounds if none is named, in the order of tables. Raises GoldenError for one that has
    none."""
    wanted = [find_scheme(name) for name in list(schemes) or bounded_names()]
    for scheme in wanted:
        scheme.recipe()
    return [find_scheme(name) for name in in_order({scheme.name for scheme in wanted})]


def search_all(
    profiled: Profiled,
    options: SearchOptions,
    schemes: Iterable[Scheme],
    save: Callable[[str, Bounds, Record], None],
    origin: Callable[[], Mapping[str, Any]] = dict,
    rounding: str = "float16, upwards",
) -> Record:
    """The bounds of ``schemes``, each given to ``save`` with the record up to there as soon as it is found. Returns the
    record; ``rounding``: of what is saved."""
    maxima = profiled.maxima
    record: Record = {
        "profile": {"images": len(profiled.training), "of": "training set, fault-free, element-wise maximum"},
        "rounding": rounding,
        "neurons": sum(value.numel() for value in maxima.values()),
        "neurons_that_never_fire": sum(int((value == 0).sum()) for value in maxima.values()),
        "layer_maximum": {name: round(float(value), 3) for name, value in profiled.layer_maxima.items()},
        "mean_neuron_maximum": {name: round(float(value.mean()), 3) for name, value in maxima.items()},
    }
    for scheme in schemes:
        began = time.monotonic()
        recipe = options.recipes.get(scheme.name) or scheme.recipe(profiled.name)
        bounds, found = find_one(profiled, scheme, recipe, options.shared)
        seconds = round(time.monotonic() - began)
        mean = {name: round(float(value.mean()), 3) for name, value in bounds.items()}
        assert scheme.mode is not None
        effect = profiled.effect(scheme.mode, bounds)
        record[scheme.name] = {"seconds": seconds, **found, "mean_bound": mean, **effect, "provenance": dict(origin())}
        if scheme.origin:
            record[scheme.name]["declaration"] = to_json(scheme)
        save(scheme.name, bounds, record)
    return record
