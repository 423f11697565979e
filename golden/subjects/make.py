"""A subject of the user's network and data: imported, compared, calibrated at the three widths, written whole."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from golden.data.dataset import DataSet
from golden.errors import DataError, GoldenError, QuantisationWarning, StoreError
from golden.frontend.check import check_import, checkable
from golden.frontend.given import GivenNetwork
from golden.frontend.graph import image_shape
from golden.frontend.lowering import import_network, lower_network
from golden.frontend.modules import evaluation_mode
from golden.frontend.network import GraphNetwork
from golden.networks.artefacts import write_artefact
from golden.networks.evaluate import batches
from golden.qnetwork import ACC_BITS
from golden.quantisation.quantise import calibrate, quantise
from golden.subjects.data import Data
from golden.subjects.names import FACTS, GRAPH, IMAGES, POINTS, WEIGHTS, is_subject
from golden.subjects.stored import StoredSubject, packed
from golden.support.folders import build_root
from golden.support.progress import track

CALIBRATION_IMAGES = 500
KEPT_IMAGES, KEPT_BYTES = 5_000, 256 << 20
"""Images for bounds and, apart from them, for tests that a subject keeps: no more than so many, nor so large."""


@dataclass(frozen=True, eq=False)
class Imported:
    """A network whose graph computes what the user's module computes on their images, with these images. ``origin``:
    of a network that was read from a file, its name, hash and producer."""

    network: GraphNetwork
    data: Data
    origin: Mapping[str, str] = field(default_factory=dict)


def import_checked(model: nn.Module, data: Data) -> Imported:
    """``model`` as a graph, compared with it on the user's images. Data without labels get the classes that it gives.

    ``model`` stays as it is. Raises UnsupportedError naming all that is not supported, or where graph and module
    differ; GoldenError for images that it does not take.
    """
    taken = data.training.taken
    network = import_network(model, taken)
    if network.graph.input_shape != image_shape(taken):
        size, wanted = ("x".join(map(str, shape)) for shape in (taken, network.graph.taken))
        raise GoldenError(f"{network.graph.name} takes images of {wanted}, {data.source} has {size}")
    lower_network(network)
    _check_classes(network, data)
    check_import(model, network, data.training.part(0, checkable(network)).network_input())
    training, test = (_kept(part) for part in (data.training, data.test))
    if not data.labelled:
        training, test = (_with_classes(network, part) for part in (training, test))
    kept = Data(training, test, data.labelled, data.source, data.classes, (*data.notes, *network.graph.notes))
    return Imported(network, kept, dict(model.origin) if isinstance(model, GivenNetwork) else {})


def _check_classes(network: GraphNetwork, data: Data) -> None:
    """Raise DataError for more classes than the network has outputs."""
    outputs = int(np.prod(network.graph.shape(network.graph.output)))
    largest = max(int(part.labels.max()) for part in (data.training, data.test)) if data.labelled else -1
    if largest >= outputs:
        raise DataError(
            f"{data.source} has label {largest}, {network.graph.name} has {outputs} outputs: 0 to {outputs - 1}"
        )
    if len(data.classes) > outputs:
        raise DataError(f"{data.source} names {len(data.classes)} classes, {network.graph.name} has {outputs} outputs")


def _kept(data: DataSet) -> DataSet:
    return data.part(0, max(1, min(KEPT_IMAGES, KEPT_BYTES // max(1, data.images[:1].nbytes))))


@torch.no_grad()
def float_classes(network: GraphNetwork, data: DataSet) -> np.ndarray:
    """The class of each image by the float network, int64 (count,)."""
    with evaluation_mode(network):
        found = [network(pixels).flatten(1).argmax(1) for pixels, _ in batches(data)]
    return torch.cat(found).numpy()


def _with_classes(network: GraphNetwork, data: DataSet) -> DataSet:
    return DataSet(data.images, float_classes(network, data), data.mean, data.std)


def points_of(network: GraphNetwork, training: DataSet) -> dict[str, Any]:
    """Binary points of the three widths as JSON; ``refused`` and why, where a width does not do."""
    found: dict[str, Any] = {}
    images = training.part(0, CALIBRATION_IMAGES).network_input()
    for word_bits in track(list(ACC_BITS), "calibrating words of 8, 16, 32 bits", len(ACC_BITS)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", QuantisationWarning)  # they are in the points' notes
                points = calibrate(network, _as_taken(images, network), word_bits)
                quantise(network, points)
            found[str(word_bits)] = points.to_json()
        except GoldenError as error:
            found[str(word_bits)] = {"refused": str(error)}
    if all("refused" in points for points in found.values()):
        raise GoldenError("; ".join(f"{word} bits: {points['refused']}" for word, points in found.items()))
    return found


def _as_taken(images: np.ndarray, network: GraphNetwork) -> np.ndarray:
    return images.reshape(len(images), *network.graph.taken)


def digest(imported: Imported) -> str:
    """Short hash of all that a subject is made of: graph, weights, images, labels, preprocessing, classes."""
    network, data = imported.network, imported.data
    found = hashlib.sha256(json.dumps(network.graph.to_json(places=False), sort_keys=True).encode())
    for name, array in sorted(tensors_of(network).items()):
        found.update(name.encode() + str(array.dtype).encode() + np.ascontiguousarray(array).tobytes())
    for part in (data.training, data.test):
        found.update(f"{part.images.dtype} {part.images.shape} {part.mean} {part.std}".encode())
        found.update(np.ascontiguousarray(part.images).tobytes() + part.labels.tobytes())
    found.update(repr((data.labelled, data.classes)).encode())
    return found.hexdigest()[:16]


def tensors_of(network: GraphNetwork) -> dict[str, np.ndarray]:
    """Parameters by the names in the graph."""
    names = dict.fromkeys(name for op in network.graph.ops for name in op.tensors.values())
    return {name: network.tensor(name).detach().cpu().numpy() for name in names}


def write_subject(imported: Imported, folder: Path, source: str) -> StoredSubject:
    """Calibrate, and write the subject's folder whole or not at all. ``source``: where the network came from.

    Raises StoreError if there is something else at ``folder``, GoldenError if no word width does.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = "holds a subject already" if is_subject(folder) else "is not empty"
        raise StoreError(f"{folder} {what}: remove it or name another folder")
    points = points_of(imported.network, imported.data.training)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _write(imported, points, made, source)
        made.chmod(0o755)
        made.replace(folder)
    except OSError:
        if not is_subject(folder):  # another process has made it meanwhile
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return StoredSubject(folder)


