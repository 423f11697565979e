"""`compile_network`: a quantised network becomes a program."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from fitact_hw.compiler.checks import check_network
from fitact_hw.compiler.inputs import INPUT_SHAPE, UNFOLD, unfold_first
from fitact_hw.compiler.layout import MemoryMap, place_identity, place_layer
from fitact_hw.compiler.lower import Lowering
from fitact_hw.compiler.schedule import Operation, Scheduler, with_tokens
from fitact_hw.compiler.tiling import Geometry, Tiling, choose_tiling
from fitact_hw.config import AcceleratorConfig
from fitact_hw.isa import Instruction, Opcode
from fitact_hw.program import LayerSpan, Placement, Program
from golden.qnetwork import INPUT, QNetwork


def compile_network(qnet: QNetwork, config: AcceleratorConfig, images: int) -> Program:
    """Compile ``qnet`` for ``images`` images per run on the machine ``config``.

    Raises CompileError, naming the layer and the fix, for what the machine cannot do.
    """
    check_network(qnet, config, images)
    meta = {**qnet.meta, INPUT_SHAPE: json.dumps(qnet.input_shape)}
    layers = list(qnet.layers)
    unfolded = unfold_first(qnet, config)
    if unfolded is not None:
        first = layers[0]
        meta[UNFOLD] = json.dumps([first.kernel, first.stride, first.padding])
        layers[0] = unfolded
    geometries = [Geometry(layer, config, images) for layer in layers]
    tilings = [choose_tiling(geometry) for geometry in geometries]

    memory = MemoryMap(config)
    shape = qnet.input_shape if unfolded is None else unfolded.in_shape
    source = Placement(INPUT, 0, shape, images, config)
    tensors = {INPUT: replace(source, address=memory.reserve(source.size_bytes))}
    identity = place_identity(memory) if any(item.uses_identity for item in geometries) else 0
    lowering = Lowering(config, identity, tensors)
    for number, (geometry, tiling) in enumerate(zip(geometries, tilings, strict=True)):
        addresses = place_layer(memory, geometry, tiling)
        lowering.layer(number, geometry, tiling, addresses)
        tensors[geometry.layer.name] = addresses.output
        meta[f"tiling:{geometry.layer.name}"] = describe(tiling)

    operations = Scheduler(config, lowering).run()
    instructions = (*with_tokens(operations), Instruction(Opcode.FINISH, {}))
    code = np.frombuffer(b"".join(item.encode() for item in instructions), np.uint8)
    program_address = memory.add_bytes(code)
    return Program(
        config=config,
        network=qnet.name,
        scheme=qnet.scheme,
        images=images,
        instructions=instructions,
        memory=memory.image(),
        program_address=program_address,
        tensors=tensors,
        spans=_spans(qnet, operations, images),
        parameters=tuple(memory.parameters),
        logits=qnet.layers[-1].name,
        meta=meta,
    )


def describe(tiling: Tiling) -> str:
    """One line for reports: largest tile and number of chunks."""
    sizes = f"{tiling.images[0].size} images x {tiling.rows[0].size} rows x {tiling.cols[0].size} columns"
    return f"{sizes}, {len(tiling.chunks)} chunks, inputs {'resident' if tiling.resident else 'reloaded'}"


def _spans(qnet: QNetwork, operations: list[Operation], images: int) -> tuple[LayerSpan, ...]:
    """Layer i's span ends after its last GEMM and STORE; loads of later layers may stand before that."""
    ends = [0] * len(qnet.layers)
    for position, item in enumerate(operations):
        if item.opcode in (Opcode.GEMM, Opcode.STORE):
            ends[item.layer] = position + 1
    starts = [0, *ends]
    return tuple(LayerSpan(layer.name, starts[i], ends[i], layer.macs * images) for i, layer in enumerate(qnet.layers))
