"""The comparison as one HTML file without outside references: the Markdown page with its charts in it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt

from fitact_hw import templates


def html(markdown: str, charts: Mapping[str, Path]) -> str:
    """The page; ``charts``: caption -> PNG file, shown after the head of the page.

    The first line of ``markdown`` is its title.
    """
    first, _, rest = markdown.partition("\n")
    head, mark, tables = rest.partition("\n## ")
    pictures = "".join(f"\n![{caption}]({_embedded(path)})\n" for caption, path in charts.items())
    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    renderer.validateLink = lambda url: True  # type: ignore[method-assign] # pictures are data: addresses of our own
    body = renderer.render(f"{first}\n{head}\n{pictures}{mark}{tables}")
    environment = Environment(loader=FileSystemLoader(templates.FOLDER), undefined=StrictUndefined, autoescape=True)
    return environment.get_template("document.html.j2").render(title=first.lstrip("# "), body=body)


def _embedded(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
