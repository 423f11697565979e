"""The report against counts made by hand, and its files."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from rich.console import Console
from scipy.stats import norm

from fitact_hw.campaign.archive import load_archive, restore
from fitact_hw.campaign.plan import (
    CampaignOptions,
    bits_of,
    command_of,
    structure_storages,
    unreached,
    without_injection,
)
from fitact_hw.campaign.report.analysis import Analysis, lane_bit
from fitact_hw.campaign.report.comparison import compare_schemes
from fitact_hw.campaign.report.findings import all_comparisons, scope_sentences, sections
from fitact_hw.campaign.report.places import heat_map, uneven, worst_sites
from fitact_hw.campaign.report.publish import run_publish
from fitact_hw.campaign.report.summary import csv_text, run_report
from fitact_hw.campaign.snapshot import load_campaign
from fitact_hw.campaign.store import CampaignError, Row, Store, store_path
from fitact_hw.config import AcceleratorConfig
from fitact_hw.faults import Shape
from fitact_hw.reporting.formats import percent
from fitact_hw.reporting.statistics import stratified
from tests.sim.machines import TINY

DATA = Path(__file__).parents[2] / "docs" / "results" / "data"

SCHEMES = ("unprotected", "fitact")
STRUCTURES = ("weight_buffer", "bound_buffer", "pe_psum")
OPTIONS = CampaignOptions("tiny", TINY, SCHEMES, STRUCTURES, faults=120, images=2)
BITS = bits_of(structure_storages(OPTIONS))
SITES = {"weight_buffer": "u_buffers.u_weight.data_mem", "bound_buffer": "u_buffers.u_bound.data_mem"}


def outcome_of(scheme: str, structure: str, turn: int) -> str:
    """Of 40 upsets: weight buffer 8 SDC (4 under FitAct), psum 10 benign and 2 hangs, bound buffer only in FitAct."""
    if structure == "weight_buffer":
        return "sdc" if turn < (8 if scheme == "unprotected" else 4) else "masked"
    if structure == "bound_buffer":
        return "benign" if scheme == "fitact" and turn < 5 else "masked"
    return "hang" if turn < 2 else "benign" if turn < 12 else "masked"


def make_rows() -> list[Row]:
    """40 upsets in each structure and scheme."""
    rows = []
    for scheme in SCHEMES:
        for number in range(120):
            structure, turn = STRUCTURES[number % 3], number // 3
            site = SITES.get(structure, f"u_array.g_row[{turn % 4}].g_col[{turn // 4 % 4}].u_pe.psum_q")
            layer, bit = ("conv1", "conv2")[turn >= 20], turn % 32
            event = f"{site}[0]^{1 << bit:#x}@{turn}"
            outcome = outcome_of(scheme, structure, turn)
            place = (turn % 2, structure, layer, site, 0, bit, 1, turn)
            rows.append(Row(scheme, number, *place, event, outcome, 0, 1 << 63, "dead", 0, 0, "[3, 1]", ""))
    return rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stored campaign."""
    identity = {**OPTIONS.to_json(), "programs": dict.fromkeys(SCHEMES, "abc"), "pictures": {}, "machine": "def"}
    del identity["faults"]
    with Store(store_path(tmp_path / "tiny"), create=True) as store:
        store.claim(identity)
        store.note(faults=200, bits=BITS, cycles=dict.fromkeys(SCHEMES, 900), versions={"python": "3"})
        store.note(bound_flips={"fitact": {"raised": [1, 4, 7], "lowered": [118]}})
        store.add(make_rows())
    return tmp_path / "tiny"


