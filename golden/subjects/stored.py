"""A subject in a folder of its own: graph, weights, binary points, bounds and images, no pickle, all with checksums."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save

from golden.bounds.schemes import find_scheme
from golden.data.dataset import DataSet
from golden.errors import GoldenError, WeightsError
from golden.frontend.activations import activation_names
from golden.frontend.graph import Graph
from golden.frontend.network import GraphNetwork
from golden.networks.artefacts import read_artefact, read_manifest, write_artefact
from golden.networks.zoo import Bounds
from golden.quantisation.quantise import BinaryPoints, check_word
from golden.subjects.names import BOUNDS, FACTS, GRAPH, IMAGES, POINTS, WEIGHTS, check_subject, stored_schemes
from golden.subjects.subject import Samples, Subject


class StoredSubject(Subject):
    """The subject in ``folder``. Files are read when they are asked for, each time with its checksum.

    Raises GoldenError if it is no subject's folder, WeightsError for a damaged one.
    """

    def __init__(self, folder: Path) -> None:
        check_subject(str(folder))
        self.folder = folder.resolve()
        self.uri, self.name = str(self.folder), self.folder.name
        self.classes = tuple(self.facts.get("classes", ()))

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Class names, preprocessing, the source of network and data, versions."""
        facts: dict[str, Any] = self._json(FACTS)
        return facts

    @property
    def schemes(self) -> tuple[str, ...]:
        return stored_schemes(self.uri)

    @property
    def words(self) -> tuple[int, ...]:
        return tuple(int(word) for word, points in self._json(POINTS).items() if "refused" not in points)

    def float_network(self) -> GraphNetwork:
        graph, arrays = Graph.from_json(self._json(GRAPH)), self._arrays(WEIGHTS)
        missing = {name for op in graph.ops for name in op.tensors.values()} - set(arrays)
        if missing:
            raise WeightsError(f"{self.folder / WEIGHTS} lacks {min(missing)} of the graph")
        return GraphNetwork(graph, {name: torch.from_numpy(array) for name, array in arrays.items()}).eval()

    def bounds(self, scheme: str) -> Bounds:
        if scheme not in self.schemes:
            raise WeightsError(f"{self.name} has no bounds of {scheme}: fitact bounds {self.folder} --scheme {scheme}")
        if read_manifest(self.folder)[BOUNDS].get("weights_sha256") != self.weights_sha256:
            raise WeightsError(f"{self.folder / BOUNDS} was made for other weights: make it again")
        prefix = f"{scheme}/"
        return {
            key.removeprefix(prefix): torch.from_numpy(array)
            for key, array in self._arrays(BOUNDS).items()
            if key.startswith(prefix)
        }

    def points(self, word_bits: int) -> BinaryPoints:
        check_word(word_bits)
        points = self._json(POINTS).get(str(word_bits), {"refused": "it was not calibrated for them"})
        if "refused" in points:
            raise GoldenError(f"{self.name} cannot run with words of {word_bits} bits: {points['refused']}")
        return BinaryPoints.from_json(points)

    def samples(self, count: int | None = None) -> Samples:
        return Samples(self._images("test").part(0, count), self.facts["data"], self.facts["labelled"])

    def training(self) -> DataSet:
        """The images that calibrated it and from which bounds are learned."""
        return self._images("calibration")

    @property
    def weights_sha256(self) -> str | None:
        """What bounds are found for."""
        return read_manifest(self.folder).get(WEIGHTS, {}).get("sha256")

    def save_bounds(self, bounds: Mapping[str, Bounds], record: Mapping[str, Any]) -> None:
        """Store the bounds of these schemes, float32, and how they were found. Those of other schemes stay.

        Raises WeightsError unless they cover every activation call.
        """
        wanted = set(activation_names(self.float_network()))
        kept = self._arrays(BOUNDS) if (self.folder / BOUNDS).is_file() else {}
        schemes: dict[str, Any] = dict(read_manifest(self.folder).get(BOUNDS, {}).get("schemes", {}))
        for scheme, of_scheme in bounds.items():
            find_scheme(scheme)
            if set(of_scheme) != wanted:
                wrong = ", ".join(sorted(wanted ^ set(of_scheme)))
                raise WeightsError(f"bounds of {scheme} do not cover the activations of {self.name}: {wrong}")
            kept.update({f"{scheme}/{key}": bound.detach().float().numpy() for key, bound in of_scheme.items()})
            schemes[scheme] = record[scheme]
        facts = {"weights_sha256": self.weights_sha256, "schemes": schemes}
        write_artefact(BOUNDS, packed(kept), facts, self.folder)

    def _images(self, kind: str) -> DataSet:
        arrays = self._arrays(IMAGES)
        try:
            images, labels = arrays[f"{kind}/images"], arrays[f"{kind}/labels"]
        except KeyError as error:
            raise WeightsError(f"{self.folder / IMAGES} has no {error}") from None
        return DataSet(images, labels, tuple(self.facts["mean"]), tuple(self.facts["std"]))

    def _json(self, name: str) -> dict[str, Any]:
        try:
            value: dict[str, Any] = json.loads(read_artefact(name, self.folder))
        except ValueError as error:
            raise WeightsError(f"{self.folder / name} is damaged ({error})") from error
        return value

    def _arrays(self, name: str) -> dict[str, np.ndarray]:
        try:
            arrays: dict[str, np.ndarray] = load(read_artefact(name, self.folder))
        except SafetensorError as error:
            raise WeightsError(f"{self.folder / name} is damaged ({error})") from error
        return arrays


def packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A safetensors file in memory."""
    data: bytes = save({name: np.asarray(array, order="C") for name, array in arrays.items()})
    return data
