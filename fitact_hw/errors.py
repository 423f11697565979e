"""Errors that a user can act on. The command line prints them as one line and exits with code 2."""

from __future__ import annotations

from golden.errors import UserError


class FitActError(UserError):
    """A problem of the machine, of a study or of its options."""


class ConfigError(FitActError):
    """An impossible or unsupported accelerator configuration."""


class CompileError(FitActError):
    """A network that cannot be mapped onto the configured machine."""
