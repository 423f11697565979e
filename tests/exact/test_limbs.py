"""Layers by the matrix unit: every bit as in int64, and all works without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from golden.exact import kernels, limbs
from golden.exact.epilogue import Parameters, finish_wide
from golden.exact.kernels import Geometry
from golden.exact.limb_layer import limb_layer
from golden.exact.limbs import LARGEST, Changes, LimbWeights
from golden.exact.words import Words
from golden.qnetwork import Activation, Axis
from tests.exact.computers import logits_under_faults, printed, without_compiler_or_cache

CPU = torch.device("cpu")
needs_unit = pytest.mark.skipif(limbs.library() is None, reason="this CPU has no matrix unit (AMX)")


def integers(rng: np.random.Generator, low: int, high: int, *shape: int) -> Tensor:
    """int64 from low to high, with both among them."""
    values = rng.integers(low, high + 1, shape)
    values.flat[0], values.flat[-1] = low, high
    return torch.from_numpy(values)


def limb_weights(matrix: Tensor) -> LimbWeights:
    library = limbs.library()
    assert library is not None
    return LimbWeights(library, matrix)


def square(channels: int, outputs: int, side: int, out_side: int, kernel: int, stride: int, padding: int) -> Geometry:
    axis = Axis(kernel, stride, padding, padding)
    return Geometry(channels, outputs, side, side, out_side, out_side, axis, axis)


@st.composite
def axes(draw: st.DrawFn) -> Axis:
    """One axis of a convolution; its padding may differ before and after."""
    kernel = draw(st.sampled_from([1, 2, 3, 4]))
    pads = st.integers(0, kernel // 2)
    return Axis(kernel, draw(st.sampled_from([1, 2])), draw(pads), draw(pads))


@needs_unit
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_layers_equal_the_int64_epilogue_of_exact_sums(data: st.DataObject) -> None:
    draw_one = data.draw
    rng = np.random.default_rng(draw_one(st.integers(0, 1 << 20)))
    down, across = draw_one(axes()), draw_one(axes())
    rows, columns = draw_one(st.integers(4, 9)), draw_one(st.integers(4, 9))
    channels, outputs = draw_one(st.sampled_from([1, 3, 16, 64, 70])), draw_one(st.sampled_from([1, 8, 16, 37, 300]))
    images = draw_one(st.integers(1, 5))
    out = (down.windows(rows), across.windows(columns))
    g = Geometry(channels, outputs, rows, columns, *out, down, across)
    shape = (images, *out, outputs)

    low, high = draw_one(st.sampled_from([(-127, 127), (-0x7F7F, 99), (-0x7F7F7F, 0x7F7F7F), (0, (1 << 31) - 1)]))
    x = integers(rng, low, high, images, rows, columns, channels)
    matrix = integers(rng, -LARGEST, LARGEST, g.area * channels, outputs)
    residual = integers(rng, -(1 << 31), (1 << 31) - 1, *shape) if draw_one(st.booleans()) else None
    activation: Activation = draw_one(st.sampled_from(["linear", "relu", "clip", "saturate"]))
    bound = None
    if activation in ("clip", "saturate"):
        bound = (
            integers(rng, -5, 1 << 30, *shape[1:]).double() if draw_one(st.booleans()) else int(rng.integers(1 << 30))
        )
    acc_bits = draw_one(st.sampled_from([48, 64]))
    parameters = Parameters(
        integers(rng, -(1 << 62), 1 << 62, outputs),
        torch.from_numpy(rng.choice([0, 1, 16, 30, 47], outputs)),
        activation, bound, acc_bits, (1 << 31) - 1, torch.float64,
    )  # fmt: skip
    kept = torch.empty(shape, dtype=torch.int64) if draw_one(st.booleans()) else None

    peak = float(max(high, -low)) if draw_one(st.booleans()) else 2.0**31
    operand = None if residual is None else (residual.double(), 5)
    found = limb_layer(limb_weights(matrix), g, Words(x.double(), peak), operand, parameters, kept=kept)
    assert found is not None
    sums = kernels.wide(x, matrix.double(), g)
    assert kept is None or torch.equal(kept, sums)
    total = sums if residual is None else sums + (residual << 5)
    assert torch.equal(found, finish_wide(total, parameters))


@needs_unit
def test_the_deepest_layer_does_not_overflow() -> None:
    for word, weight in ((0x7FFFFFFF, -LARGEST), (0x7F7F7F, LARGEST), (0x7F7F8080, -0x7E8080)):
        matrix = torch.full((limbs.MOST_TERMS, 1), weight)
        g = square(limbs.MOST_TERMS, 1, 1, 1, 1, 1, 0)
        nothing = torch.zeros(1, dtype=torch.int64)
        parameters = Parameters(nothing, nothing, "linear", None, 64, 1, torch.float64)
        x = Words(torch.full((1, 1, 1, limbs.MOST_TERMS), float(word), dtype=torch.float64), float(word))
        found = limb_layer(
            limb_weights(matrix), g, x, None, parameters, kept=(sums := torch.empty(1, 1, 1, 1, dtype=torch.int64))
        )
        assert found is not None
        assert int(sums) == (limbs.MOST_TERMS * word * weight + (1 << 63)) % (1 << 64) - (1 << 63)


@needs_unit
@pytest.mark.parametrize("threads", [1, 3])
def test_images_do_not_depend_on_their_company(threads: int) -> None:
    rng = np.random.default_rng(4)
    g = square(64, 32, 16, 16, 3, 1, 1)
    weights = limb_weights(integers(rng, -1000, 1000, 9 * 64, 32))
    x = integers(rng, 0, 1 << 23, 40, 16, 16, 64).double()
    nothing = torch.zeros(32, dtype=torch.int64)
    parameters = Parameters(nothing, nothing, "relu", None, 64, (1 << 31) - 1, torch.float64)

    def run(part: Tensor) -> Tensor:
        found = limb_layer(weights, g, Words(part, 2.0**31), None, parameters)
        assert found is not None
        return found

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        together = run(x)
    finally:
        torch.set_num_threads(before)
    assert together.count_nonzero() > 0
    assert torch.equal(together, torch.cat([run(image.unsqueeze(0)) for image in x]))


@needs_unit
def test_words_with_too_many_digits_are_refused() -> None:
    weights = limb_weights(torch.ones(1, 1))
    g = square(1, 1, 1, 1, 1, 1, 0)
    nothing = torch.zeros(1, dtype=torch.int64)
    parameters = Parameters(nothing, nothing, "linear", None, 64, (1 << 31) - 1, torch.float64)
    for words, fits in (
        ([-0x7F7F7F, 5], True),
        ([-0x7F7F80, 5], False),
        ([-1, 0x7F7F80], False),
        ([2.0**31, 0], False),
    ):
        x = Words(torch.tensor(words, dtype=torch.float64).view(2, 1, 1, 1), 2.0**31)
        assert (limb_layer(weights, g, x, None, parameters) is not None) == fits, words


@needs_unit
@pytest.mark.parametrize("largest", [127, LARGEST, (1 << 31) - 1])
@pytest.mark.parametrize("input_bits", [7, 15, 23, 31])
def test_changed_weights_are_as_new_ones(largest: int, input_bits: int) -> None:
    rng = np.random.default_rng(largest)
    g = square(30, 70, 5, 3, 3, 1, 0)
    matrix = integers(rng, -LARGEST, LARGEST, 270, 70)
    places = torch.from_numpy(rng.permutation(270 * 70)[:300])
    changes = Changes(places // 70, places % 70, integers(rng, -largest - 1, largest, 300))
    changed = matrix.clone()
    changed[changes.terms, changes.outputs] = changes.words
    x = integers(rng, 0, (1 << input_bits) - 1, 3, 5, 5, 30)
    nothing = torch.zeros(70, dtype=torch.int64)
    parameters = Parameters(nothing, nothing, "linear", None, 64, (1 << 31) - 1, torch.float64)
    weights = limb_weights(matrix)

    def sums(own: Changes | None) -> Tensor:
        kept = torch.empty(3, 3, 3, 70, dtype=torch.int64)
        assert limb_layer(weights, g, Words(x.double(), 2.0**31), None, parameters, own, kept) is not None
        return kept

    assert torch.equal(sums(changes), kernels.wide(x, changed.double(), g))
    assert torch.equal(sums(None), kernels.wide(x, matrix.double(), g))


def test_only_weights_that_fit_are_put_in_limbs() -> None:
    matrix = torch.full((4, 2), LARGEST)
    assert limbs.fits(matrix)
    assert not limbs.fits(matrix + 1)
    assert not limbs.fits(-matrix - 1)
    assert limbs.fits(torch.zeros(limbs.MOST_TERMS, 1))
    assert not limbs.fits(torch.zeros(limbs.MOST_TERMS + 1, 1))


@needs_unit
@pytest.mark.parametrize("word_bits", [16, 32])
def test_computers_with_and_without_the_unit_agree(word_bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for library in (limbs.library(), None):
        monkeypatch.setattr(limbs, "library", lambda library=library: library)
        found.append(logits_under_faults(word_bits, 1e-4))
    np.testing.assert_array_equal(found[0], found[1])


def test_without_the_unit_nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_int8": False})
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("built"))
    assert limbs.library.__wrapped__() is None


PROGRAM = "import golden.exact.limbs; print(golden.exact.limbs.library())"


@without_compiler_or_cache
def test_a_new_process_without_compiler_or_cache_goes_on(tmp_path: Path, variable: str, value: str) -> None:
    assert printed(PROGRAM, tmp_path, variable, value) == ["None"]
