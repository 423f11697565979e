"""Tables, files and charts, and the commands that make them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from pyarrow import parquet
from rich.console import Console
from typer.testing import CliRunner

from fitact_hw.bench.evaluation import throughput
from fitact_hw.cli import resilience_commands
from fitact_hw.reporting.figures import save_png
from fitact_hw.reporting.map_statistics import mean_interval
from fitact_hw.resilience import charts, markdown, summary, tables
from fitact_hw.resilience.store import Row
from fitact_hw.resilience.subjects import FAULTY, PROTECTED, Settings
from golden.errors import GoldenError
from tests.resilience import tiny_study

ROOT = Path(__file__).parents[2]


def row(scheme: str, rate: float, index: int, correct: int, memory: str = FAULTY) -> Row:
    """A row of 100 images."""
    return Row(scheme, 32, memory, rate, index, 100, correct, 1, 0, 0, 28)


ROWS = [
    *(row("fitact", 1e-6, i, c) for i, c in enumerate((80, 70, 90, 85))),
    *(row("fitact", 1e-6, i, c, PROTECTED) for i, c in enumerate((81, 72, 90, 86))),
    *(row("ranger", 1e-6, i, c) for i, c in ((3, 60), (1, 40), (0, 50), (9, 0))),  # map 9 is not paired
    row("fitact", 0.0, 0, 91),
]


def test_summaries_pair_the_maps_that_both_have() -> None:
    summaries = {(s.scheme, s.memory, s.rate): s for s in summary.summarise(ROWS)}
    fitact, ranger = summaries["fitact", FAULTY, 1e-6], summaries["ranger", FAULTY, 1e-6]
    assert (fitact.mean, fitact.maps, fitact.difference) == (81.25, 4, None)
    assert ranger.maps == 4
    assert ranger.difference == pytest.approx(np.mean([80 - 50, 70 - 40, 85 - 60]))
    expected = mean_interval(np.array([30.0, 30.0, 25.0]))
    assert (ranger.difference_low, ranger.difference_high) == (expected.low, expected.high)
    assert summaries["fitact", FAULTY, 0.0].low == 91


def test_cost_of_faulty_bounds_is_paired() -> None:
    (cost,) = summary.bounds_cost(ROWS)
    assert (cost.scheme, cost.rate, cost.maps, cost.lost) == ("fitact", 1e-6, 4, 1.0)
    assert cost.low is not None
    assert cost.high is not None
    assert 0 <= cost.low <= 1 <= cost.high <= 2


def test_csv_and_parquet_hold_the_same(tmp_path: Path) -> None:
    summaries = summary.summarise(ROWS)
    paths = tables.write_tables(ROWS, summaries, tmp_path, "out")
    assert {path.name for path in paths} == {
        f"out{part}.{form}" for part in ("", "_maps", "_bounds") for form in ("csv", "parquet")
    }
    for stem, count in (("out", len(summaries)), ("out_maps", len(ROWS)), ("out_bounds", 1)):
        lines = tables.read_csv(tmp_path / f"{stem}.csv")
        table = parquet.read_table(tmp_path / f"{stem}.parquet").to_pylist()
        assert len(lines) == len(table) == count
        for line, record in zip(lines, table, strict=True):
            assert line.keys() == record.keys()
            for name, value in record.items():
                if isinstance(value, float):
                    assert float(line[name]) == pytest.approx(value, rel=1e-5)
                else:
                    assert line[name] == ("" if value is None else str(value))
    assert not list(tmp_path.glob("*.part"))


def test_charts_and_tables_show_every_scheme(tmp_path: Path) -> None:
    summaries = summary.summarise(ROWS)
    save_png(charts.accuracy(summaries, "vgg16", 1), tmp_path / "a.png")
    grouped = summary.summarise([row("layer-clip-code4", 1e-6, 0, 50), row("neuron-saturate-word", 1e-6, 0, 60)])
    save_png(charts.storage(grouped, "vgg16", 1, "fitact"), tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.width > 500
            assert len(set(picture.convert("RGB").resize((60, 40)).get_flattened_data())) > 10
    console = Console(record=True, width=200, file=(tmp_path / "log").open("w"))
    tables.print_summaries(console, summaries)
    tables.print_costs(console, summary.bounds_cost(ROWS))
    text = console.export_text()
    for part in ("FitAct (protected bounds)", "Ranger", "81.2 (", "+28.3 (", "+1.0 ("):
        assert part in text


def rows_of_maps(times: int) -> list[Row]:
    """Three maps of two schemes at two rates, each repeated: at the lower rate FitAct is 20 points better."""
    accuracies = {("fitact", 1e-6): (80, 70, 90), ("fitact", 3e-5): (30, 40, 50)}
    accuracies |= {("ranger", 1e-6): (60, 50, 70), ("ranger", 3e-5): (40, 30, 50)}
    return [
        row(*key, index, correct) for key, found in accuracies.items() for index, correct in enumerate(times * found)
    ]


def test_page_says_how_to_repeat_it_and_who_wins(tmp_path: Path) -> None:
    rows = rows_of_maps(4)
    rows += [row("fitact", 0.0, 0, 91), row("ranger", 0.0, 0, 90)]
    settings = Settings("vgg16", schemes=("ranger", "fitact"), rates=(1e-6, 3e-5), maps=12)
    path = tmp_path / "resilience.md"
    markdown.write_page(settings, summary.summarise(rows), [], "fitact", path)
    text = path.read_text()
    assert "`fitact resilience vgg16 --schemes ranger,fitact --rates 1e-06,3e-05 --maps 12 --seed 1`" in text
    assert "| bit error rate | none | 1e-6 | 3e-5 |" in text
    assert "| FitAct | 91.0 | 80.0 (" in text
    assert "* FitAct against Ranger: better at 1e-6 by 20.0; no difference shown at 3e-5." in text
    other = {"ranger": "fitact", "fitact": "ranger"}
    markdown.write_page(
        settings, summary.summarise([replace(x, scheme=other[x.scheme]) for x in rows]), [], "fitact", path
    )
    assert "* FitAct against Ranger: worse at 1e-6 by 20.0; no difference" in path.read_text()


def test_page_tells_close_rates_apart(tmp_path: Path) -> None:
    rows = [row("fitact", 1.5e-6, 0, 70), row("fitact", 2e-6, 0, 60), row("fitact", 1e-4, 0, 50)]
    markdown.write_page(Settings("vgg16"), summary.summarise(rows), [], "fitact", tmp_path / "resilience.md")
    assert "| bit error rate | 1.5e-6 | 2e-6 | 1e-4 |" in (tmp_path / "resilience.md").read_text()


def told(rows: list[Row], maps: int, folder: Path) -> tuple[str, str, list[dict[str, str]]]:
    """What page, terminal and CSV file say of some maps."""
    summaries = summary.summarise(rows)
    markdown.write_page(Settings("vgg16", maps=maps), summaries, [], "fitact", folder / "resilience.md")
    console = Console(record=True, width=200, file=(folder / "log").open("w"))
    tables.print_summaries(console, summaries)
    tables.write_tables(rows, summaries, folder, "out")
    return (folder / "resilience.md").read_text(), console.export_text(), tables.read_csv(folder / "out.csv")


def test_fewer_than_ten_maps_give_no_verdict(tmp_path: Path) -> None:
    page, terminal, lines = told(rows_of_maps(3), 9, tmp_path)
    assert "* FitAct against Ranger: 9 maps: too few for a verdict at 1e-6, 3e-5." in page
    assert "better" not in page
    assert "9 maps: too few for a verdict, and intervals of so few are too narrow" in page
    assert (
        "9 maps: too few for a verdict, and intervals of so few are too narrow: ask for --maps 10 or more" in terminal
    )
    assert {line["note"] for line in lines} == {"9 maps: too few for a verdict"}
    page, terminal, lines = told(rows_of_maps(4), 12, tmp_path)
    assert "better at 1e-6 by 20.0" in page
    assert "too" not in page + terminal
    assert "note" not in lines[0]


def test_one_map_has_no_interval(tmp_path: Path) -> None:
    rows = [row("fitact", 1e-6, 0, 80), row("ranger", 1e-6, 0, 70), row("fitact", 0.0, 0, 90)]
    page, terminal, lines = told(rows, 1, tmp_path)
    assert "| FitAct | 90.0 | 80.0 |" in page
    assert "1 map: too few for a verdict, and no interval" in page
    assert "1 map: too few for a verdict, and one map has no interval" in terminal
    assert "(" not in next(text for text in terminal.splitlines() if "Ranger" in text)
    found = {(line["scheme"], line["rate"]): line for line in lines}
    assert (found["ranger", "1e-06"]["low"], found["ranger", "1e-06"]["difference_low"]) == ("", "")
    assert found["ranger", "1e-06"]["difference"] == "10"
    assert (found["fitact", "0"]["low"], found["fitact", "0"]["note"]) == ("90", "")  # no fault: nothing was drawn
    save_png(charts.accuracy(summary.summarise(rows), "vgg16", 1), tmp_path / "one.png")


def test_a_verdict_counts_the_maps_that_both_have() -> None:
    rows = [row("fitact", 1e-6, i, 80 + i % 3) for i in range(20)] + [row("ranger", 1e-6, i, 60) for i in range(9)]
    ranger = summary.summarise(rows)[1]
    assert (ranger.scheme, ranger.verdict) == ("ranger", "9 maps: too few for a verdict")
    more = [*rows, row("ranger", 1e-6, 9, 60)]
    assert summary.summarise(more)[1].verdict == summary.BETTER


@pytest.mark.parametrize("stem", ["resilience_alexnet", "protected_resnet50", "granularity_vgg16"])
def test_published_summaries_are_those_of_the_published_maps(stem: str, tmp_path: Path) -> None:
    data = ROOT / "docs" / "results" / "data"
    rows = tables.read_maps(data / f"{stem}_maps.csv")
    reference = "neuron-clip-word" if stem.startswith("granularity") else summary.REFERENCE
    tables.write_tables(rows, summary.summarise(rows, reference), tmp_path, "out")
    assert (tmp_path / "out.csv").read_text() == (data / f"{stem}.csv").read_text()


def test_every_bit_of_a_rate_is_kept(tmp_path: Path) -> None:
    """The fault maps are drawn from it."""
    rate = 1.2345678901234e-6
    rows = [row("fitact", rate, 0, 70)]
    assert markdown.command(Settings("vgg16", rates=(rate,)), "resilience").split(" --")[1] == f"rates {rate!r}"
    tables.write_tables(rows, summary.summarise(rows), tmp_path, "out")
    for name in ("out.csv", "out_maps.csv"):
        assert float(tables.read_csv(tmp_path / name)[0]["rate"]) == rate


def test_schemes_without_bounds_are_compared_with_protected_ones_too() -> None:
    unprotected = replace(row("unprotected", 1e-6, 0, 10), bound_bytes=0)
    (found, _) = summary.summarise([unprotected, row("fitact", 1e-6, 0, 81, PROTECTED)])
    assert found.difference == pytest.approx(71)


def test_nothing_is_never_negative() -> None:
    assert [tables.signed(value) for value in (-0.04, 0.0, 0.04, -0.06, 1.23)] == [
        "+0.0",
        "+0.0",
        "+0.0",
        "-0.1",
        "+1.2",
    ]


def test_results_of_a_real_study_can_be_summarised(tmp_path: Path) -> None:
    rows = tiny_study.run(tmp_path)
    summaries = summary.summarise(rows)
    assert len(summaries) == 4 * 3
    assert all(s.low is not None and s.high is not None and s.low <= s.mean <= s.high for s in summaries)


def app() -> typer.Typer:
    """An application of only these commands."""
    application = typer.Typer()
    resilience_commands.register(application)
    return application


@pytest.mark.parametrize("command", ["resilience", "granularity"])
def test_commands_run_alexnet_on_the_sample_images(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITACT_CIFAR10", "")
    monkeypatch.chdir(tmp_path)
    options = ["--images", "1", "--maps", "1", "--rates", "1e-6", "--word", "8", "--threads", "1"]
    if command == "resilience":
        options += ["--schemes", "ranger,fitact", "--bounds", "faulty,protected"]
    outcome = CliRunner().invoke(app(), [command, "alexnet", *options])
    assert outcome.exit_code == 0, outcome.output
    folder = tmp_path / "build" / "alexnet" / command
    assert len(tables.read_csv(folder / "data" / f"{command}.csv")) == (8 if command == "resilience" else 32)
    page = (folder / f"{command}.md").read_text()
    assert f"fitact {command} alexnet" in page
    linked = re.findall(r"\]\(([^)]+)\)", page)
    assert {f"data/{command}.csv", f"data/{command}_maps.csv", f"{command}.png"} == set(linked)
    assert all((folder / link).is_file() for link in linked)
    assert json.loads((folder / "data" / f"{command}.json").read_text())["runs"]
    assert (folder / f"{command}.png").stat().st_size > 10_000
    assert "20 sample images are used instead" in outcome.output


def test_a_published_map_is_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its flips, each once, are those that the published row counts."""
    monkeypatch.setenv("FITACT_CIFAR10", "")
    monkeypatch.chdir(tmp_path)
    options = ["--rate", "1e-6", "--map", "3", "--images", "2", "--out", "flips.csv"]
    outcome = CliRunner().invoke(app(), ["fault-map", "alexnet", *options])
    assert outcome.exit_code == 0, outcome.output
    assert "correct of the first 2 images" in outcome.output
    bits = tables.read_csv(tmp_path / "flips.csv")
    published = tables.read_csv(ROOT / "docs" / "results" / "data" / "resilience_alexnet_maps.csv")
    (row,) = [
        r for r in published if (r["scheme"], r["word_bits"], r["rate"], r["map"]) == ("fitact", "32", "1e-06", "3")
    ]
    for kind in ("weight", "bias", "bound"):
        assert sum(bit["kind"] == kind for bit in bits) == int(row[f"{kind}_flips"])
    words: dict[tuple[str, str, str], int] = {}
    for bit in bits:
        word = (bit["layer"], bit["kind"], bit["index"])
        words[word] = words.get(word, 0) | 1 << int(bit["bit"])
    for bit in bits:
        word = (bit["layer"], bit["kind"], bit["index"])
        assert (int(bit["before"]) ^ int(bit["after"])) % (1 << 32) == words[word]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rates", "often"], "numbers separated by commas"),
        (["--rates", ""], "numbers separated by commas"),
        (["--word", ","], "numbers separated by commas"),
        (["--rates", "nan"], "between 0 and 1"),
        (["--schemes", "magic"], "unknown scheme"),
        (["--weights", "nowhere"], "--weights"),
    ],
)
def test_commands_refuse_bad_options(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # away from results that a user has in build/
    outcome = CliRunner().invoke(app(), ["resilience", "alexnet", *options])
    assert outcome.exit_code != 0
    assert message in str(outcome.exception) + outcome.output


@pytest.mark.parametrize("command", [["resilience", "lenet", "--schemes", "fitact"], ["granularity", "lenet"]])
def test_unknown_model_is_a_clear_line(command: list[str], tmp_path: Path) -> None:
    outcome = CliRunner().invoke(app(), [*command, "--images", "1", "--out", str(tmp_path)])
    assert isinstance(outcome.exception, GoldenError)
    assert "unknown model 'lenet'" in str(outcome.exception)
    assert not list(tmp_path.iterdir())  # the folder is free for another model


def test_throughput_measures_both_in_one_run() -> None:
    ticks = iter(range(1000))
    (speed,) = throughput("alexnet", "fitact", 8, (1e-4,), maps=3, images=2, repeats=1, clock=lambda: next(ticks))
    assert (speed.faulty, speed.plain, speed.ratio) == (6.0, 2.0, 3.0)  # one tick each: 3 x 2 and 2 images
