"""What an FMEDA counts: the injections of a campaign under one scheme, by structure, image and class."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fitact_hw.alarms.struck import Struck
from fitact_hw.campaign.archive import load_archive
from fitact_hw.campaign.report.tally import Tally
from fitact_hw.campaign.snapshot import Campaign, load_campaign
from fitact_hw.campaign.store import CampaignError
from fitact_hw.fault_models import SEU
from fitact_hw.faults import Outcome, Sample
from fitact_hw.fmeda.classes import ALARM, Class, Classes, effect
from fitact_hw.fmeda.rates import EXTERNAL, MBIT, kind_of
from fitact_hw.fmeda.table import Part

EXTERNAL_MEMORY = "external_memory"


@dataclass(frozen=True, eq=False)
class Subject:
    """A campaign's injections under ``scheme``, counted; ``alarm``: with the clamps' alarm, in words, "" without."""

    campaign: Campaign
    scheme: str
    parts: tuple[Part, ...]
    alarm: str = ""

    @property
    def name(self) -> str:
        """In tables: the scheme, and whether the alarm counts."""
        return f"{self.scheme}+{ALARM}" if self.alarm else self.scheme


@dataclass(frozen=True)
class Alarm:
    """An alarm of the clamps from ``threshold`` hits on. ``struck``: hits of injections as `fitact alarms` judged them,
    at ``margin``; None: as the campaign's machine counted them."""

    threshold: int
    margin: int = 0
    struck: Sequence[Struck] | None = None

    def raised(self, campaign: Campaign) -> frozenset[tuple[str, int]]:
        """(scheme, number) of the SDC that raise it. Raises CampaignError if nothing is known of their hits."""
        if self.struck is not None:
            sdc = (s for s in self.struck if s.outcome == Outcome.SDC)
            return frozenset((s.scheme, s.number) for s in sdc if s.alarms(self.margin, self.threshold))
        if not campaign.options.config.clamp_alarm:
            raise CampaignError(
                f"the machine of {campaign.title} has no alarm of the clamps: take a campaign with clamp_alarm, or "
                "name the upsets that `fitact alarms` judged with --alarms FILE"
            )
        rows = (row for row in campaign.rows if row.outcome == Outcome.SDC)
        return frozenset((row.scheme, row.number) for row in rows if (row.clamp_hits or 0) >= self.threshold)

    def words(self, campaign: Campaign) -> str:
        """For titles."""
        margin = campaign.options.config.alarm_margin if self.struck is None else self.margin
        return f"alarm from {self.threshold:,} clamp hit{'s' if self.threshold > 1 else ''} on, margin {margin}"


def load(path: Path) -> Campaign:
    """A campaign in a folder or in a Parquet file. Raises CampaignError, also for samples that need other weights."""
    campaign = load_archive(path) if path.is_file() else load_campaign(path)
    if campaign.options.sample not in (Sample.ALL, Sample.STRATIFIED):
        raise CampaignError(
            f"{path} has upsets of --sample {campaign.options.sample.value}, which an FMEDA would weigh wrongly: "
            "take a campaign with --sample all or stratified"
        )
    if campaign.options.fault_model != SEU.name:
        raise CampaignError(
            f"{path} has {campaign.options.fault_model} faults, and raw rates are of upsets: take a campaign of "
            f"--fault-model {SEU.name}"
        )
    return campaign


def subjects(
    campaigns: Sequence[Campaign],
    schemes: Sequence[str],
    classes: Classes,
    external_mbit: float = 0.0,
    alarm: Alarm | None = None,
) -> list[Subject]:
    """One for every campaign and scheme; ``schemes`` empty: all. Raises CampaignError for one that no campaign has.

    With an ``alarm`` another one for every scheme in which an upset raises it.
    """
    known = dict.fromkeys(row.scheme for campaign in campaigns for row in campaign.rows)
    if missing := [scheme for scheme in schemes if scheme not in known]:
        raise CampaignError(f"no injection of scheme {', '.join(missing)}: there are those of {', '.join(known)}")
    found = []
    for campaign in campaigns:
        tally, raised = Tally.of(campaign), alarm.raised(campaign) if alarm else frozenset()
        for scheme, rows in tally.rows.items():
            if not rows or (schemes and scheme not in schemes):
                continue
            found.append(Subject(campaign, scheme, tuple(_parts(campaign, tally, scheme, classes, external_mbit))))
            numbers = frozenset(number for name, number in raised if name == scheme)
            if alarm and any(row.number in numbers for row in rows):
                parts = tuple(_parts(campaign, tally, scheme, classes, external_mbit, numbers))
                found.append(Subject(campaign, scheme, parts, alarm.words(campaign)))
    return found


def _parts(
    campaign: Campaign,
    tally: Tally,
    scheme: str,
    classes: Classes,
    external_mbit: float,
    raised: Collection[int] = (),
) -> list[Part]:
    """``raised``: numbers of the injections that raise an alarm."""
    bits: dict[str, int] = dict(campaign.facts["bits"])
    strata = np.array(tally.structures)
    shape = len(strata), tally.images
    draws, hits = np.zeros(shape, np.int64), {klass: np.zeros(shape, np.int64) for klass in Class}
    for row in tally.rows[scheme]:
        place = tally.stratum[row.number], row.image
        draws[place] += 1
        hits[classes.of(row.structure, effect(row, row.number in raised))][place] += 1
    parts = []
    for name, size in bits.items():
        own, share = strata == name, size / sum(bits.values())
        found = {klass: hits[klass][own] for klass in classes.possible(name)}
        exact = {classes.of(name, Outcome.MASKED.value): tally.dead[name] / share}
        parts.append(Part(name, kind_of(name), size, draws[own], found, tally.weights[own] / share, exact))
    if external_mbit:
        nothing = np.zeros(tally.images, np.int64)
        size = round(external_mbit * MBIT)
        parts.append(Part(EXTERNAL_MEMORY, EXTERNAL, size, nothing, dict.fromkeys(Class, nothing)))
    return parts
