"""The machine, networks and programs that the simulation tests share."""

from __future__ import annotations

import functools

import numpy as np

from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from fitact_hw.isa import Instruction
from fitact_hw.program import Program
from tests.compiler.reference import NetworkBuilder

TINY = AcceleratorConfig.create(
    rows=4,
    cols=4,
    activation_words=256,
    weight_words=64,
    bias_words=8,
    bound_words=64,
    accumulator_words=32,
    output_words=64,
)
"""A whole machine that builds in half a minute; all tests of this folder use it."""

IMAGES = 2


@functools.cache
def program(bound: str = "neuron") -> tuple[Program, np.ndarray]:
    """A network with two convolutions, pool and classifier, and its uint8 memory with random images."""
    builder = NetworkBuilder((3, 6, 6), seed=7)
    activation = "relu" if bound == "none" else "clip"
    builder.conv(6, 3, 1, 1, activation, bound)
    builder.pool("maxpool", 2, 2)
    builder.conv(5, 3, 1, 1, activation, bound)
    builder.conv(4, 0, activation="linear")
    images = builder.images(IMAGES)
    result = compile_network(builder.network(), TINY, IMAGES)
    return result, with_images(result, images)


def assembled(instructions: tuple[Instruction, ...], memory_bytes: int = 8192) -> Program:
    """A hand-written program: instructions at the start of an otherwise empty memory; no tensors."""
    memory = np.zeros(memory_bytes, np.uint8)
    code = b"".join(instruction.encode() for instruction in instructions)
    memory[: len(code)] = np.frombuffer(code, np.uint8)
    return Program(TINY, "assembled", "none", 1, instructions, memory, 0, {}, (), (), "")
