"""Products of 8-bit words in integers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from golden.exact import integer
from golden.exact.kernels import Weights
from tests.exact.computers import logits_under_faults
from tests.exact.networks import network

CPU = torch.device("cpu")
needs_instructions = pytest.mark.skipif(not integer.available(), reason="this CPU has no 8-bit dot products")


@needs_instructions
@pytest.mark.parametrize("depth", [1, 3, 27, 64, 4608])
def test_products_are_exact(depth: int) -> None:
    rng = np.random.default_rng(depth)
    a, b = (rng.integers(-128, 128, shape, dtype=np.int8) for shape in ((5, depth), (depth, 7)))
    a[0], b[:, 0] = -128, -128
    found = integer.product(torch.from_numpy(a), torch.from_numpy(b))
    np.testing.assert_array_equal(found.numpy(), a.astype(np.int64) @ b.astype(np.int64))


@needs_instructions
def test_only_words_go_through_bytes() -> None:
    layer = network(1, 8).layer("stem")
    weights = Weights(layer, CPU, torch.float32)
    g = weights.geometry
    x = torch.full((1, g.rows, g.columns, g.inputs), 200.0)  # as the sums of a pool may be
    assert weights.bytes is not None
    assert torch.equal(weights.direct(x, 200.0), weights.direct(x / 2, 100.0) * 2)
    assert Weights(layer, CPU, torch.float64).bytes is None


@needs_instructions
def test_computers_with_and_without_the_instructions_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for available in (True, False):
        monkeypatch.setattr(integer, "available", lambda available=available: available)
        found.append(logits_under_faults(8, 1e-3))
    np.testing.assert_array_equal(found[0], found[1])


def test_a_library_that_saturates_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def saturating(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        pairs = a.long().unsqueeze(2) * b.long()
        return pairs.view(len(a), -1, 2, b.shape[1]).sum(dim=2).clamp(-(1 << 15), (1 << 15) - 1).sum(dim=1)

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_vnni": True})
    monkeypatch.setattr(integer, "product", saturating)
    assert not integer.available.__wrapped__()
    monkeypatch.setattr(integer, "product", lambda a, b: a.long() @ b.long())
    assert integer.available.__wrapped__()
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert not integer.available.__wrapped__()
