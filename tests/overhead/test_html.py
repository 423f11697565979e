"""The HTML page of the comparison stands alone and says what the Markdown page says."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from fitact_hw.overhead.html import html

MARKDOWN = """# What protection costs

Made by `fitact overhead`.

* **corner**: typ

## Area <added>

| scheme | total |
|---|---:|
| FitAct | +3 % |
"""


class Reader(HTMLParser):
    """Tags with their attributes, and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_page_holds_tables_and_charts(tmp_path: Path) -> None:
    chart = tmp_path / "chart.png"
    chart.write_bytes(b"\x89PNG picture")
    reader = Reader()
    reader.feed(html(MARKDOWN, {"Area, by part": chart}))
    names = [name for name, _ in reader.tags]
    assert [names.count(name) for name in ("title", "h1", "h2", "table", "img")] == [1, 1, 1, 1, 1]
    assert names.index("img") < names.index("h2")
    assert "Area <added>" in reader.text
    assert "border-collapse" in reader.text
    [picture] = [attributes for name, attributes in reader.tags if name == "img"]
    assert picture["alt"] == "Area, by part"
    assert str(picture["src"]).startswith("data:image/png;base64,")
    assert not any("href" in attributes or name == "link" for name, attributes in reader.tags)
