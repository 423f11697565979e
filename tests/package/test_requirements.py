"""requirements.txt pins whatever its packages need, at the versions that are installed here."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


def pins() -> dict[str, str]:
    """Version by name, of this Python."""
    lines = (line.strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {
        canonicalize_name(r.name): str(r.specifier).removeprefix("==")
        for r in found
        if r.marker is None or r.marker.evaluate()
    }


def needed(name: str) -> set[str]:
    """What a package needs that is installed, without its extras."""
    requirements = [Requirement(line) for line in metadata.requires(name) or ()]
    names = {canonicalize_name(r.name) for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})}
    return {other for other in names if _version(other)}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def test_what_is_needed_is_pinned() -> None:
    pinned = pins()
    missing = {(name, other) for name in pinned if _version(name) for other in needed(name) - set(pinned)}
    assert not missing


def test_pins_are_what_the_tests_run_with() -> None:
    """Of torch without its build: +cpu, +cu130."""
    installed = {name: (_version(name) or version).split("+")[0] for name, version in pins().items()}
    assert installed == pins()
