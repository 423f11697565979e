"""The wheel, installed elsewhere: complete, and run from an empty folder without a look at the source tree."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from golden.support.folders import build_root

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("golden", "fitact_hw", "sim", "rtl", "pyproject.toml", "setup.py", "README.md", "LICENSE")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

WATCH = '''"""Notes every file that any Python process opens below the source tree."""
import os, sys
TREE, OTHERS, LOG = {tree!r}, {others!r}, {log!r}

def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        path = os.path.abspath(arguments[0])
        if path.startswith(TREE) and not path.startswith(OTHERS) and path != LOG:
            log = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(log, (path + "\\n").encode())
            os.close(log)

sys.addaudithook(note)
'''


def pip(*words: str | Path) -> None:
    """Run pip without the network."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: nothing is left in the source tree."""
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "tree").mkdir()
    for name in SOURCES:
        source, target = ROOT / name, folder / "tree" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "parser.out", "parsetab.py"))
        else:
            shutil.copy(source, target)
    pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, folder / "tree")
    [path] = folder.glob("*.whl")
    return path


class Installed:
    """The wheel in a folder of its own, with the packages of this environment and nothing of its variables."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        self.site, self.opened, home = folder / "site", folder / "opened", folder / "home"
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(self.site)}
        pip("install", "--quiet", "--no-deps", "--no-index", "--target", self.site, wheel)
        # not the sources: this environment, the builds that it shares, and what cocotb looks for above its folder there
        others = (f"{Path(sys.prefix).resolve()}/", f"{build_root().resolve()}/", str(ROOT / "pyproject.toml"))
        watch = WATCH.format(tree=f"{ROOT}/", others=others, log=str(self.opened))
        (self.site / "sitecustomize.py").write_text(watch)
        (home / ".cache").mkdir(parents=True)
        build_root().mkdir(parents=True, exist_ok=True)
        (home / ".cache" / "fitact").symlink_to(build_root())  # what is built there serves here

    def run(self, *words: str, cwd: Path) -> str:
        """Output of `fitact` with ``words``."""
        command = [str(self.site / "bin" / "fitact"), *words]
        done = subprocess.run(
            command, cwd=cwd, env=self.environment, capture_output=True, text=True, timeout=1200, check=False
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """After the tests: no process has opened a file of the source tree."""
    found = Installed(wheel, tmp_path_factory.mktemp("far away"))
    subprocess.run([sys.executable, "-c", f"open({str(ROOT / 'LICENSE')!r})"], env=found.environment, check=True)
    assert found.opened.read_text() == f"{ROOT / 'LICENSE'}\n"  # the watch is awake
    found.opened.unlink()
    yield found
    assert not found.opened.exists(), found.opened.read_text()


def test_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    held = {name.replace("fitact_hw/rtl/", "rtl/") for name in zipfile.ZipFile(wheel).namelist()}
    wanted = {
        str(path.relative_to(ROOT))
        for package in ("golden", "fitact_hw", "sim", "rtl")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and not {"__pycache__"} & set(path.parts) and path.name not in ("parser.out", "parsetab.py")
    }
    assert {"golden/weights/vgg16.npz", "rtl/generated/fitact_top.v", "sim/engine/engine.cpp"} <= wanted
    assert wanted <= held
    assert wheel.stat().st_size < 80e6


def test_sim_runs_in_an_empty_folder(installed: Installed, tmp_path: Path) -> None:
    text = installed.run("sim", "alexnet", "--images", "1", "--faults", "20", cwd=tmp_path)
    assert "build/alexnet/results.json" in text
    record = json.loads((tmp_path / "build" / "alexnet" / "results.json").read_text())
    assert sum(row["differing"] for row in record["layers"]) == 0
    assert record["upsets"]["checked"]


def test_overhead_of_lanes_in_an_empty_folder(installed: Installed, tmp_path: Path) -> None:
    text = installed.run("overhead-lanes", cwd=tmp_path)
    assert "compact130" in text
    assert not list(tmp_path.iterdir())


def test_version_and_files_are_those_of_the_wheel(installed: Installed, tmp_path: Path) -> None:
    assert installed.run("--version", cwd=tmp_path).startswith(f"fitact {PROJECT['version']}, Python ")


def test_what_needs_the_source_tree_says_so(installed: Installed, tmp_path: Path) -> None:
    for words in (("docs",), ("rtl", "--default")):
        with pytest.raises(AssertionError, match="needs the source tree: clone the repository"):
            installed.run(*words, cwd=tmp_path)


def test_ranges_hold_the_pinned_versions() -> None:
    lines = (line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    pins = {pin.name.lower(): pin for line in lines if line for pin in [Requirement(line)]}
    extras = PROJECT["optional-dependencies"]
    wanted = [
        Requirement(text) for text in (*PROJECT["dependencies"], *extras["fpga"], *extras["cluster"], *extras["onnx"])
    ]
    for requirement in wanted:
        [pin] = pins[requirement.name.lower()].specifier
        assert requirement.specifier.contains(pin.version), requirement