def test_probabilities_are_those_counted_by_hand(folder: Path) -> None:
    analysis = Analysis(load_campaign(folder))
    found = {(entry.key[0], entry.scheme): entry for entry in analysis.structures}
    assert found["weight_buffer", "unprotected"].estimates["sdc"].value == 8 / 40
    assert found["pe_psum", "fitact"].estimates["failure"].value == 2 / 40
    assert found["pe_psum", "fitact"].estimates["effect"].value == 12 / 40
    machine = {entry.scheme: entry for entry in analysis.machine}
    share = BITS["weight_buffer"] / sum(BITS.values())
    assert machine["fitact"].estimates["sdc"].value == pytest.approx(share * 4 / 40)
    assert machine["fitact"].fit("sdc", 500.0).value == pytest.approx(BITS["weight_buffer"] / 1e6 * 500 * 4 / 40)
    layers = {(entry.key[0], entry.scheme): entry for entry in analysis.layers}
    assert list(dict.fromkeys(entry.key[0] for entry in analysis.layers)) == ["conv1", "conv2"]
    assert layers["conv1", "unprotected"].estimates["sdc"].value == pytest.approx(share * 8 / 20)
    assert layers["conv2", "unprotected"].estimates["sdc"].value == 0
    bits = {(*entry.key, entry.scheme): entry for entry in analysis.bit_positions}
    assert bits["weight_buffer", "0", "unprotected"].upsets == 5  # turns 0, 8, 16, 24 and 32
    assert bits["pe_psum", "31", "fitact"].upsets == 1
    example = found["weight_buffer", "unprotected"].example
    assert example is not None
    assert example.number == 0


@pytest.fixture
def part(folder: Path) -> Path:
    """The campaign without an upset in the bound buffer."""
    campaign, path = load_campaign(folder), folder.parent / "part"
    with Store(store_path(path), create=True) as store:
        store.claim(campaign.identity)
        store.note(**campaign.facts)
        store.add([row for row in campaign.rows if row.structure != "bound_buffer"])
    return path


def test_a_structure_without_an_injection_bounds_the_machine(part: Path) -> None:
    """4 of 40 SDC in the weight buffer, 0 of 40 in the psums; in the bound buffer anything may happen."""
    analysis = Analysis(load_campaign(part))
    assert analysis.unsampled == dict.fromkeys(SCHEMES, ("bound_buffer",))
    whole = next(entry for entry in analysis.machine if entry.scheme == "fitact")
    bits = sum(BITS.values())
    unknown = BITS["bound_buffer"] / bits
    sampled = stratified(
        {"weight_buffer": (4, 40), "pe_psum": (0, 40)},
        {name: float(BITS[name]) for name in ("weight_buffer", "pe_psum")},
    )
    sdc = whole.estimates["sdc"]
    assert sdc.low == pytest.approx((1 - unknown) * sampled.low)
    assert sdc.high == pytest.approx((1 - unknown) * sampled.high + unknown)
    assert whole.bits == bits
    assert whole.fit("sdc", 500.0).high == pytest.approx(bits / 1e6 * 500 * sdc.high)
    empty = [entry for entry in analysis.structures if entry.key == ("bound_buffer",)]
    assert [(entry.upsets, entry.estimates["sdc"].low, entry.estimates["sdc"].high) for entry in empty] == [
        (0, 0, 1)
    ] * 2
    rows, weights = load_campaign(part).rows, {name: BITS[name] for name in ("weight_buffer", "pe_psum")}
    known = compare_schemes(rows, SCHEMES, weights, "sdc")[0].difference
    bounded = {item.key: item for item in compare_schemes(rows, SCHEMES, BITS, "sdc")}
    assert bounded["machine"].difference.high == pytest.approx((1 - unknown) * known.high + unknown)
    assert bounded["machine"].difference.low == pytest.approx((1 - unknown) * known.low - unknown)
    assert "bound_buffer" not in bounded
    text = " ".join(scope_sentences(analysis))
    assert f"1 of 3 structures, {percent(unknown)} of the bits, has no injection: bound buffer." in text


def test_a_structure_without_an_injection_is_named_everywhere(part: Path, tmp_path: Path) -> None:
    console = Console(width=160, record=True, file=(tmp_path / "out.txt").open("w"))
    run_report(console, part, 1000.0, 0.95)
    run_publish(console, [part], tmp_path / "results", 1000.0, 0.95)
    sentence = "has no injection: bound buffer. Anything may happen there"
    page, markdown = (part / "report.html").read_text(), (tmp_path / "results" / "campaigns_tiny.md").read_text()
    for text in (" ".join(console.export_text().split()), page, markdown):
        assert sentence in text
    assert "| bound buffer | 0 to 100.0 % | 0 to 100.0 % |" in markdown
    lines = [line for line in csv.DictReader((part / "report.csv").open()) if line["measure"] == "sdc"]
    machine = next(
        line for line in lines if (line["group"], line["scheme"], line["rival"]) == ("machine", "fitact", "")
    )
    assert (machine["value"], machine["fit"]) == ("", "")
    assert 0 < float(machine["low"]) < float(machine["high"]) < 1
    [empty] = [line for line in lines if line["key"] == "bound_buffer" and line["scheme"] == "fitact"]
    assert (empty["upsets"], empty["value"], empty["low"], empty["high"]) == ("0", "", "0", "1")


