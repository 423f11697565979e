"""The pixel token of `fitact_epilogue.v`, packed and unpacked in Python from the header's table."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class TokenLayout:
    """Widths in bits; ``bound`` and ``bound_buffer`` say which optional fields exist.

    ``pack_w``, ``walk``: BOUND_PACK_W and BOUND_WALK of the cells.
    """

    shift_w: int
    acc_addr_w: int
    bias_addr_w: int
    out_addr_w: int
    data_w: int
    bound_addr_w: int
    bound: bool
    bound_buffer: bool
    pack_w: int = 0
    walk: int = 0

    @property
    def fields(self) -> list[tuple[str, int]]:
        """(name, bits) from bit 0 upwards."""
        names = ["acc_rd", "acc_wr", "bias_rd", "out_wr", "retire", "push_prev", "push_next"]
        table = [(name, 1) for name in names] + [("acc_op", 2), ("act_mode", 2), ("lshift", self.shift_w)]
        table += [("acc_addr", self.acc_addr_w), ("bias_addr", self.bias_addr_w)]
        table += [("out_addr", self.out_addr_w)]
        if self.bound:
            table += [("layer_bound", self.data_w)]
        if self.bound_buffer:
            table += [("bound_rd", 1), ("neuron", 1), ("bound_addr", self.bound_addr_w)]
        return table

    @property
    def bits(self) -> int:
        """TOKEN_W."""
        return sum(bits for _, bits in self.fields)

    def pack(self, values: dict[str, int]) -> int:
        """The token word of ``values``."""
        word, position = 0, 0
        for name, bits in self.fields:
            word |= values[name] << position
            position += bits
        return word

    def unpack(self, word: int) -> dict[str, int]:
        """Inverse of :meth:`pack`."""
        values = {}
        for name, bits in self.fields:
            values[name] = word & (1 << bits) - 1
            word >>= bits
        return values

    def random(self) -> dict[str, int]:
        """Random values of all fields."""
        return {name: random.getrandbits(bits) for name, bits in self.fields}
