"""Protection in `AcceleratorConfig`: one word or a table, TOML, refusals, check bits, and its meaning for outcomes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fitact_hw.config import BUFFER_NAMES, AcceleratorConfig, Protection, secded_check_bits
from fitact_hw.errors import ConfigError
from fitact_hw.faults import Outcome, classify


def test_one_word_means_every_buffer_that_exists() -> None:
    whole = AcceleratorConfig.create(protection="secded")
    assert whole.protected == dict.fromkeys(BUFFER_NAMES, Protection.SECDED)
    layer = AcceleratorConfig.create(protection="parity", bounds="layer")
    assert "bound" not in layer.protected
    assert len(layer.protected) == len(BUFFER_NAMES) - 1
    assert AcceleratorConfig().protected == {}


def test_table_in_a_machine_file(tmp_path: Path) -> None:
    file = tmp_path / "machine.toml"
    file.write_text('rows = 8\ncols = 8\n[protection]\nweight = "secded"\nbound = "parity"\n')
    machine = AcceleratorConfig.load(file)
    assert machine.protected == {"weight": Protection.SECDED, "bound": Protection.PARITY}
    assert AcceleratorConfig.create(**machine.model_dump()) == machine
    assert AcceleratorConfig.create(**machine.model_dump(mode="json")) == machine


@pytest.mark.parametrize("protection", ["ecc", {"weight": "ecc"}, {"wait": "parity"}])
def test_wrong_words_are_named(protection: str | dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"protection\.(activation|weight|wait)=.*(ecc|parity)"):
        AcceleratorConfig.create(protection=protection)


@pytest.mark.parametrize(("data", "check"), [(8, 5), (16, 6), (32, 7), (38, 7), (54, 7), (64, 8), (70, 8)])
def test_check_bits_are_the_fewest(data: int, check: int) -> None:
    """Enough columns with an odd number of ones, three or more; one bit less has too few."""
    assert secded_check_bits(data) == check
    columns = [code for code in range(1 << check) if code.bit_count() % 2 and code.bit_count() > 1]
    fewer = [code for code in columns if code < 1 << (check - 1)]
    assert len(fewer) < data <= len(columns)


def test_lanes_and_their_check_bits() -> None:
    machine = AcceleratorConfig.create(protection={"bias": "secded", "accumulator": "parity", "output": "secded"})
    assert {name: machine.check_bits(name) for name in BUFFER_NAMES} == {
        "activation": 0, "weight": 0, "bias": 7, "bound": 0, "accumulator": 1, "output": 5,
    }  # fmt: skip
    assert (machine.buffer_lane_bits("bias"), machine.buffer_lane_bits("accumulator")) == (38, 32)


def test_a_raised_flag_is_a_detected_outcome() -> None:
    """Of a run that finished, whatever its logits; error codes go first, and code 7 is detection as well."""
    right, wrong = np.array([[1, 2]]), np.array([[2, 1]])
    for logits in (right, wrong):
        assert classify(True, 0, logits, right, detected=True) is Outcome.DETECTED
        assert classify(False, 7, logits, right, detected=True) is Outcome.DETECTED
        assert classify(False, 4, logits, right, detected=True) is Outcome.HANG
        assert classify(False, 3, logits, right, detected=True) is Outcome.BUS_ERROR
    assert classify(True, 0, right, right) is Outcome.MASKED
    assert classify(True, 0, wrong, right) is Outcome.SDC
