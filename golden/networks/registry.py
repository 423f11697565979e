"""Names of the networks and what is stored of them, without the weight of torch: commands check their options here."""

from __future__ import annotations

from pathlib import Path

from golden.bounds.schemes import SCHEMES
from golden.errors import GoldenError
from golden.networks.artefacts import WEIGHTS_FOLDER, read_arrays, read_manifest
from golden.support.choices import unknown

NETWORKS = ("alexnet", "vgg16", "resnet50")
"""Networks that can be built; their classes are in :mod:`golden.networks.models`."""


def check_model(name: str) -> None:
    """Raises GoldenError for an unknown name, listing the known ones."""
    if name not in NETWORKS:
        raise GoldenError(unknown("model", name, NETWORKS))


def stored_schemes(name: str, folder: Path = WEIGHTS_FOLDER) -> tuple[str, ...]:
    """Schemes that can run: those without bounds, and those whose bounds are stored. Raises WeightsError if damaged."""
    file = f"{name}_bounds.npz"
    arrays = read_arrays(file, folder) if file in read_manifest(folder) else {}
    stored = {key.split("/")[0] for key in arrays}
    return tuple(scheme.name for scheme in SCHEMES.values() if scheme.mode is None or scheme.name in stored)
