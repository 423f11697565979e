"""Hits of the clamps as the fast layers count them: those of the reference, whatever the numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from golden import reference
from golden.exact import limbs
from golden.exact.clamps import bounded_layers, clamp_values, clean_hits, count_hits
from golden.exact.evaluator import engine_of
from golden.exact.kernels import word_type
from golden.exact.words import Words
from golden.qnetwork import INPUT, Activation
from tests.exact.networks import inputs, network

MARGINS = (0, 1, 3)


@pytest.fixture(autouse=True, scope="module", params=["as the CPU can", "in floating point"])
def both_ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where there is a matrix unit, all again without."""
    if request.param == "as the CPU can":
        yield
        return
    if limbs.library() is None:
        pytest.skip("this CPU has no matrix unit (AMX)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limbs, "library", lambda: None)
        yield


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1 << 20),
    word_bits=st.sampled_from([8, 16, 32]),
    activation=st.sampled_from(["relu", "clip", "saturate"]),
    neuron_bounds=st.booleans(),
    full_range=st.booleans(),
)
def test_hits_and_outputs_are_the_reference_s(
    seed: int, word_bits: int, activation: Activation, neuron_bounds: bool, full_range: bool
) -> None:
    """Every layer from the reference's own inputs: each kind, with residuals, and with sums that wrap."""
    qnet = network(seed, word_bits, activation, neuron_bounds, full_range)
    trace = reference.run(qnet, inputs(seed, word_bits, 3))

    def words(name: str) -> Words:
        data = torch.from_numpy(np.ascontiguousarray(trace[name].transpose(0, 2, 3, 1))).to(word_type(word_bits))
        return Words(data, float(data.abs().max()))

    for layer in qnet.layers:
        engine = engine_of(layer, qnet, torch.device("cpu"))
        residual = words(layer.residual.source) if layer.residual else None
        output, values = clamp_values(engine, words(layer.source), residual)
        acc = reference.accumulate(layer, trace[layer.source])
        if layer.residual is not None:
            acc = acc + (trace[layer.residual.source] << layer.residual.lshift)
        wide = reference.rounded(layer, acc, qnet.acc_bits)
        np.testing.assert_array_equal(values.permute(0, 3, 1, 2).numpy(), wide)
        np.testing.assert_array_equal(output.permute(0, 3, 1, 2).numpy(), trace[layer.name])
        expected = [reference.clamp_hits(layer, wide, margin).reshape(len(wide), -1).sum(axis=1) for margin in MARGINS]
        np.testing.assert_array_equal(count_hits(engine, values, MARGINS).numpy(), np.stack(expected, axis=1))
        assert (layer.bound is None) <= (not np.any(expected))
    hits, logits = clean_hits(qnet, trace[INPUT], MARGINS, chunk=2)
    np.testing.assert_array_equal(logits, trace[qnet.layers[-1].name].reshape(3, -1))
    assert hits.shape == (3, len(bounded_layers(qnet)), len(MARGINS))
    for name, found in zip(bounded_layers(qnet), hits.transpose(1, 0, 2), strict=True):
        layer = qnet.layer(name)
        acc = reference.accumulate(layer, trace[layer.source])
        if layer.residual is not None:
            acc = acc + (trace[layer.residual.source] << layer.residual.lshift)
        wide = reference.rounded(layer, acc, qnet.acc_bits)
        for number, margin in enumerate(MARGINS):
            np.testing.assert_array_equal(found[:, number], reference.clamp_hits(layer, wide, margin).sum((1, 2, 3)))


def test_a_hit_is_what_the_clamp_changes() -> None:
    """With margin 0: exactly the words that the same layer would give otherwise with the largest bound."""
    qnet = network(4, 8)
    trace = reference.run(qnet, inputs(4, 8, 4))
    layer = next(item for item in qnet.layers if item.bound is not None)
    wide = reference.rounded(layer, reference.accumulate(layer, trace[layer.source]), qnet.acc_bits)
    hits = reference.clamp_hits(layer, wide)
    np.testing.assert_array_equal(hits, np.maximum(wide, 0) != trace[layer.name])
    assert 0 < hits.sum() < hits.size
