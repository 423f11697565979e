"""The page of scores is that of its data."""

from __future__ import annotations

import json

from tests.mutation.page import DATA, PAGE, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(json.loads(DATA.read_text())), "run `python -m tests.mutation.page`"


def test_what_survived_is_told() -> None:
    data = json.loads(DATA.read_text())
    areas = [*data["list"].values(), *data["tool"]["areas"].values()]
    open_ = sum(area["run"] - area["killed"] - area["closed"] for area in areas)
    assert open_ == len(data["open"])
