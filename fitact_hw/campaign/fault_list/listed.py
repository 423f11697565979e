"""What a fault list is, whatever file it was in, and the check that every fault of it exists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from fitact_hw.campaign.store import CampaignError
from fitact_hw.config import AcceleratorConfig
from fitact_hw.faults import FaultEvent, Upset
from fitact_hw.sites import FaultSite, list_sites
from golden.support.choices import must_be

SHOWN = 20
"""Faults that cannot be judged and are named one by one; of more the number is told."""

LIKENESS = 0.5
"""Of paths (difflib's ratio): they are long and much alike, so that this suggests the right instance."""


class FaultListError(CampaignError):
    """A fault list of which something cannot be judged. ``lines``: what, fault by fault."""

    def __init__(self, name: str, total: int, lines: Sequence[str]) -> None:
        self.lines = [*lines[:SHOWN], *([f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else [])]
        first = f": {lines[0]}" if len(lines) == 1 else "; see the lines above" if lines else ""
        super().__init__(f"{name}: {len(lines)} of {total} faults cannot be judged, so none was{first}")


@dataclass(frozen=True)
class Listed:
    """A fault of a list: ``upsets`` strike image ``image`` under ``scheme`` (empty: under every scheme of the run).

    ``place``: where in the file it stands, as messages name it.
    """

    place: str
    upsets: tuple[Upset, ...]
    image: int = 0
    scheme: str = ""

    @property
    def cycle(self) -> int:
        """When it strikes."""
        return self.upsets[0].cycle


@dataclass(frozen=True)
class FaultList:
    """``faults`` in the order of the file ``name``, whose content has the SHA-256 ``digest``."""

    name: str
    digest: str
    faults: tuple[Listed, ...]

    @property
    def images(self) -> int:
        """Images that a run needs."""
        return 1 + max(fault.image for fault in self.faults)

    @property
    def schemes(self) -> tuple[str, ...]:
        """Schemes that are named, in their order."""
        return tuple(dict.fromkeys(fault.scheme for fault in self.faults if fault.scheme))

    def of(self, scheme: str) -> list[Listed]:
        """Faults that strike under ``scheme``; their places in this list are the numbers of the injections."""
        return [fault for fault in self.faults if fault.scheme in ("", scheme)]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        rows = [[f.place, "+".join(upset.id for upset in f.upsets), f.image, f.scheme] for f in self.faults]
        return {"name": self.name, "sha256": self.digest, "faults": rows}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> FaultList:
        """Inverse of :meth:`to_json`."""
        faults = tuple(
            Listed(place, FaultEvent.parse(event).upsets, image, scheme)
            for place, event, image, scheme in value["faults"]
        )
        return FaultList(value["name"], value["sha256"], faults)


def check_exists(faults: FaultList, config: AcceleratorConfig, schemes: Sequence[str], images: int) -> None:
    """Raises FaultListError naming every fault that this machine, these schemes and images do not have."""
    sites = {site.path: site for site in list_sites(config)}
    wrong = []
    for fault in faults.faults:
        found = [*_upset_errors(fault.upsets, sites)]
        if fault.image >= images:
            found.append(f"image {fault.image}: this run has images 0 to {images - 1} (--images)")
        if fault.scheme and fault.scheme not in schemes:
            found.append(f"scheme {fault.scheme!r} {must_be(fault.scheme, schemes)} in this run (--schemes)")
        wrong += [f"{fault.place}: {text}" for text in found[:1]]
    if wrong:
        raise FaultListError(faults.name, len(faults.faults), wrong)


def _upset_errors(upsets: Sequence[Upset], sites: Mapping[str, FaultSite]) -> Iterable[str]:
    for upset in upsets:
        site = sites.get(upset.site)
        if site is None:
            yield f"no storage at {upset.site}{_nearest_site(upset.site, sites)}; `fitact sites` lists all"
        elif upset.word >= site.depth:
            yield f"word {upset.word} of {site.path}: it has words 0 to {site.depth - 1}"
        elif upset.mask >> site.width:
            yield f"bit {upset.mask.bit_length() - 1} of {site.path}: a word has bits 0 to {site.width - 1}"


def _nearest_site(path: str, sites: Mapping[str, FaultSite]) -> str:
    """The nearest paths; first those of the same name in the same unit, since thousands differ in an index only."""
    name, unit = path.rsplit(".", 1)[-1], path.split(".", 1)[0]
    for group in (
        [known for known in sites if known.rsplit(".", 1)[-1] == name],
        [known for known in sites if known.split(".", 1)[0] == unit],
        list(sites),
    ):
        if found := get_close_matches(path, group, n=2, cutoff=LIKENESS):
            return f" (nearest: {', '.join(found)})"
    return ""


def check_cycles(faults: FaultList, cycles: Mapping[str, int]) -> None:
    """Raises FaultListError naming every fault that strikes after the end; ``cycles``: of each scheme's run."""
    wrong = []
    for fault in faults.faults:
        for scheme, end in cycles.items():
            if fault.scheme in ("", scheme) and fault.cycle >= end:
                wrong.append(f"{fault.place}: cycle {fault.cycle}: the run of {scheme} has cycles 0 to {end - 1}")
                break
    if wrong:
        raise FaultListError(faults.name, len(faults.faults), wrong)
