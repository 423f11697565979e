"""Control does not depend on data: what flows out of a buffer reaches data registers, other buffers and memory only.

Every bit of the netlist that Yosys makes of the whole machine is followed forwards from the buffers, through every cell
for which it is an input of any kind. What is judged without RTL (`fitact_hw/injection/functional`) rests on this.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from fitact_hw.config import BUFFER_NAMES, AcceleratorConfig
from fitact_hw.sites import list_sites
from fitact_hw.verilog import TOP
from tests.generator.machines import SMALL, sources
from tests.generator.test_sites import RUN_YOSYS

MACHINES = {
    "bounds of neurons": SMALL,
    "coded bounds of patches": AcceleratorConfig.create(
        **(SMALL.model_dump() | {"word_bits": 16, "acc_bits": 48, "bounds": "patch", "bound_format": "code4"})
    ),
    "range check of parameters": AcceleratorConfig.create(**(SMALL.model_dump() | {"parameter_check": "bitcheck"})),
    "no bounds": AcceleratorConfig.create(**(SMALL.model_dump() | {"bounds": "none", "bus_bits": 32})),
}

DATA = (
    r"u_array\..*\.u_pe\.(act|weight|shadow|psum)_q",
    r"u_array\..*\.u_(act_skew|weight_skew|psum_deskew)\..*\.stage_q",
    r"u_lanes\.g_lane\[\d+\]\.u_lane\.(sum|biased|shift|rounded)_q",
    r"u_lanes\.g_lane\[\d+\]\.u_lane\.u_clamp\..*(out|bound)_q",
    r"u_buffers\.u_\w+\.rd_data_q",
    r"u_buffers\.u_(accumulator|output)\.data_mem",
    r"u_store\.wdata_q",
)
"""Where data may flow (patterns of paths)."""

COUNTED = {"u_range_count.beyond_q", "u_range_count.count_q", "u_csr.rdata_q"}
"""What a range check of parameters makes of the word that is loaded: a number for the host."""

PRECISE = {"$and", "$or", "$xor", "$xnor", "$not", "$mux", "$pmux", "$dff", "$pos", "$bwmux"}
"""Cells each of whose output bits depends on the same bit of their inputs (and on all of a select or clock)."""

WHOLE = {"S", "CLK"}
"""Inputs of such cells on which all bits depend."""


class Flow:
    """The flat netlist of a machine as edges from bit to bit. Bits are numbers of Yosys; a memory is its name."""

    def __init__(self, config: AcceleratorConfig, folder: Path) -> None:
        files = " ".join(str(path) for path in sources(config, folder / "rtl"))
        path = folder / "flat.json"
        commands = (
            f"read_verilog -noautowire {files}", f"hierarchy -check -top {TOP}", "proc", "flatten", "opt_clean",
            "memory_collect", f"write_json {path}",
        )  # fmt: skip
        subprocess.run([sys.executable, "-c", RUN_YOSYS, *commands], check=True)
        module = json.loads(path.read_text())["modules"][TOP]
        self.nets = {name.replace(".genblk1.", "."): net["bits"] for name, net in module["netnames"].items()}
        self.outputs = {name: port["bits"] for name, port in module["ports"].items() if port["direction"] == "output"}
        self.inputs = {name: port["bits"] for name, port in module["ports"].items() if port["direction"] == "input"}
        self.next: dict[Any, set[Any]] = defaultdict(set)
        self.memories: set[str] = set()
        for cell in module["cells"].values():
            self._add(cell)

    def _add(self, cell: dict[str, Any]) -> None:
        ports, directions = cell["connections"], cell["port_directions"]
        if cell["type"] == "$scopeinfo":
            return
        if cell["type"] == "$mem_v2":
            name = cell["parameters"]["MEMID"].lstrip("\\")
            self.memories.add(name)
            for port, bits in ports.items():
                for bit in bits:
                    if directions[port] == "input":
                        self.next[bit].add(name)
                    else:
                        self.next[name].add(bit)
            return
        outputs = [(port, bits) for port, bits in ports.items() if directions[port] == "output"]
        for port, bits in ports.items():
            if directions[port] != "input":
                continue
            for _, targets in outputs:
                precise = cell["type"] in PRECISE and port not in WHOLE
                for number, bit in enumerate(bits):
                    self.next[bit].update([targets[number % len(targets)]] if precise else targets)

    def reached(self, start: Iterable[Any], stop: Iterable[Any] = ()) -> set[Any]:
        """Everything that depends on ``start``, not looked at behind ``stop``."""
        seen, closed = set(start), set(stop)
        todo = [*seen]
        while todo:
            for bit in self.next[todo.pop()] - seen:
                seen.add(bit)
                if bit not in closed:
                    todo.append(bit)
        return seen


@pytest.fixture(scope="module", params=MACHINES)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[AcceleratorConfig, Flow]:
    """One machine with its netlist."""
    config = MACHINES[request.param]
    return config, Flow(config, tmp_path_factory.mktemp("flow"))


def struck(config: AcceleratorConfig, flow: Flow, reached: set[Any]) -> list[str]:
    """Fault sites that are among ``reached``."""
    sites = list_sites(config)
    memories = [site.path for site in sites if site.path in flow.memories and site.path in reached]
    registers = [site.path for site in sites if any(bit in reached for bit in flow.nets.get(site.path, ()))]
    return [*memories, *registers]


def test_data_of_buffers_reach_data_only(machine: tuple[AcceleratorConfig, Flow]) -> None:
    config, flow = machine
    buffers = {f"u_buffers.u_{name}.data_mem" for name in BUFFER_NAMES} & flow.memories
    assert len(buffers) == (6 if config.bounds.buffered else 5)
    reached = flow.reached(bit for name in buffers for bit in flow.next[name])
    found = struck(config, flow, reached)
    assert [path for path in found if not any(re.fullmatch(pattern, path) for pattern in DATA)] == []
    for pattern in DATA:  # and data do flow there
        assert any(re.fullmatch(pattern, path) for path in found)
    assert {name for name, bits in flow.outputs.items() if reached & set(bits)} == {"m_axi_wdata"}


def test_addresses_and_enables_of_buffers_are_not_data(machine: tuple[AcceleratorConfig, Flow]) -> None:
    """Nor do they come back from memory: what is read there goes to the load unit's word and to instructions."""
    config, flow = machine
    data = {bit for site in list_sites(config) if any(re.fullmatch(p, site.path) for p in DATA)
            for bit in flow.nets.get(site.path, ())}  # fmt: skip
    control = [name for name in flow.nets if re.fullmatch(r"u_buffers\.u_\w+\.(wr|rd)_(en|addr)", name)]
    assert len(control) == (24 if config.bounds.buffered else 20)
    reached = flow.reached(data)
    assert [p for p in struck(config, flow, reached) if not any(re.fullmatch(pattern, p) for pattern in DATA)] == []
    assert [name for name in control if reached & set(flow.nets[name])] == []
    word = set(flow.nets["u_load.word_q"])
    fetched = [site.path for site in list_sites(config) if site.path.startswith("u_fetch.")]
    instructions = {bit for path in fetched for bit in [path, *flow.nets.get(path, ())]}
    behind = flow.reached(flow.inputs["m_axi_rdata"], stop=word | instructions)
    loaded = [path for path in struck(config, flow, behind) if not path.startswith("u_fetch.")]
    assert loaded == ["u_load.word_q"]
    stored = struck(config, flow, flow.reached(word, stop=flow.memories))
    buffers = {f"u_buffers.u_{name}.data_mem" for name in BUFFER_NAMES[:4]} & flow.memories
    assert {*stored} == buffers | {"u_load.word_q"} | (COUNTED if config.limit_bits else set())


def test_a_path_into_control_would_be_found(machine: tuple[AcceleratorConfig, Flow]) -> None:
    """The same search from registers of control reaches addresses of buffers and nearly everything else."""
    config, flow = machine
    reached = flow.reached(flow.nets["u_sequencer.rows_left_q"])
    assert set(flow.nets["u_buffers.u_activation.rd_addr"]) & reached
    assert len(struck(config, flow, reached)) > len(list_sites(config)) // 2
