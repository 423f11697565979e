"""Errors that golden reports to its user: one clear line each."""

from __future__ import annotations

from collections.abc import Sequence


class UserError(Exception):
    """Base of every expected failure: one line that says what to do; the command line prints it and exits with 2."""


class GoldenError(UserError):
    """A problem of networks, images, bounds or numbers."""


class StoreError(UserError):
    """A result folder or file that is in use, missing or unreadable."""


class DataError(GoldenError):
    """Images are missing, damaged or cannot be downloaded."""


class WeightsError(GoldenError):
    """A committed or trained artefact is missing, damaged or does not fit its manifest."""


class UnsupportedError(GoldenError):
    """A network holds something that the quantiser cannot lower. ``problems``: each place by itself."""

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems) or (message,)


class QuantisationWarning(UserWarning):
    """What words of a width cannot keep of a network, on its calibration images."""
