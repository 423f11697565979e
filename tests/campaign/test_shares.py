"""Shares of a report's groups in all points, by counting cells."""

from __future__ import annotations

import pytest

from fitact_hw.campaign.plan import CampaignOptions, bits_of, structure_storages
from fitact_hw.campaign.report.shares import Shares, value_bit
from fitact_hw.config import AcceleratorConfig

CONFIG = AcceleratorConfig.create(rows=4, cols=4, word_bits=8, protection={"weight": "secded"})
ENDS = [("conv1", 100), ("conv2", 250), ("fc1", 280)]


def shares() -> Shares:
    options = CampaignOptions(config=CONFIG)
    return Shares(options, bits_of(structure_storages(options)), ENDS, 300)


def test_bits_of_a_value() -> None:
    """Lanes side by side, check bits above them; of a bias lane the shift is on top."""
    wide, bias = CONFIG.acc_bits, CONFIG.bias_lane_bits
    table = [
        ("weight_buffer", 0, 0), ("weight_buffer", 7, 7), ("weight_buffer", 8, 0), ("weight_buffer", 31, 7),
        ("weight_buffer", 32, None), ("accumulator_buffer", wide, 0), ("accumulator_buffer", 4 * wide - 1, wide - 1),
        ("bias_buffer", bias - 1, bias - 1), ("bias_buffer", bias, 0),
        ("pe_psum", 9, 9), ("pe_weight", 3, 3), ("control", 3, None), ("pe_control", 0, None),
    ]  # fmt: skip
    for structure, bit, expected in table:
        assert value_bit(structure, bit, CONFIG) == expected, (structure, bit)


def test_layers_share_the_cycles() -> None:
    """The last one ends with the run: what comes behind it is its store."""
    found = shares()
    assert [found.layer(name) for name, _ in ENDS] == pytest.approx([100 / 300, 150 / 300, 50 / 300])
    assert found.layer("conv9") is None


def test_structures_values_and_lines() -> None:
    found, total = shares(), sum(shares().bits.values())
    [weights] = structure_storages(found.options)["weight_buffer"]
    assert found.structure("weight_buffer") == found.bits["weight_buffer"] / total
    assert weights.width > 32, "with check bits"
    for low, high in ((0, 7), (7, 7), (2, 5), (0, 0)):
        cells = 4 * (high - low + 1) * weights.depth
        assert found.values("weight_buffer", low, high) == pytest.approx(cells / total)
    in_pes = sum(bits for name, bits in found.bits.items() if name.startswith("pe_"))
    for axis in (0, 1):
        assert found.array_lines(axis) == pytest.approx(in_pes / 4 / total)
