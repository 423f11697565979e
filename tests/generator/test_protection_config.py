"""Protection in `AcceleratorConfig`: one word or a table, TOML, refusals, check bits, and its meaning for outcomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fitact_hw.config import BUFFER_NAMES, AcceleratorConfig, Protection, secded_check_bits
from fitact_hw.errors import ConfigError
from fitact_hw.faults import Outcome, classify
from fitact_hw.registers import ErrorCode


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


@pytest.mark.parametrize(
    ("protection", "line"),
    [
        ("ecc", "protection.activation='ecc': must be none, parity or secded"),
        ({"weight": "ecc"}, "protection.weight='ecc': must be none, parity or secded"),
        (
            {"wait": "parity"},
            "unknown field 'protection.wait': there are activation, weight, bias, bound, accumulator, output",
        ),
        (
            3,
            "protection=3: must be none, parity or secded for all, or a table with some of activation, weight, bias, "
            "bound, accumulator, output",
        ),
    ],
)
def test_wrong_words_are_named(protection: Any, line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        AcceleratorConfig.create(protection=protection)
    assert str(refused.value) == line


FIELDS = (
    "rows, cols, word_bits, acc_bits, bus_bits, bounds, bound_format, activation_words, weight_words, bias_words, "
    "bound_words, accumulator_words, output_words, queue_depth, protection, clamp_alarm, alarm_margin, parameter_check"
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("row = 8", f"unknown field 'row' (did you mean rows?): there are {FIELDS}"),
        ("word_bits = 12", "word_bits=12: must be 8, 16 or 32"),
        ('rows = "many"', "rows='many': must be a whole number, 2 to 32"),
        ("rows = 8.5", "rows=8.5: must be a whole number, 2 to 32"),
        ('queue_depth = "x"', "queue_depth='x': must be a whole number, 2 to 16"),
        ("queue_depth = 1", "queue_depth=1: must be between 2 and 16 instructions"),
        ('weight_words = "x"', "weight_words='x': must be a whole number, 4 to 65536"),
        ("weight_words = 31", "weight_words=31: must be between 32 and 65536 words"),
        ('bounds = "none"\nbound_words = 0', ""),
        ('bounds = "pixel"', "bounds='pixel': must be none, layer, channel, patch or neuron"),
        ("bus_bits = 100", "bus_bits=100: must be 32, 64, 128, 256 or 512"),
        ("[activation]\nwords = 3", f"unknown field 'activation' (did you mean activation_words?): there are {FIELDS}"),
    ],
)
def test_machine_files_are_read_or_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "machine.toml"
    file.write_text(text)
    if not says:
        assert AcceleratorConfig.load(file).bound_words == 0
        return
    with pytest.raises(ConfigError) as refused:
        AcceleratorConfig.load(file)
    assert str(refused.value) == f"{file}: {says}"


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
    """Of a run that finished, whatever its logits; error codes go first, and that of a halt is detection as well."""
    right, wrong = np.array([[1, 2]]), np.array([[2, 1]])
    for logits in (right, wrong):
        assert classify(True, ErrorCode.NONE, logits, right, detected=True) is Outcome.DETECTED
        assert classify(False, ErrorCode.UNCORRECTED_WORD, logits, right, detected=True) is Outcome.DETECTED
        assert classify(False, ErrorCode.WATCHDOG, logits, right, detected=True) is Outcome.HANG
        assert classify(False, ErrorCode.BUS, logits, right, detected=True) is Outcome.BUS_ERROR
    assert classify(True, ErrorCode.NONE, right, right) is Outcome.MASKED
    assert classify(True, ErrorCode.NONE, wrong, right) is Outcome.SDC
