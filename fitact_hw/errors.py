"""Errors that a user can act on. The command line prints them as one line and exits with code 2."""

from __future__ import annotations


class FitActError(Exception):
    """Base of every expected failure; its text is one line and says what to do."""


class ConfigError(FitActError):
    """An impossible or unsupported accelerator configuration."""


class CompileError(FitActError):
    """A network that cannot be mapped onto the configured machine."""
