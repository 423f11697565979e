"""The ring in which buffer words are allocated."""

from __future__ import annotations

import numpy as np

from fitact_hw.compiler.ring import Ring


def test_regions_keep_their_pitch_at_the_end_of_the_ring() -> None:
    """A region that fits the last words, but not with its pitch, goes to the start: equal regions never meet."""
    ring = Ring(np.full(12, -1, np.int64))
    ring.limit(2, 12, pitch=4)
    starts = [ring.allocate(key, 2)[0].start for key in "abcd"]
    assert starts == [2, 6, 2, 6]
    assert [ring.find(key) is not None for key in "abcd"] == [False, False, True, True]


def test_the_last_piece_of_every_overwritten_word_counts() -> None:
    ring = Ring(np.full(8, -1, np.int64))
    first, before = ring.allocate("a", 3)
    second, _ = ring.allocate("b", 3)
    assert before == -1
    ring.use(first, 4)
    ring.use(second, 9)
    ring.reserve(6)
    third, last = ring.allocate("c", 6)
    assert (third.start, third.stop, last) == (0, 6, 9)
    assert ring.find("a") is ring.find("b") is None
    fourth, free = ring.allocate("d", 2)
    assert (fourth.start, free) == (6, -1)
    assert ring.find("c") is third


def test_regions_side_by_side_do_not_evict_each_other() -> None:
    ring = Ring(np.full(6, -1, np.int64))
    regions = [ring.allocate(key, 2)[0] for key in "abc"]
    assert [ring.find(key) for key in "abc"] == regions
    ring.allocate("d", 1)
    assert ring.find("a") is None
    assert ring.find("b") is regions[1]
    ring.limit(3, 6)
    assert ring.words == 3
    assert ring.allocate("e", 3)[0].start == 3


def test_a_region_that_begins_within_an_older_one_evicts_it() -> None:
    """After other limits the ring may go on in the middle of what lies there."""
    ring = Ring(np.full(8, -1, np.int64))
    ring.allocate("a", 3)
    older, _ = ring.allocate("b", 3)
    ring.use(older, 7)
    ring.limit(4, 6)
    region, last = ring.allocate("c", 2)
    assert (older.start, region.start, last) == (3, 4, 7)
    assert ring.find("a") is not None
    assert ring.find("b") is None


def test_a_set_that_fills_the_ring_exactly_lies_together_from_its_start() -> None:
    """Larger ones do not fit, and change nothing."""
    for words, start in ((6, 0), (7, 2)):
        ring = Ring(np.full(6, -1, np.int64))
        ring.allocate("a", 2)
        ring.reserve(words)
        assert ring.allocate("b", 2)[0].start == start
