"""What an FMEDA counts: the injections of a campaign under one scheme, by structure, image and class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fitact_hw.campaign.archive import load_archive
from fitact_hw.campaign.snapshot import Campaign, load_campaign
from fitact_hw.campaign.store import CampaignError, Row
from fitact_hw.fault_models import SEU
from fitact_hw.faults import Sample
from fitact_hw.fmeda.classes import Class, Classes, effect
from fitact_hw.fmeda.rates import EXTERNAL, MBIT, kind_of
from fitact_hw.fmeda.table import Part

EXTERNAL_MEMORY = "external_memory"


@dataclass(frozen=True, eq=False)
class Subject:
    """A campaign's injections under ``scheme``, counted."""

    campaign: Campaign
    scheme: str
    parts: tuple[Part, ...]


def load(path: Path) -> Campaign:
    """A campaign in a folder or in a Parquet file. Raises CampaignError, also for samples that need other weights."""
    campaign = load_archive(path) if path.is_file() else load_campaign(path)
    if campaign.options.sample is not Sample.ALL:
        raise CampaignError(
            f"{path} has upsets of --sample {campaign.options.sample.value}, which an FMEDA would weigh wrongly: "
            "take a campaign with --sample all"
        )
    if campaign.options.fault_model != SEU.name:
        raise CampaignError(
            f"{path} has {campaign.options.fault_model} faults, and raw rates are of upsets: take a campaign of "
            f"--fault-model {SEU.name}"
        )
    return campaign


def subjects(
    campaigns: Sequence[Campaign], schemes: Sequence[str], classes: Classes, external_mbit: float = 0.0
) -> list[Subject]:
    """One for every campaign and scheme; ``schemes`` empty: all. Raises CampaignError for one that no campaign has."""
    known = dict.fromkeys(row.scheme for campaign in campaigns for row in campaign.rows)
    if missing := [scheme for scheme in schemes if scheme not in known]:
        raise CampaignError(f"no injection of scheme {', '.join(missing)}: there are those of {', '.join(known)}")
    found = []
    for campaign in campaigns:
        for scheme in campaign.options.schemes:
            rows = [row for row in campaign.rows if row.scheme == scheme]
            if rows and (not schemes or scheme in schemes):
                found.append(Subject(campaign, scheme, tuple(_parts(campaign, rows, classes, external_mbit))))
    return found


def _parts(campaign: Campaign, rows: Sequence[Row], classes: Classes, external_mbit: float) -> list[Part]:
    images, bits = campaign.options.images, dict(campaign.facts["bits"])
    draws = {name: np.zeros(images, np.int64) for name in bits}
    hits = {name: {klass: np.zeros(images, np.int64) for klass in classes.possible(name)} for name in bits}
    for row in rows:
        draws[row.structure][row.image] += 1
        hits[row.structure][classes.of(row.structure, effect(row))][row.image] += 1
    parts = [Part(name, kind_of(name), bits[name], draws[name], hits[name]) for name in bits]
    if external_mbit:
        nothing = np.zeros(images, np.int64)
        size = round(external_mbit * MBIT)
        parts.append(Part(EXTERNAL_MEMORY, EXTERNAL, size, nothing, dict.fromkeys(Class, nothing)))
    return parts
