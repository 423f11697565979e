"""Errors that golden reports to its user: one clear line each."""

from __future__ import annotations


class GoldenError(Exception):
    """A problem the user can understand and act on; the command line prints only its message."""


class DataError(GoldenError):
    """Images are missing, damaged or cannot be downloaded."""


class WeightsError(GoldenError):
    """A committed or trained artefact is missing, damaged or does not fit its manifest."""


class UnsupportedError(GoldenError):
    """A network holds something that the quantiser cannot lower."""
