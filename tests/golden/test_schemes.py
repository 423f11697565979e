"""The registry of schemes: complete, and the only place that knows their names."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from fitact_hw.injection.live_sample import base_scheme
from fitact_hw.reporting.command import NAME
from golden.bounds.granularity import Granularity
from golden.bounds.schemes import COMPARED, DEFAULT, SCHEMES, UNPROTECTED, bounded_names, find_scheme, title_of
from golden.errors import GoldenError

ROOT = Path(__file__).parents[2]
REGISTRY = "golden/bounds/schemes.py"
PROGRAM = "golden/support/folders.py"
"""Where the program's name is, which is also that of a scheme."""


def literals(source: str) -> list[tuple[int, str]]:
    """(line, text) of every string in a source that is the name of a scheme."""
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    return [(node.lineno, node.value) for node in found if isinstance(node.value, str) and node.value in SCHEMES]


def test_no_name_of_a_scheme_outside_of_the_registry() -> None:
    """Elsewhere `scheme.name`, or the constants of the registry, so that a further scheme is one entry."""
    files = [path for folder in ("golden", "fitact_hw", "sim") for path in sorted((ROOT / folder).rglob("*.py"))]
    found = {path.relative_to(ROOT).as_posix(): literals(path.read_text(encoding="utf-8")) for path in files}
    assert len(found) > 200
    assert {name for _, name in found.pop(REGISTRY)} == set(SCHEMES)
    assert [name for _, name in found.pop(PROGRAM)] == [NAME]
    lines = [f"{file}:{line}: {name!r}" for file, places in found.items() for line, name in places]
    assert not lines, "take these from golden/bounds/schemes.py:\n" + "\n".join(lines)


def test_a_planted_name_is_found() -> None:
    assert literals("def f(scheme='ranger'):\n    return {'proact': 1, 'a ranger': 2}[scheme]") == [
        (1, "ranger"),
        (2, "proact"),
    ]


def test_every_scheme_is_complete() -> None:
    for name, scheme in SCHEMES.items():
        assert scheme.name == name
        assert find_scheme(name) is scheme
        assert title_of(name) == scheme.title
        assert (scheme.mode is None) == (scheme.granularity is Granularity.NONE) == (scheme is UNPROTECTED)
    assert set(bounded_names()) == {name for name, scheme in SCHEMES.items() if scheme.find is not None}
    assert len({scheme.title for scheme in SCHEMES.values()}) == len(SCHEMES)
    assert title_of("other") == "other"
    with pytest.raises(GoldenError, match="unprotected, ranger"):
        find_scheme("other")


def test_seeded_campaigns_that_name_no_schemes_stay_as_they_are() -> None:
    """A further declaration is compared where it is named."""
    assert COMPARED == ("unprotected", "ranger", "clipact", "proact", "fitact")
    assert base_scheme(COMPARED) == base_scheme(tuple(SCHEMES)) == DEFAULT.name, "whose run says what is live"


def test_hardware_is_that_of_the_finest_bounds() -> None:
    needs = {name: scheme.hardware.value for name, scheme in SCHEMES.items()}
    assert needs == {
        "unprotected": "none", "ranger": "layer", "clipact": "layer", "proact": "neuron", "fitact": "neuron",
        "fitact_channel": "channel", "scaledmax": "layer",
    }  # fmt: skip
    assert DEFAULT.hardware.buffered, "its run decides where upsets of `fitact sim` strike"
