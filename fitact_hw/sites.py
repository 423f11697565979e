"""Fault sites: every register and memory of a machine, found in its Verilog.

The list comes from the parsed sources (non-blocking targets under a clock edge, times the hierarchy), not
from what the generator meant to build, and it writes the Verilator control file: what can be hit is exactly
what is public. One path string names a site everywhere: Verilog, cocotb, campaign store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from fitact_hw.config import AcceleratorConfig
from fitact_hw.structures import structure_of
from fitact_hw.verilog import TOP, GeneratorError, design

Kind = Literal["memory", "register"]


@dataclass(frozen=True)
class FaultSite:
    """Storage that an upset can hit.

    ``path`` is relative to the top, e.g. ``u_array.g_row[3].g_col[5].u_pe.weight_q``; ``width`` is in bits
    per word, ``depth`` in words (1 for a register); ``module`` declares it; ``structure`` is the group that
    reports use, e.g. ``weight_buffer`` or ``pe_psum``.
    """

    path: str
    width: int
    depth: int
    kind: Kind
    structure: str
    module: str

    @property
    def bits(self) -> int:
        """All bits of the site."""
        return self.width * self.depth

    @property
    def name(self) -> str:
        """The signal's own name, the last part of the path."""
        return self.path.rsplit(".", 1)[-1]


def _structure(path: str, module: str) -> str:
    group = structure_of(path, module)
    if group is None:
        raise GeneratorError(f"{path}: give storage of {module} a group in fitact_hw/structures.py")
    return group


@lru_cache(maxsize=8)
def list_sites(config: AcceleratorConfig) -> tuple[FaultSite, ...]:
    """Every fault site of ``config``, in the order of the hierarchy.

    Raises GeneratorError if a cell has storage that belongs to no known group.
    """
    return tuple(
        FaultSite(
            register.path,
            register.width,
            register.depth,
            "memory" if register.name.endswith("_mem") else "register",
            _structure(register.path, register.module),
            register.module,
        )
        for register in design(config).registers(TOP)
    )


def select(sites: Iterable[FaultSite], structures: Iterable[str]) -> tuple[FaultSite, ...]:
    """The sites of these structures. Raises GeneratorError for a name that no site has."""
    sites, wanted = tuple(sites), set(structures)
    unknown = wanted - {site.structure for site in sites}
    if unknown:
        known = ", ".join(sorted({site.structure for site in sites}))
        raise GeneratorError(f"no structure {', '.join(sorted(unknown))}: choose from {known}")
    return tuple(site for site in sites if site.structure in wanted)


def verilator_control(sites: Iterable[FaultSite], top: str = TOP) -> str:
    """Text of the Verilator control file that makes ``sites`` and the ports of ``top`` public and writable.

    Verilator matches by module and variable, so a signal becomes public in every instance of its module.
    """
    signals = dict.fromkeys((site.module, site.name) for site in sites)
    lines = ["`verilator_config", f'public_flat_rw -module "{top}" -port "*"']
    lines += [f'public_flat_rw -module "{module}" -var "{name}"' for module, name in signals]
    return "\n".join(lines) + "\n"


def site_handle_path(site: FaultSite) -> Iterator[str | int]:
    """The steps from a cocotb handle of the top to ``site``: names for ``getattr``, numbers for ``[]``.

    ``u_array.g_row[3].g_col[5].u_pe.weight_q`` gives ``u_array, g_row, 3, g_col, 5, u_pe, weight_q``.
    """
    for part in site.path.split("."):
        name, _, index = part.partition("[")
        yield name
        if index:
            yield int(index.removesuffix("]"))
