"""The committed files of ``golden/weights``: written whole, read only if their checksum is right."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from golden.errors import WeightsError
from golden.support.arrays import UNREADABLE
from golden.support.files import write_bytes, writing

WEIGHTS_FOLDER = Path(__file__).resolve().parents[1] / "weights"
MANIFEST = "manifest.json"


def read_manifest(folder: Path = WEIGHTS_FOLDER) -> dict[str, dict[str, Any]]:
    """Facts about each file by its name, among them ``sha256``. Empty if there is no manifest."""
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        manifest: dict[str, dict[str, Any]] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is not readable ({error})") from error
    return manifest


def read_artefact(name: str, folder: Path = WEIGHTS_FOLDER) -> bytes:
    """The bytes of a file. Raises WeightsError if it is missing, damaged or not in the manifest."""
    path = folder / name
    facts = read_manifest(folder).get(name)
    if facts is None:
        raise WeightsError(f"{name} is not in {folder / MANIFEST}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} is missing or unreadable ({error.strerror})") from error
    if hashlib.sha256(data).hexdigest() != facts.get("sha256"):
        raise WeightsError(f"{path} is damaged (its sha256 is not that of {MANIFEST})")
    return data


def write_artefact(name: str, data: bytes, facts: Mapping[str, Any], folder: Path = WEIGHTS_FOLDER) -> None:
    """Write a file and its manifest entry; a reader in between sees an error, never a mixture."""
    folder.mkdir(parents=True, exist_ok=True)
    with writing(folder):
        manifest = read_manifest(folder)
        today = datetime.now(UTC).date().isoformat()
        manifest[name] = {"date": today, **facts, "sha256": hashlib.sha256(data).hexdigest()}
        write_bytes(folder / name, data)
        write_bytes(folder / MANIFEST, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())


def update_facts(name: str, facts: Mapping[str, Any], folder: Path = WEIGHTS_FOLDER) -> None:
    """Add facts to the manifest entry of an existing file."""
    with writing(folder):
        manifest = read_manifest(folder)
        if name not in manifest:
            raise WeightsError(f"{name} is not in {folder / MANIFEST}")
        manifest[name].update(facts)
        write_bytes(folder / MANIFEST, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())


def read_arrays(name: str, folder: Path = WEIGHTS_FOLDER) -> dict[str, np.ndarray]:
    """The arrays of an npz artefact, checked as by :func:`read_artefact`."""
    try:
        with np.load(io.BytesIO(read_artefact(name, folder)), allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}
    except UNREADABLE as error:
        raise WeightsError(f"{folder / name} is not a readable npz file ({error})") from error


def half_up(values: np.ndarray) -> np.ndarray:
    """Non-negative values to float16, rounding up, so that a stored bound is never below the exact one."""
    half = values.astype(np.float16)
    low = half.astype(np.float64) < values.astype(np.float64)
    return np.where(low, np.nextafter(half, np.float16(np.inf)), half)
