"""What several leaf cells share: made from one definition, kept in `rtl/*.vh`, put into a cell by :func:`expanded`.

Localparams only, and no preprocessor but `` `include``: pyverilog has none. Builds take the cells expanded, so that
they need no search path and change when an include does; other tools read `rtl/` with its folder as include path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum

from fitact_hw.csr import REGISTERS
from fitact_hw.isa import ActMode
from fitact_hw.verilog import pixel_token
from fitact_hw.verilog.errors import GeneratorError

CODES = "fitact_codes.vh"
TOKEN = "fitact_pixel_token.vh"

_INCLUDE = re.compile(r'^([ \t]*)`include "([^"]+)"[^\n]*\n', re.M)
_ORIGIN = "Made by fitact_hw.verilog (`make docs`): do not edit."


def _constants(title: str, prefix: str, bits: int, values: Mapping[str, int]) -> list[str]:
    width = max(map(len, values))
    lines = (f"localparam [{bits - 1}:0] {prefix}{name:{width}} = {bits}'d{value};" for name, value in values.items())
    return [f"// {title}", *lines, ""]


def _codes() -> str:
    code = REGISTERS["STATUS"].field("code")
    errors = {item.name.upper(): item.value for item in code.encoding}

    def values(kind: type[IntEnum]) -> dict[str, int]:
        return {item.name: item.value for item in kind}

    lines = [
        "// Codes that several cells know: errors, accumulate and activation modes.",
        "//",
        f"// {_ORIGIN}",
        "",
        "// A cell needs some of them.",
        "/* verilator lint_off UNUSEDPARAM */",
        *_constants("STATUS.code.", "ERROR_", code.bits, errors),
        *_constants("acc_op of a pixel's token.", "OP_", 2, values(pixel_token.AccOp)),
        *_constants("act_mode of a pixel's token.", "ACT_", 2, values(ActMode)),
        "/* verilator lint_on UNUSEDPARAM */",
    ]
    return "\n".join(lines) + "\n"


def includes() -> dict[str, str]:
    """File name -> text of every include."""
    return {CODES: _codes(), TOKEN: pixel_token.include(_ORIGIN)}


def expanded(text: str, what: str) -> str:
    """``text`` with its includes in place. Raises GeneratorError for an include that there is not."""
    known = includes() if "`include" in text else {}

    def put(match: re.Match[str]) -> str:
        indent, name = match.groups()
        if name not in known:
            raise GeneratorError(f"{what} includes {name}: there are {', '.join(known)}")
        return "".join(f"{indent}{line}\n" if line else "\n" for line in known[name].splitlines())

    return _INCLUDE.sub(put, text)
