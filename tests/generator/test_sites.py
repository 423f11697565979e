"""The list of fault sites against its witnesses: Yosys, the simulator, and the structures it must cover."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import Verilator

from fitact_hw.config import SHIFT_BITS, AcceleratorConfig
from fitact_hw.errors import FitActError
from fitact_hw.sites import list_sites, select, site_handle_path, verilator_control
from fitact_hw.verilog import RTL, TOP
from sim.toolchain import find_toolchain
from tests.generator.machines import PROTECTED, SMALL, sources

UNREAD = {
    r"u_array\.g_row\[\d+\]\.g_col\[3\]\.u_pe\.(act|swap|load)_q": "what leaves the last column goes nowhere",
    r"u_store\.u_bursts\.(walk|row)_wide_q": "the store unit has words of one size only",
}
"""Registers that Yosys drops because nothing reads them: pattern -> why. An upset there is masked."""


RUN_YOSYS = """
import sys
from pyosys import libyosys

design = libyosys.Design()
for command in sys.argv[1:]:
    libyosys.run_pass(f"tee -q {command}", design)
"""
"""For a process of its own: pyosys makes the symbols of everything that is loaded after it global."""


class SiteRunner(Verilator):
    """cocotb's runner without `--public-flat-rw`: only what the control file names is public."""

    def _build_command(self) -> list[list[str]]:
        return [[part for part in command if part != "--public-flat-rw"] for command in super()._build_command()]


