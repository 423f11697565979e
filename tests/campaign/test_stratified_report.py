"""Reports of stratified campaigns: figures follow from the weights of the strata, and the parts make the whole."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from fitact_hw.campaign.archive import load_archive
from fitact_hw.campaign.goal import Goal
from fitact_hw.campaign.report.analysis import Analysis
from fitact_hw.campaign.report.findings import all_comparisons
from fitact_hw.campaign.report.measures import MEASURES
from fitact_hw.campaign.report.places import LIVE_ONLY
from fitact_hw.campaign.report.publish import run_publish
from fitact_hw.campaign.report.summary import run_report
from fitact_hw.campaign.snapshot import load_campaign
from fitact_hw.campaign.store import CampaignError, Store, store_path
from fitact_hw.campaign.stratified import StratifiedRun
from fitact_hw.faults import Sample
from tests.campaign.tiny import OPTIONS, Here, load, run_campaign

STRUCTURES = ("weight_buffer", "bound_buffer", "output_buffer", "pe_psum", "control")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stratified campaign of several rounds."""
    path = tmp_path_factory.mktemp("strata")
    options = replace(OPTIONS, sample=Sample.STRATIFIED, images=6, faults=0, structures=STRUCTURES)
    StratifiedRun(options, path, Here(), goal=Goal(faults=1500), load=load, note=lambda text: None).work()
    return path


@pytest.fixture(scope="module")
def analysis(folder: Path) -> Analysis:
    """Of it."""
    return Analysis(load_campaign(folder))


def test_the_machine_is_the_weighted_mean_of_its_rounds(analysis: Analysis) -> None:
    """Computed anew, draw by draw, from the store's facts."""
    facts = analysis.campaign.facts["rounds"]
    strata, points = facts["population"]["strata"], facts["population"]["points"]
    total = sum(map(sum, facts["draws"]))
    for entry in analysis.machine:
        failed = {row.number for row in analysis.campaign.rows if row.scheme == entry.scheme and row.outcome == "sdc"}
        expected, number = 0.0, 0
        for draws in facts["draws"]:
            for stratum, drawn in zip(strata, draws, strict=True):
                hits = sum(n in failed for n in range(number, number + drawn))
                expected += sum(draws) / total * stratum["points"] / points * hits / drawn
                number += drawn
        sdc = entry.estimates["sdc"]
        assert sdc.value == pytest.approx(expected)
        assert 0 <= sdc.low < sdc.value < sdc.high <= 1
        assert sdc.hits == len(failed)
        assert entry.bits == sum(analysis.bits.values())


@pytest.mark.parametrize("measure", MEASURES)
def test_parts_make_the_whole(analysis: Analysis, measure: str) -> None:
    """Structures by their bits, layers by their cycles, bits of a buffer by their cells."""
    shares = analysis.shares
    for machine in analysis.machine:
        of_scheme = {
            name: [entry for entry in entries if entry.scheme == machine.scheme]
            for name, entries in (
                ("structure", analysis.structures), ("layer", analysis.layers), ("bit", analysis.bit_positions),
                ("column", analysis.pe_columns),
            )
        }  # fmt: skip
        value = {entry.key: entry.estimates[measure].value for entries in of_scheme.values() for entry in entries}
        whole = machine.estimates[measure].value
        parts = [shares.structure(entry.key[0]) * value[entry.key] for entry in of_scheme["structure"]]
        assert sum(parts) == pytest.approx(whole)
        times = [shares.layer(entry.key[0]) or 0.0 for entry in of_scheme["layer"]]
        assert sum(times) == pytest.approx(1)
        assert sum(t * value[e.key] for t, e in zip(times, of_scheme["layer"], strict=True)) == pytest.approx(whole)
        bits = [entry for entry in of_scheme["bit"] if entry.key[0] == "weight_buffer"]
        cells = [shares.values("weight_buffer", int(e.key[1]), int(e.key[1])) for e in bits]
        found = sum(c * value[e.key] for c, e in zip(cells, bits, strict=True))
        assert found == pytest.approx(shares.structure("weight_buffer") * value[("weight_buffer",)])
        columns = [shares.array_lines(1) * value[entry.key] for entry in of_scheme["column"]]
        assert sum(columns) == pytest.approx(shares.structure("pe_psum") * value[("pe_psum",)])


