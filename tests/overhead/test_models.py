"""The SRAM model against the published macros it was fitted to."""

from __future__ import annotations

import pytest

from fitact_hw.overhead.sram import SramError, SramModel

IHP_MACROS_UM2 = {
    (64, 64): 50_489,
    (256, 48): 70_850,
    (256, 64): 93_181,
    (512, 64): 150_102,
    (1024, 8): 49_419,
    (1024, 16): 79_674,
    (1024, 64): 263_946,
    (2048, 64): 491_634,
    (4096, 8): 146_413,
    (4096, 16): 257_609,
}
"""Areas of the macros RM_IHPSG13_1P_<words>x<bits> (IHP-Open-PDK)."""


@pytest.mark.parametrize(("shape", "area"), IHP_MACROS_UM2.items())
def test_areas_of_real_macros(shape: tuple[int, int], area: float) -> None:
    words, bits = shape
    assert SramModel().macro(bits, words).area == pytest.approx(area, rel=0.033)


@pytest.mark.parametrize(
    ("words", "access"), [(64, 3.13), (256, 3.18), (512, 3.88), (1024, 4.40), (2048, 5.45), (4096, 5.39)]
)
def test_access_times_of_real_macros(words: int, access: float) -> None:
    """Clock to output of the same macros, typical corner, middle of the table (ns)."""
    assert SramModel().macro(64, words).access_ns == pytest.approx(access, rel=0.08)


def test_wide_and_deep_buffers_are_several_macros() -> None:
    model = SramModel()
    wide, one = model.buffer(128, 1024), model.macro(64, 1024)
    assert wide.macros == 2
    assert wide.area == pytest.approx(2 * one.area)
    assert wide.read_pj == pytest.approx(2 * one.read_pj)
    deep = model.buffer(64, 4096)
    assert deep.macros == 2
    assert deep.read_pj == pytest.approx(model.macro(64, 2048).read_pj), "only one row of macros is read"


def test_nodes_and_second_ports() -> None:
    areas = [SramModel(node).macro(64, 1024).area for node in (130, 45, 16, 7)]
    assert areas == sorted(areas, reverse=True)
    assert SramModel(7).macro(64, 1024).read_pj < SramModel(130).macro(64, 1024).read_pj / 20
    assert SramModel(port_factor=2.0).macro(8, 64).area == pytest.approx(2 * SramModel().macro(8, 64).area)
    with pytest.raises(SramError, match="choose one of"):
        SramModel(12)
