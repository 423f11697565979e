"""Probabilities of every outcome of an upset: by scheme, structure, layer, bit position and place in the array.

A stratified campaign knows what each of its injections counts (:mod:`fitact_hw.campaign.report.weighting`). One over
all points draws equally many upsets in every structure: a probability within one structure is a plain proportion; one
over several structures weights each with its storage bits, because a particle hits every bit equally likely.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fitact_hw.campaign.merge import ROUNDS
from fitact_hw.campaign.plan import ENDS, structure_storages
from fitact_hw.campaign.report.measures import MEASURES
from fitact_hw.campaign.report.shares import PE_SITE, Shares, value_bit
from fitact_hw.campaign.report.weighting import Weighting
from fitact_hw.campaign.rounds import Rounds
from fitact_hw.campaign.snapshot import Campaign
from fitact_hw.campaign.store import CampaignError, Row
from fitact_hw.config import AcceleratorConfig
from fitact_hw.faults import Outcome, Sample
from fitact_hw.reporting.statistics import Estimate, stratified

MBIT = 1e6
"""Bits of the Mbit in FIT/Mbit."""

MACHINE, STRUCTURE, LAYER, BIT, PE_ROW, PE_COL, BOUND = (
    "machine",
    "structure",
    "layer",
    "bit",
    "PE row",
    "PE column",
    "bound",
)

Key = tuple[str, ...]

GROUPS = 9
"""Groups of bits at most: eight of a word, and one of the shift beside a bias."""


@dataclass(frozen=True)
class Entry:
    """Probabilities of upsets of one ``key`` under one scheme; ``estimates``: by name of :data:`MEASURES`.

    ``upsets``: injections behind it. ``bits``: storage bits of the structures that they hit (of the whole machine: of
    all). ``example``: an injection that shows it, the worst outcome first; None if there is none.
    """

    key: Key
    scheme: str
    upsets: int
    bits: int
    estimates: Mapping[str, Estimate]
    example: Row | None

    def fit(self, measure: str, fit_per_mbit: float) -> Estimate:
        """Failures in 10^9 hours of non-stop inference, from the raw rate of the cells in FIT per 10^6 bits."""
        return self.estimates[measure].scaled(self.bits / MBIT * fit_per_mbit)


_SEVERITY = (Outcome.SDC, Outcome.HANG, Outcome.BUS_ERROR, Outcome.DETECTED, Outcome.BENIGN, Outcome.MASKED)
_RANK = {outcome.value: rank for rank, outcome in enumerate(_SEVERITY)}


def worst_first(rows: Iterable[Row]) -> list[Row]:
    """Rows by outcome, SDC first; otherwise in their order."""
    return sorted(rows, key=lambda row: _RANK[row.outcome])


def _entry(key: Key, scheme: str, rows: Sequence[Row], bits: Mapping[str, int], confidence: float) -> Entry:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        counts[row.structure][row.outcome] += 1
    estimates = {}
    for measure, outcomes in MEASURES.items():
        parts = {name: (sum(found[o] for o in outcomes), found.total()) for name, found in counts.items()}
        if len(parts) == 1:
            estimates[measure] = Estimate.of(*next(iter(parts.values())), confidence)
        else:
            estimates[measure] = stratified(parts, {name: float(bits[name]) for name in parts}, confidence)
    return Entry(key, scheme, len(rows), sum(bits[name] for name in counts), estimates, worst_first(rows)[0])


def lane_bit(row: Row, config: AcceleratorConfig) -> int | None:
    """:func:`value_bit` of the (lowest) flipped bit."""
    return value_bit(row.structure, row.bit, config)


def pe_place(row: Row) -> tuple[int, int] | None:
    """Row and column of the PE that the upset hits."""
    found = PE_SITE.match(row.site)
    return (int(found[1]), int(found[2])) if found else None


class Analysis:
    """All tables of a campaign, with intervals at ``confidence``."""

    def __init__(self, campaign: Campaign, confidence: float = 0.95) -> None:
        options = campaign.options
        if options.sample not in (Sample.ALL, Sample.STRATIFIED):
            what = "upsets in live bits only" if options.sample is Sample.LIVE else "faults that no sample drew"
            raise CampaignError(
                f"{campaign.folder} has {what}, which a report would weigh wrongly: "
                f"see `fitact campaign status`, or run a campaign with --sample {Sample.STRATIFIED.value}"
            )
        self.weighting: Weighting | None = None
        if options.sample is Sample.STRATIFIED:
            rounds = Rounds.from_json(campaign.facts[ROUNDS])
            self.weighting = Weighting(rounds, campaign.rows, options.schemes, confidence)
            if not self.weighting.rounds.draws:
                raise CampaignError(
                    f"{campaign.folder} has no complete round yet: run `fitact campaign resume {campaign.folder}`"
                )
            campaign = replace(campaign, rows=self.weighting.kept())
        self.campaign = campaign
        self.confidence = confidence
        sizes: dict[str, int] = campaign.facts["bits"]
        self.bits = {name: sizes[name] for name in sorted(sizes, key=lambda name: (-sizes[name], name))}
        self.schemes = tuple(s for s in campaign.options.schemes if any(row.scheme == s for row in campaign.rows))

    @property
    def config(self) -> AcceleratorConfig:
        """The machine."""
        return self.campaign.options.config

    def table(
        self, key_of: Callable[[Row], Key | None], share_of: Callable[[Key], float | None] = lambda key: None
    ) -> list[Entry]:
        """An entry for every key and scheme, ordered by key, then scheme; rows with key None are left out.

        ``share_of``: share of all (bit, cycle) points that a key stands for, which stratified campaigns need.
        """
        groups: dict[Key, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in self.campaign.rows:
            key = key_of(row)
            if key is not None:
                groups[key][row.scheme].append(row)
        return [
            self._entry(key, scheme, groups[key][scheme], share_of(key) if self.weighting else None)
            for key in groups
            for scheme in self.schemes
            if groups[key].get(scheme)
        ]

    def _entry(self, key: Key, scheme: str, rows: Sequence[Row], share: float | None) -> Entry:
        if self.weighting is None:
            return _entry(key, scheme, rows, self.bits, self.confidence)
        bits = sum(self.bits.values() if key == (MACHINE,) else (self.bits[s] for s in {row.structure for row in rows}))
        return Entry(key, scheme, len(rows), bits, self.weighting.estimates(scheme, rows, share), worst_first(rows)[0])

    @cached_property
    def shares(self) -> Shares:
        """Of all points, for stratified campaigns."""
        options, facts = self.campaign.options, self.campaign.facts
        ends = [(name, end) for name, end in facts.get(ENDS, {}).get(options.base, [])]
        return Shares(options, self.bits, ends, facts["cycles"][options.base])

    @cached_property
    def unsampled(self) -> dict[str, tuple[str, ...]]:
        """Scheme -> structures of the campaign that have no injection, the largest first."""
        if self.weighting:  # each structure that is ever read has a stratum, each stratum has draws in every round
            return dict.fromkeys(self.schemes, ())
        hit = {(row.scheme, row.structure) for row in self.campaign.rows}
        return {s: tuple(name for name in self.bits if (s, name) not in hit) for s in self.schemes}

    @cached_property
    def machine_structures(self) -> int:
        """How many structures the machine has; the campaign may have been asked for some only."""
        options = self.campaign.options
        return len(structure_storages(replace(options, structures=()))) if options.structures else len(self.bits)

    @property
    def scope(self) -> str:
        """What :attr:`machine` is about, in words."""
        count, of = len(self.bits), self.machine_structures
        return "whole machine" if count == of else f"{count} of {of} structures"

    @cached_property
    def machine(self) -> list[Entry]:
        """The whole machine (all structures of the campaign), by scheme; those without an injection bound it."""
        return [self._whole(entry) for entry in self.table(lambda row: (MACHINE,), lambda key: 1.0)]

    def _whole(self, entry: Entry) -> Entry:
        missing = sum(self.bits[name] for name in self.unsampled[entry.scheme])
        if not missing:
            return entry
        bits = sum(self.bits.values())
        estimates = {measure: found.beside(missing / bits) for measure, found in entry.estimates.items()}
        return replace(entry, bits=bits, estimates=estimates)

    @cached_property
    def structures(self) -> list[Entry]:
        """By structure, the largest first; also those without an injection, whose probabilities are anything."""
        order = list(self.bits)
        found = self.table(lambda row: (row.structure,), lambda key: self.shares.structure(key[0]))
        hit = {(entry.scheme, entry.key[0]) for entry in found}
        # of a stratified campaign: nothing ever reads it
        unknown = Estimate(0.0, 0.0, 0.0, 0, 0) if self.weighting else Estimate.of(0, 0, self.confidence)
        nothing = dict.fromkeys(MEASURES, unknown)
        found += [
            Entry((name,), scheme, 0, self.bits[name], nothing, None)
            for scheme in self.schemes
            for name in self.bits
            if (scheme, name) not in hit
        ]
        return sorted(found, key=lambda entry: (order.index(entry.key[0]), self.schemes.index(entry.scheme)))

    @cached_property
    def layers(self) -> list[Entry]:
        """By the layer that the machine works on when the upset strikes, in the order of the run."""
        first: dict[str, int] = {}
        for row in self.campaign.rows:
            first[row.layer] = min(row.cycle, first.get(row.layer, row.cycle))
        found = self.table(lambda row: (row.layer,), lambda key: self.shares.layer(key[0]))
        return sorted(found, key=lambda entry: first[entry.key[0]])

    @cached_property
    def bit_positions(self) -> list[Entry]:
        """By structure that holds values and bit of the value; key: (structure, bit)."""

        def key(row: Row) -> Key | None:
            bit = lane_bit(row, self.config)
            return None if bit is None else (row.structure, str(bit))

        order = list(self.bits)
        found = self.table(key, lambda key: self.shares.values(key[0], int(key[1]), int(key[1])))
        return sorted(found, key=lambda entry: (order.index(entry.key[0]), int(entry.key[1])))

    @cached_property
    def bit_spans(self) -> dict[str, list[tuple[int, int]]]:
        """Structure that holds values -> first and last bit of each group of neighbouring bits, eight of them or so:
        single bits of a wide word have too few upsets to be told apart."""
        width: dict[str, int] = defaultdict(int)
        for entry in self.bit_positions:
            width[entry.key[0]] = max(width[entry.key[0]], int(entry.key[1]) + 1)
        spans = {}
        for structure, bits in width.items():
            step = 1
            while bits > GROUPS * step:
                step *= 2
            spans[structure] = [(low, min(low + step, bits) - 1) for low in range(0, bits, step)]
        return spans

    @cached_property
    def bit_groups(self) -> list[Entry]:
        """As :attr:`bit_positions`, by group of :attr:`bit_spans`; key: (structure, number of the group)."""

        def key(row: Row) -> Key | None:
            bit = lane_bit(row, self.config)
            if bit is None:
                return None
            return row.structure, str(next(n for n, span in enumerate(self.bit_spans[row.structure]) if bit <= span[1]))

        def share(key: Key) -> float:
            return self.shares.values(key[0], *self.bit_spans[key[0]][int(key[1])])

        order = list(self.bits)
        return sorted(self.table(key, share), key=lambda entry: (order.index(entry.key[0]), int(entry.key[1])))

    @cached_property
    def pe_rows(self) -> list[Entry]:
        """By row of the PE array, all PE registers."""
        return self._pe_lines(0)

    @cached_property
    def pe_columns(self) -> list[Entry]:
        """By column of the PE array, all PE registers."""
        return self._pe_lines(1)

    @cached_property
    def bound_flips(self) -> list[Entry]:
        """Upsets in the bound buffer by what they do to the bound in their word: raised or lowered."""
        change = {
            (scheme, number): name
            for scheme, of_scheme in self.campaign.facts.get("bound_flips", {}).items()
            for name, numbers in of_scheme.items()
            for number in numbers
        }
        return self.table(lambda row: (change[row.scheme, row.number],) if (row.scheme, row.number) in change else None)

    def _pe_lines(self, axis: int) -> list[Entry]:

        def key(row: Row) -> Key | None:
            place = pe_place(row)
            return None if place is None else (str(place[axis]),)

        share = self.shares.array_lines(axis) if self.weighting else None
        return sorted(self.table(key, lambda key: share), key=lambda entry: int(entry.key[0]))

    @property
    def upsets_per_pe(self) -> float:
        """Injections of one scheme that hit the registers of one PE, on average."""
        hit = sum(pe_place(row) is not None for row in self.campaign.rows)
        return hit / (len(self.schemes) * self.config.rows * self.config.cols)

    def mechanisms(self) -> str:
        """How the outcomes were found, with counts."""
        return ", ".join(f"{name} {n:,}" for name, n in Counter(row.way for row in self.campaign.rows).most_common())


def by_scheme(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Entries of every scheme, in their order."""
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        found[entry.scheme].append(entry)
    return dict(found)
