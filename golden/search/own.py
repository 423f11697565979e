"""The bounds of a network of one's own, learned on its own images, for every activation call."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from golden.bounds.recipes import PostTraining, Recipe, ThresholdSearch
from golden.errors import GoldenError
from golden.frontend.lowering import lower_network
from golden.networks.zoo import Bounds
from golden.search.find import SearchOptions, bounded_schemes, options_for, search_all
from golden.search.profiled import Profiled, Record
from golden.subjects.stored import StoredSubject

HELD_OUT_SHARE = 0.2
"""Of the images that teach: on these the accuracy is measured that bounds may not lower."""

WORK = 4e12
"""Multiply-accumulates of forward passes that a search may take, about: minutes on a few cores."""

_BATCH, _STEPS = 250, 40
"""Images of a step at most, and steps of a stage at least: with few of them accuracy could not stop a bound."""


def within(recipe: Recipe, macs: int, calls: int, images: int) -> Recipe:
    """``recipe`` for a network of ``macs`` an image and ``calls`` activation calls, where ``images`` can be learned
    from: no more of them than :data:`WORK` allows. The time of a search is linear in images and MACs."""
    if not isinstance(recipe, PostTraining | ThresholdSearch):
        return recipe
    affordable = max(32, int(WORK / (max(1, macs) * recipe.passes(calls))))
    count = max(1, min(recipe.images, images, affordable))
    if isinstance(recipe, ThresholdSearch):
        return replace(recipe, images=count)
    return replace(recipe, images=count, batch=max(1, min(_BATCH, math.ceil(count / _STEPS))))


def find_own_bounds(
    subject: StoredSubject,
    schemes: Iterable[str] = (),
    seed: int = 1,
    cache: Path | None = None,
    origin: Callable[[], Mapping[str, Any]] = dict,
) -> Record:
    """Find and store the bounds of ``schemes`` (default all) for a subject, on the images that it keeps for that.

    Where these have no labels of the user's, against the classes of the float network. ``cache``: folder of profiles
    and unfinished searches; ``origin`` gives the record of where bounds come from. Returns the record. Raises
    GoldenError for an unknown scheme, and for a network without activations.
    """
    wanted, declared = bounded_schemes(schemes), options_for("", seed).recipes
    network, training = subject.float_network(), subject.training()
    calls = network.activation_calls
    if not calls:
        raise GoldenError(f"{subject.name} has no ReLU: there is nothing to bound")
    training = training.at(np.random.default_rng(seed).permutation(len(training)))
    held_out = max(1, int(HELD_OUT_SHARE * len(training)))
    if held_out == len(training):
        raise GoldenError(f"{subject.name} keeps one image to learn bounds from: make it with more")
    layers = lower_network(network).layers
    macs = sum(x.weight.size * x.out_shape[1] * x.out_shape[2] for x in layers if x.weight is not None)
    options = SearchOptions(
        {name: within(recipe, macs, len(calls), len(training) - held_out) for name, recipe in declared.items()}
    )
    weights = f"{subject.weights_sha256} {seed}"
    profiled = Profiled(subject.name, subject.float_network, training, held_out, weights, cache)

    def save(scheme: str, bounds: Bounds, record: Record) -> None:
        subject.save_bounds({scheme: bounds}, record)

    return search_all(profiled, options, wanted, save, origin, "none: float32")
