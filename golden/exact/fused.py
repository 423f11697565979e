"""Chains of elementwise steps as one pass over memory, by torch's compiler: two to four times as fast on a CPU.

Compiling takes a minute (from torch's cache on disk some seconds) and a C++ compiler, so functions run as they are
until :func:`use_compiler`. Results are the same to the bit, for all values are integers that their type holds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

import torch
from torch import Tensor

from golden.support.folders import keep_compiled_code

P = ParamSpec("P")
R = TypeVar("R")

_LEAST_ELEMENTS = 1 << 14
"""Below, a call of compiled code costs more than it saves, and each side of 1 would be compiled for."""
_VARIANTS = 64
"""So many combinations of arguments are compiled for before a function is left as it is."""


class _Compiler:
    on = False


def use_compiler(on: bool) -> None:
    """Whether this process compiles from now on. Without a working compiler it goes back to ``False`` by itself."""
    _Compiler.on = False
    if on:
        keep_compiled_code()
        try:  # importing takes a second, and makes torch's cache folder
            from torch._dynamo import config as dynamo
            from torch._inductor import config as inductor
        except OSError:
            return
        dynamo.recompile_limit = dynamo.accumulated_recompile_limit = _VARIANTS
        inductor.compile_threads = 1  # the other cores have work
        # all compiled functions have the same symbol; some packages (pyosys) make such ones global
        sys.setdlopenflags(sys.getdlopenflags() & ~os.RTLD_GLOBAL)
        _Compiler.on = True


def uses_compiler() -> bool:
    """Whether this process compiles."""
    return _Compiler.on


class Fused(Generic[P, R]):
    """A function of tensors, the first of which decides: compiled if that is large and on a CPU."""

    def __init__(self, function: Callable[P, R]) -> None:
        self._function = function
        self._compiled: Callable[P, R] | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        first = args[0]
        assert isinstance(first, Tensor)
        if not _Compiler.on or first.numel() < _LEAST_ELEMENTS or first.device.type != "cpu":
            return self._function(*args, **kwargs)
        try:
            if self._compiled is None:
                self._compiled = torch.compile(self._function, dynamic=True)
            return self._compiled(*args, **kwargs)
        except Exception:  # whatever is missing, from a compiler to space on disk: all works without
            use_compiler(False)
            return self._function(*args, **kwargs)