def _write(imported: Imported, points: Mapping[str, Any], folder: Path, source: str) -> None:
    network, data = imported.network, imported.data
    training, test = data.training, data.test
    graph = json.dumps(network.graph.to_json(), separators=(",", ":"))
    write_artefact(GRAPH, graph.encode(), {"network": network.graph.name}, folder)
    write_artefact(WEIGHTS, packed(tensors_of(network)), {"network": network.graph.name}, folder)
    calibration = {"images": min(CALIBRATION_IMAGES, len(training))}
    write_artefact(POINTS, json.dumps(points, separators=(",", ":")).encode(), calibration, folder)
    arrays = {
        "calibration/images": training.images,
        "calibration/labels": training.labels,
        "test/images": test.images,
        "test/labels": test.labels,
    }
    write_artefact(IMAGES, packed(arrays), {"source": data.source}, folder)
    right = float((float_classes(network, test) == test.labels).mean())
    facts = {
        "network": source,
        **({"origin": dict(imported.origin)} if imported.origin else {}),
        "data": f"{len(test)} test images of {data.source}",
        "labelled": data.labelled,
        "classes": list(data.classes),
        "mean": list(test.mean),
        "std": list(test.std),
        "taken": list(network.graph.taken),
        "float_top1": right if data.labelled else None,
        "notes": list(data.notes),
        "versions": {name: version(name) for name in ("torch", "numpy", "safetensors")},
    }
    write_artefact(FACTS, (json.dumps(facts, indent=1) + "\n").encode(), {"network": network.graph.name}, folder)


def cached_subject(imported: Imported, name: str, source: str) -> StoredSubject:
    """The same in the build root, by the hash of all that it is made of: made once."""
    folder = build_root() / "subjects" / f"{name}-{digest(imported)}"
    return StoredSubject(folder) if is_subject(folder) else write_subject(imported, folder, source)
