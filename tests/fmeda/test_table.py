"""FIT and metrics: by hand, and the coverage of their intervals by simulation."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from fitact_hw.errors import FitActError
from fitact_hw.fmeda.classes import Class, Classes
from fitact_hw.fmeda.rates import FLIP_FLOP, SRAM, rates
from fitact_hw.fmeda.subjects import load, subjects
from fitact_hw.fmeda.table import MET, MISSED, OPEN, TOTAL, Part, lines, metrics

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
