"""Configurations that the generator tests share, and where their Verilog is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fitact_hw.config import AcceleratorConfig

SMALL = AcceleratorConfig.create(
    rows=4,
    cols=4,
    activation_words=64,
    weight_words=32,
    bias_words=8,
    bound_words=16,
    accumulator_words=16,
    output_words=16,
)
"""A whole machine that simulates and synthesises in seconds."""


PROTECTED = AcceleratorConfig.create(
    **(
        SMALL.model_dump()
        | {"protection": {"activation": "secded", "weight": "parity", "bound": "parity", "output": "secded"}}
    )
)
"""The small machine with both kinds of protection."""


def _matrix() -> Iterator[AcceleratorConfig]:
    """Every side, word, bus width and granularity at least once, and each pair of word and granularity."""
    odd = {
        "activation_words": 1000,
        "weight_words": 77,
        "bias_words": 3,
        "accumulator_words": 9,
        "output_words": 13,
    }
    sides, buses = (2, 3, 7, 16, 32), (32, 512, 128, 64, 256)
    points = [(word, bounds) for word in (8, 16, 32) for bounds in ("none", "layer", "neuron")]
    for index, (word, bounds) in enumerate(points):
        side = sides[index % len(sides)]
        sizes = odd | {"bound_words": 11} if index % 2 and side < 16 else {}
        yield AcceleratorConfig.create(
            rows=side,
            cols=side,
            word_bits=word,
            bounds=bounds,
            bus_bits=buses[(index * 3) % len(buses)],
            **sizes,
        )
    yield AcceleratorConfig.create(rows=2, cols=2, bus_bits=512, queue_depth=3)
    yield AcceleratorConfig.create(rows=32, cols=32, word_bits=32, bus_bits=32)
    yield AcceleratorConfig.create(activation_words=1 << 16, queue_depth=16, acc_bits=48)
    yield PROTECTED
    yield AcceleratorConfig.create(rows=3, cols=3, word_bits=16, bounds="layer", protection="parity")
    yield AcceleratorConfig.create(rows=2, cols=2, word_bits=32, protection="secded")
    yield AcceleratorConfig.create(bounds="none", protection={"bias": "secded", "bound": "secded"})
    yield AcceleratorConfig.create(protection={"accumulator": "parity"})
    yield AcceleratorConfig.create(rows=4, cols=4, word_bits=32, bound_format="code4", bound_words=6)
    yield AcceleratorConfig.create(rows=3, cols=3, bounds="patch", bound_format="code4", bound_words=2)
    yield AcceleratorConfig.create(rows=2, cols=2, bounds="channel", bound_words=2, protection="parity")
    yield AcceleratorConfig.create(clamp_alarm=True)
    yield AcceleratorConfig.create(
        rows=3, cols=3, word_bits=32, bus_bits=32, bounds="layer", clamp_alarm=True, alarm_margin=2, protection="secded"
    )
    yield AcceleratorConfig.create(parameter_check="bitcheck")
    yield AcceleratorConfig.create(
        rows=4, cols=4, word_bits=32, bus_bits=32, parameter_check="check", protection="secded"
    )
    yield AcceleratorConfig.create(rows=2, cols=2, word_bits=16, bounds="none", parameter_check="check")
    yield AcceleratorConfig.create(rows=3, cols=3, bounds="patch", bound_format="code4", parameter_check="bitcheck")


MATRIX = (AcceleratorConfig(), *_matrix())


def label(config: AcceleratorConfig) -> str:
    """Short name for a test id."""
    checks = "".join(f"-{name}-{kind.value}" for name, kind in config.protected.items())
    checks += f"-alarm{config.alarm_margin}" if config.clamp_alarm else ""
    bounds = f"{config.bounds.value}-{config.bound_format.value}"
    checks += f"-{config.parameter_check.value}" if config.limit_bits else ""
    return f"{config.rows}x{config.cols}-w{config.word_bits}-bus{config.bus_bits}-{bounds}{checks}"


def sources(config: AcceleratorConfig, folder: Path) -> list[Path]:
    """Write the composed modules of ``config``; returns them with the leaf cells."""
    from fitact_hw.verilog import rtl_sources, write

    return [*rtl_sources(), *write(config, folder)]
