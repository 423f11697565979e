"""Strata and their draws on a machine that does not exist, small enough to list every point."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from fitact_hw.campaign.plan import CampaignOptions
from fitact_hw.campaign.rounds import Rounds
from fitact_hw.campaign.strata import PARTS, Population, draw, make_strata
from fitact_hw.campaign.stratified import StratifiedRun
from fitact_hw.injection.live_points import LivePoints
from fitact_hw.injection.timeline import Timeline

LAYERS = 30
CYCLES = 10 * LAYERS + 7


@dataclass(frozen=True)
class Place:
    path: str
    width: int
    depth: int


STORAGES: dict[str, Sequence[Place]] = {
    "weight_buffer": [Place("u_w", 3, 5)],
    "bias_buffer": [Place("u_b", 2, 4)],
    "pe_psum": [Place("u_p0", 2, 1), Place("u_p1", 4, 1)],
    "output_buffer": [Place("u_o", 2, 3)],
}
BITS = {"weight_buffer": 15, "bias_buffer": 8, "pe_psum": 6, "output_buffer": 6}
BASE = Timeline("base", tuple(f"layer{n}" for n in range(LAYERS)), np.arange(1, LAYERS + 1) * 10, CYCLES)


def live_points() -> LivePoints:
    """Weights: as many live points in every layer; biases: many in few of them; output words: none."""
    live = LivePoints(BASE)
    words, first = np.repeat(np.arange(2), LAYERS), np.tile(np.arange(LAYERS) * 10 + 2, 2)
    live.buffers["u_w"] = words, first, first + 4
    live.buffers["u_b"] = np.array([0, 1, 3]), np.array([3, 7, 200]), np.array([95, 18, CYCLES - 1])
    live.buffers["u_o"] = (np.zeros(0, np.int64),) * 3
    return live


def points_of(structure: str) -> set[tuple[str, int, int]]:
    """(path, cell, cycle) of every live point."""
    live, found = live_points(), set()
    for place in STORAGES[structure]:
        if place.path in live.buffers:
            spans = list(zip(*(part.tolist() for part in live.buffers[place.path]), strict=True))
        else:
            spans = [(word, 0, CYCLES - 1) for word in range(place.depth)]
        for word, first, last in spans:
            for cycle in range(first, last + 1):
                found |= {(place.path, word * place.width + bit, cycle) for bit in range(place.width)}
    return found


def groups(counts: list[int]) -> list[tuple[int, int]]:
    """Layers in order until they hold a part of all points, spelled out."""
    found, kept, first = [], 0, 0
    for layer, count in enumerate(counts):
        kept += count
        if PARTS * kept >= sum(counts) or layer == len(counts) - 1:
            found.append((first, layer))
            first, kept = layer + 1, 0
    return found


@pytest.fixture(scope="module")
def population() -> Population:
    return make_strata(live_points(), STORAGES, images=8, few=3, bits=BITS)


def test_strata_are_layers_in_groups(population: Population) -> None:
    for structure in ("weight_buffer", "bias_buffer"):
        cycles = [cycle for _, _, cycle in points_of(structure)]
        ends = [*BASE.ends[:-1].tolist(), CYCLES]
        begins = [0, *ends[:-1]]
        counts = [sum(begin <= cycle < end for cycle in cycles) for begin, end in zip(begins, ends, strict=True)]
        expected = []
        for first, last in groups(counts):
            if points := sum(counts[first : last + 1]):
                expected.append((f"layer{first}", f"layer{last}", begins[first], ends[last], points, 8))
        found = [s for s in population.strata if s.structure == structure]
        assert [(s.first, s.last, s.begin, s.end, s.points, s.images) for s in found] == expected
        assert len(found) > 3
    [registers] = [s for s in population.strata if s.structure == "pe_psum"]
    assert (registers.begin, registers.end, registers.points, registers.images) == (0, CYCLES, 6 * CYCLES, 3)
    assert (registers.first, registers.last) == ("layer0", f"layer{LAYERS - 1}")
    assert "output_buffer" not in {s.structure for s in population.strata}


def test_equally_many_points_make_as_many_parts() -> None:
    """As many layers as parts: each is one, though none holds more than its share."""
    base = Timeline("base", tuple(f"layer{n}" for n in range(PARTS)), np.arange(1, PARTS + 1) * 10, 10 * PARTS)
    live = LivePoints(base)
    live.buffers["u_w"] = np.zeros(PARTS, int), np.arange(PARTS) * 10, np.arange(PARTS) * 10 + 4
    found = make_strata(live, {"weight_buffer": STORAGES["weight_buffer"]}, 8, 3, {"weight_buffer": 15})
    assert [(s.first, s.last, s.points) for s in found.strata] == [(f"layer{n}", f"layer{n}", 15) for n in range(PARTS)]


def test_few_images_are_no_more_than_there_are() -> None:
    found = make_strata(live_points(), {"pe_psum": STORAGES["pe_psum"]}, 2, 3, {"pe_psum": 6})
    assert [s.images for s in found.strata] == [2]


def test_shares_are_of_all_points(population: Population) -> None:
    assert population.points == sum(BITS.values()) * CYCLES
    assert population.shares == pytest.approx([s.points / (sum(BITS.values()) * CYCLES) for s in population.strata])
    assert population.share_of("bias_buffer") == 8 / 35
    assert Population.from_json(population.to_json()) == population


def test_draws_are_points_of_their_stratum_each_as_likely(population: Population) -> None:
    for structure in ("bias_buffer", "pe_psum"):
        stratum = [s for s in population.strata if s.structure == structure][-1]
        inside = {point for point in points_of(structure) if stratum.begin <= point[2] < stratum.end}
        assert len(inside) == stratum.points
        count = 12 * stratum.points
        drawn = draw(stratum, live_points(), STORAGES, 1, range(count))
        width = {place.path: place.width for place in STORAGES[structure]}
        seen = Counter(
            (u.site, u.word * width[u.site] + u.mask.bit_length() - 1, u.cycle) for e, _ in drawn for u in e.upsets
        )
        assert set(seen) <= inside
        # chi-squared of a uniform distribution: mean points - 1, variance twice that
        spread = sum((seen[point] - 12) ** 2 / 12 for point in inside)
        assert abs(spread - stratum.points) < 5 * (2 * stratum.points) ** 0.5


def test_images_take_turns_in_an_order_of_their_own(population: Population) -> None:
    first, second = population.strata[:2]
    orders = []
    for stratum in (first, second):
        images = [image for _, image in draw(stratum, live_points(), STORAGES, 1, range(40))]
        blocks = [images[start : start + 8] for start in range(0, 40, 8)]
        assert all(sorted(block) == list(range(8)) for block in blocks)
        assert len({tuple(block) for block in blocks}) > 1
        orders.append(images)
    assert orders[0] != orders[1], "each stratum has an order of its own"


def test_a_draw_depends_on_seed_stratum_and_number_alone(population: Population) -> None:
    stratum = population.strata[1]
    whole = draw(stratum, live_points(), STORAGES, 1, range(50))
    assert draw(stratum, live_points(), STORAGES, 1, [7, 31, 30]) == [whole[7], whole[31], whole[30]]
    assert draw(stratum, live_points(), STORAGES, 1, []) == []
    other = draw(stratum, live_points(), STORAGES, 2, range(50))
    assert [event.id for event, _ in whole] != [event.id for event, _ in other]
    assert [image for _, image in whole] != [image for _, image in other]


def test_draws_are_the_same_for_ever(population: Population) -> None:
    """Stores go on with what an earlier release drew."""
    drawn = [draw(stratum, live_points(), STORAGES, 5, [0, 3]) for stratum in population.strata]
    text = "".join(f"{event.id} {image}\n" for of_stratum in drawn for event, image in of_stratum)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "a3b2b2469194aeb1"


def test_a_campaign_draws_each_stratum_through_all_rounds(population: Population) -> None:
    """Numbers count through rounds, then strata; those of a stratum are its first draws, one after the other."""
    counts = len(population.strata)
    rounds = Rounds(population).with_round([2] * counts).with_round(range(1, counts + 1))
    run = StratifiedRun.__new__(StratifiedRun)
    run._live, run._storages, run._rounds, run.options = live_points(), STORAGES, rounds, CampaignOptions(seed=9)
    drawn = run._make_draw()
    assert drawn.base is run._live.base
    starts = np.concatenate([[0], np.cumsum(rounds.draws)])
    for number, stratum in enumerate(population.strata):
        expected = draw(stratum, live_points(), STORAGES, 9, range(2 + number + 1))
        places = [
            place for cell in (number, counts + number) for place in range(int(starts[cell]), int(starts[cell + 1]))
        ]
        assert [(drawn.events[place], drawn.images[place]) for place in places] == expected