def test_differences_are_those_of_the_values(analysis: Analysis) -> None:
    sdc = {(entry.key, entry.scheme): entry.estimates["sdc"].value for entry in analysis.structures}
    sdc |= {(("machine",), entry.scheme): entry.estimates["sdc"].value for entry in analysis.machine}
    compared = [item for item in all_comparisons(analysis) if item.measure == "sdc"]
    assert {item.key for item in compared} >= {"machine", "weight_buffer", "pe_psum"}
    for item in compared:
        d = item.difference
        assert d.value == pytest.approx(sdc[(item.key,), item.rival] - sdc[(item.key,), item.scheme])
        assert d.low <= d.value <= d.high
        assert bool(item.resolution(0.95)) != d.shown


def test_it_agrees_with_a_campaign_over_all_points(analysis: Analysis, tmp_path: Path) -> None:
    """The old way of sampling, other points, the same images: intervals of the same probabilities overlap."""
    options = replace(OPTIONS, images=6, faults=1500, structures=STRUCTURES)
    run_campaign(options, tmp_path)
    for one, other in zip(analysis.machine, Analysis(load_campaign(tmp_path)).machine, strict=True):
        assert one.scheme == other.scheme
        for measure in ("sdc", "failure", "effect"):
            a, b = one.estimates[measure], other.estimates[measure]
            assert a.low <= b.high, measure
            assert b.low <= a.high, measure


def test_report_and_published_page(folder: Path, tmp_path: Path) -> None:
    console = Console(width=200, record=True, file=(tmp_path / "out.txt").open("w"))
    run_report(console, folder, 1000.0, 0.95)
    page = (folder / "report.html").read_text()
    ElementTree.fromstring(re.sub(r"<!doctype html>|<meta [^>]*>|<br>|&ndash;| open(?=>)", "", page))
    for text in ("strata (structure, buffers also by layer)", "gamma intervals of Fay and Feuer", "as clusters",
                 "of all (bit, cycle) points are read under some scheme", "half of it needs about 6,000 upsets",
                 "of upsets not settled by look-up", "--sample stratified", LIVE_ONLY):  # fmt: skip
        assert text in page, text
    assert "equally many upsets in each" not in page
    groups = Counter(line["group"] for line in csv.DictReader((folder / "report.csv").open()))
    assert {"machine", "structure", "layer", "bit", "PE row", "PE column"} <= groups.keys()
    run_publish(console, [folder], tmp_path / "results", 1000.0, 0.95)
    assert "gamma intervals" in (tmp_path / "results" / "campaigns_tiny.md").read_text()
    [archive] = (tmp_path / "results" / "data").glob("*.parquet")
    again = Analysis(load_archive(archive))
    before = Analysis(load_campaign(folder))
    assert [entry.estimates for entry in again.machine] == [entry.estimates for entry in before.machine]


def test_a_round_that_is_not_complete_does_not_count(folder: Path, tmp_path: Path) -> None:
    source = load_campaign(folder)
    size = sum(source.facts["rounds"]["draws"][0])
    for kept in (size + 3, size - 1):
        with Store(store_path(tmp_path / str(kept)), create=True) as store:
            store.claim(source.identity)
            store.note(**source.facts)
            store.add(row for row in source.rows if row.number < kept)
    found = Analysis(load_campaign(tmp_path / str(size + 3)))
    assert {entry.upsets for entry in found.machine} == {size}
    with pytest.raises(CampaignError, match=r"no complete round yet: run `fitact campaign resume"):
        Analysis(load_campaign(tmp_path / str(size - 1)))


def test_every_report_says_what_the_injections_took(folder: Path) -> None:
    """On the terminal and in the HTML page, from the record of the run."""
    console = Console(record=True, width=300)
    run_report(console, folder, 1000.0, 0.95)
    [record] = load_campaign(folder).facts["runs"]
    work, said = record["work"], console.export_text()
    rows = load_campaign(folder).rows
    assert sum(work["mechanisms"].values()) == len(rows)
    assert work["mechanisms"] == dict(Counter(row.way for row in rows))
    assert work["software"] > 0
    live = sum(row.way != "dead" for row in rows) / len(rows)
    page = (folder / "report.html").read_text()
    for text in (
        f"p_live {live:.1%} (",
        f"L {work['faulty_cycles'] / live / len(rows):,.0f} cycles, h ",
        " injections per second and core, ",
        f"at random: {work['audited']:,}, differing: 0 (at most ",
    ):
        assert text in said
        assert text in page
