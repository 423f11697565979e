"""The register block against its description, and the description's own reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitact_hw.config import AcceleratorConfig
from fitact_hw.csr import REGISTERS, FieldKind, RegisterMapError, load, machine_registers
from fitact_hw.verilog import generate
from tests.rtl_cells.cell_runner import run_cell


@pytest.mark.parametrize("protection", ["none", "parity"])
def test_register_block_behaves_like_csr_rdl(tmp_path: Path, protection: str) -> None:
    """AXI4-Lite with random stalls on all channels: byte writes, unmapped addresses, sticky bits, pulses."""
    config = AcceleratorConfig.create(protection=protection)
    block = tmp_path / "fitact_csr.v"
    block.write_text(generate(config)[block.name])
    env = {"FITACT_PROTECTED": str(int(bool(config.protected)))}
    assert run_cell("fitact_csr", "tests.generator.csr_bench", sources=[block], env=env) == 2


def test_only_a_protected_machine_has_the_registers_of_protection() -> None:
    """Every other register keeps its place and its fields."""
    plain, protected = machine_registers(False), machine_registers(True)
    assert list(protected) == [*plain, "CORRECTED", "DETECTED", "PROTECTION"]
    more = {name: len(protected[name].fields) - len(plain[name].fields) for name in plain}
    assert {name: count for name, count in more.items() if count} == {"CONTROL": 1, "STATUS": 1}
    for name, register in plain.items():
        assert set(register.fields) <= set(protected[name].fields)


def test_fields_do_not_overlap_and_fit() -> None:
    """Offsets are words, fields of a register share no bit."""
    for number, register in enumerate(REGISTERS.values()):
        assert register.offset == 4 * number
        used = 0
        for field in register.fields:
            assert field.mask < 1 << 32
            assert not used & field.mask
            used |= field.mask


def test_field_lookup_and_values() -> None:
    """`field`, `insert` and `extract` are each other's inverse; wrong names and values are refused."""
    code = REGISTERS["STATUS"].field("code")
    assert code.kind is FieldKind.INPUT
    assert code.extract(code.insert(5) | ~code.mask & 0xFFFFFFFF) == 5
    with pytest.raises(RegisterMapError, match="no field 'colour': it has busy, done, error, detected, code"):
        REGISTERS["STATUS"].field("colour")
    with pytest.raises(RegisterMapError, match="code=16 does not fit 4 bits"):
        code.insert(16)


def test_unknown_kind_of_field_is_refused(tmp_path: Path) -> None:
    """A field the register block cannot build is named."""
    source = tmp_path / "odd.rdl"
    source.write_text(
        "addrmap odd { reg { field { sw = rw; onread = rclr; onwrite = wset; hw = w; } bad; } ODD @ 0; };"
    )
    with pytest.raises(RegisterMapError, match=r"odd\.ODD\.bad"):
        load(source)
