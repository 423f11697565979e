"""requirements.txt pins whatever its packages need."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


def pinned_names() -> set[str]:
    """Of this Python."""
    lines = (line.strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert all(str(r.specifier).startswith("==") for r in found)
    return {canonicalize_name(r.name) for r in found if r.marker is None or r.marker.evaluate()}


def needed(name: str) -> set[str]:
    """What a package needs that is installed, without its extras and without what torch's CUDA build pins itself."""
    requirements = [Requirement(line) for line in metadata.requires(name) or () if "platform_system" not in line]
    names = {canonicalize_name(r.name) for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})}
    return {other for other in names if _installed(other)}


def _installed(name: str) -> bool:
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


def test_what_is_needed_is_pinned() -> None:
    pinned = pinned_names()
    missing = {(name, other) for name in pinned if _installed(name) for other in needed(name) - pinned}
    assert not missing
