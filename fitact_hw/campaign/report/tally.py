"""Injections of a campaign as strata, whatever it drew from: what each weighs, and what is known without a draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from fitact_hw.campaign.merge import ROUNDS
from fitact_hw.campaign.rounds import Found, Rounds
from fitact_hw.campaign.snapshot import Campaign
from fitact_hw.campaign.store import CampaignError, Row
from fitact_hw.estimation.counts import Counts
from fitact_hw.faults import Sample


@dataclass(frozen=True, eq=False)
class Tally:
    """Rows of each scheme, by number, and the strata that they were drawn from.

    ``structures``: of each stratum (H,); ``weights``: float64 (H,), share of all (bit, cycle) points; ``stratum``:
    number of an injection -> its stratum; ``dead``: structure -> share of all points that is masked under every scheme,
    which is counted and not drawn.
    """

    rows: Mapping[str, tuple[Row, ...]]
    structures: tuple[str, ...]
    weights: np.ndarray
    stratum: Mapping[int, int]
    dead: Mapping[str, float]
    images: int

    @staticmethod
    def of(campaign: Campaign) -> Tally:
        """Of a campaign over all points, or of the complete rounds of a stratified one. Raises CampaignError."""
        sample = campaign.options.sample
        if sample is Sample.STRATIFIED:
            return _stratified(campaign)
        if sample is not Sample.ALL:
            raise CampaignError(
                f"{campaign.folder} has upsets of --sample {sample.value}, which cannot be weighted: take one with "
                f"--sample {Sample.ALL.value} or {Sample.STRATIFIED.value}"
            )
        bits: dict[str, int] = campaign.facts["bits"]
        order = {name: place for place, name in enumerate(bits)}
        weights = np.array([bits[name] / sum(bits.values()) for name in order])
        rows = {scheme: tuple(row for row in campaign.rows if row.scheme == scheme) for scheme in _schemes(campaign)}
        stratum = {row.number: order[row.structure] for row in campaign.rows}
        return Tally(rows, tuple(order), weights, stratum, dict.fromkeys(order, 0.0), campaign.options.images)

    def counts(self, scheme: str, hits: Iterable[int]) -> Counts:
        """Of an upset anywhere under ``scheme``, that it is one of ``hits`` (numbers of injections)."""
        draws = np.zeros((len(self.structures), self.images), np.int64)
        found, chosen = np.zeros_like(draws), frozenset(hits)
        for row in self.rows[scheme]:
            place = self.stratum[row.number], row.image
            draws[place] += 1
            found[place] += row.number in chosen
        return Counts(self.weights, draws, found)


def _schemes(campaign: Campaign) -> list[str]:
    there = {row.scheme for row in campaign.rows}
    return [scheme for scheme in campaign.options.schemes if scheme in there]


def _stratified(campaign: Campaign) -> Tally:
    found = Found(Rounds.from_json(campaign.facts[ROUNDS]), campaign.rows, campaign.options.schemes)
    rounds, population = found.rounds, found.rounds.population
    if not rounds.draws:
        raise CampaignError(
            f"{campaign.folder} has no complete round yet: run `fitact campaign resume {campaign.folder}`"
        )
    structures = tuple(stratum.structure for stratum in population.strata) * len(rounds.draws)
    live = dict.fromkeys(population.bits, 0.0)
    for stratum, share in zip(population.strata, population.shares.tolist(), strict=True):
        live[stratum.structure] += share
    return Tally(
        {scheme: tuple(rows) for scheme, rows in found.rows.items()},
        structures,
        rounds.shares,
        dict(enumerate(rounds.cells.tolist())),
        {name: max(0.0, population.share_of(name) - share) for name, share in live.items()},
        max(campaign.options.images, found.images),
    )