def test_complete_campaigns_are_estimated_not_bounded(folder: Path) -> None:
    analysis = Analysis(load_campaign(folder))
    assert not any(analysis.unsampled.values())
    assert not any(estimate.unsampled for entry in analysis.machine for estimate in entry.estimates.values())
    assert not any(item.difference.unsampled for item in all_comparisons(analysis))


@pytest.mark.parametrize("stem", ["campaign_vgg16_16x16_int8_1x1", "campaign_resnet50_16x16_q15_16_1x1"])
def test_published_figures_are_those_of_the_published_injections(stem: str) -> None:
    analysis = Analysis(load_archive(DATA / f"{stem}.parquet"))
    assert csv_text(analysis, all_comparisons(analysis), 1000.0) == (DATA / f"{stem}.csv").read_text()


def test_too_few_injections_are_announced() -> None:
    assert without_injection(OPTIONS) == ()
    assert without_injection(replace(OPTIONS, faults=2)) == ("pe_psum",)
    line = unreached(without_injection(replace(OPTIONS, faults=1)), 3)
    assert line.startswith("2 of 3 structures get no injection (bound_buffer, pe_psum)")
    assert line.endswith("--faults 3 or more reaches each")


def test_comparison_is_paired_and_weighted(folder: Path) -> None:
    rows = load_campaign(folder).rows
    found = {item.key: item for item in compare_schemes(rows, SCHEMES, BITS, "sdc")}
    weight = found["weight_buffer"].difference
    assert (weight.only_first, weight.only_second, weight.total) == (4, 0, 40)
    assert weight.value == pytest.approx(0.1)
    assert found["machine"].difference.value == pytest.approx(0.1 * BITS["weight_buffer"] / sum(BITS.values()))
    assert found["pe_psum"].words == "no difference shown"
    half = (found["pe_psum"].difference.high - found["pe_psum"].difference.low) / 2
    least = percent(half * (norm.ppf(0.975) + norm.ppf(0.8)) / norm.ppf(0.975))
    says = f"a difference of {least} would have been found with probability 0.8"
    assert found["pe_psum"].resolution(0.95) == says
    assert found["weight_buffer"].difference.shown == (found["weight_buffer"].resolution(0.95) == "")
    effect = {item.key: item for item in compare_schemes(rows, SCHEMES, BITS, "effect")}
    assert effect["bound_buffer"].difference.value == pytest.approx(-5 / 40)


def test_words_follow_the_intervals() -> None:
    rows = [row for row in make_rows() if row.structure == "weight_buffer"]
    more = [replace(row, number=row.number + 1000 * k) for k in range(20) for row in rows]
    bits = {"weight_buffer": BITS["weight_buffer"]}
    [machine, weight] = compare_schemes(more, SCHEMES, bits, "sdc")
    assert machine.words == weight.words == "FitAct fails less often"
    swapped = dict(zip(SCHEMES, reversed(SCHEMES), strict=True))
    other = [replace(row, scheme=swapped[row.scheme]) for row in more]
    assert compare_schemes(other, SCHEMES, bits, "sdc")[0].words == "unprotected fails less often"


def test_places_in_the_array(folder: Path) -> None:
    rows = load_campaign(folder).rows
    values = heat_map(rows, "fitact", (4, 4), BITS, "effect")
    assert values.shape == (4, 4)
    hit = [row for row in rows if row.scheme == "fitact" and "g_row[1].g_col[0]" in row.site]
    assert values[1, 0] == pytest.approx(np.mean([row.outcome != "masked" for row in hit]))
    assert uneven(rows, "fitact", 0, "sdc") is None
    few, many = (uneven(list(rows) * times, "fitact", 1, "effect") for times in (1, 5))
    assert few is not None
    assert many is not None
    assert many < 0.01 < 0.05 < few  # the 12 upsets with an effect lie in columns 0 to 2
    sites = worst_sites(rows, SCHEMES, 0.95)
    assert sites[0].path == SITES["weight_buffer"]
    assert sites[0].failures == {"unprotected": (8, 40), "fitact": (4, 40)}
    assert (sites[0].failing.hits, sites[0].failing.total) == (8, 40)


