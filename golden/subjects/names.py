"""How a subject is named: a shipped network, or a folder. Without the weight of torch: commands check options here."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from golden.bounds.own import kept
from golden.bounds.schemes import DEFAULT, OWN, SCHEMES, find_scheme
from golden.errors import GoldenError, WeightsError
from golden.networks.artefacts import WEIGHTS_FOLDER, read_manifest
from golden.networks.registry import NETWORKS, check_model
from golden.networks.registry import check_stored as check_shipped
from golden.networks.registry import stored_schemes as shipped_schemes

EXPORTED = (".pt2", ".onnx")
"""Suffixes of files of networks."""

FACTS, GRAPH, WEIGHTS = "subject.json", "graph.json", "weights.safetensors"
POINTS, BOUNDS, IMAGES = "points.json", "bounds.safetensors", "images.safetensors"
"""Files of a subject's folder, besides the manifest with their checksums."""


def is_shipped(uri: str) -> bool:
    """Whether ``uri`` is the name of a network of this project."""
    return uri in NETWORKS


def is_source(text: str) -> bool:
    """Whether ``text`` names a network that a subject can be made of: ``file.py:callable`` or an exported file."""
    file, _, name = text.rpartition(":")
    return (file.endswith(".py") and name.isidentifier()) or Path(text).suffix in EXPORTED


def source_path(text: str) -> Path:
    """The file of a source or of images, without the name of a callable in it."""
    file, _, name = text.rpartition(":")
    return Path(file) if file.endswith(".py") and name.isidentifier() else Path(text)


def stem_of(source: str) -> str:
    """A short name for what is made of a source: the file's, or the callable's if that says more than `build`."""
    file, _, name = source.rpartition(":")
    return name if file and name not in ("build", "make", "model", "net") else Path(file or source).stem


def is_subject(folder: Path) -> bool:
    """Whether ``folder`` is one of a subject."""
    return (folder / FACTS).is_file()


def check_subject(uri: str) -> None:
    """Raise GoldenError unless ``uri`` is a shipped name or a subject's folder."""
    if uri and Path(uri).is_dir() and not is_shipped(uri):
        if not is_subject(Path(uri)):
            raise GoldenError(f"{uri} is no subject's folder: `fitact subject NET --data DATA --out FOLDER` makes one")
        return
    if Path(uri).is_file():
        raise GoldenError(f"{uri} is no network that can be read: {_how_to_name(Path(uri))}")
    if os.sep in uri:
        raise GoldenError(f"{uri} does not exist: name a network of `fitact models` or a subject's folder")
    check_model(uri)


def _how_to_name(file: Path) -> str:
    if file.suffix == ".py":
        return f"name what makes it, {file}:callable"
    kinds = ", ".join(EXPORTED)
    if file.suffix in (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".npz"):
        return (
            f"it may hold weights; name file.py:callable, a function that builds the network and loads them, or {kinds}"
        )
    return f"name file.py:callable, {kinds} or a subject's folder"


def resolved(uri: str) -> str:
    """A shipped name as it is, a folder as an absolute path: what workers are told. Raises GoldenError."""
    check_subject(uri)
    return uri if is_shipped(uri) else str(Path(uri).resolve())


def short_name(uri: str) -> str:
    """What titles and result folders call it."""
    return uri if is_shipped(uri) else Path(uri).name


def stored_schemes(uri: str, folder: Path = WEIGHTS_FOLDER) -> tuple[str, ...]:
    """Schemes that can run: those without bounds, and those whose bounds are stored. ``folder``: that of shipped
    networks. Raises GoldenError for an unknown subject, WeightsError for damaged files."""
    if is_shipped(uri):
        return shipped_schemes(uri, folder)
    check_subject(uri)
    found = read_manifest(Path(uri)).get(BOUNDS, {}).get("schemes", {})
    return (*(scheme.name for scheme in SCHEMES.values() if not scheme.bounded), *kept(found))


def compared_schemes(uri: str, folder: Path = WEIGHTS_FOLDER) -> tuple[str, ...]:
    """Of :func:`stored_schemes` those that are compared where none are named."""
    return tuple(name for name in stored_schemes(uri, folder) if find_scheme(name).compared)


def default_scheme(uri: str) -> str:
    """What commands take if no scheme is named: the usual one, or the finest of those that are stored."""
    known = compared_schemes(uri)
    return DEFAULT.name if DEFAULT.name in known else known[-1]


def check_stored(uri: str, schemes: Sequence[str] = (), folder: Path = WEIGHTS_FOLDER) -> None:
    """Raises WeightsError if the weights of a subject or the bounds of one of ``schemes`` are not stored."""
    if is_shipped(uri):
        check_shipped(uri, schemes, folder)
        return
    known = stored_schemes(uri)
    for scheme in schemes:
        if scheme not in known:
            raise WeightsError(
                f"{short_name(uri)} has no bounds of {scheme}, only of {', '.join(known)}; to learn them: "
                f"fitact bounds {shlex.quote(uri)} --scheme {shlex.quote(_spec(scheme))}"
            )


def _spec(scheme: str) -> str:
    """What names a scheme on the command line, from any folder."""
    return OWN[scheme].origin if scheme in OWN else scheme


def checksums(uri: str, folder: Path = WEIGHTS_FOLDER) -> dict[str, str]:
    """SHA-256 of everything that is stored of a network, by file."""
    files: tuple[str, ...] = (GRAPH, WEIGHTS, BOUNDS, POINTS)
    if is_shipped(uri):
        files = (f"{uri}.npz", f"{uri}_bounds.npz", f"{uri}_points.json")
    manifest = read_manifest(folder if is_shipped(uri) else Path(uri))
    return {name: str(manifest[name]["sha256"]) for name in files if name in manifest}
