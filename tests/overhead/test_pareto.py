"""Accuracy against area: rows of the right width and rate, the front, what is missing."""

from __future__ import annotations

import csv
from itertools import product
from pathlib import Path

import pytest

from fitact_hw.errors import FitActError
from fitact_hw.overhead import pareto
from fitact_hw.overhead.pareto import ACCURACY_OF, LEARNED_OF, Pareto, Point, read_accuracy
from fitact_hw.overhead.schemes import ON_CHIP, SCHEMES
from fitact_hw.reporting.figures import save_png
from golden.bounds import schemes
from golden.bounds.granularity import SHARED
from golden.bounds.stored import BoundFormat, variant_name

HEADER = "scheme,word_bits,memory,rate,maps,images,bound_bytes,mean,low,high\n"
ROWS = "ranger,32,faulty,1e-06,10,500,4,35,30,40\nranger,8,faulty,1e-06,10,500,4,80,79,81\n"


def point(key: str, area: float, accuracy: float) -> Point:
    return Point(key, key, area, 0.1, accuracy, accuracy - 1, accuracy + 1, key, 20, 1000, "a.csv")


def test_every_scheme_says_whose_accuracy_it_has() -> None:
    on_chip = {scheme.key for scheme in ON_CHIP}
    assert set(ACCURACY_OF) | on_chip == {scheme.key for scheme in SCHEMES}
    assert not set(ACCURACY_OF) & on_chip
    assert LEARNED_OF == {"patch": "patch-clip-learned", "channel": "channel-clip-learned"}
    studied = {variant_name(*kind) for kind in product(SHARED, (False, True), [form.value for form in BoundFormat])}
    for accuracy in set(ACCURACY_OF.values()) - studied:
        schemes.find_protection(accuracy)  # a scheme of the study, perhaps with a range check


def test_rows_have_the_width_and_the_rate(tmp_path: Path) -> None:
    path = tmp_path / "accuracy.csv"
    path.write_text(HEADER + ROWS + "fitact,32,protected,1e-06,10,500,4,90,89,91\n")
    rows = read_accuracy([path], 32, 1e-6)
    assert {name: row["mean"] for name, row in rows.items()} == {"ranger": "35"}, "bounds in faulty memory only"


@pytest.mark.parametrize(
    ("text", "word", "rate", "message"),
    [
        (HEADER + ROWS, 16, 1e-6, "no accuracies of 16-bit words"),
        (HEADER + ROWS, 32, 1e-5, "not among the rates.*1e-06"),
        ("a,b\n1,2\n", 32, 1e-6, "not a CSV file of"),
        (HEADER + "ranger,32,faulty,1e-06,1,500,4,35,,\n", 32, 1e-6, "ranger of accuracy.csv has one fault map"),
        (None, 32, 1e-6, "cannot be read"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str | None, word: int, rate: float, message: str) -> None:
    path = tmp_path / "accuracy.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(FitActError, match=message):
        read_accuracy([path], word, rate)


def test_the_front_is_what_nothing_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "accuracy.csv"
    values = {"unprotected": 10, "ranger": 9, "clipact": 60, "fitact": 70, "channel-clip-word": 70}
    path.write_text(HEADER + "".join(f"{k},8,faulty,1e-05,10,500,4,{v},{v - 1},{v + 1}\n" for k, v in values.items()))
    areas = {"unprotected": 0.0, "ranger": 0.4, "clipact": 0.5, "channel": 0.9, "fitact": 7.0, "patch": 1.0, "tmr": 6.0}
    lines = [(key, area / 100, 0.0, area / 100, 0.001) for key, area in areas.items() if area]
    monkeypatch.setattr(pareto, "split_lines", lambda costs: lines)
    result = pareto.evaluate(dict.fromkeys(areas), [path], "8x8", 8, 1e-5)  # type: ignore[arg-type]
    assert {p.scheme for p in result.points if p.front} == {"unprotected", "clipact", "channel"}
    assert result.missing == ("2x2 patches (needs patch-clip-word)",)
    assert not [p for p in result.points if p.scheme == "tmr"], "lanes in triplicate do not repair memory"
    page = "\n".join(pareto.markdown(result))
    assert page.count("**Pareto front**") == 3
    assert "No accuracy measured" in page
    assert "Not here: parity, SECDED, 3 lanes + voter." in page
    pareto.write_csv(result, tmp_path / "pareto.csv")
    with (tmp_path / "pareto.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["scheme"] for row in rows if row["pareto"] == "1"] == ["unprotected", "clipact", "channel"]
    assert sum(row["scheme"].startswith("missing") for row in rows) == 1
    pareto.write_csv(pareto.read_csv(tmp_path / "pareto.csv"), tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "pareto.csv").read_bytes()
    with pytest.raises(FitActError, match="no Pareto table"):
        pareto.read_csv(path)
    save_png(pareto.chart(result), tmp_path / "pareto.png")
    assert (tmp_path / "pareto.png").read_bytes().startswith(b"\x89PNG")


def test_bounds_learned_for_their_groups_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "accuracy.csv"
    values = {"unprotected": 10, "channel-clip-word": 60, "channel-clip-learned": 66, "patch-clip-word": 64}
    path.write_text(HEADER + "".join(f"{k},8,faulty,1e-05,10,500,4,{v},{v - 1},{v + 1}\n" for k, v in values.items()))
    lines = [(key, 0.01, 0.0, 0.01, 0.001) for key in ("channel", "patch")]
    monkeypatch.setattr(pareto, "split_lines", lambda costs: lines)
    result = pareto.evaluate(dict.fromkeys(("channel", "patch")), [path], "8x8", 8, 1e-5)  # type: ignore[arg-type]
    found = {p.scheme: (p.accuracy_of, p.accuracy_percent) for p in result.points}
    assert found == {"channel": ("channel-clip-learned", 66), "patch": ("patch-clip-word", 64)}


def test_equal_points_share_the_front() -> None:
    one, same, worse = point("a", 1, 50), point("b", 1, 50), point("c", 1, 49)
    assert not pareto._beats(one, same)
    assert pareto._beats(one, worse)
    assert Pareto("8x8", 1e-5, 8, (one,)).sources == "a.csv"
