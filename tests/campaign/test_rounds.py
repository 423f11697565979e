"""What the rounds of a stratified campaign say, against sums over its injections one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from fitact_hw.campaign.report.measures import MEASURES
from fitact_hw.campaign.report.weighting import Weighting
from fitact_hw.campaign.rounds import Found, Rounds
from fitact_hw.campaign.store import Row
from fitact_hw.campaign.strata import Population, Stratum
from fitact_hw.campaign.stratified import WAY_CYCLES, cost_of, next_round
from fitact_hw.campaign.targets import Quantity
from fitact_hw.estimation.allocation import allocation
from fitact_hw.estimation.intervals import Interval
from fitact_hw.injection.verdict import Mechanism
from fitact_hw.reporting.formats import percent
from tests.estimation.spelled import Spelled, effect, ends, expected_interval

SCHEMES = ("one", "other")
IMAGES = 4
POPULATION = Population(
    (
        Stratum("a_buffer", "x", "x", 0, 10, 300, IMAGES),
        Stratum("a_buffer", "y", "z", 10, 30, 500, IMAGES),
        Stratum("b", "x", "z", 0, 30, 90, 2),
    ),
    3000,
    {"a_buffer": 70, "b": 20, "c": 10},
)
DRAWS = ((9, 7, 5), (12, 20, 8))
ROUNDS = Rounds(POPULATION).with_round(DRAWS[0]).with_round(DRAWS[1])
OUTCOMES = ("masked", "benign", "sdc", "detected", "hang", "bus_error")
ROW = Row(
    *("one", 0, 0, "a_buffer", "x", "u_x", 0, 0, 1, 5, "u_x[0]^0x1@5"),
    *("masked", 0, 100, "full", 10, 1, "[1, 2]", ""),
)  # fmt: skip


def make_rows(seed: int = 3) -> list[Row]:
    """Every injection of both schemes, in no order."""
    rng = np.random.default_rng(seed)
    rows, number = [], 0
    for draws in DRAWS:
        for stratum, count in zip(POPULATION.strata, draws, strict=True):
            for _ in range(count):
                image = int(rng.integers(stratum.images))
                for scheme in SCHEMES:
                    outcome = str(rng.choice(OUTCOMES, p=(0.5, 0.1, 0.25, 0.05, 0.05, 0.05)))
                    way = str(rng.choice([way.value for way in Mechanism]))
                    row = replace(ROW, scheme=scheme, number=number, image=image, outcome=outcome, way=way)
                    cycle, cycles, simulated = (int(rng.integers(*span)) for span in ((0, 30), (20, 60), (1, 99)))
                    rows.append(
                        replace(
                            row, structure=stratum.structure, cycle=cycle, cycles=cycles, simulated_cycles=simulated
                        )
                    )
                number += 1
    return [rows[n] for n in rng.permutation(len(rows))]


ROWS = make_rows()
BY_NUMBER = {(row.scheme, row.number): row for row in ROWS}


def cells() -> list[tuple[int, int, list[int]]]:
    """Round, stratum and injection numbers of each cell."""
    found, number = [], 0
    for turn, draws in enumerate(DRAWS):
        for stratum, count in enumerate(draws):
            found.append((turn, stratum, list(range(number, number + count))))
            number += count
    return found


def spelled(hit: Callable[[int], bool], names: Sequence[str] = (), share: float | None = None) -> Spelled:
    """Weights of rounds by their size, of strata by their points; counts of draws and hits by image."""
    total = sum(map(sum, DRAWS))
    if share is None:
        share = sum(POPULATION.bits[name] for name in names) / 100 if names else 1.0
    weights, draws, hits = [], [], []
    for turn, number, inside in cells():
        stratum = POPULATION.strata[number]
        counts = not names or stratum.structure in names
        weights.append(counts * sum(DRAWS[turn]) / total * stratum.points / 3000 / share)
        images = [BY_NUMBER["one", n].image for n in inside]
        draws.append([images.count(i) for i in range(IMAGES)])
        hits.append([sum(hit(n) for n in inside if BY_NUMBER["one", n].image == i) for i in range(IMAGES)])
    return Spelled(weights, draws, hits)


def same(found: Interval, value: float, low: float, high: float) -> None:
    assert (found.value, found.low, found.high) == pytest.approx((value, low, high))


def expected_difference(one: Spelled, other: Spelled, confidence: float) -> tuple[float, float, float]:
    wider = effect([(one, 1), (other, -1)], confidence)
    (low, high), (other_low, other_high) = (ends(part, wider, confidence) for part in (one, other))
    value = one.value - other.value
    below = ((one.value - low) ** 2 + (other_high - other.value) ** 2) ** 0.5
    return value, value - below, value + ((high - one.value) ** 2 + (other.value - other_low) ** 2) ** 0.5


def test_rates() -> None:
    """Asked for one after another of the same object, which keeps what it has computed."""
    found = Found(ROUNDS, ROWS, SCHEMES)
    for confidence in (0.95, 0.8):
        for scheme in SCHEMES:
            for outcomes in (("sdc",), ("sdc", "hang")):
                for names in ((), ("a_buffer",), ("b",), ("a_buffer", "b")):
                    part = spelled(lambda n, s=scheme, o=outcomes: BY_NUMBER[s, n].outcome in o, names)  # type: ignore[misc]
                    same(found.rate(scheme, outcomes, names, confidence), *expected_interval(part, confidence))
    assert found.images == IMAGES


@pytest.mark.parametrize("names", [(), ("a_buffer",), ("b",)])
def test_differences(names: tuple[str, ...]) -> None:
    def only(scheme: str, rival: str) -> Spelled:
        return spelled(lambda n: BY_NUMBER[scheme, n].outcome == "sdc" != BY_NUMBER[rival, n].outcome, names)

    one, other = only("one", "other"), only("other", "one")
    expected = expected_difference(one, other, 0.9)
    same(Found(ROUNDS, ROWS, SCHEMES).difference("one", "other", ("sdc",), names, 0.9), *expected)
    weighting = Weighting(ROUNDS, ROWS, SCHEMES, 0.9)
    if len(names) < 2:
        found = weighting.difference("one", "other", "sdc", names[0] if names else None)
        assert (found.value, found.low, found.high) == pytest.approx(expected)
        counted = [number for number, weight in enumerate(one.weights) if weight]
        first, second = (sum(sum(part.hits[number]) for number in counted) for part in (one, other))
        assert (found.only_first, found.only_second) == (first, second)
        assert found.total == sum(sum(one.draws[number]) for number in counted)
        assert found.p == pytest.approx(stats.binomtest(first, first + second).pvalue)


def test_only_complete_rounds_count() -> None:
    total = sum(map(sum, DRAWS))
    first = sum(DRAWS[0])
    for kept, rounds in ((total, 2), (total - 1, 1), (first + 1, 1), (first, 1), (first - 1, 0)):
        # of one scheme all are there
        rows = [row for row in ROWS if row.number < kept or row.scheme == "one"]
        found = Found(ROUNDS, rows, SCHEMES)
        assert found.rounds.draws == DRAWS[:rounds]
        for scheme in SCHEMES:
            assert [row.number for row in found.rows[scheme]] == list(range(sum(map(sum, DRAWS[:rounds]))))
    assert Rounds.from_json(ROUNDS.to_json()) == ROUNDS
    assert (ROUNDS.sizes, ROUNDS.total) == ([21, 40], 61)


@pytest.mark.parametrize("measure", MEASURES)
def test_estimates_of_a_domain(measure: str) -> None:
    """Injections of cycle 10 and later in the buffer: of a known share of all points, or as many as they are."""
    failing = {
        **{outcome: {outcome} for outcome in OUTCOMES},
        "failure": {"sdc", "detected", "hang", "bus_error"},
        "effect": {"benign", "sdc", "detected", "hang", "bus_error"},
    }
    weighting = Weighting(ROUNDS, ROWS, SCHEMES, 0.9)
    for scheme in SCHEMES:
        domain = [row for row in weighting.rows[scheme] if row.structure == "a_buffer" and row.number % 3]
        numbers = {row.number for row in domain}

        def hit(n: int, s: str = scheme, inside: set[int] = numbers) -> bool:
            return n in inside and BY_NUMBER[s, n].outcome in failing[measure]

        part = spelled(hit, ("a_buffer",), 0.6)
        found = weighting.estimates(scheme, domain, 0.6)[measure]
        expected = expected_interval(part, 0.9)
        assert (found.value, found.low, found.high) == pytest.approx([min(1.0, end) for end in expected])
        assert (found.hits, found.total) == (sum(map(hit, numbers)), len(numbers))
        # without a share: each cell weighs what its draws in the domain stand for, all of them together 1
        cell = [
            sum(n in numbers for n in inside) * part.factor[number] for number, (_, _, inside) in enumerate(cells())
        ]
        inside = [
            [sum(n in numbers and BY_NUMBER["one", n].image == i for n in members) for i in range(IMAGES)]
            for _, _, members in cells()
        ]
        own = Spelled([weight / sum(cell) for weight in cell], inside, part.hits)
        found = weighting.estimates(scheme, domain, None)[measure]
        assert (found.value, found.low, found.high) == pytest.approx(expected_interval(own, 0.9))


def test_a_small_domain_weighs_no_more_than_it_is() -> None:
    weighting = Weighting(ROUNDS, ROWS, SCHEMES, 0.95)
    rows = [row for row in weighting.rows["one"] if row.structure == "a_buffer"]
    found = weighting.estimates("one", rows, 0.01)["effect"]
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_work() -> None:
    weighting = Weighting(ROUNDS, ROWS, SCHEMES, 0.95)
    everywhere = spelled(lambda n: True)
    weights = {n: everywhere.factor[number] for number, (_, _, inside) in enumerate(cells()) for n in inside}
    rows = [BY_NUMBER["one", n] for n in weights]
    live = sum(weights[row.number] for row in rows if row.way != "dead")
    judged = [row for row in rows if row.way in ("reconverged", "golden", "full")]
    rtl = sum(weights[row.number] for row in judged)
    cycles = sum(weights[row.number] * row.simulated_cycles for row in judged) / rtl
    assert weighting.work("one") == (
        f"{percent(live)} of upsets not settled by look-up; {percent(rtl)} in RTL, {cycles:,.0f} cycles each"
    )
    assert weighting.population_live == pytest.approx(890 / 3000)
    assert weighting.images == IMAGES
    half = expected_interval(spelled(lambda n: BY_NUMBER["other", n].outcome == "sdc"), 0.95)
    assert weighting.half_width("other") == pytest.approx((half[2] - half[1]) / 2)


def test_cost_of_an_injection() -> None:
    """RTL to the end costs the cycles from the strike to the fault-free end, at most."""
    for way, cycles in WAY_CYCLES.items():
        assert cost_of(replace(ROW, way=way.value), 1000) == cycles
    near = WAY_CYCLES[Mechanism.RECONVERGED]
    for cycle, end, wanted in ((100, 700, 600), (100, 5000, 900), (800, 700, 0)):
        assert cost_of(replace(ROW, way="full", cycle=cycle, cycles=end), 1000) == near + wanted


def test_the_next_round_follows_the_mean_variance_of_the_schemes_and_the_mean_cost() -> None:
    found = Found(ROUNDS, ROWS, SCHEMES)
    variances, costs = [], []
    for stratum in range(3):
        numbers = [n for _, s, inside in cells() if s == stratum for n in inside]
        spread, cost = [], 0.0
        for scheme in SCHEMES:
            rows = [BY_NUMBER[scheme, n] for n in numbers]
            q = (sum(row.outcome == "sdc" for row in rows) + 0.5) / (len(rows) + 1)
            spread.append(q * (1 - q))
            cost += sum(cost_of(row, 35) for row in rows) / len(rows)
        variances.append(sum(spread) / 2)
        costs.append(cost)
    expected = allocation(POPULATION.shares, np.array(variances), np.array(costs), 500)
    machine = [Quantity(scheme) for scheme in SCHEMES]
    assert next_round(found, 500, 35, machine).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("quantity", "inside", "share"),
    [
        (Quantity("one", "other"), (1, 1, 1), 1.0),
        (Quantity("one", structure="a_buffer"), (1, 1, 0), 0.7),
        (Quantity("other", layer="y"), (0, 1, 1), 0.4),
        (Quantity("one", "other", structure="b"), (0, 0, 1), 0.2),
    ],
)
def test_a_round_goes_where_a_target_is_uncertain(quantity: Quantity, inside: tuple[int, ...], share: float) -> None:
    found = Found(ROUNDS, ROWS, SCHEMES, {"x": (0, 10), "y": (10, 22), "z": (22, 30)})
    variances = []
    for stratum in range(3):
        numbers = [n for _, s, members in cells() if s == stratum for n in members]
        hits = 0
        for n in numbers:
            fails = BY_NUMBER[quantity.scheme, n].outcome == "sdc"
            if quantity.rival:
                fails = fails != (BY_NUMBER[quantity.rival, n].outcome == "sdc")
            hits += fails and quantity.layer in ("", BY_NUMBER["one", n].layer)
        q = (hits + 0.5) / (len(numbers) + 1)
        variances.append(inside[stratum] * (q if quantity.rival else q * (1 - q)) / share**2)
    drawn = [len([n for _, s, members in cells() if s == stratum for n in members]) for stratum in range(3)]
    costs = [
        sum(cost_of(BY_NUMBER[scheme, n], 35) for scheme in SCHEMES for _, s, m in cells() if s == stratum for n in m)
        / drawn[stratum]
        for stratum in range(3)
    ]
    expected = allocation(POPULATION.shares, np.array(variances), np.array(costs), 500)
    assert next_round(found, 500, 35, [quantity]).tolist() == expected.tolist()


def test_rate_of_a_layer() -> None:
    """Strata that it shares with others have its hits among all their draws; share: 12 of 30 cycles."""
    rows = [replace(row, layer="y" if row.number % 3 else "z") for row in ROWS]
    found = Found(ROUNDS, rows, SCHEMES, {"x": (0, 10), "y": (10, 22), "z": (22, 30)})
    for scheme in SCHEMES:
        part = spelled(lambda n, s=scheme: n % 3 > 0 and BY_NUMBER[s, n].outcome == "sdc", (), 0.4)  # type: ignore[misc]
        weights = [0.0 if number % 3 == 0 else weight for number, weight in enumerate(part.weights)]  # stratum 0: x
        expected = expected_interval(Spelled(weights, part.draws, part.hits), 0.9)
        same(found.of(Quantity(scheme, layer="y"), ("sdc",), 0.9), *expected)
    pair = found.of(Quantity("one", "other", "b"), ("sdc",), 0.9)
    assert pair == found.difference("one", "other", ("sdc",), ["b"], 0.9)
