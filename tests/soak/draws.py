"""What a soak draws: each from a generator of its own by seed and number, so that any of it can be drawn again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fitact_hw.compiler import compile_network
from fitact_hw.config import BUFFER_NAMES, LEAST_DEPTHS, AcceleratorConfig, RangeCheck
from fitact_hw.errors import CompileError, ConfigError
from fitact_hw.fault_models import SEU, draw, parse_model
from fitact_hw.faults import FaultEvent, Shape
from fitact_hw.injection.case import Case
from fitact_hw.sites import list_sites
from golden.qnetwork import QNetwork
from sim.job import MemoryModel
from tests.compiler.checking import fitted_to
from tests.compiler.reference import NetworkBuilder

Rng = np.random.Generator

MODELS = (SEU.name, "stuck-at-0", "stuck-at-1", "intermittent:1", "intermittent:40", "several:3")


def generator(*numbers: int) -> Rng:
    """By numbers alone."""
    return np.random.default_rng(list(numbers))


def random_machine(seed: int, machine: int) -> AcceleratorConfig:
    """Any legal one of few PEs and small buffers, so that layers are tiled in every direction."""
    rng = generator(seed, machine, 1)
    while True:
        side = int(rng.integers(2, 7))
        depths = {name: max(least, 2 * side) + int(rng.integers(0, 60)) for name, least in LEAST_DEPTHS.items()}
        values: dict[str, Any] = {
            "rows": side,
            "cols": side,
            "word_bits": int(rng.choice([8, 16, 32])),
            "bus_bits": int(rng.choice([32, 64, 128, 256, 512])),
            "bounds": str(rng.choice(["neuron", "neuron", "patch", "channel", "layer", "none"])),
            "bound_format": str(rng.choice(["word", "code4"])),
            "queue_depth": int(rng.integers(2, 9)),
            "clamp_alarm": bool(rng.integers(2)),
            "protection": {
                name: str(rng.choice(["none", "parity", "secded"], p=(0.6, 0.2, 0.2))) for name in BUFFER_NAMES
            },
            **{name: depth * (3 if name == "activation_words" else 1) for name, depth in depths.items()},
        }
        if rng.integers(2):
            values["protection"] = {}
        # of its own, so that everything else is drawn as before there was a range check
        values["parameter_check"] = str(generator(seed, machine, 9).choice([check.value for check in RangeCheck]))
        try:
            return AcceleratorConfig.create(**values)
        except ConfigError:
            continue


def random_network(rng: Rng, config: AcceleratorConfig) -> tuple[QNetwork, np.ndarray]:
    """One to four layers: windows that differ in rows and columns, shortcuts, pools; and one image."""
    shape = int(rng.integers(1, 9)), int(rng.integers(4, 8)), int(rng.integers(4, 8))
    builder = NetworkBuilder(shape, config.word_bits, int(rng.integers(2**31)), config.acc_bits)
    kinds = [("relu", "none"), ("clip", "neuron"), ("saturate", "neuron"), ("clip", "layer"), ("linear", "none")]
    for _ in range(int(rng.integers(1, 5))):
        before = builder.last
        channels, rows, cols = builder.shapes[before]
        activation, bound = kinds[int(rng.integers(len(kinds)))]
        kernel = tuple(int(rng.integers(1, min(3, size) + 1)) for size in (rows, cols))
        stride = tuple(int(n) for n in rng.integers(1, 3, 2))
        what = rng.choice(["conv", "conv", "shortcut", "maxpool", "avgpool"])
        if what == "conv":
            pads = tuple(int(n) for n in rng.integers(0, 2, 4))
            builder.conv(int(rng.integers(1, 9)), kernel, stride, pads, activation, bound)  # type: ignore[arg-type]
        elif what == "shortcut":
            builder.conv(channels, 3, 1, 1, activation, bound, residual=before, lshift=int(rng.integers(0, 7)))
        else:
            builder.pool(str(what), kernel, stride)  # type: ignore[arg-type]
    if rng.integers(2):
        kernel = builder.shapes[builder.last][1:]
        builder.conv(int(rng.integers(2, 7)), kernel, activation="linear")
    return fitted_to(builder.network(), config), builder.images(1)


def random_memory(rng: Rng) -> MemoryModel:
    """As fast as can be, or stalls, latencies and another order of answers."""
    if not rng.integers(3):
        return MemoryModel()
    ar, r, aw, w, b = rng.choice([0, 60, 200], 5).tolist()
    return MemoryModel(
        read_latency=int(rng.integers(1, 60)), write_latency=int(rng.integers(1, 60)),
        read_interval=int(rng.integers(1, 4)), write_interval=int(rng.integers(1, 4)),
        outstanding=int(rng.integers(1, 17)), reorder=bool(rng.integers(2)), seed=int(rng.integers(1, 1000)),
        stall_ar=ar, stall_r=r, stall_aw=aw, stall_w=w, stall_b=b,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Drawn:
    """A case of a machine with the memory that it meets. ``machine``, ``number``: by which it is drawn again."""

    seed: int
    machine: int
    number: int
    config: AcceleratorConfig
    case: Case
    model: MemoryModel

    def events(self, count: int, cycles: int) -> list[FaultEvent]:
        """Faults over all structures, of a fault model, shape and interleaving of this case's own."""
        rng = generator(self.seed, self.machine, 3, self.number)
        structures: dict[str, list[Any]] = {}
        for site in list_sites(self.config):
            structures.setdefault(site.structure, []).append(site)
        names = rng.permutation(list(structures)).tolist()
        model = parse_model(str(rng.choice(MODELS, p=(0.6, 0.05, 0.05, 0.1, 0.1, 0.1))))
        shape, interleave = Shape(str(rng.choice([shape.value for shape in Shape]))), int(rng.integers(1, 5))
        return draw(
            {name: structures[name] for name in names}, count, cycles, int(rng.integers(2**31)), model,
            shape=shape, interleave=interleave,
        )  # fmt: skip

    def without_stalls(self) -> Drawn:
        """The same with the usual memory."""
        return replace(self, model=MemoryModel())


def random_case(seed: int, machine: int, number: int, config: AcceleratorConfig) -> Drawn:
    """Case ``number`` of a machine: the first network drawn that the compiler does not refuse."""
    rng = generator(seed, machine, 2, number)
    while True:
        network, image = random_network(rng, config)
        model = random_memory(rng)
        try:
            program = compile_network(network, config, 1)
        except CompileError:
            continue
        return Drawn(seed, machine, number, config, Case(network, program, image).ready(), model)
