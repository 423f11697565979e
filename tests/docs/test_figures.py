"""Every figure in README and on the findings page comes from a published file, or is of a kind that is no result."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.docs import claims_findings, claims_readme, claims_speed
from tests.docs.pages import RESULTS, ROOT, prose

NO_RESULT = (
    r"\]\([^)]*\)",  # where a link leads
    r"`[^`]*`",  # options, values, names of files
    r"https?://\S+",
    r"(?m)^\d\. ",  # numbers of a list
    r"\bint8\b|\bint16\b|\bfloat32\b|\bQ15\.16\b|\b(?:32|4)-bit\b",  # formats
    r"\b(?:AlexNet|VGG16|ResNet50|CIFAR-10|AVX2|Zen 5|Apache-2\.0)\b",  # names
    r"\b\d+x\d+\b",  # machines, patches
    r"\b\de-\d\b|\bBER 0\b",  # bit error rates: columns
    r"\b95 %",  # level of the intervals
    r"\bPython 3\.\d+\b|\bDATE 2022\b|\btop-1\b|\bTop-1\b|\b0\.\d+\.\d+\b",  # versions, years
    r"\bISO 26262\b",
    r"\bseed 1\b|\b1\.0 x maximum\b",  # options
)


def uncovered(text: str, said: Iterable[str]) -> list[str]:
    """Lines that still have a figure when all that was checked and all that is no result is taken out."""
    text = prose(re.sub(r"^```text\n(.*?)^```$", r"\1", text, flags=re.M | re.S))  # what a program prints counts
    for claim in said:
        words = r"\s+".join(map(re.escape, claim.split()))
        text, count = re.subn(words, " _ ", text)
        assert count, f"not in the page, or another figure there: {claim}"
    for kind in NO_RESULT:
        text = re.sub(kind, "", text)
    return [line.strip() for line in text.splitlines() if re.search(r"\d", line)]


PAGES = {ROOT / "README.md": claims_readme.claims, RESULTS / "README.md": claims_findings.claims}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_every_figure_comes_from_a_published_file(page: Path) -> None:
    text = re.sub(r"## Withdrawn or qualified.*?(?=\n## )", "", page.read_text(), flags=re.S)  # quotes what was said
    said: Callable[[], Iterable[str]] = PAGES[page]
    assert not uncovered(text, said())


def test_speeds_are_those_of_the_published_benches() -> None:
    text = (RESULTS / "speed.md").read_text()
    assert not [claim for claim in claims_speed.claims() if f"{claim}\n" not in text]


def test_a_figure_that_nothing_covers_is_found() -> None:
    text = "Accuracy is 91.3 % at 1e-5 on ResNet50 with `--faults 20`.\nIt gains 3 points\n(1 to 5)."
    assert uncovered(text, ["gains 3 points (1 to 5)"]) == ["Accuracy is 91.3 % at  on  with ."]
    with pytest.raises(AssertionError, match="another figure"):
        uncovered(text, ["gains 4 points"])
