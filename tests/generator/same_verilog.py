"""Verilog of many configurations by its hash: what was verified is what is generated today.

`python -m tests.generator.same_verilog` writes them anew after a change that is meant. `rtl/generated` has the text of
the default configuration.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from fitact_hw.config import AcceleratorConfig
from fitact_hw.verilog import generate
from tests.generator.machines import MATRIX, label

STORED = Path(__file__).with_name("same_verilog.json")


def hashes(config: AcceleratorConfig) -> dict[str, str]:
    """File -> hash of its text, without comments: they name the program's version."""
    return {
        name: hashlib.sha256(
            "\n".join(line.partition("//")[0].rstrip() for line in text.splitlines()).encode()
        ).hexdigest()[:12]
        for name, text in sorted(generate(config).items())
    }


def key(number: int) -> str:
    """Of a configuration: its place and what it is."""
    return f"{number} {label(MATRIX[number])}"


if __name__ == "__main__":
    STORED.write_text(json.dumps({key(n): hashes(config) for n, config in enumerate(MATRIX)}, indent=1) + "\n")
