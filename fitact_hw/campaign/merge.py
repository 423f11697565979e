"""Campaigns of several computers as one: what they have in common counts once, what contradicts is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from fitact_hw.campaign.plan import ENDS
from fitact_hw.campaign.store import CampaignError, OtherCampaignError, Row, Store, store_path
from fitact_hw.reporting.sqlite import differing

TASKS = ("simulated_cycles",)
"""Columns that depend on which injections shared a simulation, not on the injection."""

OF_PLAN = ("live", "bits", "dead_but_read", "bound_flips", "goal", "margin", "confidence")
"""Facts about all injections that are planned: those of the larger plan count."""

PLANNED, RUNS, ROUNDS = "faults", "runs", "rounds"

OF_SCHEMES = ("cycles", ENDS)
"""Facts of each scheme that follow from its program: the same in all parts that have them."""


@dataclass(frozen=True)
class Part:
    """What a store or an archive holds; ``name``: how messages call it."""

    name: str
    identity: Mapping[str, Any]
    facts: Mapping[str, Any]
    rows: Mapping[tuple[str, int], Row]
    rtl: Mapping[tuple[str, int], str]

    @staticmethod
    def of(store: Store, name: str) -> Part:
        """All of ``store``, which the caller keeps from changing."""
        rows = {(row.scheme, row.number): row for row in store.rows()}
        return Part(name, store.identity(), store.facts(), rows, store.rtl())

    @property
    def planned(self) -> int:
        """Injections per scheme that are planned."""
        return int(self.facts.get(PLANNED, 0))

    def joined(self, other: Part) -> Part:
        """Both as one. Raises CampaignError if they are no parts of one campaign or contradict each other."""
        if names := differing(self.identity, other.identity):
            raise CampaignError(
                f"{self.name} and {other.name} are different campaigns (other {', '.join(names)}): only parts of the "
                "same one, run with the same options and sources, can be merged"
            )
        facts = self._facts_with(other)  # first: rounds that differ explain rows that do
        for key in self.rows.keys() & other.rows.keys():
            if wrong := contradictions(self.rows[key], other.rows[key]):
                raise CampaignError(
                    f"{self.name} and {other.name} differ in {self.rows[key].id} ({', '.join(wrong)}), one is wrong: "
                    "see which with `fitact campaign replay`; nothing was merged"
                )
        rows, rtl = {**other.rows, **self.rows}, {**other.rtl, **self.rtl}
        return replace(self, facts=facts, rows=rows, rtl=rtl)

    def _facts_with(self, other: Part) -> dict[str, Any]:
        larger, smaller = (other, self) if other.planned > self.planned else (self, other)
        facts = {**other.facts, **self.facts}
        facts |= {name: larger.facts[name] for name in OF_PLAN if name in larger.facts}
        if PLANNED in larger.facts:
            facts[PLANNED] = larger.planned
        if runs := _together(self.facts.get(RUNS, []), other.facts.get(RUNS, [])):
            facts[RUNS] = runs
        for name in OF_SCHEMES:
            if known := other.facts.get(name, {}) | self.facts.get(name, {}):
                facts[name] = known
        if flips := smaller.facts.get("bound_flips", {}):  # of schemes that the larger one has not come to
            facts["bound_flips"] = flips | facts.get("bound_flips", {})
        if ROUNDS in larger.facts:
            facts[ROUNDS] = _longer(larger, smaller)
        return facts


def _together(runs: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """Records of runs in the order of time, each once."""
    found = [*runs, *(run for run in others if run not in runs)]
    return sorted(found, key=lambda run: str(run.get("started", "")))


def _longer(larger: Part, smaller: Part) -> Any:
    """The rounds of ``larger``, whose first ones must be those of ``smaller``: injections are numbered through them."""
    one, other = larger.facts[ROUNDS], smaller.facts.get(ROUNDS)
    if other is None:
        return one
    draws, first = one["draws"], other["draws"]
    if one.get("population") != other.get("population") or draws[: len(first)] != first:
        number = next((n for n, (a, b) in enumerate(zip(draws, first, strict=False), 1) if a != b), 1)
        raise CampaignError(
            f"{larger.name} and {smaller.name} drew round {number} differently, as other budgets do: merge campaigns "
            "of one budget, or copy one and resume it on both computers"
        )
    return one


def contradictions(one: Row, other: Row) -> list[str]:
    """Columns in which two rows of the same injection differ; what an old store does not have contradicts nothing."""
    pairs = ((item.name, getattr(one, item.name), getattr(other, item.name)) for item in fields(Row))
    return [name for name, a, b in pairs if name not in TASKS and a != b and a is not None and b is not None]


def read_part(folder: Path) -> Part:
    """The campaign in ``folder``; a run that is writing is not disturbed. Raises CampaignError."""
    with Store(store_path(folder)) as store, store.snapshot():
        part = Part.of(store, str(folder))
    if not part.identity:
        raise CampaignError(f"{folder} is empty: start a campaign with `fitact campaign run`")
    return part


def join_into(folder: Path, parts: Sequence[Part]) -> int:
    """Add ``parts`` to the campaign in ``folder``, which is made if it is missing; returns how many rows were new.

    Raises CampaignError and changes nothing if one of them is of another campaign or contradicts another.
    """
    joined = parts[0]
    for part in parts[1:]:
        joined = joined.joined(part)
    path = store_path(folder)
    if path.is_file():
        with Store(path) as store:  # an older store is not brought to new tables only to be refused
            _check_identity(path, store, joined)
    with Store(path, create=True) as store, store.transaction():
        present = Part.of(store, str(folder))
        if present.identity:
            _check_identity(path, store, joined)
            joined = replace(present, identity=joined.identity).joined(joined)
        return store.take(joined.identity, joined.facts, joined.rows.values(), joined.rtl)


def _check_identity(path: Path, store: Store, joined: Part) -> None:
    found = store.identity()
    if names := differing(found or joined.identity, joined.identity):
        raise OtherCampaignError(path, names)


def merge(folders: Sequence[Path], out: Path | None = None) -> dict[str, Any]:
    """Make one campaign of those in ``folders``: in ``out``, or in the first of them.

    Returns ``folder``, ``stored`` (injections of all schemes), ``added`` and ``twice`` (those that several had).
    Raises CampaignError: nothing is changed then.
    """
    if len({folder.resolve() for folder in folders}) < 2:
        raise CampaignError("merge needs at least two campaign folders: fitact campaign merge FOLDER FOLDER")
    parts = [read_part(folder) for folder in folders]
    target = out or folders[0]
    added = join_into(target, parts)
    every = set().union(*(part.rows for part in parts))
    twice = sum(len(part.rows) for part in parts) - len(every)
    with Store(store_path(target)) as store:
        stored = len(store.present())
    return {"folder": target, "stored": stored, "added": added, "twice": twice}
