"""What the generator prints: up to date, lint-clean in every configuration, readable, nothing unneeded."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from fitact_hw import csr
from fitact_hw.config import AcceleratorConfig
from fitact_hw.sites import list_sites
from fitact_hw.verilog import RTL, TOP, GeneratorError, generate, leaf_cells, rtl_includes, rtl_sources, write
from fitact_hw.verilog.ast import parse_module
from fitact_hw.verilog.includes import expanded, includes
from fitact_hw.verilog.layout import LINE
from sim.toolchain import find_toolchain
from tests.generator.machines import MATRIX, SMALL, label, sources


def test_checked_in_composition_and_includes_are_up_to_date() -> None:
    """`rtl/generated/` holds exactly what the default configuration generates, and `rtl/` the includes of the cells."""
    expected = generate(AcceleratorConfig()) | includes()
    files = [*(RTL / "generated").iterdir(), *RTL.glob("*.vh")]
    found = {path.name: path.read_text() for path in files}
    stale = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    assert not stale, f"run `make docs`: {', '.join(stale)}"
    assert [path.name for path in rtl_includes()] == sorted(includes())


def test_checked_in_register_constants_are_up_to_date() -> None:
    """`fitact_hw/registers.py` is what the register map makes of it today."""
    assert csr.CONSTANTS.read_text() == csr.constants_py(), "run `make docs`: fitact_hw/registers.py"


def test_leaf_cells_are_whole_and_unknown_includes_are_refused() -> None:
    """What builds take needs no include path."""
    assert sum("`include" in path.read_text() for path in rtl_sources()) >= 5
    assert not any("`include" in text for text in leaf_cells().values())
    with pytest.raises(GeneratorError, match=r"cell\.v includes fitact_other\.vh: there are fitact_codes\.vh"):
        expanded('module m;\n    `include "fitact_other.vh"\nendmodule\n', "cell.v")


@pytest.mark.parametrize("config", MATRIX, ids=label)
def test_every_configuration_is_lint_clean(config: AcceleratorConfig, tmp_path: Path) -> None:
    """`verilator --lint-only -Wall` has nothing to say, and no waiver hides anything in a composed module."""
    files = [str(path) for path in sources(config, tmp_path)]
    tool = find_toolchain()
    command = [
        str(tool.verilator_root / "bin" / "verilator"),
        "--lint-only",
        "-Wall",
        f"-I{RTL}",
        "--top-module",
        TOP,
        *files,
    ]
    done = subprocess.run(command, env=tool.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "%" not in done.stderr
    assert not any("lint_off" in text for text in generate(config).values())


@pytest.mark.parametrize("path", [*rtl_sources(), *sorted((RTL / "generated").glob("*.v"))], ids=lambda path: path.name)
def test_source_is_read_by_pyverilog_and_follows_the_conventions(path: Path) -> None:
    """One module a file with the file's name, header comment, no implicit nets, readable lines."""
    text = path.read_text()
    assert parse_module(text, path.name).name == path.stem
    assert text.startswith("// ")
    assert "`default_nettype none" in text
    assert text.rstrip().endswith("`default_nettype wire")
    assert max(map(len, text.splitlines())) <= (LINE if path.parent.name == "generated" else 125)
    assert not re.search(r"\b[a-z]\w*_[io]\b", re.sub(r"//.*", "", text)), "no _i/_o names"


def test_write_keeps_files_that_are_right_and_removes_strangers(tmp_path: Path) -> None:
    """An unchanged file keeps its time stamp, a changed one is restored, a stranger goes."""
    first, second, *_ = write(SMALL, tmp_path)
    before = first.stat().st_mtime_ns
    second.write_text("spoiled")
    stranger = tmp_path / "fitact_old.v"
    stranger.write_text("module fitact_old; endmodule")
    write(SMALL, tmp_path)
    assert first.stat().st_mtime_ns == before
    assert second.read_text() == generate(SMALL)[second.name]
    assert not stranger.exists()
    assert not list(tmp_path.glob("*.part"))


def _without_comments(config: AcceleratorConfig) -> str:
    return re.sub(r"//.*", "", "\n".join(generate(config).values()))


@pytest.mark.parametrize(("bounds", "buffer", "register"), [("none", 0, 0), ("layer", 0, 1), ("neuron", 1, 1)])
def test_bound_hardware_only_where_it_is_needed(bounds: str, buffer: int, register: int) -> None:
    """No bound buffer without bounds for each neuron, no bound register without bounds at all."""
    config = AcceleratorConfig.create(**(SMALL.model_dump() | {"bounds": bounds}))
    sites = list_sites(config)
    assert sum(site.structure == "bound_buffer" for site in sites) == buffer
    assert sum(site.structure == "lane" and site.name == "bound_q" for site in sites) == register * config.cols
    assert ("u_bound" in _without_comments(config)) == bool(buffer)
    assert any("layer_bound" in site.name for site in sites) == bool(register)


@pytest.mark.parametrize("protection", ["none", {"bound": "secded"}, {"weight": "parity"}, "secded"])
def test_protection_hardware_only_where_it_is_needed(protection: str | dict[str, str]) -> None:
    """A codec for each protected buffer that exists; nothing of it, and no register, in other machines."""
    config = AcceleratorConfig.create(**(SMALL.model_dump() | {"bounds": "layer", "protection": protection}))
    text = _without_comments(config)
    kinds = [kind.value for kind in config.protected.values()]
    for kind in ("parity", "secded"):
        assert text.count(f"fitact_{kind}_encoder #") == kinds.count(kind)
    words = ("fitact_protection", "fitact_word_check", "halt_on_detect", "status_detected", "_CHECK_W", "CORRECTED")
    assert {word in text for word in words} == {bool(kinds)}
    assert bool(kinds) == (protection in ("secded", {"weight": "parity"}))
    counters = {site.name for site in list_sites(config) if site.structure == "protection"}
    assert ("corrected_count_q" in counters) == ("secded" in kinds)
    assert ("detected_count_q" in counters) == bool(kinds)


def test_protection_does_not_rename_unprotected_machines() -> None:
    """Build folders and stored results of unprotected machines keep their name."""
    plain = AcceleratorConfig()
    assert plain.fingerprint == "16x16w8-bf89ea5d03"
    assert AcceleratorConfig.create(protection="none").fingerprint == plain.fingerprint
    assert AcceleratorConfig.create(protection="parity").fingerprint != plain.fingerprint


def test_generated_names_are_ours() -> None:
    """No machine-made names: every instance, block and net is a word with the project's affixes."""
    text = _without_comments(AcceleratorConfig())
    assert not re.search(r"\b(tmp|_tmp|n|w|net|sig|genblk)_?\d+\b", text)
    assert set(re.findall(r"begin : (\w+)", text)) == {"g_row", "g_col", "g_edge", "g_lane", "g_bias"}
    assert all(name.startswith("u_") for name in re.findall(r"^ +\) (\w+) \($", text, re.M))
