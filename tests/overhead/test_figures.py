"""From mapped blocks to figures, noise and files: with given figures, so that every sum can be checked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fitact_hw.config import AcceleratorConfig
from fitact_hw.overhead import charts, tables
from fitact_hw.overhead.cost import UNITS, Cost, build, delta, evaluate, pooled
from fitact_hw.overhead.mapping import Mapped, map_block
from fitact_hw.overhead.metrics import Metric, Results, all_metrics, lane_of
from fitact_hw.overhead.schemes import SCHEMES, short_of
from fitact_hw.overhead.sram import SramModel
from fitact_hw.overhead.technology import Technology
from fitact_hw.reporting.figures import save_png

CONFIG = AcceleratorConfig.create(rows=2, cols=2, activation_words=64, weight_words=16)


def block(name: str, area: float) -> Mapped:
    return Mapped(name, 4, area, 10.0, area / 2, 3, 7.0, 1.5, 0.1, 1.2, 0.4)


@pytest.fixture(scope="module")
def costs(cache: Path) -> dict[str, Cost]:
    """Machines whose blocks have made-up areas: 1000 um2, lanes with bounds 1100, codecs 50."""

    def area(scheme_key: str, unit: str, name: str) -> float:
        plain = ("unprotected", "check", "bitcheck", "parity", "secded", "tmr")
        bounded = ("lane" in name or "clamp" in name) and scheme_key not in plain
        return 50.0 if unit == "protection" else 1100.0 if bounded else 1000.0

    result = {}
    for scheme in SCHEMES:
        machine = build(CONFIG, scheme, SramModel(), cache)
        mapped = {
            use.block.key: block(use.block.name, area(scheme.key, use.unit, use.block.name)) for use in machine.uses
        }
        result[scheme.key] = Cost(machine, mapped)
    return result


@pytest.fixture(scope="module")
def results(costs: dict[str, Cost]) -> Results:
    return Results(costs, {}, {}, {}, {}, 7.26)


def test_totals_are_sums_of_blocks_and_macros(costs: dict[str, Cost]) -> None:
    cost = costs["fitact"]
    assert cost.logic() == pytest.approx(sum(u.count * cost.mapped[u.block.key].area for u in cost.machine.uses))
    assert cost.logic() == pytest.approx(sum(cost.logic(u) for u in UNITS))
    assert cost.total == pytest.approx(cost.logic() + cost.memory)
    assert cost.memory == pytest.approx(sum(b.figures.area for b in cost.machine.buffers))


def test_differences_are_split_into_logic_and_memory(costs: dict[str, Cost]) -> None:
    base = costs["unprotected"]
    logic, memory, total = delta(costs["fitact"], base)
    bound = next(b for b in costs["fitact"].machine.buffers if b.name == "bound")
    assert memory == pytest.approx(bound.figures.area / base.total)
    assert total == pytest.approx(logic + memory)
    assert delta(costs["tmr"], base)[1] == 0.0
    assert delta(base, base) == (0.0, 0.0, 0.0)


def test_noise_comes_from_blocks_that_differ(costs: dict[str, Cost]) -> None:
    base = costs["unprotected"]
    assert base.logic_error(base) == 0.0
    assert costs["parity"].logic_error(base, "array") == 0.0
    lane_error = 10.0 / 4**0.5
    assert costs["tmr"].logic_error(base, "lanes") == pytest.approx(2 * 2 * 2**0.5 * lane_error), (
        "two more copies of two lanes, each a body and a clamp"
    )


def test_within_noise_is_said_where_it_is() -> None:
    metric = Metric(
        "area",
        "x",
        "um2",
        {"unprotected": 100.0, "ranger": 101.0, "fitact": 110.0, "tmr": 100.0},
        {"ranger": 2.0, "fitact": 2.0, "tmr": 2.0},
    )
    assert tables.cell(metric, "unprotected") == "100"
    assert tables.cell(metric, "ranger") == "101 (within noise)"
    assert tables.cell(metric, "fitact") == "110 (+10.0%)"
    assert tables.cell(metric, "tmr") == "100 (=)"
    new = replace(metric, values={"unprotected": 0.0, "fitact": 5.0})
    assert tables.cell(new, "fitact") == "5 (new)"


def test_files_hold_what_was_measured(results: Results, tmp_path: Path) -> None:
    header = tables.Header((("machine", "2x2; words: 64"), ("library", "made up"), ("wire load", "none, pre-layout")))
    metrics = all_metrics(results)
    data = json.loads(json.dumps(tables.to_json(header, metrics, results)))
    assert data["header"]["library"] == "made up"
    total = next(m for m in data["metrics"] if m["name"] == "total")
    assert total["values"]["fitact"] == pytest.approx(results.costs["fitact"].total)
    assert data["area_added"]["tmr"]["memory"] == 0.0
    assert {m["name"] for m in data["macros"]["fitact"]} > {"bound", "activation"}
    assert data["flop_memories"]

    page = tables.markdown(header, metrics, results, "fitact overhead")
    assert "pre-layout" in page
    for scheme in SCHEMES:
        assert short_of(scheme.key) in page
    rows = [line for line in page.splitlines() if line.startswith("| lane") or line.startswith("| logic: lanes")]
    assert rows

    save_png(charts.comparison(data), tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_a_real_lane_costs_more_with_a_bound(tech: Technology, cache: Path, costs: dict[str, Cost]) -> None:
    """The one end-to-end mapping: plain and clipped lane, with the noise of two scripts."""
    areas, flops = [], []
    body = map_block(
        next(u.block for u in costs["fitact"].machine.uses if u.block.name == "fitact_lane"), tech, cache, ["plain"]
    )
    assert 2.0 < body.delay < 10.0
    assert body.abc_delay == pytest.approx(body.delay, rel=0.2), "our timing and ABC's agree"
    assert body.sram_path > 0.0
    for key in ("unprotected", "clipact"):
        clamp = next(u.block for u in costs[key].machine.uses if u.block.name == "fitact_clamp_mode")
        mapped = map_block(clamp, tech, cache, ["plain", "balanced"])
        assert mapped.runs == 2
        assert 0.0 < mapped.delay < body.delay, "the clamp is not what limits the lane"
        areas.append(body.area + mapped.area)
        flops.append(mapped.flops)
        before = sorted(cache.glob("cache/*.json"))
        assert map_block(clamp, tech, cache, ["plain", "balanced"]) == mapped
        assert sorted(cache.glob("cache/*.json")) == before, "the second time comes from the cache"
    assert flops[1] - flops[0] == CONFIG.word_bits, "the bound register and nothing else"
    assert 1.0 < areas[1] / areas[0] < 1.15


def test_evaluate_maps_shared_blocks_once(monkeypatch: pytest.MonkeyPatch, tech: Technology, tmp_path: Path) -> None:
    """Which block is mapped how often: shared ones with one script, the lane with all."""
    asked: dict[str, list[int]] = {}

    def fake(work: list, *rest: object) -> dict[str, Mapped]:
        for item, names in work:
            asked.setdefault(item.name, []).append(len(names))
        return {item.key: block(item.name, 1.0) for item, _ in work}

    monkeypatch.setattr("fitact_hw.overhead.cost.map_all", fake)
    costs = evaluate(CONFIG, tech, SramModel(), tmp_path, schemes=SCHEMES[:4])
    assert set(costs) == {"unprotected", "ranger", "clipact", "fitact"}
    assert asked["fitact_pe"] == [1]
    assert len(asked["fitact_clamp_mode"]) == 3, "Clip-Act and FitAct have the same clamp"
    assert min(asked["fitact_clamp_mode"]) == 8
    assert asked["fitact_lane"] == [1], "the rest of the lane is the same in all machines"
    assert set(asked["fitact_sequencer"]) == {2}
    assert set(asked["fitact_lanes"]) == {4}
    lane = lane_of(costs["fitact"])
    assert (lane.name, lane.area) == ("fitact_lane", 2.0), "body and clamp"


def test_spread_is_pooled_over_variants() -> None:
    """Two variants of one block, one whose two runs happened to agree; a block that ran once has no spread."""
    lucky, other = replace(block("x", 100.0), area_sd=0.0), replace(block("x", 200.0), area_sd=4.0)
    once = replace(block("y", 100.0), runs=1, area_sd=0.0)
    result = pooled({"a": lucky, "b": other, "c": once})
    spread = (0.02**2 / 2) ** 0.5
    assert result["a"].area_sd == pytest.approx(100 * spread)
    assert result["b"].area_sd == pytest.approx(200 * spread)
    assert result["c"].area_sd == 0.0
