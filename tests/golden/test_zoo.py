"""The zoo: every network is close to float and exact on machines of three sides and three widths."""

from __future__ import annotations

import pytest

from tests.golden.agreement import agree
from tests.golden.zoo import ZOO, build


@pytest.mark.parametrize("name", list(ZOO))
@pytest.mark.parametrize("side", [3, 8])
def test_zoo(name: str, side: int) -> None:
    net, shape = build(name)
    agree(net, shape, side=side)
