"""Trained networks from the committed files: as ``nn.Module`` and quantised. No images are needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from golden.bounds.schemes import UNPROTECTED, find_scheme
from golden.errors import WeightsError
from golden.frontend.activations import apply_bounds
from golden.frontend.network import GraphNetwork
from golden.networks.artefacts import WEIGHTS_FOLDER, half_up, read_arrays, read_artefact, read_manifest, write_artefact
from golden.networks.graphs import stored_graph
from golden.networks.models import build_model
from golden.networks.registry import declared_scheme
from golden.qnetwork import QNetwork
from golden.quantisation.quantise import BinaryPoints, check_word, quantise
from golden.support.arrays import pack_arrays

Bounds = dict[str, Tensor]
"""Bound of each activation by its dotted name: float32 () or (channels, rows, columns) or (features,)."""


def load_model(name: str, scheme: str = UNPROTECTED.name, folder: Path = WEIGHTS_FOLDER) -> nn.Module:
    """The trained network in evaluation mode, with the bounded activations of ``scheme``.

    Raises GoldenError for an unknown name or scheme, WeightsError if a file is missing or damaged.
    """
    mode = declared_scheme(name, scheme, folder).mode
    model = build_model(name)
    arrays = read_arrays(f"{name}.npz", folder)
    state = {key: torch.from_numpy(array) for key, array in _expand(arrays).items()}
    expected = model.state_dict()
    if set(state) != set(expected) or any(state[key].shape != expected[key].shape for key in state):
        raise WeightsError(f"{folder / name}.npz does not hold the weights of this {name}")
    model.load_state_dict({key: value.to(expected[key].dtype) for key, value in state.items()})
    model.eval().requires_grad_(False)
    if mode is not None:
        apply_bounds(model, load_bounds(name, scheme, folder), mode)
    return model


def load_network(name: str, scheme: str = UNPROTECTED.name, folder: Path = WEIGHTS_FOLDER) -> GraphNetwork:
    """The same as a graph, which is lowered without an export."""
    mode = declared_scheme(name, scheme, folder).mode
    graph, arrays = stored_graph(name), _expand(read_arrays(f"{name}.npz", folder))
    wanted = {tensor for op in graph.ops for tensor in op.tensors.values()}
    if not wanted <= set(arrays):
        raise WeightsError(f"{folder / name}.npz does not hold the weights of this {name}")
    network = GraphNetwork(graph, {key: torch.from_numpy(arrays[key]).float() for key in wanted}).eval()
    if mode is not None:
        apply_bounds(network, load_bounds(name, scheme, folder), mode)
    return network


def load_bounds(name: str, scheme: str, folder: Path = WEIGHTS_FOLDER) -> Bounds:
    """The bounds of a scheme. Raises WeightsError if they are missing or damaged."""
    arrays = read_arrays(f"{name}_bounds.npz", folder)
    _check_belongs(f"{name}_bounds.npz", name, folder)
    prefix = scheme + "/"
    bounds = {
        key.removeprefix(prefix): torch.from_numpy(np.asarray(array, np.float32))
        for key, array in arrays.items()
        if key.startswith(prefix)
    }
    if not bounds:
        raise WeightsError(f"{folder / name}_bounds.npz holds no bounds of {scheme}")
    return bounds


def load_points(name: str, word_bits: int, folder: Path = WEIGHTS_FOLDER) -> BinaryPoints:
    """The binary points of a network at a word width. Raises WeightsError if missing or damaged."""
    check_word(word_bits)
    try:
        points = json.loads(read_artefact(f"{name}_points.json", folder))[str(word_bits)]
    except (ValueError, KeyError) as error:
        raise WeightsError(f"{folder / name}_points.json has no points for {word_bits} bits") from error
    _check_belongs(f"{name}_points.json", name, folder)
    return BinaryPoints.from_json(points)


def load_qnetwork(name: str, scheme: str, word_bits: int, folder: Path = WEIGHTS_FOLDER) -> QNetwork:
    """The quantised network of a scheme at 8, 16 or 32 bits (Q15.16), the same on every machine.

    Raises GoldenError for unknown arguments, WeightsError if a file is missing or damaged.
    """
    check_word(word_bits)
    network = load_network(name, scheme, folder)
    return quantise(network, load_points(name, word_bits, folder), name, scheme)


CODE_BITS = {"resnet50": 8}
"""Networks whose matrices are stored as whole numbers of that many bits, to keep the repository small."""

_SCALE = "/scale"


def save_weights(name: str, model: nn.Module, facts: Mapping[str, Any], folder: Path = WEIGHTS_FOLDER) -> None:
    """Store a network: matrices as float16, or as codes with a scale per output channel where ``CODE_BITS`` says
    so; vectors (BatchNorm, biases) as float32. Raises WeightsError for numbers that float16 cannot hold."""
    arrays = {}
    for key, value in model.state_dict().items():
        array = value.detach().cpu().numpy()
        if array.dtype == np.float32 and array.ndim > 1 and name in CODE_BITS:
            arrays[key], arrays[key + _SCALE] = _code(array, CODE_BITS[name])
            continue
        if array.dtype == np.float32:
            if not (np.abs(array) <= np.finfo(np.float16).max).all():
                raise WeightsError(f"{key} holds numbers that float16 cannot")
            array = array.astype(np.float16 if array.ndim > 1 else np.float32)
        arrays[key] = array
    write_artefact(f"{name}.npz", pack_arrays(arrays), {"model": name, **facts}, folder)


def _code(matrix: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes (int8, int16) of ``matrix`` (outputs, ...) and scales float32 (outputs,): matrix = code * scale, nearly."""
    largest = np.abs(matrix.reshape(len(matrix), -1)).max(axis=1)
    scale = np.where(largest > 0, largest / ((1 << (bits - 1)) - 1), 1).astype(np.float32)
    codes = np.rint(matrix / scale.reshape(-1, *[1] * (matrix.ndim - 1)))
    return codes.astype(np.int8 if bits <= 8 else np.int16), scale


