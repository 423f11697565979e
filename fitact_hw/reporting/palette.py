"""Colours of the protection schemes in every chart."""

from __future__ import annotations

COLOURS = {
    "unprotected": "#8d99ae",
    "ranger": "#d1495b",
    "clipact": "#edae49",
    "proact": "#66418a",
    "fitact": "#00798c",
}
"""One colour per scheme; others take matplotlib's cycle."""
