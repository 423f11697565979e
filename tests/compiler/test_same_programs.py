"""Programs are those whose results have been verified in RTL, also where another one would be as right but slower."""

from __future__ import annotations

import json

import pytest

from tests.compiler.same_programs import MACHINES, STORED, programs


@pytest.mark.parametrize("name", MACHINES)
def test_programs_are_as_before(name: str) -> None:
    stored = json.loads(STORED.read_text())[name]
    for number, found in programs(name):
        assert found == stored[number], "is this change meant? then: python -m tests.compiler.same_programs"
