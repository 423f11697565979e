"""Raw upset rates of what stores bits, in FIT per 10^6 bits."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fitact_hw.config import BUFFER_NAMES
from fitact_hw.errors import FitActError

TABLE = Path(__file__).with_name("rates.csv")

SRAM, FLIP_FLOP, EXTERNAL = "sram", "flip_flop", "external"

MBIT = 1e6
"""Bits of the Mbit in FIT/Mbit."""


@dataclass(frozen=True)
class Rate:
    """``fit_per_mbit`` of cells of one ``kind`` (None: nobody gave one), and where the figure comes from."""

    kind: str
    fit_per_mbit: float | None
    source: str


@lru_cache(maxsize=1)
def defaults() -> Mapping[str, Rate]:
    """The shipped table, by kind."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {
            line["kind"]: Rate(line["kind"], float(text) if (text := line["fit_per_mbit"]) else None, line["source"])
            for line in csv.DictReader(file)
        }


def rates(**given: float | None) -> dict[str, Rate]:
    """Rates by kind: those ``given``, else the shipped ones."""
    return {
        kind: rate if (value := given.get(kind)) is None else Rate(kind, value, "given on the command line")
        for kind, rate in defaults().items()
    }


def raw_fit(kind: str, bits: int, known: Mapping[str, Rate]) -> float:
    """Raw FIT of ``bits`` cells. Raises FitActError if there is no rate for their kind."""
    rate = known[kind].fit_per_mbit
    if rate is None:
        raise FitActError(f"--{kind}-fit is needed for {bits / MBIT:g} Mbit: there is {known[kind].source}")
    return bits / MBIT * rate


def kind_of(structure: str) -> str:
    """What stores the bits of a structure of the machine: buffers are SRAM, all else (queues too) flip-flops."""
    return SRAM if structure.removesuffix("_buffer") in BUFFER_NAMES else FLIP_FLOP
