"""`fitact fmeda` on a published campaign: page, tables, JSON."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from fitact_hw.campaign.plan import CampaignOptions
from fitact_hw.campaign.store import CampaignError
from fitact_hw.faults import Sample
from fitact_hw.fmeda import subjects
from fitact_hw.fmeda.table import LEVELS
from tests.cli.conftest import Fitact, fitact

DATA = Path(__file__).resolve().parents[2] / "docs/results/data/campaign_alexnet_16x16_q15_16_1x1.parquet"

__all__ = ["fitact"]


def test_page_and_tables(fitact: Fitact, tmp_path: Path) -> None:
    done = fitact("fmeda", str(DATA), "--schemes", "unprotected,fitact", "--out", str(tmp_path), "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    page = (tmp_path / "fmeda.html").read_text()
    for text in ("SPFM", "LFM", "PMHF", *LEVELS, "activation buffer", "combinational logic", "clock tree", "package"):
        assert text in page, text
    assert "external memory of parameters" in page
    assert "the machine never answers" in page, "the policy is printed"
    record = json.loads((tmp_path / "fmeda.json").read_text())
    assert record == result["provenance"]
    assert list(record["fingerprints"]["campaigns"]) == [DATA.name]
    assert record["fingerprints"]["campaigns"][DATA.name] in page
    with (tmp_path / "fmeda.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert lines == result["fit"]
    assert {line["scheme"] for line in lines} == {"unprotected", "fitact"}
    for scheme in ("unprotected", "fitact"):
        of_scheme = [line for line in lines if line["scheme"] == scheme]
        (total,) = [line for line in of_scheme if line["structure"] == "total"]
        for column in ("bits", "raw_fit", "safe", "dd", "du", "latent"):
            parts = sum(float(line[column]) for line in of_scheme if line is not total)
            assert parts == pytest.approx(float(total[column]), rel=1e-4)
        classes = sum(float(total[name]) for name in ("safe", "dd", "du", "latent"))
        assert classes == pytest.approx(float(total["raw_fit"]), rel=1e-4)
    assert {row["metric"] for row in result["metrics"]} == {"SPFM", "LFM", "PMHF", "DC"}


def test_another_policy_changes_the_metrics(fitact: Fitact, tmp_path: Path) -> None:
    """Whoever uses the scores counts benign as dangerous."""
    shipped = Path(subjects.__file__).with_name("classes.csv").read_text()
    own = tmp_path / "own.csv"
    own.write_text(shipped.replace("*,benign,safe", "*,benign,du"))
    values = []
    for extra in ((), ("--classes", str(own))):
        done = fitact("fmeda", str(DATA), "--schemes", "fitact", "--out", str(tmp_path), "--json", *extra)
        values += [float(r["value"]) for r in json.loads(done.out)["metrics"] if r["metric"] == "SPFM"]
    assert values[1] < values[0] - 0.01
    assert str(own) in (tmp_path / "fmeda.html").read_text()


@pytest.mark.parametrize("sample", [Sample.LIVE, Sample.LIST])
def test_samples_that_weigh_otherwise_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sample: Sample
) -> None:
    drawn = subjects.Campaign(tmp_path, CampaignOptions(sample=sample), {}, {}, ())
    monkeypatch.setattr(subjects, "load_campaign", lambda path: drawn)
    with pytest.raises(
        CampaignError, match=rf"upsets of --sample {sample.value}.*take a campaign with --sample all or stratified"
    ):
        subjects.load(tmp_path)


def test_faults_that_are_no_upsets_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stuck = subjects.Campaign(tmp_path, CampaignOptions(fault_model="stuck-at-1"), {}, {}, ())
    monkeypatch.setattr(subjects, "load_campaign", lambda path: stuck)
    with pytest.raises(CampaignError, match="has stuck-at-1 faults, and raw rates are of upsets"):
        subjects.load(tmp_path)
