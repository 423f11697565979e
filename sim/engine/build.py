"""The machine as shared libraries for the native engine."""

from __future__ import annotations

from pathlib import Path

from fitact_hw.config import AcceleratorConfig
from sim import cache, verilate
from sim.build import build, model_sources
from sim.cache import Note, digest_of
from sim.toolchain import find_toolchain


def source_fingerprint(config: AcceleratorConfig) -> str:
    """Hash of RTL, test top, memory model and engine: equal ones give equal results, on whatever computer."""
    both = (model_sources(config, behavioural=behavioural) for behavioural in (False, True))
    return digest_of([[dict(sources.files), dict(sources.parameters)] for sources in both])


def build_library(config: AcceleratorConfig, note: Note = print, *, behavioural: bool = False) -> Path:
    """The shared library of ``config``, built if it is not there yet: see :func:`sim.build.build`.

    It is built together with the simulator under cocotb; the one with a ``behavioural`` array has a build of its own.
    """
    if not behavioural:
        library = build(config, note=note).library
        assert library is not None
        return library
    toolchain = find_toolchain()
    flags, sources = verilate.simulation_flags(toolchain, timing=False), model_sources(config, behavioural=True)
    inputs = verilate.build_inputs(sources, toolchain, flags)
    wanted = cache.entry(config.fingerprint, "behavioural", inputs, sources.products)
    what = f"the engine of {config.fingerprint} with a behavioural array, about half a minute, once"
    cache.obtain(wanted, lambda folder: verilate.verilate(sources, toolchain, flags, folder), what, note)
    return wanted.folder / verilate.library_name(sources)


def build_libraries(config: AcceleratorConfig, note: Note = print) -> None:
    """All that an engine loads, built if it is not there yet."""
    for behavioural in (False, True):
        build_library(config, note, behavioural=behavioural)
