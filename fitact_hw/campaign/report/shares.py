"""How large a part of all (bit, cycle) points the groups of a report are: exactly, from the machine and its program."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fitact_hw.campaign.plan import CampaignOptions, Storages, structure_storages
from fitact_hw.config import BUFFER_NAMES, AcceleratorConfig

PE_SITE = re.compile(r"u_array\.g_row\[(\d+)\]\.g_col\[(\d+)\]\.u_pe\.")

PE_VALUES = ("pe_weight", "pe_shadow", "pe_activation", "pe_psum")
"""Registers of a PE that hold one value."""


def value_bit(structure: str, bit: int, config: AcceleratorConfig) -> int | None:
    """Bit position within the lane's value that bit ``bit`` of a word of ``structure`` has; None where there is none.

    In a buffer word the lanes lie side by side, check bits above them. In the bias buffer bits from ``acc_bits`` on are
    the shift.
    """
    buffer = structure.removesuffix("_buffer")
    if buffer in BUFFER_NAMES:
        width = config.buffer_lane_bits(buffer)
        return bit % width if bit < config.side * width else None
    return bit if structure in PE_VALUES else None


@dataclass(frozen=True)
class Shares:
    """Shares of all (bit, cycle) points of a campaign, dead ones included.

    ``ends``: of the layers of the base run, in their order, with the cycle in which each ends; ``cycles``: of that run.
    """

    options: CampaignOptions
    bits: Mapping[str, int]
    ends: Sequence[tuple[str, int]]
    cycles: int

    def structure(self, name: str) -> float:
        """Of a structure."""
        return self.bits[name] / sum(self.bits.values())

    def layer(self, name: str) -> float | None:
        """Of the cycles in which the machine works on a layer; None if the store does not say when layers end."""
        begin = 0
        for number, (layer, end) in enumerate(self.ends, 1):
            until = self.cycles if number == len(self.ends) else end
            if layer == name:
                return (until - begin) / self.cycles
            begin = until
        return None

    def values(self, structure: str, low: int, high: int) -> float:
        """Of the bits ``low`` to ``high`` of all values that a structure holds."""
        [width] = {storage.width for storage in self._storages[structure]}
        bits = (value_bit(structure, bit, self.options.config) for bit in range(width))
        cells = sum(bit is not None and low <= bit <= high for bit in bits)
        return self.structure(structure) * cells / width

    def array_lines(self, axis: int) -> float:
        """Of the registers of one row (``axis`` 0) or column (1) of PEs."""
        lines = (self.options.config.rows, self.options.config.cols)[axis]
        inside = (s.width * s.depth for group in self._storages.values() for s in group if PE_SITE.match(s.path))
        return sum(inside) / lines / sum(self.bits.values())

    @cached_property
    def _storages(self) -> Storages:
        return structure_storages(self.options)
