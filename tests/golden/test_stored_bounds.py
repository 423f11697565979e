"""Storage of bounds: codes, groups and what flips do to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.bounds.code import LEVELS, decode, encode
from golden.bounds.granularity import SHARED, Granularity, groups
from golden.bounds.stored import BoundFormat, regroup
from golden.errors import GoldenError
from golden.fault_maps import corrupt, draw
from tests.exact.networks import network

bounds = st.lists(st.integers(0, (1 << 31) - 1), min_size=1, max_size=50).map(lambda v: np.array(v, np.int64))


def test_levels_are_one_exponent_and_one_mantissa_digit() -> None:
    assert LEVELS.tolist() == [0, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384]


@given(bounds)
def test_codes_round_up_by_at_most_half(values: np.ndarray) -> None:
    codes, base = encode(values)
    coded = decode(codes, base)
    assert ((codes >= 0) & (codes < 16)).all()
    assert (coded >= values).all()
    smallest = int(decode(np.array(1), base))
    assert (coded <= np.maximum(values * 1.5 + 1, smallest)).all()
    assert (coded[values == 0] == 0).all()
    assert (decode(np.maximum(codes - 1, 0), base) < np.maximum(values, 1)).all()


@given(bounds)
def test_no_flip_of_a_code_lifts_a_bound_beyond_the_layer(values: np.ndarray) -> None:
    codes, base = encode(values)
    lifted = max(int(decode(codes ^ (1 << bit), base).max()) for bit in range(4))
    assert lifted <= max(1, 2 * int(values.max()))


def test_negative_bounds_have_no_code() -> None:
    with pytest.raises(GoldenError, match="negative"):
        encode(np.array([-1]))


@pytest.mark.parametrize(("granularity", "count"), [("layer", 1), ("channel", 3), ("patch", 27), ("neuron", 75)])
def test_groups_of_an_odd_map(granularity: str, count: int) -> None:
    group = groups((3, 5, 5), Granularity(granularity))
    assert sorted(set(group.ravel().tolist())) == list(range(count))
    if granularity == "patch":
        assert group[0, 0, 0] == group[0, 1, 1] != group[0, 0, 2]
        assert group[0, 4, 4] != group[0, 3, 3]
        assert (group == group[1, 2, 2]).sum() == 4


@pytest.mark.parametrize("granularity", SHARED)
@pytest.mark.parametrize("form", list(BoundFormat))
@pytest.mark.parametrize("saturate", [False, True])
def test_regrouped_bounds_are_maxima_of_their_group(
    granularity: Granularity, form: BoundFormat, saturate: bool
) -> None:
    qnet = network(1, 32)
    coarse, stored = regroup(qnet, granularity, saturate, form)
    assert stored.keys() == {layer.name for layer in qnet.layers if layer.bound is not None}
    for layer in qnet.layers:
        if layer.bound is None:
            assert coarse.layer(layer.name) is layer
            continue
        group = groups(layer.out_shape, granularity)
        fine, new = (
            np.asarray(layer.bound),
            np.broadcast_to(np.asarray(coarse.layer(layer.name).bound), layer.out_shape),
        )
        for number in np.unique(group):
            peak = fine[group == number].max()
            assert len(set(new[group == number].tolist())) == 1
            if form is BoundFormat.WORD:
                assert (new[group == number] == peak).all()
            else:
                assert (new[group == number] >= peak).all()
        assert coarse.layer(layer.name).activation == ("saturate" if saturate else "clip")
        bits = 32 if form is BoundFormat.WORD else 4
        assert stored[layer.name].storage_bits == (int(group.max()) + 1) * bits


def test_flips_hit_the_stored_code_and_the_whole_group() -> None:
    qnet = network(2, 32)
    coarse, stored = regroup(qnet, Granularity.CHANNEL, False, BoundFormat.CODE)
    faults = draw(coarse, 0.02, 1, 0, stored=stored)
    hit = {f.segment.layer: f for f in faults.flips if f.segment.kind == "bound"}
    assert hit
    faulty = corrupt(coarse, faults, stored)
    for name, flips in hit.items():
        kept = stored[name]
        assert flips.segment.bits == 4
        assert kept.base is not None
        codes = kept.raw.copy()
        for element, bit in zip(flips.element, flips.bit, strict=True):
            codes[element] ^= 1 << int(bit)
        bound = np.asarray(faulty.layer(name).bound)
        for channel, code in enumerate(codes):
            assert (bound[channel] == min(int(decode(code, kept.base)), kept.top)).all()


def test_a_network_without_bounds_cannot_be_regrouped() -> None:
    with pytest.raises(GoldenError, match="no bounds"):
        regroup(network(1, 8, "relu"), Granularity.LAYER, False, BoundFormat.WORD)


@pytest.mark.parametrize("base", [-16, -3, -1, 0, 1, 5, 22])
def test_bounds_at_a_level_are_stored_exactly(base: int) -> None:
    """A bound that is a level keeps its value and gets that level's code; one more gets the next level."""
    levels = decode(np.arange(16), base)
    peak = int(levels[-1])
    exact = np.unique(levels)
    codes, found = encode(np.append(exact, peak))
    np.testing.assert_array_equal(decode(codes, found)[:-1], exact)
    if base >= 0:
        assert found == base
        assert codes[:-1].tolist() == list(range(16))
        above, _ = encode(np.append(levels[:-1] + 1, peak))
        assert above[:-1].tolist() == list(range(1, 16))
    larger = encode(np.array([peak + 1]))[1]
    assert int(decode(np.array(15), larger - 1)) <= peak < int(decode(np.array(15), larger))


def test_the_least_base_holds_the_smallest_bounds() -> None:
    codes, base = encode(np.array([0, 1]))
    assert base == -16
    assert decode(codes, base).tolist() == [0, 1]
    assert encode(np.zeros(3, np.int64))[0].tolist() == [0, 0, 0]
