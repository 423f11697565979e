"""What a report needs of a campaign: its options, rows and facts of one moment, while it may go on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fitact_hw.campaign.plan import CampaignOptions
from fitact_hw.campaign.store import CampaignError, Row, Store, store_path
from fitact_hw.fault_models import SEU
from golden.quantisation.quantise import word_name
from golden.subjects.names import short_name


@dataclass(frozen=True)
class Campaign:
    """A campaign as it was at one moment.

    ``options.faults``: injections per scheme that are planned; ``identity``: fingerprints of programs, images and
    machine; ``facts``: ``cycles`` (scheme -> fault-free cycles), ``bits`` (structure -> storage bits), ``versions``,
    ``runs`` (records of :mod:`fitact_hw.reporting.provenance`), ``bound_flips`` (scheme -> raised or lowered ->
    numbers), and ``margin``, ``confidence`` if asked for.
    """

    folder: Path
    options: CampaignOptions
    identity: dict[str, Any]
    facts: dict[str, Any]
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """Network, machine and kind of upset."""
        config = self.options.config
        words = word_name(config.word_bits)
        model = self.options.fault_model
        kind = "upsets" if model == SEU.name else f"{model} faults"
        network, shape = short_name(self.options.model), self.options.shape.value
        rows = f", {self.options.interleave} words a row" if self.options.interleave > 1 else ""
        return f"{network}, {config.rows}x{config.cols}, {words}, {shape} {kind}{rows}"


def options_of(store: Store) -> CampaignOptions:
    """The options that a store was started with; ``faults``: as many as were ever asked for."""
    identity = store.identity()
    if not identity:
        raise CampaignError(f"{store.path} is empty: start a campaign with `fitact campaign run`")
    return options_from(identity, store.facts(), (number for _, number in store.present()))


def options_from(identity: dict[str, Any], facts: dict[str, Any], numbers: Iterable[int]) -> CampaignOptions:
    """The options of a campaign with this identity and these facts that has injections with these ``numbers``."""
    stored = max((number + 1 for number in numbers), default=0)
    return CampaignOptions.from_json({**identity, "faults": max(stored, facts.get("faults", 0))})


def load_campaign(folder: Path) -> Campaign:
    """The campaign in ``folder``; a run that is writing is not disturbed. Raises CampaignError."""
    with Store(store_path(folder)) as store, store.snapshot():
        options, rows = options_of(store), tuple(store.rows())
        if not rows:
            raise CampaignError(f"{store.path} has no injections yet: run `fitact campaign resume {folder}`")
        return Campaign(folder, options, store.identity(), store.facts(), rows)
