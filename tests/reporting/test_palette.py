"""Schemes and outcomes are told apart: by hue, by mark, and by somebody who sees no red."""

from __future__ import annotations

import colorsys
from itertools import combinations

import numpy as np

from fitact_hw.faults import Outcome
from fitact_hw.reporting.palette import OUTCOMES, scheme_style
from golden.bounds.schemes import SCHEMES

DEUTERANOPIA = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
"""Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB."""


def rgb(colour: str) -> np.ndarray:
    """float64 (3,), 0 to 1."""
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def lab(colour: str, blind: bool) -> np.ndarray:
    """CIELAB (D65), as seen without green cones if ``blind``."""
    values = rgb(colour)
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    if blind:
        linear = np.clip(DEUTERANOPIA @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    scaled = xyz / np.array([0.9505, 1.0, 1.089])
    f = np.where(scaled > 0.008856, np.cbrt(scaled), 7.787 * scaled + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(one: str, other: str, blind: bool) -> float:
    """CIE76: about 2 is just visible."""
    return float(np.linalg.norm(lab(one, blind) - lab(other, blind)))


def test_every_scheme_has_its_own_colour_and_marker() -> None:
    styles = [scheme_style(scheme) for scheme in SCHEMES]
    assert len({style.marker for style in styles}) == len(styles)
    for one, other in combinations(styles, 2):
        for blind in (False, True):
            assert distance(one.colour, other.colour, blind) > 15, (one, other, blind)
    assert scheme_style("not in the registry").colour not in {style.colour for style in styles}


def test_every_outcome_has_its_own_colour() -> None:
    assert set(OUTCOMES) == set(Outcome)
    for one, other in combinations(OUTCOMES.values(), 2):
        for blind in (False, True):
            assert distance(one.colour, other.colour, blind) > 15, (one, other, blind)


def test_no_outcome_has_the_hue_of_a_scheme() -> None:
    """Saturated colours differ by more than 15 degrees of hue, or are far apart altogether."""
    for style in (scheme_style(scheme) for scheme in SCHEMES):
        for outcome in OUTCOMES.values():
            ours, theirs = (colorsys.rgb_to_hsv(*rgb(colour)) for colour in (style.colour, outcome.colour))
            turn = abs(ours[0] - theirs[0])
            same_hue = min(turn, 1 - turn) < 15 / 360 and min(ours[1], theirs[1]) > 0.2
            assert not same_hue or distance(style.colour, outcome.colour, False) > 40, (style, outcome)
