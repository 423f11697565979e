"""What distinguishes a corrupted layer from the clean one, in the form that the evaluator applies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from golden.bounds.stored import StoredBounds
from golden.errors import GoldenError
from golden.exact.epilogue import channels_last_bound
from golden.exact.kernels import word_type
from golden.fault_maps import FaultMap, check_map, hit_words, overrides, stored_bounds
from golden.qnetwork import QLayer, QNetwork


@dataclass(frozen=True, eq=False)
class WeightChanges:
    """Changed weights of a layer, int64 (count,) each: kernel row and column, input, output, difference."""

    row: Tensor
    column: Tensor
    inputs: Tensor
    outputs: Tensor
    delta: Tensor

    def __len__(self) -> int:
        return len(self.delta)

    def where(self, chosen: Tensor) -> WeightChanges:
        """Those for which the bool tensor (count,) holds."""
        fields = (self.row, self.column, self.inputs, self.outputs, self.delta)
        return WeightChanges(*(field[chosen] for field in fields))

    def gain(self, outputs: int) -> float:
        """Largest sum of magnitudes of an output channel (of ``outputs``)."""
        sums = torch.zeros(outputs, dtype=torch.float64, device=self.delta.device)
        return float(sums.index_add_(0, self.outputs, self.delta.double().abs()).max()) * (1 + 1e-9)


@dataclass(frozen=True, eq=False)
class LayerPatch:
    """Changes of one layer; ``bias`` and ``shift`` are the new vectors int64, ``bound`` the new bound (as in
    ``Parameters``), None where nothing changed. ``channels``: the output channels that may differ for an
    unchanged input, int64 sorted, or None for all."""

    weights: WeightChanges | None
    bias: Tensor | None
    shift: Tensor | None
    bound: Tensor | int | None
    channels: Tensor | None


Patch = dict[str, LayerPatch]
"""Changes by layer name; layers without changes are absent."""


def patch_of(
    clean: QNetwork, faults: FaultMap, stored: Mapping[str, StoredBounds] | None, device: torch.device
) -> Patch:
    """What :func:`patch_between` finds between ``clean`` and what :func:`golden.fault_maps.corrupt` makes of it,
    without that network's weights: copying and comparing ResNet50's 24 million takes a second.

    Raises GoldenError if the map was drawn for another network.
    """
    stored = stored_bounds(clean) if stored is None else stored
    check_map(clean, faults, stored)
    weights = {flips.segment.layer: flips for flips in faults.flips if flips.segment.kind == "weight"}
    others = replace(faults, flips=tuple(flips for flips in faults.flips if flips.segment.kind != "weight"))
    changed = overrides(clean, others, stored)
    patch: Patch = {}
    for layer in clean.layers:
        hit, new = weights.get(layer.name), changed.get(layer.name, layer)
        if hit is not None or new is not layer:
            words = None
            if hit is not None:
                assert layer.weight is not None
                words = hit_words(layer.weight, hit)
            difference = _layer_patch(layer, new, words, device, word_type(clean.word_bits))
            if difference is not None:
                patch[layer.name] = difference
    return patch


def patch_between(clean: QNetwork, faulty: QNetwork, device: torch.device) -> Patch:
    """The changes from ``clean`` to ``faulty``.

    Raises GoldenError if they differ in more than weights, biases, shifts and bounds.
    """
    if len(clean.layers) != len(faulty.layers):
        raise GoldenError(f"{faulty.name} is not a corrupted {clean.name}: it has another number of layers")
    patch: Patch = {}
    for old, new in zip(clean.layers, faulty.layers, strict=True):
        if old is not new:
            words = None
            if new.weight is not old.weight:
                assert new.weight is not None
                elements = np.flatnonzero(new.weight != old.weight)
                words = elements, new.weight.reshape(-1)[elements]
            difference = _layer_patch(old, new, words, device, word_type(clean.word_bits))
            if difference is not None:
                patch[old.name] = difference
    return patch


def _layer_patch(
    old: QLayer, new: QLayer, words: tuple[np.ndarray, np.ndarray] | None, device: torch.device, dtype: torch.dtype
) -> LayerPatch | None:
    """From ``old`` to ``new``, but the weights that differ are ``words``, as of :func:`hit_words`."""
    fixed = ("name", "kind", "source", "in_shape", "out_shape", "kernel", "stride", "padding", "activation")
    residuals = [layer.residual and (layer.residual.source, layer.residual.lshift) for layer in (old, new)]
    if any(getattr(old, key) != getattr(new, key) for key in fixed) or residuals[0] != residuals[1]:
        raise GoldenError(f"layer {new.name} is not a corrupted {old.name}: more than its parameters differ")
    touched: list[np.ndarray] = []
    weights = None
    if words is not None and len(words[0]):
        assert old.weight is not None
        output, inputs, row, column = np.unravel_index(words[0], old.weight.shape)
        delta = words[1] - old.weight.reshape(-1)[words[0]]
        arrays = (row, column, inputs, output, delta)
        weights = WeightChanges(*(torch.from_numpy(a.astype(np.int64)).to(device) for a in arrays))
        touched.append(output)
    vectors: dict[str, Tensor | None] = {"bias": None, "shift": None}
    for name in vectors:
        before, after = getattr(old, name), getattr(new, name)
        differs = np.flatnonzero(before != after)
        if len(differs):
            vectors[name] = torch.from_numpy(np.ascontiguousarray(after)).to(device)
            touched.append(differs)
    bound: Tensor | int | None = None
    everywhere = False
    if new.bound is not old.bound and not np.array_equal(np.asarray(old.bound), np.asarray(new.bound)):
        assert old.bound is not None
        assert new.bound is not None
        if isinstance(new.bound, np.ndarray):
            bound = channels_last_bound(new.bound, device, dtype)
            touched.append(np.nonzero(new.bound != np.broadcast_to(old.bound, new.out_shape))[0])
        else:
            bound, everywhere = int(new.bound), True
    if not touched and not everywhere:
        return None
    channels = None if everywhere else torch.from_numpy(np.unique(np.concatenate(touched))).to(device)
    return LayerPatch(weights, vectors["bias"], vectors["shift"], bound, channels)
