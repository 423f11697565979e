"""The bounds of every scheme for a trained network: found, measured and stored.

A scheme is an entry of ``SEARCHES``: from the profile and its options to bounds and a record.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from golden.bounds.granularity import Granularity
from golden.bounds.schemes import CLIPACT, FITACT, PROACT, RANGER, SCHEMES, UNPROTECTED, find_scheme
from golden.data.dataset import DataSet
from golden.errors import GoldenError
from golden.frontend.activations import activation_names, apply_bounds
from golden.frontend.network import GraphNetwork
from golden.networks.artefacts import WEIGHTS_FOLDER, read_manifest
from golden.networks.evaluate import accuracy
from golden.networks.zoo import Bounds, copy_network, load_network, save_bounds
from golden.search.clipact import LAYERWISE, ClipActSearch, search
from golden.search.grouping import groups_of, shared_maxima
from golden.search.post_training import PostTraining, post_train
from golden.search.profile import layer_bounds, profile, subset
from golden.support.arrays import UNREADABLE, pack_arrays
from golden.support.files import write_bytes
from golden.support.folders import build_root

Record = dict[str, Any]


@dataclass(frozen=True)
class SearchOptions:
    """Options of the schemes that search or learn; ``OPTIONS`` has those of a network, else ``DEFAULTS``.

    ``factor``: FitAct's bounds are not learned but the profiled maxima times it (to see what learning adds).
    ``granularity``: neurons that share what FitAct learns, and start from the largest of their maxima.
    """

    clipact: ClipActSearch
    proact: PostTraining
    fitact: PostTraining
    factor: float | None = None
    granularity: Granularity = Granularity.NEURON

    def __post_init__(self) -> None:
        if self.factor is not None and not 0 < self.factor < math.inf:
            raise GoldenError(f"factor {self.factor} of the profiled maxima must be positive")


DEFAULTS = SearchOptions(
    clipact=ClipActSearch(),
    proact=PostTraining(zeta=0.1, lr=0.04, epochs=1, images=5_000, checks=5, validation=1_000, distil=1.0),
    fitact=PostTraining(),
)

OPTIONS: dict[str, SearchOptions] = {
    # the time is linear in activations and in work per image: fewer images for the larger networks
    "vgg16": SearchOptions(
        clipact=ClipActSearch(images=300),
        # small batches: with 30 steps a bound could go all the way down, so accuracy ends it and not their number
        proact=replace(DEFAULTS.proact, images=1_500, batch=50),
        fitact=DEFAULTS.fitact,
    ),
    "resnet50": SearchOptions(
        clipact=ClipActSearch(maps=1, images=100),
        proact=replace(DEFAULTS.proact, images=300, batch=10, checks=3, validation=500),
        fitact=PostTraining(epochs=1, images=6_000, validation=1_000),
    ),
}


def options_for(
    model: str, seed: int = 1, factor: float | None = None, layerwise: bool = False, **post_training: Any
) -> SearchOptions:
    """The default options of ``model``, every draw from ``seed``; fields of post-training that are not None
    apply to FitAct and ProAct, ``factor`` to FitAct; with ``layerwise`` Clip-Act strikes the searched layer alone
    (:data:`golden.search.clipact.LAYERWISE`). Raises GoldenError if one is out of range."""
    changes = {key: value for key, value in post_training.items() if value is not None}
    options = OPTIONS.get(model, DEFAULTS)
    return SearchOptions(
        replace(replace(LAYERWISE, images=min(LAYERWISE.images, options.clipact.images)), seed=seed)
        if layerwise
        else replace(options.clipact, seed=seed),
        replace(options.proact, seed=seed, **changes),
        replace(options.fitact, seed=seed, **changes),
        factor,
    )


def profiles_folder() -> Path:
    """Where profiles and unfinished searches are kept: see :mod:`golden.support.folders`."""
    return build_root() / "profiles"


class Profiled:
    """A network with its training images and what fault-free runs on them show.

    ``make`` gives a fresh copy with ordinary ReLUs; the last ``held_out`` images are those on which accuracy is
    measured; ``weights``: hash of what they depend on; ``cache``: folder of profiles and unfinished searches.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], GraphNetwork],
        training: DataSet,
        held_out: int,
        weights: str,
        cache: Path | None,
    ) -> None:
        self.name, self.network, self.training = name, make, training
        self.learnable = training.part(0, len(training) - held_out)
        self.validation = training.part(len(training) - held_out)
        self._digest = hashlib.sha256(f"{name} {weights}".encode() + training.images.tobytes()).hexdigest()[:16]
        self._folder = cache
        self._cache = None if cache is None else cache / f"{name}-{self._digest}.npz"

    def checkpoint(self, scheme: str, options: PostTraining | ClipActSearch) -> Path | None:
        """Where a search in stages keeps what it has found, for just these options."""
        if self._folder is None:
            return None
        digest = hashlib.sha256(f"{self._digest} {options}".encode()).hexdigest()[:16]
        return self._folder / f"{self.name}-{scheme}-{digest}.npz"

    @cached_property
    def maxima(self) -> Bounds:
        """Largest activation of each neuron over the whole training set; kept on disk, as it takes minutes."""
        network = self.network()
        if self._cache is not None and (kept := _read_profile(self._cache, activation_names(network))):
            return kept
        maxima = profile(network, self.training)
        if self._cache is not None:
            write_bytes(self._cache, pack_arrays({name: value.numpy() for name, value in maxima.items()}))
        return maxima

    @cached_property
    def layer_maxima(self) -> Bounds:
        """The largest activation of each layer."""
        return layer_bounds(self.maxima)

    @cached_property
    def clean(self) -> float:
        """Top-1 (0..1) of the unprotected network on the validation images."""
        return accuracy(self.network(), self.validation)

    def effect(self, scheme: str, bounds: Bounds) -> Record:
        """Clean accuracy without and with ``bounds`` (hard form), and the neurons that can never fire."""
        mode = find_scheme(scheme).mode
        assert mode is not None
        hard = accuracy(apply_bounds(self.network(), bounds, mode), self.validation)
        sizes = {name: value.numel() for name, value in self.maxima.items()}
        dead = sum(int((bound == 0).sum()) * (sizes[name] // bound.numel()) for name, bound in bounds.items())
        return {
            "validation_accuracy": {UNPROTECTED.name: round(self.clean, 4), "hard": round(hard, 4)},
            "neurons_with_bound_0": dead,
        }


def profiled_network(model: str, training: DataSet, folder: Path, cache: Path | None) -> Profiled:
    """A shipped network with the weights in ``folder``. Raises GoldenError if these name no validation split."""
    facts = read_manifest(folder).get(f"{model}.npz", {})
    held_out = int(facts.get("recipe", {}).get("validation", 0))
    if not 0 < held_out < len(training):
        raise GoldenError(f"{model}.npz in {folder} names no validation split: train and export it first")
    return Profiled(model, lambda: load_network(model, folder=folder), training, held_out, facts["sha256"], cache)


def _read_profile(path: Path, names: list[str]) -> Bounds | None:
    """A kept profile, or None if there is none that can be used."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            kept = {name: torch.from_numpy(arrays[name]) for name in names}
    except UNREADABLE:
        return None
    return kept


def _ranger(profiled: Profiled, _options: SearchOptions) -> tuple[Bounds, Record]:
    return profiled.layer_maxima, {"bound": "profiled maximum of the layer"}


def _clipact(profiled: Profiled, options: SearchOptions) -> tuple[Bounds, Record]:
    images = subset(profiled.learnable, options.clipact.images, options.clipact.seed)
    checkpoint = profiled.checkpoint(CLIPACT.name, options.clipact)
    return search(profiled.network(), profiled.layer_maxima, images, options.clipact, checkpoint)


def _proact(profiled: Profiled, options: SearchOptions) -> tuple[Bounds, Record]:
    """HyReLU: neuron bounds in the last activation, layer bounds elsewhere; learned from last to first."""
    names = list(profiled.maxima)
    start = {**profiled.layer_maxima, names[-1]: profiled.maxima[names[-1]]}
    stages = [[name] for name in reversed(names)]
    return _post_train(profiled, start, options.proact, stages, profiled.checkpoint(PROACT.name, options.proact))


def _fitact(profiled: Profiled, options: SearchOptions) -> tuple[Bounds, Record]:
    start, groups, record = profiled.maxima, None, Record()
    if options.granularity is not Granularity.NEURON:
        groups = {name: groups_of(bound, options.granularity) for name, bound in start.items()}
        start = {name: shared_maxima(bound, groups[name]) for name, bound in start.items()}
        record = {"granularity": options.granularity.value}
    if options.factor is not None:
        scaled = {name: bound * options.factor for name, bound in start.items()}
        return scaled, {"bound": "profiled maximum of the neuron, not learned", "factor": options.factor, **record}
    bounds, learned = _post_train(profiled, start, options.fitact, [], groups=groups)
    return bounds, {**record, **learned}


def _post_train(
    profiled: Profiled,
    start: dict[str, Tensor],
    options: PostTraining,
    stages: list[list[str]],
    checkpoint: Path | None = None,
    groups: dict[str, Tensor] | None = None,
) -> tuple[Bounds, Record]:
    images = (profiled.learnable, profiled.validation)
    return post_train(profiled.network(), start, *images, options, stages, checkpoint, groups)


SEARCHES: dict[str, Callable[[Profiled, SearchOptions], tuple[Bounds, Record]]] = {
    RANGER.name: _ranger,
    CLIPACT.name: _clipact,
    PROACT.name: _proact,
    FITACT.name: _fitact,
}


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


def bounded_schemes(schemes: Iterable[str]) -> list[str]:
    """These, or all that have bounds if none is named. Raises GoldenError for one that has none."""
    wanted = list(schemes) or list(SEARCHES)
    for scheme in wanted:
        if find_scheme(scheme).mode is None:
            raise GoldenError(f"scheme {scheme} has no bounds: known are {', '.join(SEARCHES)}")
    return wanted


def search_all(
    profiled: Profiled,
    options: SearchOptions,
    schemes: Iterable[str],
    save: Callable[[str, Bounds, Record], None],
    origin: Callable[[], Mapping[str, Any]] = dict,
    rounding: str = "float16, upwards",
) -> Record:
    """The bounds of ``schemes``, each given to ``save`` with the record up to there as soon as it is found. Returns the
    record; ``rounding``: of what is saved."""
    wanted, maxima = set(schemes), profiled.maxima
    record: Record = {
        "profile": {"images": len(profiled.training), "of": "training set, fault-free, element-wise maximum"},
        "rounding": rounding,
        "neurons": sum(value.numel() for value in maxima.values()),
        "neurons_that_never_fire": sum(int((value == 0).sum()) for value in maxima.values()),
        "layer_maximum": {name: round(float(value), 3) for name, value in profiled.layer_maxima.items()},
        "mean_neuron_maximum": {name: round(float(value.mean()), 3) for name, value in maxima.items()},
    }
    for scheme in (name for name in SCHEMES if name in wanted):
        began = time.monotonic()
        bounds, of_scheme = SEARCHES[scheme](profiled, options)
        seconds = round(time.monotonic() - began)
        mean = {name: round(float(value.mean()), 3) for name, value in bounds.items()}
        record[scheme] = {"seconds": seconds, **of_scheme, "mean_bound": mean, **profiled.effect(scheme, bounds)}
        record[scheme]["provenance"] = dict(origin())
        save(scheme, bounds, record)
    return record
