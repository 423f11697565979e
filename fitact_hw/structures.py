"""Structures: groups of the machine's storage that campaigns draw from and reports tell apart, by what stores it."""

from __future__ import annotations

from fitact_hw.config import BUFFER_NAMES

_PE = {
    "weight_q": "pe_weight",
    "shadow_q": "pe_shadow",
    "act_q": "pe_activation",
    "psum_q": "pe_psum",
    "swap_q": "pe_control",
    "load_q": "pe_control",
}

_LANES = {"fitact_lane": "lane", "fitact_clamp": "lane", "fitact_epilogue": "epilogue"}

_UNITS = {
    "u_csr": "csr",
    "u_control": "control",
    "u_protection": "protection",
    "u_alarm": "alarm",
    "u_limits": "range_check",
    "u_range_count": "range_check",
    "u_fetch": "fetch",
    "u_arbiter": "arbiter",
    "u_load_queue": "queue",
    "u_compute_queue": "queue",
    "u_store_queue": "queue",
    "u_load_to_compute": "token",
    "u_compute_to_load": "token",
    "u_compute_to_store": "token",
    "u_store_to_compute": "token",
    "u_load": "load",
    "u_store": "store",
    "u_sequencer": "sequencer",
    "u_delay": "control_delay",
}
"""Everything inside one of these instances of the top, whatever it is made of."""

_SKEW, _BUFFER_OUTPUT = "skew", "buffer_output"


def _buffer(name: str) -> str:
    return f"{name}_buffer"


STRUCTURES = tuple(
    sorted({*_PE.values(), *_LANES.values(), *_UNITS.values(), _SKEW, _BUFFER_OUTPUT, *map(_buffer, BUFFER_NAMES)})
)
"""Every structure that some machine has."""


def structure_of(path: str, module: str) -> str | None:
    """The structure of the storage at ``path`` (from the top), which ``module`` declares; None if it has none."""
    parts = path.split(".")
    if parts[0] == "u_array":
        return _PE.get(parts[-1]) if module == "fitact_pe" else _SKEW
    if parts[0] == "u_buffers" and module == "fitact_word_check":
        return _UNITS["u_protection"]
    if parts[0] == "u_buffers":
        return _buffer(parts[1].removeprefix("u_")) if parts[-1] == "data_mem" else _BUFFER_OUTPUT
    if parts[0] == "u_lanes":
        return _LANES.get(module)
    return _UNITS.get(parts[0])
