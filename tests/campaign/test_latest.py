"""One large thing in memory at a time."""

from __future__ import annotations

import pytest

from fitact_hw.campaign.latest import Latest


def test_the_one_before_is_gone_when_the_next_is_made() -> None:
    alive = 0

    class Large:
        def __init__(self, key: str) -> None:
            nonlocal alive
            assert alive == 0
            self.key = key
            alive += 1

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    latest = Latest(Large)
    first = id(latest("a"))
    assert id(latest("a")) == first
    assert [latest(key).key for key in ("b", "a", "a")] == ["b", "a", "a"]
    latest.forget()
    assert alive == 0


def test_a_failure_keeps_nothing() -> None:
    wanted = iter([1, None, 2])

    def make(key: str) -> int:
        if (value := next(wanted)) is None:
            raise OSError(key)
        return value

    latest = Latest(make)
    assert latest("a") == 1
    with pytest.raises(OSError, match="b"):
        latest("b")
    assert latest("a") == 2
