"""The register block against its description, and the description's own reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitact_hw.config import AcceleratorConfig, Granularity, Protection, RangeCheck
from fitact_hw.csr import REGISTERS, FieldKind, RegisterMapError, StatusWord, clamp_place, load, machine_registers
from fitact_hw.registers import Control, ErrorCode
from fitact_hw.verilog import generate
from tests.rtl_cells.cell_runner import run_cell


@pytest.mark.parametrize(
    ("protection", "alarm", "check"),
    [
        ("none", False, "none"), ("parity", False, "none"), ("none", True, "none"), ("none", False, "bitcheck"),
        ("none", True, "check"),
    ],
)  # fmt: skip
def test_register_block_behaves_like_csr_rdl(tmp_path: Path, protection: str, alarm: bool, check: str) -> None:
    """AXI4-Lite with random stalls on all channels: byte writes, unmapped addresses, sticky bits, pulses."""
    config = AcceleratorConfig.create(protection=protection, clamp_alarm=alarm, parameter_check=check)
    block = tmp_path / "fitact_csr.v"
    block.write_text(generate(config)[block.name])
    env = {"FITACT_PARTS": ",".join(str(int(part)) for part in config.register_parts)}
    assert run_cell("fitact_csr", "tests.generator.csr_bench", sources=[block], env=env) == 3


def test_only_a_protected_machine_has_the_registers_of_protection() -> None:
    """Every other register keeps its place and its fields."""
    plain, protected = machine_registers(False), machine_registers(True)
    assert list(protected) == [*plain, "CORRECTED", "DETECTED", "PROTECTION"]
    more = {name: len(protected[name].fields) - len(plain[name].fields) for name in plain}
    assert {name: count for name, count in more.items() if count} == {"CONTROL": 1, "STATUS": 1}
    for name, register in plain.items():
        assert set(register.fields) <= set(protected[name].fields)


def test_only_a_machine_with_an_alarm_has_its_registers() -> None:
    """Flags and interrupt are more fields of registers that are there; the rest keeps its place."""
    for protection in (False, True):
        without, alarmed = machine_registers(protection), machine_registers(protection, clamp_alarm=True)
        assert list(alarmed) == [*without, "CLAMP_HITS", "CLAMP_FIRST", "ALARM_THRESHOLD"]
        for name, register in without.items():
            more = {field.name for field in set(alarmed[name].fields) - set(register.fields)}
            assert more == {"CONTROL": {"irq_on_alarm"}, "STATUS": {"clamped", "alarm"}}.get(name, set())
    lane, instruction = (REGISTERS["CLAMP_FIRST"].field(name) for name in ("lane", "instruction"))
    assert clamp_place(lane.insert(5) | instruction.insert(77)) == (77, 5)


def test_only_a_machine_with_a_range_check_has_its_register() -> None:
    for protection in (False, True):
        without, checked = machine_registers(protection), machine_registers(protection, range_check=True)
        assert list(checked) == [*without, "RANGE_HITS"]
        assert all(checked[name] == register for name, register in without.items())


def test_fields_do_not_overlap_and_fit() -> None:
    """Offsets are words, each once; fields of a register share no bit."""
    offsets = [register.offset for register in REGISTERS.values()]
    assert offsets == sorted({*offsets})
    for register in REGISTERS.values():
        assert register.offset % 4 == 0
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
    with pytest.raises(
        RegisterMapError, match="no field 'colour': it has busy, done, error, detected, clamped, alarm, code"
    ):
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


def test_named_values_are_the_configuration_s() -> None:
    """Granularities and protections are called alike in the register map and in the configuration."""
    bounds = REGISTERS["CONFIGURATION"].field("bounds")
    fields = {bounds: [*Granularity], **{field: [*Protection] for field in REGISTERS["PROTECTION"].fields}}
    fields[REGISTERS["RANGE_HITS"].field("kind")] = [*RangeCheck]
    for field, kind in fields.items():
        assert [item.name for item in field.encoding] == [item.value for item in kind], field.name
        assert [field.value_of(item.value) for item in kind] == list(range(len(kind)))
    with pytest.raises(RegisterMapError, match="bounds has no value 'row': it has none, layer"):
        bounds.value_of("row")
    with pytest.raises(RegisterMapError, match="start has no value 'go': it has no named values"):
        REGISTERS["CONTROL"].field("start").value_of("go")


@pytest.mark.parametrize("parts", [(False, False), (True, False), (False, True)])
def test_status_word(parts: tuple[bool, ...]) -> None:
    """Every field alone; what a machine without protection or alarm lacks reads as False."""
    status = machine_registers(*parts)["STATUS"]
    none = StatusWord(busy=False, done=False, error=False, detected=False, code=ErrorCode.NONE)
    for field in REGISTERS["STATUS"].fields:
        found = StatusWord.of(field.mask, *parts)
        there = field.name in {item.name for item in status.fields}
        largest = True if field.bits == 1 else 15
        assert vars(found) == vars(none) | ({field.name: largest} if there else {})
    for code in ErrorCode:
        assert StatusWord.of(REGISTERS["STATUS"].field("code").insert(code), *parts).code == code


def test_control_bits() -> None:
    """The flags are the fields of CONTROL."""
    assert {field.name.upper(): field.mask for field in REGISTERS["CONTROL"].fields} == dict(Control.__members__)
