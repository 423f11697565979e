"""The study of alarms: hits of struck runs, counts of clean images, curves by hand, and what an FMEDA makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fitact_hw.alarms.clean import Clean, clean_csv, count_clean, read_clean
from fitact_hw.alarms.curve import HEADER, cheapest, curve_csv, points
from fitact_hw.alarms.struck import AlarmError, Struck, load_struck, read_struck, strike, struck_csv
from fitact_hw.campaign.goal import Goal
from fitact_hw.campaign.plan import CampaignOptions
from fitact_hw.campaign.report.analysis import Analysis
from fitact_hw.campaign.report.tally import Tally
from fitact_hw.campaign.snapshot import Campaign, load_campaign
from fitact_hw.campaign.store import CampaignError
from fitact_hw.campaign.stratified import StratifiedRun
from fitact_hw.campaign.subjects import Subject
from fitact_hw.config import AcceleratorConfig
from fitact_hw.faults import FaultEvent, Sample
from fitact_hw.fmeda.classes import Class, Classes
from fitact_hw.fmeda.page import shown
from fitact_hw.fmeda.rates import rates
from fitact_hw.fmeda.subjects import Alarm, subjects
from fitact_hw.fmeda.subjects import load as load_fmeda
from fitact_hw.fmeda.table import LEVELS, TOTAL, lines, metrics
from fitact_hw.injection.engine import Engine
from golden import reference
from golden.bounds.schemes import titled
from golden.data.cifar10 import sample_images
from golden.networks.zoo import load_qnetwork
from golden.quantisation.quantise import quantise_images
from tests.campaign.tiny import BOUNDS, Here, run_campaign
from tests.injection.tiny_machine import make_case
from tests.sim.test_alarm import ALARMED

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"

OPTIONS = CampaignOptions(
    "tiny", ALARMED[0], ("unprotected", "fitact"),
    ("activation_buffer", "weight_buffer", "bound_buffer", "pe_psum", "control"), faults=4000, images=3,
)  # fmt: skip


def load(options: CampaignOptions, scheme: str) -> Subject:
    """Stand-in for a trained network."""
    case = make_case(BOUNDS[scheme], config=options.config)
    images = np.random.default_rng(options.seed).integers(-128, 128, (options.images, 3, 6, 6), np.int64)
    return Subject(replace(case.network, scheme=scheme), case.program, images)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """On a machine whose clamps count every hit."""
    folder = tmp_path_factory.mktemp("alarms")
    run_campaign(OPTIONS, folder, load=load)
    return load_campaign(folder)


@pytest.fixture(scope="module")
def stratified(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """The same, in rounds."""
    folder = tmp_path_factory.mktemp("strata")
    options = replace(OPTIONS, sample=Sample.STRATIFIED, faults=0)
    StratifiedRun(options, folder, Here(), goal=Goal(faults=900), load=load, note=lambda text: None).work()
    return load_campaign(folder)


def test_hits_are_those_of_the_machines_that_count_them(campaign: Campaign) -> None:
    """Without RTL, for the campaign's margin and another; what only RTL judges has those of the campaign alone."""
    tally, engine = Tally.of(campaign), Engine(ALARMED[0], note=lambda text: None)
    counted = {(row.scheme, row.number): row for row in campaign.rows}
    assert all(row.clamp_hits is not None for row in campaign.rows)
    silent = replace(campaign, rows=tuple(replace(row, clamp_hits=None) for row in campaign.rows))
    found = strike(silent, Tally.of(silent), ("fitact",), (0, 1), engine, load=load)
    judged = [item for item in found if item.hits]
    assert len(judged) > 15
    other, subject = Engine(ALARMED[1], note=lambda text: None), load(replace(OPTIONS, config=ALARMED[1]), "fitact")
    for item in judged:
        row = counted["fitact", item.number]
        assert item.hits[0] == row.clamp_hits
        event = FaultEvent.parse(row.event, row.structure, OPTIONS.shape)
        (verdict,) = other.run(subject.case(row.image), [event], audit=False)
        assert item.hits[1] == verdict.clamp_hits
    assert {row.number for row in tally.rows["fitact"] if row.outcome == "sdc"} <= {item.number for item in found}
    taken = strike(campaign, tally, ("fitact",), (0, 1), engine, load=load)
    assert [item.hits[0] for item in taken] == [counted["fitact", item.number].clamp_hits for item in taken]
    assert [item for item in taken if item.hits == {0: item.hits[0]}], "some that only RTL judges"


def test_a_campaign_of_something_else_is_refused(campaign: Campaign) -> None:
    wrong = replace(campaign, rows=tuple(replace(row, top1=(row.top1 + 1) % 4) for row in campaign.rows))
    with pytest.raises(AlarmError, match=r"fitact-\d+ comes to class \d, the campaign says \d"):
        strike(wrong, Tally.of(wrong), ("fitact",), (0,), Engine(ALARMED[0], note=lambda text: None), load=load)


