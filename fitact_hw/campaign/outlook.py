"""What a stratified campaign says of its margin: before it begins, after each round, of its budget."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from scipy.stats import norm

from fitact_hw.campaign.goal import Goal
from fitact_hw.campaign.pace import Pace
from fitact_hw.campaign.rounds import Found
from fitact_hw.campaign.targets import Quantity
from fitact_hw.estimation.allocation import neyman
from fitact_hw.reporting.formats import percent, spaced
from golden.bounds.schemes import titled


def first_line(empty: Found, goal: Goal) -> str:
    """What is known before anything has failed: the margin of ``goal.faults`` upsets, or the upsets of a margin, if
    every second live upset failed (of pairs: only one did), which is the worst. ``empty``: without a round.

    Raises FitActError for a target that the campaign does not have.
    """
    shares, parts = empty.rounds.population.shares, []
    for quantity in goal.quantities(empty):
        inside, share = empty.domain([quantity.structure] if quantity.structure else [], quantity.layer)
        parts.append((inside / share, 1.0 if quantity.rival else 0.25))
    variances = np.asarray(sum(weight**2 * variance for weight, variance in parts))
    drawn = neyman(shares, variances, np.ones(len(shares)))
    used = drawn > 0
    one = max(float((((shares * weight) ** 2)[used] / drawn[used]).sum()) * variance for weight, variance in parts)
    half = float(norm.ppf(0.5 + goal.confidence / 2)) * one**0.5
    if goal.faults is not None:
        return f"{goal.faults:,} upsets per scheme should give a margin of {percent(half / goal.faults**0.5)} at worst"
    if goal.margin is not None:
        most = np.ceil((half / goal.margin) ** 2)
        return f"a margin of {percent(goal.margin)} should take {most:,.0f} upsets per scheme at worst"
    return ""


def progress_line(found: Found, goal: Goal) -> str:
    """What the rounds so far say, and what they leave open."""
    parts = [
        f"{titled(scheme)} {percent(item.value)} [{percent(item.low)}, {percent(item.high)}]"
        for scheme, item in goal.reached(found).items()
    ]
    intervals = goal.intervals(found)
    widest = max(intervals, key=lambda quantity: intervals[quantity].half)
    half = intervals[widest].half
    more = goal.needed(found, half / 2)
    half_of_it = f"about {more:,.0f} upsets per scheme" if np.isfinite(more) else f"more than {found.images} images"
    text = (
        f"{found.rounds.total:,} upsets per scheme in {len(found.rounds.draws)} rounds; SDC of an upset anywhere: "
        f"{', '.join(parts)}; margin {percent(half)}{_of(widest)}, half of it needs {half_of_it}"
    )
    if goal.out_of_reach(found):
        text += f". {percent(goal.margin or 0.0)} cannot be reached on {found.images} images, which differ: use more"
    return text


def _of(quantity: Quantity) -> str:
    """What a margin is of, if it is not the whole machine's rate."""
    where = f" in {spaced(quantity.structure)}" if quantity.structure else ""
    when = f" while {quantity.layer} runs" if quantity.layer else ""
    if quantity.rival:
        return f" of {titled(quantity.scheme)} minus {titled(quantity.rival)}"
    return f" of {titled(quantity.scheme)}{where}{when}" if where or when else ""


def budget_line(found: Found, goal: Goal, pace: Pace) -> str:
    """Which margin the budget should give; empty without one."""
    total = goal.budget(found.rounds.total, pace)
    if total is None:
        return ""
    return f"the budget allows about {total:,} upsets per scheme: a margin of {percent(goal.expected(found, total))}"


def outlook(found: Found, goal: Goal, pace: Pace) -> str:
    """The margin of the rounds that are complete, and the time until the one that is asked for."""
    text, left = f"margin so far {percent(goal.half_width(found))}", goal.seconds_left(found, pace)
    if left is None:
        return text
    return f"{text}, {percent(goal.margin or 0.0)} in about {timedelta(seconds=round(left))}"
