"""Pages that are made from definitions are what these make of them today."""

from __future__ import annotations

import ast

import pytest

from fitact_hw import docs_gen
from fitact_hw.cli import python_reference, reference
from fitact_hw.config import AcceleratorConfig
from fitact_hw.faults import Sample
from tests.docs.pages import DOCS

MADE = docs_gen.documents() | reference.documents() | python_reference.documents()


@pytest.mark.parametrize("name", MADE)
def test_checked_in_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == MADE[name], f"run `make docs`: docs/{name}"


def test_every_field_of_a_machine_is_explained() -> None:
    missing = [name for name, field in AcceleratorConfig.model_fields.items() if not field.description]
    assert not missing
    assert all(f"| `{name}` |" in docs_gen.configuration_md() for name in AcceleratorConfig.model_fields)


def test_all_of_the_python_api_is_explained() -> None:
    page = python_reference.python_md()
    for names in python_reference.API.values():
        for name in names:
            assert (python_reference.found(name).__doc__ or "").strip(), name
            assert f"from {name.rpartition('.')[0]} import {name.rpartition('.')[2]}" in page


def test_a_signature_is_that_of_the_source() -> None:
    def example(first: dict[str, int], *rest: str, last: Sample = Sample.ALL, more: object = object) -> list[str]:
        """Not called."""
        raise NotImplementedError

    said = python_reference._signature(example)
    assert said == "(first: dict[str, int], *rest: str, last: Sample = Sample.ALL, more: object = ...) -> list[str]"


def test_examples_use_what_the_page_lists() -> None:
    """The public interface is at least what the examples need."""
    listed = {name.rpartition(".")[2] for names in python_reference.API.values() for name in names}
    for path in sorted((DOCS.parent / "examples").glob("*.py")):
        tree = ast.parse(path.read_text())
        froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        used = {a.name for node in froms if (node.module or "").split(".")[0] in ROOMS for a in node.names}
        assert {name for name in used - MODULES if not name.isupper()} <= listed, path.name


ROOMS, MODULES = ("golden", "fitact_hw", "sim"), {"reference"}