def test_clean_counts_are_the_reference_s() -> None:
    config = AcceleratorConfig.create()
    (found,) = count_clean("alexnet", config, ("fitact",), 4, (0, 2))
    network = load_qnetwork("alexnet", "fitact", 8)
    trace = reference.run(network, quantise_images(network, sample_images().network_input()[:4]))
    for margin in (0, 2):
        totals = np.zeros(4, np.int64)
        for layer in network.layers:
            wide = reference.rounded(layer, reference.accumulate(layer, trace[layer.source]), network.acc_bits)
            totals += reference.clamp_hits(layer, wide, margin).reshape(4, -1).sum(axis=1)
        assert sorted(n for hits, count in found.images[margin].items() for n in [hits] * count) == sorted(totals)
    assert read_clean(clean_csv([found])) == [found]


STRUCK = [
    Struck("fitact", 0, "a", 0, "sdc", "sdc", {0: 5, 1: 2}),
    Struck("fitact", 1, "a", 0, "sdc", "masked", {0: 1, 1: 0}),
    Struck("fitact", 2, "b", 0, "sdc", "sdc", {}),
    Struck("fitact", 3, "b", 0, "masked", "sdc", {0: 9, 1: 3}),
]


def by_hand() -> Tally:
    """Ten upsets in each of two structures, the first three times as large."""
    row = {"scheme": "fitact", "image": 0}
    rows = tuple(type("R", (), {**row, "number": n})() for n in [0, 1, *range(4, 12), 2, 3, *range(12, 20)])
    stratum = {item.number: int(place >= 10) for place, item in enumerate(rows)}
    return Tally({"fitact": rows}, ("a", "b"), np.array([0.75, 0.25]), stratum, {"a": 0.0, "b": 0.0}, 1)


def test_a_curve_by_hand() -> None:
    """SDC: 2 of 10 in a, 1 of 10 in b; that in b is not judged and counts as raising no alarm."""
    clean = [Clean("fitact", {0: {0: 90, 3: 10}, 1: {0: 100}})]
    found = points(by_hand(), clean, STRUCK, (0, 1), 0.95)
    at = {(p.margin, p.threshold): p for p in found}
    assert [p.threshold for p in found if p.margin == 0] == [1, 2, 3, 5], "up to the first without a false alarm"
    assert [p.threshold for p in found if p.margin == 1] == [1]
    sdc = 0.75 * 2 / 10 + 0.25 * 1 / 10
    assert at[0, 1].sdc.value == pytest.approx(sdc)
    assert at[0, 1].coverage.value == pytest.approx(0.75 * 2 / 10 / sdc)
    assert at[0, 2].coverage.value == pytest.approx(0.75 * 1 / 10 / sdc)
    assert at[0, 2].residual.value == pytest.approx(0.75 * 1 / 10 + 0.25 * 1 / 10)
    assert at[1, 1].coverage.value == pytest.approx(0.75 * 1 / 10 / sdc)
    before = 0.75 * 1 / 10 + 0.25 * 2 / 10
    assert at[0, 1].notice.value == pytest.approx((0.75 * 1 / 10 + 0.25 * 1 / 10) / before)
    assert at[0, 1].false_alarms.value == pytest.approx(0.1)
    assert at[0, 1].work == pytest.approx(1.1)
    assert at[0, 1].unjudged == pytest.approx(0.25 * 1 / 10 / sdc)
    assert at[0, 1].coverage.low < at[0, 1].coverage.value < at[0, 1].coverage.high
    assert (at[0, 1].upsets, at[0, 1].struck) == (3, 3)
    assert cheapest(found, "fitact", 0, 0.0) == at[0, 5]
    assert cheapest(found, "fitact", 0, 0.1) == at[0, 1]
    assert cheapest(found, "fitact", 2, 1.0) is None
    assert curve_csv(found).splitlines()[0] == ",".join(HEADER)
    assert len(curve_csv(found).splitlines()) == 1 + len(found)