def _expand(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a network, codes multiplied by their scales (float32)."""
    result = {}
    for key, array in arrays.items():
        scale = arrays.get(key + _SCALE)
        if scale is not None:
            array = array.astype(np.float32) * scale.reshape(-1, *[1] * (array.ndim - 1))
        if not key.endswith(_SCALE):
            result[key] = array
    return result


def save_bounds(
    name: str, bounds: Mapping[str, Bounds], facts: Mapping[str, Any], folder: Path = WEIGHTS_FOLDER
) -> None:
    """Store the bounds of these schemes as float16, rounded up (a stored bound never cuts off more).

    Bounds and facts of other schemes stay, if they belong to the same weights.
    """
    file, wanted = f"{name}_bounds.npz", set(stored_graph(name).activations)
    arrays, known = {}, read_manifest(folder).get(file, {})
    if known and known.get("weights_sha256") == _weights_sha256(name, folder):
        arrays = read_arrays(file, folder)
    else:
        known = {}
    known = {key: value for key, value in known.items() if key != "date"}
    for scheme, of_scheme in bounds.items():
        find_scheme(scheme)
        if set(of_scheme) != wanted:
            wrong = ", ".join(sorted(wanted ^ set(of_scheme)))
            raise WeightsError(f"bounds of {scheme} do not cover the activations of {name}: {wrong}")
        for key, bound in of_scheme.items():
            arrays[f"{scheme}/{key}"] = half_up(bound.detach().cpu().numpy())
    owner = {"model": name, "weights_sha256": _weights_sha256(name, folder)}
    write_artefact(file, pack_arrays(arrays), {**known, **owner, **facts}, folder)


def save_points(
    name: str, points: Mapping[int, BinaryPoints], facts: Mapping[str, Any], folder: Path = WEIGHTS_FOLDER
) -> None:
    """Store the binary points of all word widths."""
    data = {str(word): of_word.to_json() for word, of_word in points.items()}
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    owner = {"model": name, "weights_sha256": _weights_sha256(name, folder)}
    write_artefact(f"{name}_points.json", (text + "\n").encode(), {**owner, **facts}, folder)


def copy_network(name: str, source: Path, target: Path) -> None:
    """Copy everything stored about a network into another folder. Raises WeightsError for damaged files."""
    manifest = read_manifest(source)
    for file in (f"{name}.npz", f"{name}_points.json", f"{name}_bounds.npz"):
        if file in manifest:
            write_artefact(file, read_artefact(file, source), manifest[file], target)


def _weights_sha256(name: str, folder: Path) -> str | None:
    return read_manifest(folder).get(f"{name}.npz", {}).get("sha256")


def _check_belongs(file: str, name: str, folder: Path) -> None:
    """Bounds and binary points are found for certain weights and mean nothing for others."""
    owner = read_manifest(folder).get(file, {}).get("weights_sha256")
    if owner is None or owner != _weights_sha256(name, folder):
        raise WeightsError(f"{folder / file} was made for other weights than {name}.npz: make it again")
