"""What moves numbers without computing: recognised as nothing, as a choice of channels, or as neither."""

from __future__ import annotations

import numpy as np
import pytest

from golden.frontend.views import Value, arranged, chosen_channels

NUMBERS = np.arange(24).reshape(4, 2, 3)


def test_the_order_of_memory_is_none() -> None:
    assert arranged(NUMBERS, 24) is None
    assert arranged(NUMBERS.reshape(2, 12), 24) is None
    for other in (NUMBERS[:3], NUMBERS.transpose(0, 2, 1), NUMBERS[::-1]):
        found = arranged(other, 24)
        assert found is other
    assert arranged(np.arange(24), 30) is not None, "the first of more numbers"


@pytest.mark.parametrize(
    ("index", "channels"),
    [
        (NUMBERS[[2, 0]], [2, 0]),
        (NUMBERS[[1, 1, 3]], [1, 1, 3]),
        (NUMBERS[:, ::-1], None),  # rows turned round
        (np.concatenate([NUMBERS[:1], NUMBERS[1:2, :, ::-1]]), None),  # one of two channels
        (NUMBERS[:, :1], None),  # rows left out
        (NUMBERS.reshape(2, 4, 3), None),  # more rows of fewer channels
    ],
)
def test_choices_of_whole_channels(index: np.ndarray, channels: list[int] | None) -> None:
    found = chosen_channels(index, index.shape, NUMBERS.shape)
    assert (None if found is None else found.tolist()) == channels


def test_a_value_knows_where_its_numbers_are() -> None:
    plain = Value("op", (4, 2, 3))
    np.testing.assert_array_equal(plain.indices(), NUMBERS)
    assert plain.image == (4, 2, 3)
    assert Value("op", (4, 6)).image == (4, 1, 6)
    assert Value("op", (24,)).image == (24, 1, 1)
    assert Value("op", (1, 4, 2, 3)).image is None
