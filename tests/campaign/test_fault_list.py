"""Faults out of a campaign, into another one elsewhere, judged again: the same statuses. And lists that are wrong."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fitact_hw.campaign.fault_list.files import export, read_fault_list
from fitact_hw.campaign.fault_list.formats import ExportFormat
from fitact_hw.campaign.fault_list.listed import SHOWN, FaultList, FaultListError
from fitact_hw.campaign.list_run import ListRun
from fitact_hw.campaign.plan import CampaignOptions
from fitact_hw.campaign.pool import Forks, Pool
from fitact_hw.campaign.report.analysis import Analysis
from fitact_hw.campaign.snapshot import Campaign, load_campaign, options_of
from fitact_hw.campaign.store import CampaignError, OtherCampaignError, Store, store_path
from fitact_hw.faults import Sample, Shape
from fitact_hw.sites import list_sites
from tests.campaign.tiny import OPTIONS, Here, load, run_campaign
from tests.sim.machines import TINY

ALL = replace(OPTIONS, structures=(), faults=100, shape=Shape.SQUARE)
"""100 faults of each of two schemes: 200, some of several words."""

SITE = next(site for site in list_sites(TINY) if site.structure == "weight_buffer")
REGISTER = next(site for site in list_sites(TINY) if site.structure == "pe_psum")


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    folder = tmp_path_factory.mktemp("drawn")
    run_campaign(ALL, folder)
    return load_campaign(folder)


def judge(
    faults: FaultList, folder: Path, pool: Pool | None = None, options: CampaignOptions = OPTIONS, chunk: int = 500
) -> Campaign:
    run = ListRun(options, folder, pool or Here(), faults, note=lambda _: None, chunk=chunk, load=load)
    run.work()
    return load_campaign(folder)


def written(folder: Path, text: str, name: str = "faults.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("form", list(ExportFormat))
def test_faults_exported_and_judged_elsewhere_have_equal_statuses(
    campaign: Campaign, form: ExportFormat, tmp_path: Path
) -> None:
    assert len(campaign.rows) == 200
    path = tmp_path / f"faults{form.suffix}"
    export(campaign, form, path)
    again = judge(read_fault_list(path), tmp_path / "elsewhere", Forks(2), chunk=30)
    assert again.options.sample is Sample.LIST
    assert len({row.outcome for row in campaign.rows}) >= 4
    # which injections share a simulation, and so its length, is another question
    assert [replace(row, simulated_cycles=0) for row in again.rows] == [
        replace(row, simulated_cycles=0) for row in campaign.rows
    ]


def test_a_list_goes_on_where_it_was_stopped_without_its_file(campaign: Campaign, tmp_path: Path) -> None:
    path = tmp_path / "faults.csv"
    export(campaign, ExportFormat.CSV, path)
    faults = read_fault_list(path)
    with pytest.raises(KeyboardInterrupt):
        judge(faults, tmp_path / "run", Here(tasks=3), chunk=20)
    path.unlink()
    with Store(store_path(tmp_path / "run")) as store:
        options = options_of(store)
        assert 0 < len(store.present()) < 200
        assert store.facts()["planned"] == {"unprotected": 100, "fitact": 100}
    run = ListRun(options, tmp_path / "run", Here(), note=lambda _: None, load=load)
    totals = []
    run.work(lambda done, total, rows: totals.append(total))
    assert set(totals) == {200}
    assert [row.outcome for row in load_campaign(tmp_path / "run").rows] == [row.outcome for row in campaign.rows]


def test_a_list_of_ones_own(tmp_path: Path) -> None:
    """Columns site, word, bit, cycle; image and scheme may be missing: then image 0, every scheme."""
    lines = [f"{SITE.path},{word},0 3,{40 * word},1" for word in range(8)]
    path = written(tmp_path, "site,word,bit,cycle,image\n" + "\n".join(lines) + "\n")
    found = judge(read_fault_list(path), tmp_path / "run")
    assert [row.event for row in found.rows if row.scheme == "fitact"] == [
        f"{SITE.path}[{word}]^0x9@{40 * word}" for word in range(8)
    ]
    assert {(row.scheme, row.image, row.structure) for row in found.rows} == {
        ("fitact", 1, "weight_buffer"),
        ("unprotected", 1, "weight_buffer"),
    }
    assert found.identity["fault_list"] == found.options.fault_list
    assert len(found.options.fault_list) == 64
    with pytest.raises(CampaignError, match="has faults that no sample drew"):
        Analysis(found)


def test_another_list_is_another_campaign(tmp_path: Path) -> None:
    head = "site,bit,cycle\n"
    judge(read_fault_list(written(tmp_path, f"{head}{REGISTER.path},1,5\n")), tmp_path / "run")
    other = read_fault_list(written(tmp_path, f"{head}{REGISTER.path},2,5\n"))
    with pytest.raises(OtherCampaignError, match="other fault_list"):
        judge(other, tmp_path / "run")


def test_the_text_of_fault_simulators(tmp_path: Path) -> None:
    """Comments, blocks, ranges of cycles, several bits."""
    text = f"""
    // made by hand
    StatusDefinitions {{
        NA "not attempted";
    }}
    FaultList {{
        /* a comment
           of two lines */
        NA ~ (198:200) {{ FLOP "{REGISTER.path}[2]" }}
        NA ~ (7) {{ ARRY "{SITE.path}[1][0]" ARRY "{SITE.path}[2][4]" }} // image 1, scheme fitact
    }}
    """
    faults = read_fault_list(written(tmp_path, text, "list.sff"))
    ids = ["+".join(upset.id for upset in fault.upsets) for fault in faults.faults]
    assert ids == [
        *(f"{REGISTER.path}[0]^0x4@{cycle}" for cycle in (198, 199, 200)),
        f"{SITE.path}[1]^0x1@7+{SITE.path}[2]^0x10@7",
    ]
    assert [(fault.image, fault.scheme) for fault in faults.faults] == [(0, "")] * 3 + [(1, "fitact")]
    assert [fault.place for fault in faults.faults] == ["line 9"] * 3 + ["line 10"]


def test_stuck_bits_in_and_out(tmp_path: Path) -> None:
    """A list of stuck bits is judged, exported as a dictionary and judged again."""
    path = f"{REGISTER.path}[2]"
    text = "".join(f'NA {what} {{ FLOP "{path}" }}\n' for what in ("0", "1 (5)", "1 (5:300)"))
    faults = read_fault_list(written(tmp_path, text, "stuck.txt"))
    ids = [f"{REGISTER.path}[0]={what}" for what in ("0&0x4@0-", "1&0x4@5-", "1&0x4@5-300")]
    assert [upset.id for fault in faults.faults for upset in fault.upsets] == ids
    found = judge(faults, tmp_path / "run")
    assert [row.event for row in found.rows if row.scheme == "fitact"] == ids
    export(found, ExportFormat.DICTIONARY, tmp_path / "again.txt")
    again = judge(read_fault_list(tmp_path / "again.txt"), tmp_path / "again")
    assert [(row.event, row.outcome) for row in again.rows] == [(row.event, row.outcome) for row in found.rows]


def test_a_campaign_of_stuck_bits_says_what_it_costs(tmp_path: Path) -> None:
    options = replace(OPTIONS, fault_model="stuck-at-1", faults=6, images=1)
    said: list[str] = []
    run_campaign(options, tmp_path / "run", note=said.append)
    assert any("simulated from its first cycle to the end of its run" in text for text in said)
    found = load_campaign(tmp_path / "run")
    assert found.options == options
    assert "stuck-at-1 faults" in found.title
    assert {row.way for row in found.rows} == {"full"}
    assert all("=1&" in row.event for row in found.rows)
    export(found, ExportFormat.CSV, tmp_path / "faults.csv")
    again = judge(read_fault_list(tmp_path / "faults.csv"), tmp_path / "again")
    assert [row.outcome for row in again.rows] == [row.outcome for row in found.rows]


def refused(tmp_path: Path, lines: Sequence[str], head: str = "site,word,bit,cycle,image,scheme") -> list[str]:
    """What is said about a list of which something is wrong; nothing may be judged or stored."""
    path = written(tmp_path, "\n".join([head, *lines]) + "\n")
    with pytest.raises(FaultListError, match="cannot be judged, so none was") as error:
        judge(read_fault_list(path), tmp_path / "run")
    assert not store_path(tmp_path / "run").exists()
    return error.value.lines


def test_every_fault_that_does_not_exist_is_named_with_the_nearest(tmp_path: Path) -> None:
    misspelt = REGISTER.path.replace("psum_q", "psun_q")
    good = f"{SITE.path},0,0,5,0,"
    lines = refused(
        tmp_path,
        [
            good,
            f"{misspelt},0,0,5,0,",
            f"{SITE.path},{SITE.depth},0,5,0,",
            f"{SITE.path},0,{SITE.width},5,0,",
            f"{SITE.path},0,0,5,2,",
            f"{SITE.path},0,0,5,0,fitct",
        ],
    )
    assert len(lines) == 5
    assert lines[0].startswith(f"line 3: no storage at {misspelt} (nearest: {REGISTER.path}")
    assert lines[1:] == [
        f"line 4: word {SITE.depth} of {SITE.path}: it has words 0 to {SITE.depth - 1}",
        f"line 5: bit {SITE.width} of {SITE.path}: a word has bits 0 to {SITE.width - 1}",
        "line 6: image 2: this run has images 0 to 1 (--images)",
        "line 7: scheme 'fitct' must be unprotected or fitact; did you mean fitact? in this run (--schemes)",
    ]


def test_cycles_after_the_end_are_named(campaign: Campaign, tmp_path: Path) -> None:
    end = campaign.facts["cycles"]["fitact"]
    lines = refused(tmp_path, [f"{SITE.path},0,0,{end - 1},0,fitact", f"{SITE.path},0,0,{end},0,fitact"])
    assert lines == [f"line 3: cycle {end}: the run of fitact has cycles 0 to {end - 1}"]


def test_long_lists_of_errors_are_capped(tmp_path: Path) -> None:
    lines = refused(tmp_path, [f"{SITE.path},{SITE.depth + n},0,5,0," for n in range(50)])
    assert len(lines) == SHOWN + 1
    assert lines[-1] == f"... and {50 - SHOWN} more"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"{SITE.path},x,0,5,0,", "word x: must be a whole number"),
        (f"{SITE.path},0,,5,0,", "bit is missing"),
        (f"{SITE.path},0,99999999999,5,0,", "bit 99999999999: must be"),
        (f"{SITE.path},0,0,-1,0,", "cycle -1: must be a whole number"),
    ],
)
def test_lines_that_are_no_faults(tmp_path: Path, line: str, says: str) -> None:
    (found,) = refused(tmp_path, [line])
    assert found.startswith(f"line 2: {says}")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nonsense", "is no fault: write NA ~"),
        ('NA X (3) { FLOP "a[1]" }', "fault type X: must be ~"),
        ('NA ~ { FLOP "a[1]" }', "fault type ~: must be ~ (a bit flip, with its cycle)"),
        ('NA 1 (9:3) { FLOP "a[1]" }', "from a cycle to one that is not before it"),
        ('NA ~ (9:3) { FLOP "a[1]" }', "the first must not be after the last"),
        ('NA ~ (3) { PORT "a[1]" }', "only storage can be hit"),
        ('NA ~ (3) { FLOP "a" }', "say which bit"),
        ('NA ~ (3) { FLOP "a[1][2]" }', "a register is FLOP"),
        ("NA ~ (3) { }", "write { FLOP"),
    ],
)
def test_text_lines_that_are_no_faults(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(FaultListError) as error:
        read_fault_list(written(tmp_path, line + "\n", "faults.txt"))
    assert says in error.value.lines[0]
    assert "line 1" in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", "", "column site is missing: a fault list has event, or site, bit, cycle"),
        ("a.csv", "event\n", "has no faults"),
        ("a.parquet", "no parquet", "cannot be read as Parquet"),
        ("a.txt", "\n", "has no faults"),
    ],
)
def test_files_that_are_no_lists(tmp_path: Path, name: str, content: str, says: str) -> None:
    with pytest.raises(CampaignError, match=says):
        read_fault_list(written(tmp_path, content, name))


def test_every_column_of_an_export_is_a_column_of_a_row(campaign: Campaign, tmp_path: Path) -> None:
    export(campaign, ExportFormat.CSV, tmp_path / "faults.csv")
    with (tmp_path / "faults.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["event"] for row in rows] == [row.event for row in campaign.rows]
    assert [row["outcome"] for row in rows] == [row.outcome for row in campaign.rows]
