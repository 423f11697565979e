"""What the published files say: figures as the pages print them."""

from __future__ import annotations

import csv
import functools
import json
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from pyarrow import parquet
from scipy import stats

from golden.bounds.schemes import COMPARED, titled
from tests.docs.pages import RESULTS, ROOT

DATA = RESULTS / "data"
SCHEMES = {name: titled(name) for name in COMPARED}
"""Names of the schemes as pages have them, in the order of every table."""
WORDS = {8: "int8", 32: "q15_16"}
ROUNDING = 0.0501
"""A page's one decimal may differ from its table by so much: the table has six digits, ties go either way."""


@functools.cache
def table(name: str) -> list[dict[str, str]]:
    """Rows of a published CSV file."""
    with (DATA / f"{name}.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@functools.cache
def archive(name: str, *more: str) -> list[dict[str, Any]]:
    """Scheme and outcome of every injection of a published campaign, and ``more`` columns."""
    found: list[dict[str, Any]] = parquet.read_table(
        DATA / f"{name}.parquet", columns=["scheme", "outcome", *more]
    ).to_pylist()
    return found


def one(rows: Iterable[dict[str, str]], **wanted: object) -> dict[str, str]:
    """The only row with these values; numbers compare as numbers."""

    def fits(row: dict[str, str]) -> bool:
        return all(row[k] == v if isinstance(v, str) else float(row[k]) == v for k, v in wanted.items())

    (found,) = [row for row in rows if fits(row)]
    return found


def line(*cells: str) -> str:
    """A row of a Markdown table."""
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


def thousands(value: int) -> str:
    """With spaces: ``10 000``."""
    return f"{value:,}".replace(",", " ")


def study(model: str, word: int) -> str:
    """File of a network's bit-error study."""
    return f"resilience_{model}" + ("_int8" if word == 8 and model != "alexnet" else "")


@functools.cache
def _cells(page: str) -> dict[tuple[str, str, str, float], str]:
    """Cells of a page's tables by (word format, kind of table, row, rate)."""
    found: dict[tuple[str, str, str, float], str] = {}
    heading, kind, rates = "", "", [0.0]
    for line in (RESULTS / f"{page}.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("## "):
            heading, kind = line[3:], "accuracy"
        elif line.endswith("minus rival:"):
            kind = "difference"
        elif line.startswith("Points lost"):
            kind = "lost"
        elif line.startswith("| bit error rate"):
            rates = [0.0 if cell == "none" else float(cell) for cell in cells[1:]]
        elif line.startswith("| ") and kind:
            found |= {(heading, kind, cells[0], rate): cell for rate, cell in zip(rates, cells[1:], strict=True)}
    return found


def cell(page: str, kind: str, row: str, rate: float, word: int = 32) -> str:
    """What a page of a study says: ``88.4 (88.2-88.5)``, ``+7.5 (+5.4 +10.2)``. Checked against its CSV."""
    text = _cells(page)["Q15.16" if word == 32 else "int8", kind, titled(row), rate]
    names = ("difference", "difference_low", "difference_high") if kind == "difference" else ("mean", "low", "high")
    values = one(table(page), scheme=row, rate=rate, word_bits=word)
    shown = re.findall(r"[+-]?[\d.]+", text if kind == "difference" else text.replace("-", " "))
    for said, name in zip(shown, names, strict=len(shown) > 1):
        assert abs(float(said) - float(values[name])) <= ROUNDING, f"{page}: {text} is not {values}"
    return text


def between(model: str, scheme: str, rate: float, word: int = 32) -> str:
    """Top-1 of a scheme with its interval."""
    return cell(study(model, word), "accuracy", scheme, rate, word)


def accuracy(model: str, scheme: str, rate: float, word: int = 32) -> str:
    """Top-1 of a scheme."""
    return between(model, scheme, rate, word).split()[0]


def difference(model: str, rival: str, rate: float, word: int = 32) -> str:
    """FitAct minus a rival with its interval, points."""
    return cell(study(model, word), "difference", rival, rate, word)


def campaign(model: str, word: int) -> list[dict[str, str]]:
    return table(f"campaign_{model}_16x16_{WORDS[word]}_1x1")


def sdc(model: str, word: int, scheme: str) -> dict[str, str]:
    return one(campaign(model, word), group="machine", scheme=scheme, rival="", measure="sdc")


def percent(value: str | float) -> str:
    """A probability in percent: two digits, three below 0.02 %, 0 where these show nothing."""
    share = 100 * float(value)
    return f"{share:.2f}" if share >= 0.02 else f"{share:.3f}" if share >= 0.0005 else "0"


def rate_between(row: dict[str, str]) -> str:
    """A share of upsets with its interval: ``2.51 (1.72-3.65)``."""
    return f"{percent(row['value'])} ({percent(row['low'])}-{percent(row['high'])})"


def sdc_gain(model: str, word: int, scheme: str, rival: str) -> tuple[float, float, float]:
    """Paired difference of the whole machine's SDC, rival minus scheme, in points, with its interval."""
    row = one(campaign(model, word), group="machine", scheme=scheme, rival=rival, measure="sdc")
    return 100 * float(row["value"]), 100 * float(row["low"]), 100 * float(row["high"])


@functools.cache
def facts(model: str, word: int) -> dict[str, Any]:
    """What the archive of a campaign says of its machine and programs."""
    schema = parquet.read_schema(DATA / f"campaign_{model}_16x16_{WORDS[word]}_1x1.parquet")
    return json.loads(schema.metadata[b"fitact_campaign"])["facts"]


def extra_cycles(model: str, word: int) -> float:
    """Cycles of a single image with FitAct over unprotected, percent."""
    cycles = facts(model, word)["cycles"]
    return 100 * (cycles["fitact"] / cycles["unprotected"] - 1)


def areas(page: str) -> dict[str, tuple[str, str, str]]:
    """Logic, memory and total area added by each scheme, as ``+2.96 %``."""
    found: dict[str, tuple[str, str, str]] = {}
    for line in (RESULTS / page).read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and re.fullmatch(r"[+-][\d.]+%", cells[3]):
            logic, memory, total = (cell.split()[0].replace("%", " %") for cell in cells[1:])
            found.setdefault(cells[0], (logic, memory, total))
    return found


@functools.cache
def manifest(file: str) -> dict[str, Any]:
    return json.loads((ROOT / "golden" / "weights" / "manifest.json").read_text())[file]


@functools.cache
def clean(model: str) -> dict[str, Any]:
    return json.loads((ROOT / "golden" / "weights" / "accuracy.json").read_text())[model]


def by_map(name: str, scheme: str, word: int, rate: float) -> np.ndarray:
    """Accuracy in percent of each map of a study, by number."""
    rows = [r for r in table(f"{name}_maps") if r["scheme"] == scheme and int(r["word_bits"]) == word]
    chosen = {int(r["map"]): 100 * int(r["correct"]) / int(r["images"]) for r in rows if float(r["rate"]) == rate}
    return np.array([chosen[number] for number in sorted(chosen)])


def comparisons() -> tuple[int, int, int]:
    """FitAct against each bounded rival at each rate: how many, intervals without 0, left after Holm's correction."""
    excluding, p_values = 0, []
    for model, word in ((m, w) for m in ("alexnet", "vgg16", "resnet50") for w in (32, 8)):
        name = study(model, word)
        for row in table(name):
            if (
                row["scheme"] in ("ranger", "clipact", "proact")
                and int(row["word_bits"]) == word
                and float(row["rate"])
            ):
                low, high = float(row["difference_low"]), float(row["difference_high"])
                excluding += low > 0 or high < 0
                own, rival = (by_map(name, s, word, float(row["rate"])) for s in ("fitact", row["scheme"]))
                p_values.append(stats.wilcoxon(own - rival).pvalue if (own != rival).any() else 1.0)
    kept = 0
    for place, p in enumerate(sorted(p_values)):
        if p > 0.05 / (len(p_values) - place):
            break
        kept += 1
    return len(p_values), excluding, kept
