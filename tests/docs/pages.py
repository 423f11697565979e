"""The documents as the tests of this folder read them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RESULTS = DOCS / "results"

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)


def pages() -> list[Path]:
    """Every Markdown file that a reader may open, README first."""
    top = sorted(ROOT.glob("*.md"), key=lambda path: path.name != "README.md")
    return [*top, *sorted(DOCS.rglob("*.md"))]


def label(path: Path) -> str:
    """Name of a page in test ids and messages."""
    return path.relative_to(ROOT).as_posix()


def prose(text: str) -> str:
    """The text without fenced blocks."""
    return _FENCE.sub("", text)


def anchors(text: str) -> set[str]:
    """Anchors of a page's headings, as GitHub and MkDocs make them of plain words."""
    found: set[str] = set()
    for title in re.findall(r"^#+ (.+?)\s*$", prose(text), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title.replace("`", "")).lower()
        slug = re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", plain))
        while slug in found:
            slug += "-1"
        found.add(slug)
    return found


@dataclass(frozen=True)
class Block:
    """A fenced block: ``kind`` and, for a file, its ``title``."""

    kind: str
    title: str
    text: str


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = []
    for info, text in _FENCE.findall(path.read_text()):
        title = re.search(r'title="([^"]*)"', info)
        found.append(Block(info.split()[0] if info.strip() else "", title.group(1) if title else "", text))
    return found
