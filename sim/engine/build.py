"""The machine as a shared library for the native engine: it is built together with the simulator under cocotb."""

from __future__ import annotations

from pathlib import Path

from fitact_hw.config import AcceleratorConfig
from sim.build import build, model_sources
from sim.cache import Note, digest_of


def source_fingerprint(config: AcceleratorConfig) -> str:
    """Hash of RTL, test top, memory model and engine: equal ones give equal results, on whatever computer."""
    sources = model_sources(config)
    return digest_of([dict(sources.files), dict(sources.parameters)])


def build_library(config: AcceleratorConfig, note: Note = print) -> Path:
    """The shared library of ``config``, built if it is not there yet: see :func:`sim.build.build`."""
    library = build(config, note=note).library
    assert library is not None
    return library
