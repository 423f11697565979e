"""cocotb side of `test_dispatch`: the decoder against a plain statement of what is legal."""

from __future__ import annotations

import os
import random
from typing import Any

import cocotb
from cocotb.triggers import Timer

from fitact_hw.isa import FIELDS, LIMIT, Buffer, Instruction, Opcode, offsets

QUEUES = {Opcode.LOAD: "load", Opcode.GEMM: "compute", Opcode.SYNC: "compute", Opcode.STORE: "store"}
ZERO_MEANS_NOTHING = {
    Opcode.LOAD: ("cols", "rows", "planes"),
    Opcode.STORE: ("cols", "rows", "planes"),
    Opcode.GEMM: ("kernel_rows", "kernel_cols", "channel_tiles", "images", "rows", "cols"),
}


def legal(instruction: Instruction, bounds: str) -> bool:
    """What docs/reference/machine.md and the instruction set say about one instruction."""
    opcode = instruction.opcode
    if any(instruction[name] == 0 for name in ZERO_MEANS_NOTHING.get(opcode, ())):
        return False
    if opcode is Opcode.LOAD:
        missing = bounds != "neuron" and instruction["buffer"] == Buffer.BOUND
        return not (missing or instruction["pop_prev"] or instruction["push_prev"])
    if opcode is Opcode.STORE:
        return not (instruction["pop_next"] or instruction["push_next"])
    if opcode is Opcode.GEMM:
        if instruction["neuron_bounds"] and bounds != "neuron":
            return False
        return instruction["act_mode"] < 2 or bounds != "none"
    return True


def draw(rng: random.Random) -> Instruction:
    """A random instruction; flags are rare enough that half of all instructions are legal."""
    opcode = rng.choice(list(Opcode))
    values = {}
    for field in FIELDS[opcode]:
        if field.name in ZERO_MEANS_NOTHING.get(opcode, ()):
            # One bit set somewhere, or nothing.
            values[field.name] = 0 if rng.random() < 0.06 else 1 << rng.randrange(field.bits)
        elif field.name.startswith(("pop_", "push_")):
            values[field.name] = int(rng.random() < 0.15)
        elif field.name != "opcode":
            values[field.name] = rng.getrandbits(field.bits)
    return Instruction(opcode, values)


@cocotb.test()
async def refuses_what_is_illegal(dut: Any) -> None:
    """Random instructions, queue states, halt: the right queue, the right entry, the right pulse."""
    rng, bounds = random.Random(random.getrandbits(32)), os.environ["BOUNDS"]
    seen = {True: 0, False: 0}
    for _ in range(4000):
        if rng.random() < 0.1:
            image, known = rng.getrandbits(508) << 4 | rng.choice([0, *range(6, 16)]), None
        else:
            known = draw(rng)
            image = int.from_bytes(known.encode(), "little")
        valid, halt = rng.random() < 0.9, rng.random() < 0.1
        ready = {name: int(rng.random() < 0.5) for name in ("load", "compute", "store")}
        dut.instr_data.value = image
        dut.instr_valid.value = int(valid)
        dut.halt.value = int(halt)
        for name, value in ready.items():
            getattr(dut, f"{name}_ready").value = value
        await Timer(1, "ns")
        good = known is not None and legal(known, bounds)
        seen[good] += 1
        offered = valid and not halt
        queue = QUEUES.get(known.opcode) if known is not None and good else None
        for name in ready:
            assert int(getattr(dut, f"{name}_valid").value) == (offered and name == queue), known
        taken = offered and (queue is None or bool(ready[queue]))
        if offered:
            assert int(dut.instr_ready.value) == taken, known
        if halt:
            assert int(dut.instr_ready.value) == 0
        assert int(dut.illegal_instruction.value) == (offered and not good), known
        assert int(dut.dispatched.value) == (good and taken), known
        finish = good and known is not None and known.opcode is Opcode.FINISH
        assert int(dut.finish.value) == (offered and finish), known
        if known is not None and queue is not None:
            entry = int(getattr(dut, f"{queue}_data").value)
            if queue == "compute":
                assert entry & 1 == (known.opcode is Opcode.SYNC)
                entry >>= 1
            fields = [field for field in FIELDS[known.opcode] if field.name not in ("opcode", LIMIT)]
            bits = sum(field.bits for field in fields)
            assert (entry ^ image >> offsets(known.opcode)["pop_prev"]) & (1 << bits) - 1 == 0, known
    assert min(seen.values()) > 500
