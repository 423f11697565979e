"""The direction of imports: golden -> compiler -> program -> simulation -> outcome -> report."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = ("golden", "fitact_hw", "sim", "tests")
MEETING_POINTS = ("fitact_hw/cli", "fitact_hw/experiment", "fitact_hw/campaign")
"""Where golden model, compiler and simulator may meet; nothing below may import from here."""


def imports(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def files(folder: str) -> list[Path]:
    """Python files of a top-level folder."""
    return sorted((ROOT / folder).rglob("*.py"))


def hits(names: set[str], prefix: str) -> set[str]:
    """Names that are ``prefix`` or below it."""
    return {name for name in names if name == prefix or name.startswith(prefix + ".")}


def test_golden_knows_nothing_of_hardware() -> None:
    assert files("golden")
    for path in files("golden"):
        assert not hits(imports(path), "fitact_hw") | hits(imports(path), "sim"), path


def test_hardware_takes_only_types_and_number_formats_from_golden() -> None:
    checked = 0
    for path in files("fitact_hw"):
        if path.relative_to(ROOT).as_posix().startswith(MEETING_POINTS):
            continue
        checked += 1
        names = imports(path)
        others = hits(names, "golden") - hits(names, "golden.qnetwork") - hits(names, "golden.bound_code") - {"golden"}
        assert not others, f"{path} imports {others}"
        assert not hits(names, "sim"), path
    assert checked > 5


@pytest.mark.parametrize("part", ["golden", "sim"])
def test_nothing_imports_the_command_line(part: str) -> None:
    for path in files(part):
        names = imports(path)
        for point in MEETING_POINTS:
            assert not hits(names, point.replace("/", ".")), path


def test_simulation_does_not_need_torch() -> None:
    for path in files("sim"):
        assert not hits(imports(path), "torch"), f"{path}: simulator processes must start fast"


def test_pyverilog_has_one_importer() -> None:
    users = [path for part in PARTS for path in files(part) if hits(imports(path), "pyverilog")]
    outside = [path for path in users if not path.relative_to(ROOT).as_posix().startswith("fitact_hw/verilog/")]
    assert users
    assert not [path for path in outside if path.relative_to(ROOT).parts[0] != "tests"]
