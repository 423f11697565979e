"""The range check of parameters, against a check of every word of the corrupted network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from golden.bounds.granularity import Granularity
from golden.bounds.schemes import CHECKS, FITACT, UNPROTECTED, ParameterCheck, find_protection, title_of
from golden.bounds.stored import BoundFormat, fitted, shared
from golden.errors import GoldenError
from golden.fault_maps import corrupt, draw
from golden.parameter_check import checked, limits
from golden.qnetwork import Activation, QNetwork
from tests.exact.networks import network

EXACT, BITS = CHECKS["check"], CHECKS["bitcheck"]


def passes(word: int, most: int, check: ParameterCheck) -> bool:
    """In Python integers: within the largest magnitude ``most``, or with no bit but the sign's above its bits."""
    if check.exact:
        return abs(word) <= most
    return (word if word >= 0 else ~word).bit_length() <= most.bit_length()


def read_by_hand(clean: QNetwork, faulty: QNetwork, check: ParameterCheck) -> tuple[QNetwork, int]:
    """``faulty`` with every word that does not pass as zero, and how many those are."""
    layers, zeroed = [], 0
    for old, new in zip(clean.layers, faulty.layers, strict=True):
        changes: dict[str, object] = {}
        for kind in ("weight", "bias", "bound"):
            before, after = getattr(old, kind), getattr(new, kind)
            if before is None or (kind == "bias" and old.weight is None):
                continue
            words, fault_free = np.array(after, np.int64), np.asarray(before, np.int64)
            most = max(map(abs, fault_free.ravel().tolist()))
            outside = np.array([not passes(w, most, check) for w in words.ravel().tolist()])
            zeroed += int(outside.sum())
            words.reshape(-1)[outside] = 0
            changes[kind] = words if isinstance(after, np.ndarray) else int(words)
        layers.append(replace(new, **changes))  # type: ignore[arg-type]
    return replace(faulty, layers=tuple(layers)), zeroed


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize(("word_bits", "activation"), [(8, "relu"), (8, "clip"), (32, "clip"), (32, "saturate")])
def test_equals_a_check_of_every_word(check: ParameterCheck, word_bits: int, activation: Activation) -> None:
    qnet, total = network(2, word_bits, activation), 0
    for index in range(3):
        faults = draw(qnet, 0.02, 3, index)
        seen, hits = checked(qnet, faults, check)
        expected, zeroed = read_by_hand(qnet, corrupt(qnet, faults), check)
        found = corrupt(qnet, seen)
        for ours, theirs in zip(found.layers, expected.layers, strict=True):
            for kind in ("weight", "bias", "shift", "bound"):
                np.testing.assert_array_equal(getattr(ours, kind), getattr(theirs, kind), err_msg=f"{ours.name} {kind}")
        assert hits == zeroed
        total += hits
    assert total, "no word was beyond its limit: the test compared nothing"


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_a_fault_free_word_passes(check: ParameterCheck) -> None:
    for layer in network(2, 32, "clip").layers:
        for words in (layer.weight, layer.bias):
            if words is not None and words.size:
                least, most = limits(words, check)
                assert least <= words.min()
                assert words.max() <= most


def test_limits() -> None:
    words = np.array([-5, 3, 4])
    assert limits(words, EXACT) == (-5, 5)
    assert limits(words, BITS) == (-8, 7)
    assert limits(np.array([0]), EXACT) == (0, 0)


def test_a_scheme_and_a_check_compose() -> None:
    assert find_protection("fitact+check") == (FITACT, EXACT)
    assert find_protection("bitcheck") == find_protection("unprotected+bitcheck") == (UNPROTECTED, BITS)
    assert find_protection("fitact") == (FITACT, None)
    assert title_of("fitact+check") == "FitAct + range check"
    assert title_of("check") == "range check"
    assert title_of("fitact+other") == "fitact+other"
    with pytest.raises(GoldenError, match="check, bitcheck"):
        find_protection("fitact+other")
    with pytest.raises(GoldenError, match="unprotected, ranger"):
        find_protection("other+check")


def test_bounds_kept_as_codes_are_not_checked() -> None:
    """Every code is a legal bound: its flips stay as they are, those of other words do not."""
    qnet = fitted(network(2, 8, "clip"), Granularity.CHANNEL, BoundFormat.CODE)
    stored = {
        layer.name: shared(layer, Granularity.CHANNEL, BoundFormat.CODE, 8)
        for layer in qnet.layers if isinstance(layer.bound, np.ndarray)
    }  # fmt: skip
    assert stored
    faults = draw(qnet, 0.05, 1, 0, stored=stored)
    seen, hits = checked(qnet, faults, EXACT, stored)
    codes = [[flips for flips in part.flips if flips.segment.kind == "bound"] for part in (faults, seen)]
    assert codes[0]
    assert codes[0] == codes[1]
    assert hits
