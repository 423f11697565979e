"""FIT and metrics: by hand, and the coverage of their intervals by simulation."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from fitact_hw.errors import FitActError
from fitact_hw.estimation.intervals import Interval
from fitact_hw.fmeda.classes import Class, Classes
from fitact_hw.fmeda.rates import FLIP_FLOP, SRAM, rates
from fitact_hw.fmeda.subjects import load, subjects
from fitact_hw.fmeda.table import MET, MISSED, OPEN, TOTAL, Part, lines, metrics, verdicts
from tests.estimation.spelled import Spelled, expected_interval

DATA = Path(__file__).resolve().parents[2] / "docs/results/data/campaign_alexnet_16x16_q15_16_1x1.parquet"


def part(name: str, kind: str, bits: int, draws: int, **hits: int) -> Part:
    """All on one image."""
    return Part(name, kind, bits, np.array([draws]), {Class(key): np.array([count]) for key, count in hits.items()})


PARTS = (
    part("weight_buffer", SRAM, 2_000_000, 100, safe=80, dd=15, du=5, latent=0),
    part("pe_psum", FLIP_FLOP, 500_000, 50, safe=20, dd=10, du=10, latent=10),
)


def test_by_hand() -> None:
    """1000 FIT/Mbit of SRAM, 200 of flip-flops: 2000 and 100 FIT raw."""
    weight, psum, total = lines(PARTS, rates(sram=1000, flip_flop=200), 0.95)
    assert [weight.raw, psum.raw, total.raw] == [2000, 100, 2100]
    assert {klass: found.value for klass, found in weight.fit.items()} == pytest.approx(
        {Class.SAFE: 1600, Class.DD: 300, Class.DU: 100, Class.LATENT: 0}
    )
    assert {klass: found.value for klass, found in psum.fit.items()} == pytest.approx(
        {Class.SAFE: 40, Class.DD: 20, Class.DU: 20, Class.LATENT: 20}
    )
    assert total.name == TOTAL
    assert total.fit[Class.DU].value == pytest.approx(120)
    found = {metric.name: metric for metric in metrics(PARTS, rates(sram=1000, flip_flop=200), 0.95)}
    assert found["SPFM"].value.value == pytest.approx(1 - 120 / 2100)
    assert found["LFM"].value.value == pytest.approx(1 - 20 / (2100 - 120))
    assert found["PMHF"].value.value == pytest.approx(120)
    assert found["DC"].value.value == pytest.approx(320 / 440)
    assert found["SPFM"].verdicts[2] == MISSED
    assert found["LFM"].verdicts == (MET, MET, MET)
    assert found["PMHF"].verdicts == (OPEN, OPEN, MISSED)


def test_a_structure_of_a_published_campaign_by_hand() -> None:
    """From the columns of the file alone: bits x 1000 FIT/Mbit x share of SDC."""
    table = parquet.read_table(DATA, columns=["scheme", "structure", "outcome"]).to_pylist()
    counts = Counter(
        row["outcome"] for row in table if (row["scheme"], row["structure"]) == ("unprotected", "activation_buffer")
    )
    (subject,) = subjects([load(DATA)], ["unprotected"], Classes.load())
    line = next(line for line in lines(subject.parts, rates(), 0.95) if line.name == "activation_buffer")
    raw = 2 * 1024 * 1024 * 1000 / 1e6  # 4096 words of 16 lanes of 32 bits
    assert line.raw == pytest.approx(raw)
    assert set(counts) == {"masked", "benign", "sdc"}
    assert line.fit[Class.DU].value == pytest.approx(raw * counts["sdc"] / counts.total())
    assert line.fit[Class.SAFE].value == pytest.approx(raw * (counts["masked"] + counts["benign"]) / counts.total())
    assert line.fit[Class.DU].low < line.fit[Class.DU].value < line.fit[Class.DU].high
    assert line.fit[Class.LATENT].high == 0, "the table has no latent effect there"


def test_what_nothing_struck_is_bounded_and_not_estimated() -> None:
    empty = Part("bias_buffer", SRAM, 100_000, np.array([0]), {klass: np.array([0]) for klass in Class})
    *_, total = lines([*PARTS, empty], rates(sram=1000, flip_flop=200), 0.95)
    alone = lines(PARTS, rates(sram=1000, flip_flop=200), 0.95)[-1]
    assert total.fit[Class.DU].high == pytest.approx(alone.fit[Class.DU].high + 100)
    assert total.fit[Class.DU].low == pytest.approx(alone.fit[Class.DU].low)
    assert total.fit[Class.DU].unsampled == pytest.approx(100)


def test_external_memory_needs_a_rate() -> None:
    (subject,) = subjects([load(DATA)], ["fitact"], Classes.load(), external_mbit=95.6)
    with pytest.raises(FitActError, match=r"--external-fit is needed for 95\.6 Mbit"):
        lines(subject.parts, rates(), 0.95)
    found = lines(subject.parts, rates(external=10), 0.95)
    assert next(line.raw for line in found if line.name == "external_memory") == pytest.approx(956)


def test_intervals_cover_as_they_say() -> None:
    """Campaigns of a known machine, drawn again and again: each interval holds the truth at least as often."""
    rng = np.random.default_rng(1)
    bits = {"activation_buffer": 2_000_000, "weight_buffer": 1_000_000, "load": 3_000, "protection": 500_000}
    truth = {
        "activation_buffer": (0.95, 0.01, 0.04, 0.0),
        "weight_buffer": (0.985, 0.01, 0.005, 0.0),
        "load": (0.5, 0.4, 0.1, 0.0),
        "protection": (0.6, 0.2, 0.001, 0.199),
    }
    known = rates(sram=1000, flip_flop=1000)
    total = sum(bits.values()) / 1000
    dangerous, detected, latent = (sum(bits[name] / 1000 * truth[name][place] for name in bits) for place in (2, 1, 3))
    exact = {
        "SPFM": 1 - dangerous / total,
        "LFM": 1 - latent / (total - dangerous),
        "PMHF": dangerous,
        "DC": detected / (detected + dangerous),
    }
    held = Counter[str]()
    repetitions = 400
    for _ in range(repetitions):
        parts = []
        for name, size in bits.items():
            drawn = rng.multinomial(400 // 4, truth[name], size=4)  # four images
            hits = {klass: drawn[:, place] for place, klass in enumerate(Class)}
            parts.append(Part(name, SRAM if name.endswith("buffer") else FLIP_FLOP, size, drawn.sum(axis=1), hits))
        for metric in metrics(parts, known, 0.95):
            held[metric.name] += metric.value.low <= exact[metric.name] <= metric.value.high
    assert list(Class) == [Class.SAFE, Class.DD, Class.DU, Class.LATENT]
    slack = 3 * (0.95 * 0.05 / repetitions) ** 0.5  # three standard errors of the simulation
    assert {name: count for name, count in held.items() if count / repetitions < 0.95 - slack} == {}
    assert set(held) == set(exact)


@pytest.mark.parametrize(
    ("name", "edges", "at_least"),
    [
        ("SPFM", (0.90, 0.97, 0.99), True),  # ISO 26262-5:2018, table 4
        ("LFM", (0.60, 0.80, 0.90), True),  # table 5
        ("PMHF", (100.0, 100.0, 10.0), False),  # table 6: below 10^-7 and 10^-8 per hour
    ],
)
def test_targets_at_their_edges(name: str, edges: tuple[float, ...], at_least: bool) -> None:
    for level, edge in enumerate(edges):
        below, above = edge - 1e-9, edge + 1e-9
        for low, high, good in ((below, below, not at_least), (edge, edge, at_least), (edge, above, at_least)):
            assert verdicts(name, Interval(edge, low, high))[level] == (MET if good else MISSED), (low, high)
        assert verdicts(name, Interval(edge, below, edge))[level] == OPEN
        assert verdicts(name, Interval(edge, below, above))[level] == OPEN


def spelled(parts: list[Part], klass: Class, known: dict[str, float]) -> Spelled:
    """Of the parts in which the class is possible, each weighted with its FIT."""
    some = [item for item in parts if klass in item.hits]
    weights = [item.bits / 1e6 * known[item.kind] for item in some]
    return Spelled(weights, [p.draws.tolist() for p in some], [p.hits[klass].tolist() for p in some])


@pytest.mark.parametrize("seed", range(6))
def test_metrics_spelled_out(seed: int) -> None:
    """Parts without a latent class, several images, on odd seeds one that nothing struck; ends at 97.5 % (ratios)."""
    rng = np.random.default_rng(seed)
    parts = []
    for number, kind in enumerate((SRAM, SRAM, FLIP_FLOP)):
        classes = [klass for klass in Class if klass is not Class.LATENT or number != 1]
        drawn = rng.multinomial(30, rng.dirichlet(np.full(len(classes), 0.5)), size=5) * (number < 2 or seed % 2 == 0)
        parts.append(Part(f"p{number}", kind, int(rng.integers(10**5, 10**6)), drawn.sum(axis=1),
                          {klass: drawn[:, place] for place, klass in enumerate(classes)}))  # fmt: skip
    known = {SRAM: 1000.0, FLIP_FLOP: 300.0}
    total = sum(item.bits / 1e6 * known[item.kind] for item in parts)
    alone = expected_interval(spelled(parts, Class.DU, known), 0.95)
    wide = {k: expected_interval(spelled(parts, k, known), 0.975) for k in (Class.DD, Class.DU, Class.LATENT)}
    (dd, dd_low, dd_high), (du, du_low, du_high), (latent, latent_low, latent_high) = wide.values()
    rest = spelled(parts, Class.DU, known).rest
    expected = {
        "SPFM": (1 - alone[0] / total, 1 - alone[2] / total, 1 - alone[1] / total, rest / total),
        "LFM": (
            max(0.0, 1 - latent / (total - du)), max(0.0, 1 - latent_high / (total - du_high)),
            max(0.0, 1 - latent_low / (total - du_low)), spelled(parts, Class.LATENT, known).rest / total,
        ),
        "PMHF": (*alone, rest),
        "DC": (dd / (dd + du) if dd + du else 0.0, dd_low / (dd_low + du_high),
               dd_high / (dd_high + du_low), 1.0 if rest or not dd + du else 0.0),
    }  # fmt: skip
    for metric in metrics(parts, rates(sram=1000, flip_flop=300), 0.95):
        value = metric.value
        assert (value.value, value.low, value.high, value.unsampled) == pytest.approx(expected[metric.name]), metric
    for line in lines(parts, rates(sram=1000, flip_flop=300), 0.95)[:-1]:
        [own] = [item for item in parts if item.name == line.name]
        for klass in own.hits:
            found = line.fit[klass]
            assert (found.value, found.low, found.high) == pytest.approx(
                expected_interval(spelled([own], klass, known), 0.95)
            )


def test_lines_are_ordered_by_their_raw_rate_then_by_name() -> None:
    equal = [part("z", SRAM, 500, 1, du=1), part("a", SRAM, 500, 1, du=1), part("m", FLIP_FLOP, 9000, 1, du=1)]
    assert [line.name for line in lines(equal, rates(), 0.95)] == ["m", "a", "z", TOTAL]


def test_all_bad_ends_are_no_less_than_nothing() -> None:
    """The ends of both rates may add up to more than there is."""
    [metric] = [m for m in metrics([part("a", SRAM, 10**6, 60, du=2, latent=58)], rates(), 0.95) if m.name == "LFM"]
    assert metric.value.low == 0.0
    assert metric.value.value == pytest.approx(0.0)


def test_a_rate_of_zero_is_a_rate() -> None:
    assert rates(sram=0.0)[SRAM].fit_per_mbit == 0.0
    assert rates(sram=0.0)[FLIP_FLOP].fit_per_mbit == 1000


def test_what_rows_come_to() -> None:
    """Of the scheme's own rows, on their own images, by effect: a hang without a code is dangerous."""
    campaign = load(DATA)
    scheme = campaign.options.schemes[-1]
    row = next(row for row in campaign.rows if row.scheme == scheme)
    rows = tuple(
        replace(row, number=n, image=image, structure="protection", outcome=outcome, code=code, corrected_words=words)
        for n, (image, outcome, code, words) in enumerate(
            [(0, "hang", 0, 0), (1, "hang", 5, 0), (1, "masked", 0, 0), (2, "masked", 0, 1), (2, "benign", 0, 0)]
        )
    )
    other = replace(row, scheme=campaign.options.schemes[0], structure="protection", outcome="sdc", image=0)
    bits = {"protection": 70}
    changed = replace(campaign, rows=(*rows, other), facts={**campaign.facts, "bits": bits})
    (subject,) = subjects([changed], [scheme], Classes.load())
    (found,) = subject.parts
    images = campaign.options.images
    assert found.draws.tolist() == [[1, 2, 2, *[0] * (images - 3)]]
    assert {klass: hits[0, :3].tolist() for klass, hits in found.hits.items()} == {
        Class.DU: [1, 0, 0], Class.DD: [0, 1, 1], Class.LATENT: [0, 1, 0], Class.SAFE: [0, 0, 1],
    }  # fmt: skip
    assert (found.kind, found.bits) == (FLIP_FLOP, 70)
