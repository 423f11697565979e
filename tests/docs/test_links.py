"""No link, anchor, picture, file or name in the documents leads nowhere."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import DOCS, ROOT, anchors, label, pages, prose

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PLACE = re.compile(r"`((?:golden|fitact_hw|sim|rtl|tests|docs|examples)/[\w./-]*)(?::(\w+))?`")
TEST = re.compile(r"`(test_\w+)`")


@pytest.mark.parametrize("page", pages(), ids=label)
def test_relative_links_and_anchors_exist(page: Path) -> None:
    broken = []
    for target in LINK.findall(prose(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path.read_text())):
            broken.append(target)
    assert not broken


def test_a_broken_link_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One thing\n\n[here](#one-thing), [there](other.md), [nowhere](#another)\n\n```\n[no](link.md)\n```\n"
    )
    assert LINK.findall(prose(page.read_text())) == ["#one-thing", "other.md", "#another"]
    assert anchors(page.read_text()) == {"one-thing"}


@pytest.mark.parametrize("page", pages(), ids=label)
def test_pages_of_docs_link_only_inside_docs(page: Path) -> None:
    """The site holds docs/ alone."""
    if DOCS in page.parents:
        outside = [target for target in LINK.findall(prose(page.read_text())) if not re.match(r"[a-z]+:|#", target)]
        assert not [t for t in outside if DOCS not in (page.parent / t.partition("#")[0]).resolve().parents]


def test_every_page_is_linked_from_another() -> None:
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in pages()
        for target in LINK.findall(prose(page.read_text()))
    }
    assert not [
        label(page) for page in pages() if DOCS in page.parents and page not in linked and page.name != "README.md"
    ]


@functools.cache
def _names(path: Path) -> set[str]:
    """Functions, classes and constants at the top of a Python file."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


@pytest.mark.parametrize("page", pages(), ids=label)
def test_files_and_functions_that_are_named_exist(page: Path) -> None:
    missing = []
    for place, name in PLACE.findall(page.read_text()):
        path = ROOT / place
        if not path.exists() or (name and name not in _names(path)):
            missing.append(f"{place}:{name}" if name else place)
    assert not missing


@functools.cache
def _tests() -> set[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    return set(re.findall(r"^ *(?:async )?def (test_\w+)", "\n".join(path.read_text() for path in files), re.M))


@pytest.mark.parametrize("page", pages(), ids=label)
def test_tests_that_are_named_exist(page: Path) -> None:
    assert not [name for name in TEST.findall(page.read_text()) if name not in _tests()]


def _listed(entry: Any) -> Iterator[str]:
    """Pages of a part of the site's navigation."""
    if isinstance(entry, str):
        yield entry
    else:
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from _listed(part)


def test_the_site_lists_every_page_once() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert sorted(_listed(site["nav"])) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))
