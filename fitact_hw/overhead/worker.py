"""Runs Yosys in a process of its own: `python -m fitact_hw.overhead.worker job.json result.json`.

Yosys keeps global state (names, counters) that changes results from run to run, and stops the process on an
error; a fresh process per job makes results repeatable and errors harmless.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = "block"
"""Name of the module that is mapped."""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Sends what Yosys writes to file descriptor 1 to the log on descriptor 2."""
    sys.stdout.flush()
    keep = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(keep, 1)
        os.close(keep)


class Yosys:
    """One Yosys design; commands log to a file."""

    def __init__(self, folder: Path) -> None:
        from pyosys import libyosys

        self._yosys = libyosys
        self._design = libyosys.Design()
        self.folder = folder

    def run(self, *commands: str) -> None:
        """Run commands in order."""
        for command in commands:
            self._yosys.run_pass(f"tee -q -a {self.folder / 'yosys.log'} {command}", self._design)

    def output(self, command: str) -> str:
        """Run one command and return what it printed."""
        path = self.folder / "out.txt"
        self._yosys.run_pass(f"tee -q -o {path} {command}", self._design)
        return path.read_text()


def _elaborate(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Elaborated RTLIL of a whole design, memories collected but not mapped."""
    yosys = Yosys(folder)
    parameters = " ".join(f"-chparam {name} {value}" for name, value in job["parameters"].items())
    yosys.run(*(f"read_verilog {path}" for path in job["files"]))
    yosys.run(f"hierarchy -check -top {job['top']} {parameters}", "proc", *(["flatten"] if job["flatten"] else []))
    yosys.run(*(f"flatten *{name}*" for name in job["flat_modules"]))
    yosys.run("delete t:$scopeinfo", "opt_expr", "opt_clean", "memory -nomap", "opt_clean", "check -assert")
    yosys.run(f"write_rtlil {folder / 'all.il'}", f"write_json {folder / 'all.json'}")
    netlist = json.loads((folder / "all.json").read_text())["modules"]
    top = next(name for name, module in netlist.items() if "top" in module["attributes"])
    modules = {name: _summary(module, netlist) for name, module in netlist.items()}
    return {"rtlil": (folder / "all.il").read_text(), "top": top, "modules": modules}


def _summary(module: dict[str, Any], modules: dict[str, Any]) -> dict[str, Any]:
    """Children with the names of their instances, ports, memories of one module."""
    children: dict[str, list[str]] = {}
    memories = []
    for instance, cell in module["cells"].items():
        if cell["type"] in modules:
            children.setdefault(cell["type"], []).append(instance)
        if cell["type"].startswith("$mem"):
            values = {name: int(cell["parameters"][name], 2) for name in ("WIDTH", "SIZE", "RD_PORTS", "WR_PORTS")}
            memories.append({"name": cell["parameters"]["MEMID"].lstrip("\\"), **values})
    ports = {name: [port["direction"], len(port["bits"])] for name, port in module["ports"].items()}
    return {"children": children, "memories": memories, "ports": ports}


def _prepare(yosys: Yosys, job: dict[str, Any]) -> None:
    """Technology-independent netlist with the library's flip-flops; cells that are left go through ABC."""
    yosys.run(*(f"read_{'rtlil' if path.endswith('.il') else 'verilog'} {path}" for path in job["files"]))
    yosys.run(f"hierarchy -check -top {job['top']}", f"synth -noabc -flatten {job['synth']}", "opt -full")
    yosys.run("delete t:$scopeinfo t:$print t:$check %%")
    libraries = " ".join(f"-liberty {path}" for path in job["liberty"])
    dont_use = " ".join(f"-dont_use {pattern}" for pattern in job["dont_use"])
    yosys.run(f"dfflibmap {libraries} {dont_use}", "opt")


def _map(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Maps one block with every recipe."""
    libraries = " ".join(f"-liberty {path}" for path in job["liberty"])
    dont_use = " ".join(f"-dont_use {pattern}" for pattern in job["dont_use"])
    constraints = folder / "abc.constr"
    constraints.write_text(f"set_driving_cell {job['driver']}\nset_load {job['load_ff']}\n")
    yosys = Yosys(folder)
    _prepare(yosys, job)
    yosys.run("design -save prepared")
    runs = []
    for recipe in job["recipes"]:
        script = folder / f"{recipe['name']}.abc"
        script.write_text("\n".join(recipe["commands"]) + "\n")
        yosys.run("design -load prepared")
        log = yosys.output(f"abc -D {job['target_ps']} {libraries} {dont_use} -constr {constraints} -script {script}")
        yosys.run("opt_clean -purge", f"write_json {folder / 'mapped.json'}")
        if job.get("verilog"):
            yosys.run(f"write_verilog -noattr {job['verilog']}")
        stat = json.loads(yosys.output(f"stat -json {libraries}"))["design"]
        delays = re.findall(r"Delay =\s*([\d.]+) ps", log)
        runs.append(
            {
                "recipe": recipe["name"],
                "area": float(stat.get("area", 0.0)),
                "abc_ps": float(delays[-1]) if delays else 0.0,
                **_netlist(folder / "mapped.json", job["top"]),
            }
        )
    return {"runs": runs}


def _netlist(path: Path, top: str) -> dict[str, Any]:
    """Ports (name -> [direction, nets]) and cells of the mapped block; nets are numbers or '0', '1', 'x'."""
    module = json.loads(path.read_text())["modules"][top]
    cells = [[cell["type"], cell["connections"]] for cell in module["cells"].values()]
    ports = {name: [port["direction"], port["bits"]] for name, port in module["ports"].items()}
    return {"cells": cells, "ports": ports}


def _script(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Runs given commands; returns what each printed and the text of the file ``read``."""
    yosys = Yosys(folder)
    outputs = [yosys.output(command) for command in job["commands"]]
    return {"outputs": outputs, "read": (folder / job["read"]).read_text() if job.get("read") else ""}


def main() -> None:
    """Entry point of the child process."""
    job = json.loads(Path(sys.argv[1]).read_text())
    result = Path(sys.argv[2])
    actions = {"elaborate": _elaborate, "map": _map, "script": _script}
    with _quiet():
        answer = actions[job["action"]](job, result.parent)
    result.write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
