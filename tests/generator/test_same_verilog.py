"""Every module of every configuration of the matrix is as it was when it was verified."""

from __future__ import annotations

import json

import pytest

from tests.generator.machines import MATRIX
from tests.generator.same_verilog import STORED, hashes, key


@pytest.mark.parametrize("number", range(len(MATRIX)))
def test_modules_are_as_before(number: int) -> None:
    stored, found = json.loads(STORED.read_text())[key(number)], hashes(MATRIX[number])
    other = [name for name in found.keys() | stored.keys() if found.get(name) != stored.get(name)]
    assert not other, f"{', '.join(other)}: is this change meant? then: python -m tests.generator.same_verilog"
