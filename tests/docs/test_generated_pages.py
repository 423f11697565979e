"""Pages that are made from definitions are what these make of them today."""

from __future__ import annotations

import pytest

from fitact_hw import docs_gen
from fitact_hw.cli import reference
from fitact_hw.config import AcceleratorConfig
from tests.docs.pages import DOCS

MADE = docs_gen.documents() | reference.documents()


@pytest.mark.parametrize("name", MADE)
def test_checked_in_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == MADE[name], f"run `make docs`: docs/{name}"


def test_every_field_of_a_machine_is_explained() -> None:
    missing = [name for name, field in AcceleratorConfig.model_fields.items() if not field.description]
    assert not missing
    assert all(f"| `{name}` |" in docs_gen.configuration_md() for name in AcceleratorConfig.model_fields)
