"""A trained network with its training images, and what fault-free runs on them show: what bounds are found from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from golden.bounds.recipes import PostTraining, ThresholdSearch
from golden.bounds.schemes import UNPROTECTED
from golden.data.dataset import DataSet
from golden.errors import GoldenError
from golden.frontend.activations import Mode, Recorder, activation_names, apply_bounds
from golden.frontend.modules import evaluation_mode
from golden.frontend.network import GraphNetwork
from golden.networks.artefacts import read_manifest
from golden.networks.evaluate import accuracy, batches
from golden.networks.zoo import Bounds, load_network
from golden.search.profile import layer_bounds, profile
from golden.support.arrays import UNREADABLE, pack_arrays
from golden.support.files import write_bytes
from golden.support.folders import build_root

Record = dict[str, Any]


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

    def checkpoint(self, scheme: str, options: PostTraining | ThresholdSearch) -> Path | None:
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

    def activations(self, images: int) -> Bounds:
        """What goes into each activation, float32 (images, *neurons), on the first so many images to learn from."""
        seen: dict[str, list[Tensor]] = {}
        network = self.network()
        with torch.no_grad(), evaluation_mode(network), Recorder(network, lambda name, x: _keep(seen, name, x)):
            for pixels, _ in batches(self.learnable.part(0, images)):
                network(pixels)
        return {name: torch.cat(parts) for name, parts in seen.items()}

    def effect(self, mode: Mode, bounds: Bounds) -> Record:
        """Clean accuracy without and with ``bounds`` (hard form), and the neurons that can never fire."""
        hard = accuracy(apply_bounds(self.network(), bounds, mode), self.validation)
        sizes = {name: value.numel() for name, value in self.maxima.items()}
        dead = sum(int((bound == 0).sum()) * (sizes[name] // bound.numel()) for name, bound in bounds.items())
        return {
            "validation_accuracy": {UNPROTECTED.name: round(self.clean, 4), "hard": round(hard, 4)},
            "neurons_with_bound_0": dead,
        }


def _keep(seen: dict[str, list[Tensor]], name: str, x: Tensor) -> None:
    seen.setdefault(name, []).append(x.clone())  # it may be changed in place


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
