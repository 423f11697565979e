"""Names of the networks and what is stored of them, without the weight of torch: commands check their options here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from golden.bounds.granularity import Granularity, find_granularity
from golden.bounds.own import kept
from golden.bounds.schemes import SCHEMES, Scheme, find_scheme
from golden.errors import GoldenError, WeightsError
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
    facts = read_manifest(folder).get(file)
    arrays = {} if facts is None else read_arrays(file, folder)
    stored = kept(facts or {}, {key.split("/")[0] for key in arrays})
    return (*(scheme.name for scheme in SCHEMES.values() if not scheme.bounded), *stored)


def declared_scheme(name: str, scheme: str, folder: Path = WEIGHTS_FOLDER) -> Scheme:
    """A scheme by name, also one that is declared with its bounds. Raises GoldenError for an unknown one."""
    if scheme not in SCHEMES:
        stored_schemes(name, folder)  # what is declared there is known then
    return find_scheme(scheme)


def check_stored(name: str, schemes: Sequence[str] = (), folder: Path = WEIGHTS_FOLDER) -> None:
    """Raises WeightsError if the network's weights or the bounds of one of ``schemes`` are not in ``folder``."""
    if f"{name}.npz" not in read_manifest(folder):
        raise WeightsError(f"{folder} has no weights of {name}: train it or name another folder")
    stored = stored_schemes(name, folder)
    for scheme in schemes:
        if scheme not in stored:
            raise WeightsError(f"{folder} has no bounds of {scheme} for {name}: there are those of {', '.join(stored)}")


def check_grouped(source: str) -> None:
    """Raises GoldenError unless the scheme ``source`` has a bound for each neuron, which can be grouped."""
    if find_scheme(source).granularity is not Granularity.NEURON:
        raise GoldenError(f"scheme {source} has no neuron bounds to group: choose another source")


def learned_granularity(name: str, scheme: str, folder: Path) -> Granularity:
    """What the bounds of ``scheme`` in ``folder`` were learned for. Raises GoldenError if that is not known."""
    record = read_manifest(folder).get(f"{name}_bounds.npz", {}).get(scheme, {})
    if "granularity" not in record:
        raise GoldenError(
            f"{folder} has no bounds of {name} learned for groups: make them with "
            f"`fitact post-train {name} --scheme {scheme} --granularity channel --out {folder}`"
        )
    return find_granularity(record["granularity"])