def test_bits_of_values() -> None:
    row = make_rows()[0]
    protected = AcceleratorConfig.create(**{**TINY.model_dump(mode="json"), "protection": "parity"})
    for structure, bit, expected in (
        ("weight_buffer", 9, 1), ("weight_buffer", 31, 7), ("weight_buffer", 32, None), ("accumulator_buffer", 33, 1),
        ("bias_buffer", 38, 0), ("pe_psum", 20, 20), ("csr", 3, None),
    ):  # fmt: skip
        assert lane_bit(replace(row, structure=structure, bit=bit), protected) == expected


def test_every_file_of_a_report(folder: Path) -> None:
    console = Console(width=160, record=True, file=(folder / "out.txt").open("w"))
    run_report(console, folder, 700.0, 0.9)
    text = console.export_text()
    assert "3 of 25 structures, by bits" in text
    assert "Only 3 of the machine's 25 structures were asked for" in text
    assert "700 FIT/Mbit" in text
    page = (folder / "report.html").read_text()
    ElementTree.fromstring(
        re.sub(r"<!doctype html>|<meta [^>]*>|<br>|&ndash;| open(?=>)", "", page)
    )  # every tag is closed
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)  # nothing is loaded from elsewhere
    links, anchors = set(re.findall(r'href="#([^"]+)"', page)), set(re.findall(r'id="([^"]+)"', page))
    assert {"unprotected-0", "fitact-0"} <= links <= anchors
    assert f"fitact campaign replay {folder} unprotected-0 --waves" in page
    for word in (
        "no difference shown",
        "would have been found with probability 0.8",
        "McNemar",
        "700 FIT per 10^6 bits",
        "seed",
        "90%",
        command_of(OPTIONS)[:30],
    ):
        assert word in page, word
    lines = list(csv.DictReader((folder / "report.csv").open()))
    [sdc] = [line for line in lines if line["group"] == "structure" and line["key"] == "weight_buffer"
             and line["scheme"] == "unprotected" and line["measure"] == "sdc" and not line["rival"]]  # fmt: skip
    assert (sdc["hits"], sdc["upsets"], sdc["value"]) == ("8", "40", "0.2")
    assert {line["group"] for line in lines} == {"machine", "structure", "layer", "bit", "PE row", "PE column", "bound"}
    table = pyarrow.parquet.read_table(folder / "report.parquet").to_pylist()
    assert len(table) == 240
    assert (table[5]["event"], table[5]["cycles"]) == (make_rows()[125].event, 1 << 63)


def test_wide_tables_are_folded_or_scroll_within_the_page(folder: Path) -> None:
    run_report(Console(file=(folder / "out.txt").open("w")), folder, 1000.0, 0.95)
    page = (folder / "report.html").read_text()
    body = page[page.index("<body>") :]
    open_tables = re.sub(r"<details>.*?</details>", "", body, flags=re.DOTALL)
    assert "every outcome" not in open_tables  # the tables with a column for each outcome
    for table in re.finditer(r"(<[^<>]*>)\s*<table>", open_tables):
        assert table[1] in ('<div class="wide">', '<div class="methods">', '<div class="list">'), table[1]
    assert "position: sticky" in page
    assert "@media print" in page
    assert re.search(r'<td class="n">20.0 % \[[\d.]+, [\d.]+\]</td>', body)  # share and interval in one cell


