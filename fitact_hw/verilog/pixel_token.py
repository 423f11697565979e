"""The token of a pixel: the only definition of its layout, from which `rtl/fitact_pixel_token.vh` is made.

`fitact_sequencer` makes one for every pixel and for every SYNC (`retire` and its push bits only), `fitact_epilogue`
turns it into buffer accesses and lane controls.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from fitact_hw.isa import ActMode


class AccOp(IntEnum):
    """What becomes of the accumulator word."""

    OVERWRITE = 0
    ADD = 1
    MAX = 2


@dataclass(frozen=True)
class Part:
    """A field: its width in bits (the name of a parameter of the cells, or a number); ``only``: the parameter that
    must not be 0 for the field to exist."""

    name: str
    width: int | str
    doc: str = ""
    only: str = ""


def _names(kind: type[IntEnum]) -> str:
    return ", ".join(f"{item.value} {item.name.lower()}" for item in kind)


PARTS = (
    Part("acc_rd", 1, "read the accumulator word at acc_addr"),
    Part("acc_wr", 1, "write the sum back to acc_addr"),
    Part("bias_rd", 1, "read the bias word; the pixel leaves through the epilogue"),
    Part("out_wr", 1, "write the lanes' result to out_addr"),
    Part("retire", 1, "last token of its instruction"),
    Part("push_prev", 1, "with retire: give a token to the previous unit"),
    Part("push_next", 1, "with retire: give a token to the next unit"),
    Part("acc_op", 2, _names(AccOp)),
    Part("act_mode", 2, _names(ActMode)),
    Part("lshift", "SHIFT_W", "left shift of the partial sum"),
    Part("acc_addr", "ACC_ADDR_W"),
    Part("bias_addr", "BIAS_ADDR_W"),
    Part("out_addr", "OUT_ADDR_W"),
    Part("layer_bound", "DATA_W", "bound of every neuron, or base of 4-bit codes", "HAS_BOUND"),
    Part("bound_rd", 1, "read the word of the bound at bound_addr", "HAS_BOUND_BUFFER"),
    Part("neuron", 1, "the bound comes from the bound buffer", "HAS_BOUND_BUFFER"),
    Part("bound_addr", "BOUND_ADDR_W", "a bound of its lane, not a word", "HAS_BOUND_BUFFER"),
)
"""From bit 0 upwards. HAS_BOUND_BUFFER needs HAS_BOUND."""


def widths(parameters: Mapping[str, int]) -> dict[str, int]:
    """Name -> bits of every field that exists with these parameters of the cells, from bit 0 upwards."""
    found = {}
    for part in PARTS:
        if not part.only or parameters[part.only]:
            found[part.name] = part.width if isinstance(part.width, int) else parameters[part.width]
    return found


def include(origin: str) -> str:
    """Text of the include: for each field its lowest bit, T_<NAME>, as a localparam."""
    intro = (
        "Layout of a pixel's token, from bit 0 upwards: T_<NAME> is the lowest bit of a field. A field's width is a "
        "parameter of the cell, or a number."
    )
    lines = [*(f"// {line}" for line in textwrap.wrap(intro, 112)), "//", f"// {origin}", "//"]
    for part in PARTS:
        only = f"only with {part.only}" if part.only else ""
        notes = "; ".join(text for text in (part.doc, only) if text)
        lines.append(f"//   {part.name:13}{part.width:<14}{notes}".rstrip())
    lines.append("")
    place = "0"
    for part in PARTS:
        name = f"T_{part.name.upper()}"
        lines.append(f"localparam {name:13} = {place};")
        place = f"{name} + {part.width if not part.only else f'(({part.only} != 0) ? {part.width} : 0)'}"
    return "\n".join(lines) + "\n"
