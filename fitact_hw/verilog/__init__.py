"""Generates the machine's Verilog from its configuration.

`rtl/` holds the hand-written leaf cells; this package composes them. :func:`generate` returns the composed
modules, :func:`write` puts them into a folder, :func:`leaf_cells` returns the cells they need, complete in themselves;
:func:`rtl_sources` names their files, which need those of :func:`rtl_includes` in the include path.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from fitact_hw.config import AcceleratorConfig, BoundFormat
from fitact_hw.csr import CONSTANTS, constants_py
from fitact_hw.verilog.array import array
from fitact_hw.verilog.ast import Node, parse_module
from fitact_hw.verilog.buffers import buffers
from fitact_hw.verilog.csr_block import csr
from fitact_hw.verilog.dispatch import decode, queue, units
from fitact_hw.verilog.elaborate import Design
from fitact_hw.verilog.errors import GeneratorError
from fitact_hw.verilog.includes import expanded, includes
from fitact_hw.verilog.lanes import lanes
from fitact_hw.verilog.layout import text
from fitact_hw.verilog.module import Module
from fitact_hw.verilog.top import TOP, top
from golden.support.files import write_text
from golden.support.installation import source_tree

__all__ = [
    "RTL",
    "TOP",
    "GeneratorError",
    "design",
    "generate",
    "leaf_cells",
    "read_cell",
    "rtl_includes",
    "rtl_sources",
    "write",
    "write_default",
]

_PACKAGE = Path(__file__).resolve().parents[1]

RTL = _PACKAGE / "rtl" if (_PACKAGE / "rtl").is_dir() else _PACKAGE.parent / "rtl"
"""Folder of the leaf cells: in the package where it is installed, beside it in the source tree."""

_ORIGIN = "Composed by fitact_hw.verilog for {name}; change the generator, not this file."


def rtl_sources() -> list[Path]:
    """The hand-written leaf cells, sorted by name. Raises GeneratorError if the folder holds none."""
    sources = sorted(RTL.glob("fitact_*.v"))
    if not sources:
        raise GeneratorError(f"{RTL} holds no fitact_*.v: check out the repository again, or install again")
    return sources


def rtl_includes() -> list[Path]:
    """What the leaf cells include, sorted by name."""
    return [RTL / name for name in sorted(includes())]


def read_cell(path: Path) -> str:
    """Text of a hand-written cell with its includes in place. Raises GeneratorError."""
    return expanded(path.read_text(), path.name)


def leaf_cells() -> dict[str, str]:
    """File name -> text of every leaf cell with its includes in place. Raises GeneratorError."""
    return {path.name: read_cell(path) for path in rtl_sources()}


def _modules(config: AcceleratorConfig) -> list[Module]:
    queues = [queue(unit, config) for unit in units(config)]
    return [array(config), buffers(config), lanes(config), csr(config), decode(config), *queues, top(config)]


def _name(config: AcceleratorConfig) -> str:
    size = f"{config.size}, bounds: {config.bounds.value}"
    size += ", 4-bit codes" if config.bound_format is BoundFormat.CODE else ""
    size += "".join(f", {kind.value} on the {name} buffer" for name, kind in config.protected.items())
    size += f", alarm of the clamps (margin {config.alarm_margin})" if config.clamp_alarm else ""
    size += f", range check of parameters ({config.parameter_check.value})" if config.limit_bits else ""
    return f"{'the default configuration' if config == AcceleratorConfig() else 'a configuration'} ({size})"


@lru_cache(maxsize=16)
def _generated(config: AcceleratorConfig) -> tuple[tuple[str, str], ...]:
    origin = _ORIGIN.format(name=_name(config))
    return tuple((f"{module.name}.v", text(module, origin)) for module in _modules(config))


def generate(config: AcceleratorConfig) -> dict[str, str]:
    """File name -> Verilog text of every composed module, each connection checked against the leaf cells.

    Raises GeneratorError, naming module, instance and port, if something does not fit together.
    """
    design(config)
    return dict(_generated(config))


@lru_cache(maxsize=16)
def design(config: AcceleratorConfig) -> Design:
    """Leaf cells and composed modules of ``config``, elaborated from ``fitact_top`` down."""
    modules: dict[str, Node] = {}
    for name, source in leaf_cells().items():
        modules[name.removesuffix(".v")] = parse_module(source, f"rtl/{name}")
    for name, source in _generated(config):
        modules[name.removesuffix(".v")] = parse_module(source, name)
    for name, module in modules.items():
        if module.name != name:
            raise GeneratorError(f"{name}.v holds module {module.name}: file and module must have one name")
    result = Design(modules)
    for _ in result.instances(TOP):
        pass  # elaborates, and with it checks, every module that is used
    return result


def write(config: AcceleratorConfig, folder: Path) -> list[Path]:
    """Write the composed modules into ``folder`` (created if needed); returns their paths.

    Files that are already right keep their time stamp, so a build need not be repeated; stale modules
    of another configuration are removed.
    """
    sources = generate(config)
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("fitact_*.v"):
        if stale.name not in sources:
            stale.unlink()
    return _written(sources, folder)


def _written(sources: Mapping[str, str], folder: Path) -> list[Path]:
    for name, source in sources.items():
        path = folder / name
        if not path.exists() or path.read_text() != source:
            write_text(path, source)
    return [folder / name for name in sources]


def write_default() -> list[Path]:
    """Refresh what is checked in: the constants of the register map, the cells' includes and `rtl/generated/`, the
    composition of the default configuration. Returns the paths of the composition. Raises UserError outside a source
    tree.
    """
    source_tree("`fitact rtl --default`")
    _written({CONSTANTS.name: constants_py()}, CONSTANTS.parent)
    _written(includes(), RTL)
    return write(AcceleratorConfig(), RTL / "generated")
