"""Changes straight from a fault map are those between the networks."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from golden.errors import GoldenError
from golden.exact.patch import LayerPatch, WeightChanges, patch_between, patch_of
from golden.fault_maps import Memory, corrupt, draw
from tests.exact.networks import network

CPU = torch.device("cpu")


def contents(value: Any) -> Any:
    """Dataclasses and tensors as what can be compared."""
    if isinstance(value, LayerPatch | WeightChanges):
        return {field.name: contents(getattr(value, field.name)) for field in fields(value)}
    return value.tolist() if isinstance(value, Tensor) else value


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1 << 20),
    word_bits=st.sampled_from([8, 16, 32]),
    activation=st.sampled_from(["relu", "clip", "saturate"]),
    neuron_bounds=st.booleans(),
    rate=st.sampled_from([0.0, 1e-5, 1e-3, 1e-1]),
    memory=st.builds(Memory, st.booleans(), st.booleans()),
)
def test_both_ways_to_a_patch_agree(
    seed: int, word_bits: int, activation: str, neuron_bounds: bool, rate: float, memory: Memory
) -> None:
    qnet = network(seed, word_bits, activation, neuron_bounds)  # type: ignore[arg-type]
    faults = draw(qnet, rate, seed, 0, memory)
    expected = patch_between(qnet, corrupt(qnet, faults), CPU)
    found = patch_of(qnet, faults, None, CPU)
    assert list(found) == list(expected)
    for name, layer in expected.items():
        assert contents(found[name]) == contents(layer), name


@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_refuses_the_map_of_another_network(kind: str) -> None:
    faults = draw(network(1, 32, "relu"), 0.01, 1, 0)
    faults = type(faults)(1, 0.01, 0, tuple(flips for flips in faults.flips if flips.segment.kind == kind))
    assert faults.count() > 0
    with pytest.raises(GoldenError, match="another network"):
        patch_of(network(1, 8, "relu"), faults, None, CPU)