def test_upsets_come_back_from_their_table(tmp_path: Path) -> None:
    assert read_struck(struck_csv(STRUCK)) == STRUCK
    path = tmp_path / "upsets.csv"
    path.write_text(struck_csv([]))
    with pytest.raises(AlarmError, match="has no upset"):
        load_struck(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(AlarmError, match="is no table of upsets"):
        load_struck(path)


def test_a_stratified_tally_weighs_as_the_report(stratified: Campaign) -> None:
    tally, analysis = Tally.of(stratified), Analysis(stratified)
    for entry in analysis.machine:
        hits = [row.number for row in tally.rows[entry.scheme] if row.outcome == "sdc"]
        assert tally.counts(entry.scheme, hits).value == pytest.approx(entry.estimates["sdc"].value)
    assert float(tally.weights.sum()) + sum(tally.dead.values()) == pytest.approx(1)
    with pytest.raises(CampaignError, match="of --sample live, which cannot be weighted"):
        Tally.of(replace(stratified, options=replace(stratified.options, sample=Sample.LIVE)))


def test_fmeda_of_a_stratified_campaign(stratified: Campaign) -> None:
    """With one raw rate for all cells each class is its probability times all FIT; classes add up; dead points are
    safe for certain."""
    known, tally = rates(sram=1000, flip_flop=1000), Tally.of(stratified)
    for subject in subjects([stratified], (), Classes.load()):
        *parts, total = lines(subject.parts, known, 0.95)
        assert total.name == TOTAL
        rows = tally.rows[subject.scheme]
        silent = [r.number for r in rows if r.outcome == "sdc" or (r.outcome == "hang" and not r.code)]
        assert total.fit[Class.DU].value == pytest.approx(total.raw * tally.counts(subject.scheme, silent).value)
        for line in (*parts, total):
            assert sum(line.fit[klass].value for klass in Class) == pytest.approx(line.raw)
            assert all(0 <= item.low <= item.value <= item.high <= line.raw * (1 + 1e-9) for item in line.fit.values())
        dead = sum(tally.dead.values()) * total.raw
        assert total.fit[Class.SAFE].low >= dead * (1 - 1e-9)
        assert total.upsets == len(rows)


def test_fmeda_takes_an_alarm_as_coverage(campaign: Campaign) -> None:
    """SDC with so many hits move from undetected to detected; the campaign's own counts, or a table of judged ones."""
    known = rates()
    sdc = [r for r in campaign.rows if r.scheme == "fitact" and r.outcome == "sdc"]
    threshold = max(r.clamp_hits or 0 for r in sdc)
    name = next(r.structure for r in sdc if r.clamp_hits == threshold)
    found = {item.name: item for item in subjects([campaign], (), Classes.load(), alarm=Alarm(threshold))}
    assert set(found) == {"unprotected", "fitact", "fitact+alarm"}, "without bounds there is no SDC with a hit"
    assert f"alarm from {threshold} clamp hits on, margin 0" in found["fitact+alarm"].alarm
    before, after = (
        {line.name: line for line in lines(found[kind].parts, known, 0.95)} for kind in ("fitact", "fitact+alarm")
    )
    rows = [r for r in campaign.rows if r.scheme == "fitact" and r.structure == name]
    raised = [r for r in rows if r.outcome == "sdc" and (r.clamp_hits or 0) >= threshold]
    assert raised
    moved = before[name].raw * len(raised) / len(rows)
    for klass, sign in ((Class.DU, -1), (Class.DD, 1), (Class.SAFE, 0)):
        change = after[name].fit[klass].value - before[name].fit[klass].value
        assert change == pytest.approx(sign * moved, abs=1e-9)
    coverage = {
        kind: {m.name: m.value.value for m in metrics(found[kind].parts, known, 0.95)}["DC"]
        for kind in ("fitact", "fitact+alarm")
    }
    assert coverage["fitact+alarm"] > coverage["fitact"]
    judged = [
        Struck("fitact", r.number, r.structure, r.image, r.outcome, "", {3: r.clamp_hits or 0})
        for r in campaign.rows
        if r.scheme == "fitact" and r.outcome == "sdc"
    ]
    plain = replace(campaign, options=replace(campaign.options, config=AcceleratorConfig.create(rows=4, cols=4)))
    with pytest.raises(CampaignError, match="has no alarm of the clamps"):
        subjects([plain], (), Classes.load(), alarm=Alarm(threshold))
    other = subjects([plain], ("fitact",), Classes.load(), alarm=Alarm(threshold, 3, judged))
    assert [item.name for item in other] == ["fitact", "fitact+alarm"]
    again = {line.name: line for line in lines(other[1].parts, known, 0.95)}
    assert again[TOTAL].fit[Class.DU] == after[TOTAL].fit[Class.DU]


@pytest.mark.parametrize("scheme", ["ranger", "fitact"])
def test_the_fmeda_on_the_page_is_of_the_published_campaign(scheme: str) -> None:
    """Every figure of the how-to page's table of metrics."""
    archive = RESULTS / "data" / "alarms_alexnet_16x16_q15_16_1x1_campaign.parquet"
    found = subjects([load_fmeda(archive)], [scheme], Classes.load(), alarm=Alarm(1))
    assert len(found) == 2
    page = (RESULTS.parent / "howto" / "alarms.md").read_text()
    for item in found:
        measured = {metric.name: metric for metric in metrics(item.parts, rates(), 0.95)}
        cells = [shown(measured[name]) for name in ("SPFM", "PMHF", "DC")]
        name = titled(scheme) + (" with alarm" if item.alarm else "")
        asil = ", ".join(
            f"{level[-1]} {verdict}" for level, verdict in zip(LEVELS, measured["PMHF"].verdicts, strict=True)
        )
        assert f"| {name} | {' | '.join(cells)} | {asil} |" in page
