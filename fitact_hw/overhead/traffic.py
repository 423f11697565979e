"""What one inference moves and how long it takes, per scheme: from the compiled program, without data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from fitact_hw.compiler import compile_network
from fitact_hw.config import AcceleratorConfig, Granularity
from fitact_hw.fsim import estimate_cycles
from fitact_hw.fsim.access import bound_places, gemm_pixels, gemm_tiles, load_words
from fitact_hw.isa import INSTRUCTION_BYTES, AccMode, ActMode, Buffer, Instruction, Opcode
from fitact_hw.overhead.schemes import Scheme, machine
from fitact_hw.program import Program
from golden.qnetwork import ACC_BITS, QLayer, QNetwork

if TYPE_CHECKING:  # it needs torch
    from golden.frontend.lowering import FloatLayer

BATCH = 4
"""Images per program; figures are per image."""


@dataclass(frozen=True)
class Traffic:
    """Figures of one inference (one image of a batch of `BATCH`).

    ``dma_bytes`` by content (input and activations, weights, bias, bounds, output, instructions); ``reads``
    and ``writes`` in buffer words by buffer; ``bound_bytes``: storage of all bounds in memory, padding
    lanes included.
    """

    network: str
    cycles: float
    utilisation: float
    macs: float
    outputs: float
    dma_bytes: dict[str, float]
    bound_bytes: int
    bound_values: int
    reads: dict[str, float] = field(default_factory=dict)
    writes: dict[str, float] = field(default_factory=dict)

    @property
    def dma_total(self) -> float:
        """All bytes over the memory bus."""
        return sum(self.dma_bytes.values())


def network(name: str, layers: Sequence[FloatLayer], scheme: Scheme, word_bits: int) -> QNetwork:
    """A network with the shapes of ``layers`` and the bounds that ``scheme`` needs; its numbers are zeros.

    Cycles and traffic of the machine do not depend on data. Limits of the network's own (ReLU6) stay under every
    scheme: one bound for the layer where the scheme has none or one for the layer.
    """
    built = tuple(_layer(layer, scheme, word_bits) for layer in layers)
    return QNetwork(name, scheme.key, word_bits, ACC_BITS[word_bits], layers[0].in_shape, 0, built)


def _layer(layer: FloatLayer, scheme: Scheme, word_bits: int) -> QLayer:
    channels = np.zeros(layer.out_shape[0], np.int64)
    activation = layer.activation
    bound: int | np.ndarray | None = None
    top = (1 << (word_bits - 1)) - 1
    if layer.limit is not None and not scheme.bounds.buffered:
        bound = top
    elif layer.limit is not None or (layer.activation == "relu" and scheme.bounds is not Granularity.NONE):
        activation = "saturate" if layer.limit is not None or scheme.mode is ActMode.SATURATE else "clip"
        bound = np.full(layer.out_shape, top, np.int64) if scheme.bounds.buffered else top
    weight = None if layer.weight is None else np.zeros(layer.weight.shape, np.int64)
    return layer.in_words(weight, channels, channels, bound, frac_out=0, activation=activation)


def measure(name: str, layers: Sequence[FloatLayer], scheme: Scheme, config: AcceleratorConfig) -> Traffic:
    """Compile for the scheme's machine and count. Raises CompileError if the network does not fit it.

    A network with limits of its own (ReLU6) runs on no machine without bound hardware: of a scheme that has none, the
    figures are those of one with a bound for each layer, which moves and counts the same.
    """
    if scheme.bounds is Granularity.NONE and any(layer.limit is not None for layer in layers):
        scheme = replace(scheme, bounds=Granularity.LAYER, mode=ActMode.SATURATE)
    qnet = network(name, layers, scheme, config.word_bits)
    program = compile_network(qnet, machine(config, scheme), BATCH)
    estimate = estimate_cycles(program)
    reads, writes, dma = _count(program)
    blocks = [block for block in program.parameters if block.kind == "bound"]
    values = sum(int((block.index >= 0).sum()) for block in blocks)
    values += sum(isinstance(layer.bound, int) for layer in qnet.layers)
    return Traffic(
        network=name,
        cycles=estimate.cycles / BATCH,
        utilisation=estimate.utilisation,
        macs=sum(span.macs for span in program.spans) / BATCH,
        outputs=writes["output"] * program.config.side,
        dma_bytes=dma,
        bound_bytes=sum(len(block.index) * block.word_bytes for block in blocks),
        bound_values=values,
        reads=reads,
        writes=writes,
    )


def _count(program: Program) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Buffer words read and written, and bytes over the bus, for one image."""
    config = program.config
    names = {buffer: buffer.name.lower() for buffer in Buffer}
    reads = dict.fromkeys(["activation", "weight", "bias", "bound", "accumulator", "output"], 0.0)
    writes = dict(reads)
    dma = dict.fromkeys(["activation", "weight", "bias", "bound", "output"], 0.0)
    for item in program.instructions:
        real = item["cols"] * item["rows"] * item["planes"]
        if item.opcode is Opcode.LOAD:
            buffer = Buffer(item["buffer"])
            word_bytes = config.bias_word_bytes if buffer is Buffer.BIAS else config.word_bytes
            dma[names[buffer]] += real * word_bytes
            writes[names[buffer]] += load_words(item)
        elif item.opcode is Opcode.STORE:
            dma["output"] += real * config.word_bytes
            reads["output"] += real
        elif item.opcode is Opcode.GEMM:
            _count_gemm(item, config, reads, writes)
    dma["instructions"] = len(program.instructions) * INSTRUCTION_BYTES
    return tuple({key: value / BATCH for key, value in table.items()} for table in (reads, writes, dma))  # type: ignore[return-value]


def _bound_reads(item: Instruction, config: AcceleratorConfig) -> int:
    """Reads of the bound buffer: a pixel whose bound lies in the word of the pixel before needs none."""
    pixels = gemm_pixels(item)
    if config.bounds is Granularity.NEURON and config.bounds_per_lane == 1:
        return pixels
    words = np.tile(bound_places(item, config.bounds) // config.bounds_per_lane, item["images"])
    return 1 + int(np.count_nonzero(np.diff(words)))


def _count_gemm(
    item: Instruction, config: AcceleratorConfig, reads: dict[str, float], writes: dict[str, float]
) -> None:
    pixels, tiles = gemm_pixels(item), gemm_tiles(item)
    accumulates = AccMode(item["acc_mode"]) in (AccMode.ADD, AccMode.MAX)
    reads["activation"] += pixels * tiles
    reads["weight"] += config.side * tiles
    reads["accumulator"] += pixels * (tiles - 1 + accumulates)
    writes["accumulator"] += pixels * (tiles - item["epilogue"])
    if item["epilogue"]:
        reads["bias"] += pixels
        writes["output"] += pixels
        reads["bound"] += _bound_reads(item, config) if item["neuron_bounds"] else 0
