"""Programs of random networks by their hash: what was verified in RTL is what is compiled today.

`python -m tests.compiler.same_programs` writes them anew after a change that is meant.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fitact_hw.compiler import compile_network
from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import CompileError
from fitact_hw.fsim.timing import estimate_cycles
from tests.compiler.checking import fitted_to
from tests.compiler.reference import NetworkBuilder

STORED = Path(__file__).with_name("same_programs.json")

SMALL = {"weight_words": 64, "bias_words": 4, "bound_words": 24, "accumulator_words": 24, "output_words": 40}
MACHINES: dict[str, dict[str, Any]] = {
    "3x3-w8-bus32": {"rows": 3, "cols": 3, "bus_bits": 32, "activation_words": 90, **SMALL},
    "7x7-w16-patch-code4": {
        **SMALL, "rows": 7, "cols": 7, "word_bits": 16, "activation_words": 120, "weight_words": 100,
        "bounds": "patch", "bound_format": "code4", "bound_words": 3,
    },
    "4x4-w32-code4": {
        **SMALL, "rows": 4, "cols": 4, "word_bits": 32, "activation_words": 120, "bound_format": "code4",
        "bound_words": 5,
    },
    "2x2-w8-channel": {
        **SMALL, "rows": 2, "cols": 2, "bus_bits": 64, "activation_words": 90, "bounds": "channel", "bound_words": 2,
    },
    "4x4-w16-large": {"rows": 4, "cols": 4, "word_bits": 16, "bus_bits": 512},
}  # fmt: skip

NETWORKS = 6


def network(number: int, config: AcceleratorConfig) -> NetworkBuilder:
    """Windows that differ in rows and columns, shortcuts, both pools, several channel tiles; all by ``number``."""
    side = config.side
    builder = NetworkBuilder((side + number, 9, 8 + number % 2), config.word_bits, number, config.acc_bits)
    first = builder.conv(2 * side + 1, (3, 2), (1, 1 + number % 2), (1, 0, 1, 1), "clip", "neuron")
    if number % 3 != 1:
        builder.conv(2 * side + 1, 3, 1, 1, "saturate", "layer", residual=first, lshift=number)
    builder.pool("maxpool" if number % 2 else "avgpool", (2, 3), (2, 1))
    builder.conv(side, 1, 1 + number % 2, 0, "clip", "neuron")
    builder.conv(side - 1, builder.shapes[builder.last][1:], activation="linear")
    return builder


def programs(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of one machine: hash of the memory image with its instructions, and the estimate of its cycles."""
    config = AcceleratorConfig.create(**MACHINES[name])
    for number in range(NETWORKS):
        qnet = fitted_to(network(number, config).network(), config)
        try:
            program = compile_network(qnet, config, 1 + number % 3)
        except CompileError as error:
            yield str(number), {"refused": str(error)}
            continue
        estimate = estimate_cycles(program)
        yield (
            str(number),
            {
                "memory": hashlib.sha256(program.memory.tobytes()).hexdigest()[:16],
                "instructions": len(program.instructions),
                "layer_ends": list(estimate.layer_ends.values()),
                "busy": [estimate.load_cycles, estimate.compute_cycles, estimate.store_cycles],
                "utilisation": round(estimate.utilisation, 9),
            },
        )


if __name__ == "__main__":
    STORED.write_text(json.dumps({name: dict(programs(name)) for name in MACHINES}, indent=1) + "\n")
