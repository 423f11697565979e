"""Fault records, sampling and classification, without a simulator."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from fitact_hw.faults import (
    FaultError,
    FaultEvent,
    Outcome,
    Shape,
    Upset,
    classify,
    sample,
)
from fitact_hw.registers import ErrorCode


@dataclass(frozen=True)
class Memory:
    """The least that a fault site has."""

    path: str
    width: int
    depth: int


BUFFER = Memory("u_buffers.u_weight.data_mem", 5, 8)
REGISTER = Memory("u_array.g_row[1].g_col[0].u_pe.weight_q", 4, 1)


def bits(event: FaultEvent) -> set[tuple[int, int]]:
    """(word, bit) of every cell that flips."""
    return {(u.word, b) for u in event.upsets for b in range(u.mask.bit_length()) if u.mask >> b & 1}


def test_id_and_json_are_complete() -> None:
    upset = Upset(REGISTER.path, 0, 1 << 130 | 5, 77)
    assert Upset.parse(upset.id) == upset == Upset.from_json(upset.to_json())
    event = FaultEvent("pe_weight", Shape.SQUARE, (upset, Upset(BUFFER.path, 2, 1, 77)))
    assert FaultEvent.from_json(event.to_json()) == event
    assert FaultEvent.parse(event.id, "pe_weight", Shape.SQUARE) == event
    assert (event.bits, event.cycle) == (4, 77)


@pytest.mark.parametrize("text", ["", "a.b_q", "a.b_q[0]^5@3", "a.b_q[0]^0x5", "a.b_q[x]^0x1@1", "a[0]^0x0@1"])
def test_bad_ids_are_refused(text: str) -> None:
    with pytest.raises(FaultError):
        Upset.parse(text)


@pytest.mark.parametrize("value", [{}, {"site": "a", "word": 1, "mask": 3, "cycle": 1}])
def test_bad_records_are_refused(value: dict[str, object]) -> None:
    with pytest.raises(FaultError):
        Upset.from_json(value)


def test_sampling_repeats_and_extends() -> None:
    structures = {"weight": [BUFFER], "pe": [REGISTER]}
    events = sample(structures, 40, 1000, seed=5)
    assert events == sample(structures, 40, 1000, seed=5)
    assert events[:10] == sample(structures, 10, 1000, seed=5)
    assert events != sample(structures, 40, 1000, seed=6)
    assert Counter(event.structure for event in events) == {"weight": 20, "pe": 20}
    alone = sample({"pe": [REGISTER]}, 20, 1000, seed=5)
    assert alone == [event for event in events if event.structure == "pe"]


def test_sampling_is_uniform_over_bits_and_cycles() -> None:
    """A structure of two storages of different size: every bit and cycle equally often (chi-squared, p = 1e-6)."""
    from scipy.stats import chi2

    other = Memory("u_buffers.u_bias.data_mem", 3, 2)
    events = sample({"both": [BUFFER, other]}, 9200, 10, seed=1)
    cells = Counter((event.upsets[0].site, *next(iter(bits(event)))) for event in events)
    cycles = Counter(event.cycle for event in events)
    for counts, size in ((cells, 46), (cycles, 10)):
        assert len(counts) == size
        statistic = sum((n - 9200 / size) ** 2 / (9200 / size) for n in counts.values())
        assert statistic < chi2.isf(1e-6, size - 1)


@pytest.mark.parametrize("shape", list(Shape))
@pytest.mark.parametrize("interleave", [1, 4])
def test_shapes_are_physical_neighbours(shape: Shape, interleave: int) -> None:
    for event in sample({"weight": [BUFFER]}, 200, 10, seed=2, shape=shape, interleave=interleave):
        cells = {(w // interleave, b * interleave + w % interleave) for w, b in bits(event)}
        rows, cols = {r for r, _ in cells}, {c for _, c in cells}
        height = min(shape.rows, BUFFER.depth // interleave)
        assert len(cells) == height * shape.cols
        assert (max(rows) - min(rows) + 1, max(cols) - min(cols) + 1) == (height, shape.cols)
        assert all(0 <= w < BUFFER.depth and 0 <= b < BUFFER.width for w, b in bits(event))
        words = [u.word for u in event.upsets]
        if shape is Shape.COLUMNS_2:
            assert len(words) == (2 if interleave > 1 else 1), "interleaving must spread neighbours over words"


def test_registers_are_hit_in_one_row() -> None:
    for event in sample({"pe": [REGISTER]}, 50, 10, seed=3, shape=Shape.SQUARE):
        assert len(event.upsets) == 1
        assert event.bits == 2


@pytest.mark.parametrize(("structures", "cycles"), [({}, 10), ({"weight": [BUFFER]}, 0), ({"none": []}, 10)])
def test_nothing_to_sample(structures: dict[str, list[Memory]], cycles: int) -> None:
    with pytest.raises(FaultError):
        sample(structures, 1, cycles, seed=1)


def test_classification() -> None:
    reference = np.array([[1, 5, 2], [7, 0, 0]])
    benign, wrong = np.array([[1, 6, 2], [7, 0, 0]]), np.array([[10, 5, 2], [7, 0, 0]])
    none = ErrorCode.NONE
    assert classify(True, none, reference, reference) is Outcome.MASKED
    assert classify(True, none, benign, reference) is Outcome.BENIGN
    assert classify(True, none, wrong, reference) is Outcome.SDC
    assert classify(False, none, reference, reference) is Outcome.HANG
    expected = {
        ErrorCode.ILLEGAL_INSTRUCTION: Outcome.DETECTED,
        ErrorCode.ADDRESS: Outcome.BUS_ERROR,
        ErrorCode.BUS: Outcome.BUS_ERROR,
        ErrorCode.WATCHDOG: Outcome.HANG,
        ErrorCode.BUFFER_RANGE: Outcome.DETECTED,
        ErrorCode.TOKEN_OVERFLOW: Outcome.DETECTED,
        ErrorCode.UNCORRECTED_WORD: Outcome.DETECTED,
    }
    assert {none, *expected} == set(ErrorCode)
    assert {code: classify(False, code, reference, reference) for code in expected} == expected
    assert classify(False, 9, reference, reference) is Outcome.DETECTED, "an upset made the code"


def test_the_last_row_of_interleaved_words_may_be_partly_filled() -> None:
    """Seven words, four in a row: the pattern at the end of the last row lacks the cells of an eighth word."""
    memory = Memory("u_buffers.u_bias.data_mem", 3, 7)
    events = sample({"bias": [memory]}, 600, 10, seed=3, shape=Shape.SQUARE, interleave=4)
    sizes = Counter(len(bits(event)) for event in events)
    assert all(word < memory.depth and bit < memory.width for event in events for word, bit in bits(event))
    assert set(sizes) == {3, 4}
    assert {word for event in events for word, _ in bits(event)} == set(range(7))


def test_the_shortest_run_has_one_cycle() -> None:
    assert {event.cycle for event in sample({"weight": [BUFFER]}, 20, 1, seed=2)} == {0}
