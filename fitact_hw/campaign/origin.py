"""Where the injections of a campaign come from: a record of every run that added some."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from fitact_hw.campaign.plan import CampaignOptions, command_of
from fitact_hw.campaign.snapshot import options_of
from fitact_hw.campaign.store import CampaignError, Store
from fitact_hw.faults import Sample
from fitact_hw.injection.accounting import Work
from fitact_hw.reporting.provenance import Run, of_machine, of_weights


def of_campaign(store: Store, options: CampaignOptions) -> dict[str, Any]:
    """Fingerprints of what the injections depend on."""
    bound = store.identity()
    return of_machine(options.config) | {
        "weights": of_weights(options.model),
        "programs": bound["programs"],
        "images": bound["pictures"],
    }


@contextmanager
def recorded(
    store: Store, options: CampaignOptions, began: Run, work: Callable[[], Work] | None = None
) -> Iterator[None]:
    """Note in the store that the injections of this run, which ``began`` before, are its: at once, and with the time
    and the ``work`` that it took when it ends."""
    earlier, before = store.facts().get("runs", []), len(store.present())
    prints = of_campaign(store, options)

    def keep(added: bool) -> None:
        run = began
        if options.sample is not Sample.STRATIFIED:
            run = replace(began, command=command_of(options_of(store)))  # a margin has become a number
        spent = {"work": work().record()} if work else {}
        store.note(runs=[*earlier, {**run.record(**prints), **spent}] if added else earlier)

    keep(True)
    try:
        yield
    except BaseException:
        with suppress(CampaignError):  # the store may be what failed
            keep(len(store.present()) > before)
        raise
    keep(len(store.present()) > before)
