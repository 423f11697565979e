"""Starts Yosys jobs in child processes and keeps their results, keyed by content."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fitact_hw.errors import FitActError
from golden.support.files import write_text
from golden.support.folders import build_root

JOB_LIMIT_S = 900
"""A single Yosys job that takes longer than this is given up."""


class SynthesisError(FitActError):
    """Yosys or ABC refused a block, or a result is not what it must be."""


def yosys_version() -> str:
    """Version of pyosys, for cache keys and headers."""
    return version("pyosys")


def cache_folder() -> Path:
    """Where results of synthesis are kept: see :mod:`golden.support.folders`."""
    return build_root() / "overhead"


def digest(*parts: object) -> str:
    """Short hash of anything JSON can write."""
    text = json.dumps([str(part) if isinstance(part, Path) else part for part in parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def run_job(job: dict[str, Any], files: dict[str, str] | None = None) -> dict[str, Any]:
    """Run one job of `worker` in a folder that holds ``files`` (name -> text); job['files'] may name them.

    Raises SynthesisError with the last error line of Yosys.
    """
    with tempfile.TemporaryDirectory(prefix="fitact-overhead-") as name:
        folder = Path(name)
        for file, text in (files or {}).items():
            (folder / file).write_text(text)
        reachable = {key: _without_spaces(folder, job[key]) for key in ("files", "liberty") if key in job}
        (folder / "job.json").write_text(json.dumps(job | reachable))
        command = [
            sys.executable,
            "-m",
            "fitact_hw.overhead.worker",
            str(folder / "job.json"),
            str(folder / "result.json"),
        ]
        root = str(Path(__file__).resolve().parents[2])
        paths = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH", "")) if p)
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": paths},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                timeout=JOB_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise SynthesisError(
                f"{job['action']} of {job.get('top', 'design')}: no result after {JOB_LIMIT_S} s"
            ) from None
        if done.returncode or not (folder / "result.json").exists():
            raise SynthesisError(f"{job['action']} of {job.get('top', 'design')}: {_last_error(done.stderr, folder)}")
        return json.loads((folder / "result.json").read_text())


def _without_spaces(folder: Path, paths: Sequence[str]) -> list[str]:
    """The same files by paths that Yosys and ABC can read: links in ``folder`` where a path has spaces."""
    found = []
    for number, path in enumerate(map(str, paths)):
        if any(character.isspace() for character in path):
            link = folder / f"input{number}{Path(path).suffix}"
            if not link.is_symlink():
                link.symlink_to(Path(path).absolute())
            path = str(link)
        found.append(path)
    return found


def _last_error(stderr: str, folder: Path) -> str:
    """The last line with an error in what Yosys wrote anywhere."""
    logs = [folder / name for name in ("yosys.log", "out.txt")]
    texts = [stderr, *(log.read_text(errors="replace") for log in logs if log.exists())]
    errors = [line for text in texts for line in text.splitlines() if "ERROR" in line or "Error" in line]
    return errors[-1].strip() if errors else "Yosys stopped without a message"


def cached(folder: Path, key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result stored under ``key`` in ``folder/cache``, or ``make()``, stored."""
    path = folder / "cache" / f"{key}.json"
    if path.exists():
        try:
            return json.loads(path.read_text())
        except json.JSONDecodeError:
            path.unlink()  # a damaged entry is made again
    result = make()
    write_text(path, json.dumps(result))
    return result
