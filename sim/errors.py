"""Errors of the simulation folder."""

from __future__ import annotations

from fitact_hw.errors import FitActError


class SimulationError(FitActError):
    """A missing tool, a failed build or a simulator that died; the text says what to do or which log to read."""
