"""A campaign of exactly the faults of a list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from fitact_hw.campaign.fault_list.listed import FaultList, check_cycles, check_exists
from fitact_hw.campaign.plan import CHUNK, CampaignOptions
from fitact_hw.campaign.pool import Pool
from fitact_hw.campaign.run import CampaignRun
from fitact_hw.campaign.store import CampaignError, Store, store_path
from fitact_hw.campaign.subjects import Loader, load_subject
from fitact_hw.faults import FaultEvent, Sample
from fitact_hw.injection.bound_flips import bound_flips
from fitact_hw.sites import list_sites
from sim.cache import Note

FAULT_LIST = "fault_list"
"""Name of what the store keeps: a :class:`FaultList`, so that a campaign goes on without the file."""

PLANNED = "planned"
"""Scheme -> faults that strike under it."""


def list_options(options: CampaignOptions, faults: FaultList) -> CampaignOptions:
    """``options`` of a campaign of ``faults`` under those schemes that they strike; the list is part of what it is."""
    counts = {scheme: len(faults.of(scheme)) for scheme in options.schemes}
    schemes = tuple(scheme for scheme, count in counts.items() if count)
    return replace(
        options,
        sample=Sample.LIST,
        fault_list=faults.digest,
        schemes=schemes,
        structures=(),
        faults=max(counts.values()),
    )


class ListRun(CampaignRun):
    """A campaign of the faults of a list (None: of the one in the store), otherwise as its base class.

    Cycles are those of the run of each scheme as it is; nothing is moved. Raises FaultListError, before anything is
    judged or stored, for faults that do not exist.
    """

    def __init__(
        self,
        options: CampaignOptions,
        folder: Path,
        pool: Pool,
        faults: FaultList | None = None,
        *,
        note: Note = print,
        chunk: int = CHUNK,
        load: Loader = load_subject,
    ) -> None:
        self._faults = faults or stored_list(folder)
        check_exists(self._faults, options.config, options.schemes, options.images)
        self._structures = {site.path: site.structure for site in list_sites(options.config)}
        super().__init__(list_options(options, self._faults), folder, pool, note=note, chunk=chunk, load=load)

    def _check_faults(self) -> None:
        cycles = {scheme: self._place.facts(scheme).cycles for scheme in self.options.schemes}
        check_cycles(self._faults, cycles)

    def _facts(self) -> dict[str, Any]:
        return {FAULT_LIST: self._faults.to_json(), PLANNED: {s: self._wanted(s) for s in self.options.schemes}}

    def _wanted(self, scheme: str) -> int:
        return len(self._faults.of(scheme))

    def _struck(self, scheme: str) -> tuple[list[FaultEvent], list[int]]:
        faults = self._faults.of(scheme)
        events = [FaultEvent(self._structures[f.upsets[0].site], self.options.shape, f.upsets) for f in faults]
        facts = self._place.facts(scheme)
        flips = bound_flips(self._place.subjects[scheme].program, facts.accesses, events)
        with Store(self._path, create=True) as store:
            store.note_of(scheme, cycles=facts.cycles, bound_flips=flips)
        return events, [fault.image for fault in faults]


def stored_list(folder: Path) -> FaultList:
    """The list that the campaign in ``folder`` was started with. Raises CampaignError if there is none."""
    with Store(store_path(folder)) as store:
        kept = store.facts().get(FAULT_LIST)
    if kept is None:
        raise CampaignError(f"{folder} holds no fault list: name the file again with --fault-list")
    return FaultList.from_json(kept)