def test_archive_becomes_the_same_campaign_again(folder: Path, tmp_path: Path) -> None:
    run_report(Console(file=(tmp_path / "out.txt").open("w")), folder, 1000.0, 0.95)
    file, again = folder / "report.parquet", tmp_path / "again"
    assert restore(file, again) == 240
    assert restore(file, again) == 0  # nothing is counted twice
    assert replace(load_campaign(again), folder=folder) == load_campaign(folder)
    part = tmp_path / "part"  # a store that has fewer injections, and knows of fewer
    with Store(store_path(part), create=True) as store:
        store.claim(load_campaign(folder).identity)
        store.note(**{**load_campaign(folder).facts, "faults": 1, "bound_flips": {}})
        store.add(make_rows()[:1])
    assert restore(file, part) == 239
    assert replace(load_campaign(part), folder=folder) == load_campaign(folder)
    other = tmp_path / "other"
    with Store(store_path(other), create=True) as store:
        store.claim({**load_campaign(folder).identity, "seed": 77})
    with pytest.raises(CampaignError, match="with other seed"):
        restore(file, other)
    for name, text, says in (("no.parquet", b"nothing", "cannot be read as Parquet"), ("gone", None, "cannot be read")):
        if text is not None:
            (tmp_path / name).write_bytes(text)
        with pytest.raises(CampaignError, match=says):
            restore(tmp_path / name, tmp_path / "x")
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "foreign.parquet")
    with pytest.raises(CampaignError, match="no archive of a campaign"):
        restore(tmp_path / "foreign.parquet", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_one_scheme_without_array_or_values_still_reports(tmp_path: Path) -> None:
    options = CampaignOptions("tiny", TINY, ("fitact",), ("csr",), faults=4, images=1)
    with Store(store_path(tmp_path), create=True) as store:
        store.claim({**options.to_json(), "programs": {"fitact": "abc"}, "machine": "def"})
        store.note(faults=4, bits=bits_of(structure_storages(options)))
        with pytest.raises(CampaignError, match="no injections yet"):
            load_campaign(tmp_path)
        store.add([replace(row, structure="csr", site="u_csr.x_q", outcome="masked")
                   for row in make_rows() if row.scheme == "fitact" and row.number < 4])  # fmt: skip
    run_report(Console(file=(tmp_path / "out.txt").open("w")), tmp_path, 1000.0, 0.95)
    page = (tmp_path / "report.html").read_text()
    for word in ("No upset failed", "one scheme only", "No upset hit a value", "No upset hit a register of the array"):
        assert word in page, word


def test_all_sentences_are_plain(folder: Path) -> None:
    analysis = Analysis(load_campaign(folder))
    found = sections(analysis, all_comparisons(analysis), 1000.0)
    text = " ".join(sentence for sentences in found.values() for sentence in sentences)
    assert "Bound buffer under FitAct: masked 87.5 %" in text
    assert "Bound buffer under unprotected: every upset was masked" in text
    assert "PE columns under FitAct, any effect: no difference shown (chi-squared p = 0.17)" in text
    assert "Upsets that raise (weaker clamp) a loaded bound of FitAct: 3, any effect 100.0 %" in text
    assert "Upsets that lower (neuron zero more often) a loaded bound of FitAct: 1, any effect 0 %" in text
    assert "nan" not in text


def test_published_page_has_no_path_of_this_machine(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    run_publish(Console(file=(tmp_path / "out.txt").open("w")), [folder], out, 1000.0, 0.95)
    page = (out / "campaigns_tiny.md").read_text()
    assert str(tmp_path) not in page
    assert "fitact campaign run tiny --faults 200 --images 2 --seed 1" in page
    assert "| weight buffer | 20.0 % [10.5, 34.8] | 10.0 % [3.96, 23.1] |" in page
    named = re.findall(r"\(((?:data/)?campaign_[^)]*)\)", page)
    assert named
    assert all((out / name).is_file() for name in named)
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert written == {"campaigns_tiny.md", *named}


def test_the_command_of_a_campaign_repeats_its_options() -> None:
    assert command_of(CampaignOptions()) == "fitact campaign run alexnet --faults 1000 --images 4 --seed 1"
    wide = CampaignOptions(config=AcceleratorConfig.create(rows=8, cols=8, word_bits=32), shape=Shape.SQUARE)
    assert command_of(wide).endswith("--seed 1 --shape 2x2 --rows 8 --cols 8 --word 32")
    assert command_of(OPTIONS).endswith(
        "--structures weight_buffer,bound_buffer,pe_psum --rows 4 --cols 4 --config machine.toml"
    )
