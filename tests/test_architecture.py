"""The direction of imports: every module has a floor, and imports only run down."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FLOORS: tuple[tuple[str, ...], ...] = (
    # golden model: knows nothing of hardware
    ("golden.errors",),
    ("golden.support",),
    ("golden.qnetwork",),
    ("golden.frontend",),
    ("golden.bounds",),
    ("golden.data",),
    ("golden.quantisation", "golden.reference", "golden.plain_reference"),
    ("golden.fault_maps",),
    ("golden.parameter_check",),
    ("golden.exact", "golden.networks"),
    ("golden.subjects",),
    ("golden.search",),
    ("golden.training",),
    # the machine: description, generator, compiler, functional simulator
    ("fitact_hw.errors", "fitact_hw.interrupts", "fitact_hw.registers", "fitact_hw.templates"),
    ("fitact_hw.config_errors",),
    ("fitact_hw.config", "fitact_hw.csr"),
    ("fitact_hw.isa", "fitact_hw.faults", "fitact_hw.structures"),
    ("fitact_hw.fault_models",),
    ("fitact_hw.program",),
    ("fitact_hw.verilog",),
    ("fitact_hw.sites", "fitact_hw.docs_gen"),
    ("fitact_hw.export",),
    ("fitact_hw.compiler",),
    ("fitact_hw.fsim",),
    # the simulated machine
    ("sim",),
    # studies
    ("fitact_hw.reporting", "fitact_hw.estimation"),
    ("fitact_hw.networks",),
    ("fitact_hw.injection",),
    ("fitact_hw.campaign",),
    ("fitact_hw.campaign.report",),
    ("fitact_hw.resilience", "fitact_hw.overhead"),
    ("fitact_hw.overhead.power",),
    ("fitact_hw.alarms", "fitact_hw.check", "fitact_hw.simulate", "fitact_hw.validation", "fitact_hw.bench"),
    ("fitact_hw.overhead.fit", "fitact_hw.redraw", "fitact_hw.fmeda"),
    ("fitact_hw.api", "fitact_hw.cli"),
    ("fitact_hw.__main__",),
)
"""From the ground up. A name covers all below it that has no name of its own; rooms of one floor do not import each
other. Packages without code of their own (`golden`, `fitact_hw`) stand outside."""

HARDWARE_TAKES = ("golden.errors", "golden.support", "golden.qnetwork", "golden.bounds")
"""What the machine's description, generator, compiler and simulator may know of the golden model."""

MACHINE = (
    *("fitact_hw.config", "fitact_hw.csr", "fitact_hw.isa", "fitact_hw.faults", "fitact_hw.structures"),
    *("fitact_hw.program", "fitact_hw.verilog", "fitact_hw.sites", "fitact_hw.docs_gen", "fitact_hw.compiler"),
    *("fitact_hw.fsim", "sim"),
)

PACKAGES = ("golden", "fitact_hw", "sim")


def imports(source: str) -> Iterator[str]:
    """Dotted names of everything that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(name: str) -> str | None:
    """The listed room that a dotted name lies in."""
    rooms = (entry for floor in FLOORS for entry in floor if name == entry or name.startswith(entry + "."))
    return max(rooms, key=len, default=None)


def floor(entry: str) -> int:
    """Number of a room's floor."""
    return next(number for number, rooms in enumerate(FLOORS) if entry in rooms)


def climbs(module: str, source: str) -> list[str]:
    """Imports of a module that do not run down."""
    own = room(module)
    assert own, f"{module} has no room: list it in FLOORS"
    found = []
    for name in imports(source):
        if name.split(".")[0] not in PACKAGES or name in PACKAGES:
            continue
        other = room(name)
        if other is None or (other != own and floor(other) >= floor(own)):
            found.append(f"{module} imports {name}")
    return found


def modules() -> list[tuple[str, Path]]:
    """(dotted name, file) of every module of the product."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            if name not in PACKAGES:
                found.append((name, path))
    return found


def test_imports_only_run_down() -> None:
    found = modules()
    assert len(found) > 150
    assert not [line for name, path in found for line in climbs(name, path.read_text(encoding="utf-8"))]


def test_every_room_is_there() -> None:
    names = {name for name, _ in modules()}
    listed = [entry for rooms in FLOORS for entry in rooms]
    assert not [e for e in listed if e not in names and not any(name.startswith(e + ".") for name in names)]


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("golden.reference", "from fitact_hw import config"),
        ("fitact_hw.injection.engine", "from fitact_hw.campaign.store import Row"),
        ("fitact_hw.campaign.run", "def f():\n    from fitact_hw.simulate import run"),
        ("sim.job", "import fitact_hw.campaign.plan"),
        ("fitact_hw.resilience.study", "from fitact_hw.overhead import cost"),
        ("fitact_hw.campaign.store", "from fitact_hw.campaign.report import page"),
    ],
)
def test_a_planted_import_that_climbs_is_found(module: str, line: str) -> None:
    assert climbs(module, line)


def test_hardware_takes_only_types_and_number_formats_from_golden() -> None:
    machine = [(name, path) for name, path in modules() if room(name) in MACHINE]
    assert len(machine) > 30
    for name, path in machine:
        others = {found for found in imports(path.read_text(encoding="utf-8")) if found.startswith("golden.")}
        assert not {found for found in others if room(found) not in HARDWARE_TAKES}, name


def test_simulation_does_not_need_torch() -> None:
    for path in (ROOT / "sim").rglob("*.py"):
        names = list(imports(path.read_text(encoding="utf-8")))
        assert not [name for name in names if name.split(".")[0] == "torch"], f"{path}: simulators must start fast"


def test_pyverilog_has_one_importer() -> None:
    users = {
        room(name)
        for name, path in modules()
        if any(found.split(".")[0] == "pyverilog" for found in imports(path.read_text(encoding="utf-8")))
    }
    assert users == {"fitact_hw.verilog"}


def test_the_page_on_the_architecture_names_every_package() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = [entry.replace(".", "/") for floor in FLOORS for entry in floor]
    packages = ["/".join(entry.split("/")[-2:]) for entry in rooms if (ROOT / entry).is_dir()]
    assert len(packages) > 20
    assert not [name for name in packages if f"{name}/`" not in page and f"`{name.split('/')[-1]}/`" not in page]