def test_simulator_finds_and_flips_every_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths, widths and depths are those of the Verilated model, and every site can be written."""
    for name, value in find_toolchain().environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MAKEFLAGS", re.sub("-O[13]", "-O0", find_toolchain().environment()["MAKEFLAGS"]))
    control = tmp_path / "sites.vlt"
    control.write_text(verilator_control(list_sites(PROTECTED)))
    runner = SiteRunner()
    runner.build(
        sources=[control, *sources(PROTECTED, tmp_path / "rtl")],
        hdl_toplevel=TOP,
        build_args=["-O1", f"-I{RTL}"],
        build_dir=tmp_path / "build",
        timescale=("1ns", "1ps"),
    )
    results = runner.test(
        test_module="tests.generator.handle_bench",
        hdl_toplevel=TOP,
        build_dir=tmp_path / "build",
        test_dir=tmp_path,
        extra_env={"COCOTB_LOG_LEVEL": "WARNING"},
    )
    assert get_results(results) == (1, 0)


class Netlist:
    """What Yosys infers: bits driven by flip-flops, names of nets, memories with width and depth."""

    def __init__(self, path: Path) -> None:
        module = json.loads(path.read_text())["modules"][TOP]
        cells: list[Any] = list(module["cells"].values())
        self.latches = [cell["type"] for cell in cells if "latch" in cell["type"]]
        self.driven = {bit for cell in cells if "ff" in cell["type"] for bit in cell["connections"]["Q"]}
        self.memories = {
            cell["parameters"]["MEMID"].lstrip("\\"): tuple(
                int(cell["parameters"][key], 2) for key in ("WIDTH", "SIZE")
            )
            for cell in cells
            if cell["type"] == "$mem_v2"
        }
        # Yosys gives the `else if` of a generate block a scope of its own; the standard does not.
        self.nets = {name.replace(".genblk1.", "."): net["bits"] for name, net in module["netnames"].items()}

    def is_register(self, path: str, width: int) -> bool:
        """Whether the net ``path`` has this width and flip-flops drive all of it."""
        bits = self.nets.get(path, [])
        return len(bits) == width and self.driven.issuperset(bits)


@pytest.fixture(scope="module")
def netlists(tmp_path_factory: pytest.TempPathFactory) -> tuple[Netlist, Netlist]:
    """The flat small protected machine as written, and without what nothing reads."""
    folder = tmp_path_factory.mktemp("yosys")
    files = " ".join(str(path) for path in sources(PROTECTED, folder / "rtl"))
    before, after = folder / "before.json", folder / "after.json"
    commands = (
        f"read_verilog -noautowire {files}",
        f"hierarchy -check -top {TOP}",
        "proc",
        "flatten",
        f"write_json {before}",
        "opt_clean",
        "memory_collect",
        f"write_json {after}",
    )
    subprocess.run([sys.executable, "-c", RUN_YOSYS, *commands], check=True)
    return Netlist(before), Netlist(after)


def test_registers_are_the_flip_flops_that_yosys_infers(netlists: tuple[Netlist, Netlist]) -> None:
    """Every site is a flip-flop; every flip-flop with a reader is a site; the rest is explained."""
    before, after = netlists
    registers = [site for site in list_sites(PROTECTED) if site.kind == "register"]
    assert [site.path for site in registers if not before.is_register(site.path, site.width)] == []
    sites_after = {bit for site in registers for bit in after.nets.get(site.path, ())}
    assert after.driven <= sites_after
    dropped = [site.path for site in registers if not after.is_register(site.path, site.width)]
    assert [path for path in dropped if not any(re.fullmatch(pattern, path) for pattern in UNREAD)] == []
    for pattern in UNREAD:
        assert any(re.fullmatch(pattern, path) for path in dropped), f"{pattern} is read after all"
    assert not after.latches


def test_memories_are_those_that_yosys_infers(netlists: tuple[Netlist, Netlist]) -> None:
    """Same paths, widths and depths."""
    memories = {site.path: (site.width, site.depth) for site in list_sites(PROTECTED) if site.kind == "memory"}
    assert memories == netlists[1].memories


def test_buffers_have_the_configured_sizes() -> None:
    """Width and depth of each buffer of the default machine."""
    config = AcceleratorConfig()
    sizes = {
        s.structure: (s.path, s.width, s.depth)
        for s in list_sites(config)
        if s.path.endswith("u_" + s.structure.removesuffix("_buffer") + ".data_mem")
    }
    word, accumulator = config.lane_word_bits, config.side * config.acc_bits
    bias = config.side * (config.acc_bits + SHIFT_BITS)
    assert sizes == {
        "activation_buffer": ("u_buffers.u_activation.data_mem", word, config.activation_words),
        "weight_buffer": ("u_buffers.u_weight.data_mem", word, config.weight_words),
        "bias_buffer": ("u_buffers.u_bias.data_mem", bias, config.bias_words),
        "bound_buffer": ("u_buffers.u_bound.data_mem", word, config.bound_words),
        "accumulator_buffer": ("u_buffers.u_accumulator.data_mem", accumulator, config.accumulator_words),
        "output_buffer": ("u_buffers.u_output.data_mem", word, config.output_words),
    }


def test_protected_buffers_have_check_bits() -> None:
    """Check bits of all lanes above the data; the rest of the machine keeps its sites."""
    plain, protected = ({site.path: site for site in list_sites(config)} for config in (SMALL, PROTECTED))
    assert plain.keys() < protected.keys()
    wider = {path: protected[path].width - site.width for path, site in plain.items() if protected[path] != site}
    lanes = SMALL.side
    expected = {"activation": 5 * lanes, "weight": lanes, "bound": lanes, "output": 5 * lanes}
    assert wider == {
        f"u_buffers.u_{buffer}.{name}": bits for buffer, bits in expected.items() for name in ("data_mem", "rd_data_q")
    }
    assert {protected[path].structure for path in protected.keys() - plain.keys()} == {"protection", "csr"}


@pytest.mark.parametrize("structure", ["pe_weight", "pe_shadow", "pe_activation", "pe_psum"])
def test_every_pe_has_its_registers(structure: str) -> None:
    """One site a PE, with the path that the whole project uses."""
    config = AcceleratorConfig()
    name = {"pe_weight": "weight_q", "pe_shadow": "shadow_q", "pe_activation": "act_q", "pe_psum": "psum_q"}[structure]
    width = config.acc_bits if structure == "pe_psum" else config.word_bits
    found = select(list_sites(config), [structure])
    assert {site.path for site in found} == {
        f"u_array.g_row[{r}].g_col[{c}].u_pe.{name}" for r in range(16) for c in range(16)
    }
    assert {(site.width, site.depth, site.kind) for site in found} == {(width, 1, "register")}


def test_paths_are_unique_and_sites_belong_to_a_structure() -> None:
    """No site twice; memories are those named so."""
    sites = list_sites(SMALL)
    assert len({site.path for site in sites}) == len(sites)
    assert all((site.depth > 1) <= (site.kind == "memory") for site in sites)


def test_select_names_unknown_structures() -> None:
    """A typing error lists what there is."""
    with pytest.raises(FitActError, match=r"no structure wait_buffer: choose from .*weight_buffer"):
        select(list_sites(SMALL), ["wait_buffer", "pe_psum"])


def test_control_file_names_exactly_the_selected_signals() -> None:
    """One line a signal of a module, plus the top's ports."""
    text = verilator_control(select(list_sites(SMALL), ["pe_weight", "weight_buffer"]), top="bench")
    assert text.splitlines() == [
        "`verilator_config",
        'public_flat_rw -module "bench" -port "*"',
        'public_flat_rw -module "fitact_pe" -var "weight_q"',
        'public_flat_rw -module "fitact_sram" -var "data_mem"',
    ]


def test_handle_path_follows_generate_blocks() -> None:
    """Names and indices, in order."""
    site = next(s for s in list_sites(SMALL) if s.path == "u_array.g_row[3].g_col[2].u_pe.weight_q")
    assert list(site_handle_path(site)) == ["u_array", "g_row", 3, "g_col", 2, "u_pe", "weight_q"]
