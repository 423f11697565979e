"""The exported folder stands alone: two tools read it from there, and its lists are those of the machine."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from fitact_hw.config import AcceleratorConfig
from fitact_hw.export import CONFIGURATION, CORE, FILE_LIST, SITES, export
from fitact_hw.sites import list_sites
from fitact_hw.verilog import TOP
from sim.toolchain import find_toolchain

MACHINES = {
    "default": AcceleratorConfig.create(),
    "protected": AcceleratorConfig.create(rows=3, cols=3, word_bits=32, protection="secded"),
    "channel codes": AcceleratorConfig.create(rows=4, cols=4, bounds="channel", bound_words=64),
}


Exported = tuple[AcceleratorConfig, Path]


@pytest.fixture(scope="module", params=MACHINES)
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[AcceleratorConfig, Path]:
    """A machine and the folder that it was exported to."""
    folder = tmp_path_factory.mktemp("far away") / "machine"
    export(MACHINES[request.param], folder, "0.0.0")
    return MACHINES[request.param], folder


def run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()


def test_verilator_lints_it_from_there(exported: Exported) -> None:
    tools = find_toolchain()
    verilator = str(tools.verilator_root / "bin" / "verilator")
    run([verilator, "--lint-only", "-Wall", "--top-module", TOP, "-f", FILE_LIST], exported[1], tools.environment())


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="the second reader is missing: apt install iverilog")
def test_icarus_elaborates_it_from_there(exported: Exported, tmp_path: Path) -> None:
    run(["iverilog", "-g2005", "-s", TOP, "-o", str(tmp_path / "machine.vvp"), "-f", FILE_LIST], exported[1])


def test_lists_are_those_of_the_machine(exported: Exported) -> None:
    config, folder = exported
    with (folder / SITES).open() as file:
        rows = [(r["path"], int(r["words"]), int(r["bits_per_word"])) for r in csv.DictReader(file)]
    assert rows == [(s.path, s.depth, s.width) for s in list_sites(config)]
    record = json.loads((folder / CONFIGURATION).read_text())
    assert AcceleratorConfig.create(**record["configuration"]) == config
    head, _, core = (folder / CORE).read_text().partition("\n")
    assert head == "CAPI=2:"
    values = yaml.safe_load(core)
    named = {name if isinstance(name, str) else next(iter(name)) for name in values["filesets"]["rtl"]["files"]}
    assert named == {path.name for path in folder.iterdir() if path.suffix in (".v", ".vh")}
    assert set((folder / FILE_LIST).read_text().split()[1:]) == {name for name in named if name.endswith(".v")}


def test_modules_of_another_machine_go(tmp_path: Path) -> None:
    (tmp_path / "fitact_old.v").write_text("module fitact_old; endmodule\n")
    (tmp_path / "mine.v").write_text("// stays\n")
    export(MACHINES["default"], tmp_path, "0.0.0")
    assert not (tmp_path / "fitact_old.v").exists()
    assert (tmp_path / "mine.v").exists()
