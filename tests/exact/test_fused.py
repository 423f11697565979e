"""Compiled steps give the same bits, and all works without a compiler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fitact_hw.resilience import work
from fitact_hw.resilience.work import Group, Worker
from golden.exact import epilogue, kernels
from golden.exact.fused import Fused, use_compiler, uses_compiler
from tests.exact.computers import printed, without_compiler_or_cache
from tests.resilience.tiny_study import pictures, subjects

TILES, SIDE, CHANNELS = 4, 8, 64
"""Large enough for compiling."""


@pytest.fixture(autouse=True)
def compiler_off_again() -> Iterator[None]:
    yield
    use_compiler(False)


def words(*shape: int, bits: int = 30) -> Tensor:
    generator = torch.Generator().manual_seed(len(shape))
    return torch.randint(-(1 << bits), 1 << bits, shape, generator=generator).double()


def both(function: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
    """Results without and with the compiler, which must be there."""
    use_compiler(False)
    plain = function()
    use_compiler(True)
    compiled = function()
    assert uses_compiler(), "compiling failed"
    return plain, compiled


def test_compiled_epilogue_of_tiles_gives_the_same_bits() -> None:
    sums = words(4, 4, TILES, SIDE // 2, CHANNELS)
    scale, offset = words(CHANNELS).sign() * 2.0**-16, words(CHANNELS, bits=12) + 0.5
    bound = words(2, SIDE, CHANNELS, bits=14)

    def finish() -> Tensor:
        out = torch.empty(TILES, 2, SIDE, CHANNELS, dtype=torch.float64)
        epilogue._float_epilogue(sums, None, 1, scale, offset, "clip", bound, (1 << 31) - 1, out)
        return out

    plain, compiled = both(finish)
    assert plain.count_nonzero() > 0
    assert torch.equal(plain, compiled)


def test_compiled_transform_gives_the_same_bits() -> None:
    x = words(TILES, SIDE, SIDE, CHANNELS)
    plain, compiled = both(lambda: kernels._to_tiles(x))
    assert plain.shape == (4, 4, TILES, SIDE // 2, SIDE // 2, CHANNELS)
    assert torch.equal(plain, compiled)


def test_without_a_compiler_all_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Callable[[Tensor], Tensor]:
        def fails(_: Tensor) -> Tensor:
            raise RuntimeError("no C++ compiler")

        return fails

    monkeypatch.setattr(torch, "compile", broken)
    twice = Fused(lambda x: x * 2)
    use_compiler(True)
    x = torch.arange(1 << 15)
    assert torch.equal(twice(x), x * 2)
    assert not uses_compiler()


PROGRAM = """
import torch
from golden.exact.fused import Fused, use_compiler, uses_compiler

use_compiler(True)
assert (Fused(lambda x: x * 2)(torch.ones(1 << 15)) == 2).all()
print(uses_compiler())
"""


@without_compiler_or_cache
def test_a_new_process_without_compiler_or_cache_goes_on(tmp_path: Path, variable: str, value: str) -> None:
    assert printed(PROGRAM, tmp_path, variable, value) == ["False"]


TWO_FUNCTIONS = """
import os, sys, torch
from golden.exact.fused import Fused, use_compiler, uses_compiler

sys.setdlopenflags(os.RTLD_NOW | os.RTLD_GLOBAL)
use_compiler(True)
x = torch.arange(1 << 15)
twice, total = Fused(lambda x: x * 2)(x), Fused(lambda x, y, z: x + y + z)(x, x, x)
print(uses_compiler(), torch.equal(twice, x * 2), torch.equal(total, x * 3))
"""


def test_compiled_functions_stay_apart_beside_packages_with_global_symbols(tmp_path: Path) -> None:
    assert printed(TWO_FUNCTIONS, tmp_path) == ["True", "True", "True"]


def test_small_tensors_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda *_, **__: pytest.fail("compiled"))
    twice = Fused(lambda x: x * 2)
    use_compiler(True)
    assert torch.equal(twice(torch.arange(8)), torch.arange(8) * 2)


def test_a_worker_compiles_after_a_while_and_not_again(monkeypatch: pytest.MonkeyPatch) -> None:
    group, images = Group(subjects()[0], ((1e-3, 0),), 0, 2), pictures()[0]
    monkeypatch.setattr(work, "COMPILE_AFTER_SECONDS", 3600.0)
    Worker(1, images)(group, lambda _: None)
    assert not uses_compiler()
    monkeypatch.setattr(work, "COMPILE_AFTER_SECONDS", 1e-9)
    worker = Worker(1, images)
    worker(group, lambda _: None)
    assert uses_compiler()
    use_compiler(False)  # as if compiling had failed
    worker(group, lambda _: None)
    assert not uses_compiler()
