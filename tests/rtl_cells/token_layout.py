"""A pixel's token packed and unpacked in Python, by the definition that `rtl/fitact_pixel_token.vh` is made from."""

from __future__ import annotations

import random
from dataclasses import dataclass

from fitact_hw.verilog.pixel_token import widths


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
        parameters = {
            **{"HAS_BOUND": int(self.bound), "HAS_BOUND_BUFFER": int(self.bound_buffer), "SHIFT_W": self.shift_w},
            **{"DATA_W": self.data_w, "ACC_ADDR_W": self.acc_addr_w, "BIAS_ADDR_W": self.bias_addr_w},
            **{"OUT_ADDR_W": self.out_addr_w, "BOUND_ADDR_W": self.bound_addr_w},
        }
        return list(widths(parameters).items())

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
