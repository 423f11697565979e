"""Decoder and queues against the instruction set."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitact_hw.config import AcceleratorConfig, RangeCheck
from fitact_hw.isa import FIELDS, LIMIT, Opcode, offsets
from fitact_hw.verilog import TOP, design, generate
from fitact_hw.verilog.ast import children, node
from tests.generator.machines import SMALL
from tests.rtl_cells.cell_runner import run_cell

UNITS = {"load": Opcode.LOAD, "compute": Opcode.GEMM, "store": Opcode.STORE}


@pytest.mark.parametrize("bounds", ["none", "layer", "neuron"])
def test_decoder_refuses_what_is_illegal(bounds: str, tmp_path: Path) -> None:
    """Unknown operations, zero counts, tokens without receiver, hardware that is not there."""
    config = AcceleratorConfig.create(**(SMALL.model_dump() | {"bounds": bounds}))
    decoder = tmp_path / "fitact_decode.v"
    decoder.write_text(generate(config)[decoder.name])
    bench = "tests.generator.decode_bench"
    assert run_cell("fitact_decode", bench, sources=[decoder], env={"BOUNDS": bounds}) == 1


@pytest.mark.parametrize("check", RangeCheck)
@pytest.mark.parametrize("unit", UNITS)
def test_queue_names_every_field_at_its_place(unit: str, check: RangeCheck) -> None:
    """The field nets of a queue's entry have the offsets and widths of `isa.py`; a limit is as wide as the check's."""
    config = AcceleratorConfig.create(parameter_check=check)
    machine, opcode = design(config), UNITS[unit]
    name = f"fitact_{unit}_queue"
    (instance,) = [item for item in machine.instances(TOP) if item.module == name]
    body = machine.body(name, instance.parameters)
    (unpacked,) = [item for item in children(machine.modules[name]) if isinstance(item, node.LConcat)]
    found, place = {}, 0
    for part in reversed(unpacked.list):
        width = body.scope.signals[part.name].width
        found[part.name.removeprefix("instr_")] = (place, width)
        place += width
    # The entry leaves out the opcode; a compute entry says in its lowest bit whether it is a SYNC.
    opcode_bits, sync = FIELDS[opcode][0].bits, int(unit == "compute")
    widths = {f.name: f.bits for f in FIELDS[opcode][1:] if f.name != LIMIT}
    if opcode is Opcode.LOAD and check is not RangeCheck.NONE:
        widths[LIMIT] = 6 if check is RangeCheck.BITS else config.acc_bits
    expected = {name: (offsets(opcode)[name] - opcode_bits + sync, bits) for name, bits in widths.items()}
    assert found == expected | ({"is_sync": (0, 1)} if sync else {})
    assert place == sum(widths.values()) + sync == dict(instance.parameters)["ENTRY_BITS"]
