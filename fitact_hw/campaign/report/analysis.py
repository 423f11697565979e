"""Probabilities of every outcome of an upset: by scheme, structure, layer, bit position and place in the array.

A campaign draws equally many upsets in every structure. A probability within one structure is a plain proportion;
one over several structures weights each with its storage bits, because a particle hits every bit equally likely.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fitact_hw.campaign.plan import structure_storages
from fitact_hw.campaign.snapshot import Campaign
from fitact_hw.campaign.store import CampaignError, Row
from fitact_hw.config import BUFFER_NAMES, AcceleratorConfig
from fitact_hw.faults import Outcome, Sample
from fitact_hw.reporting.statistics import Estimate, stratified

MBIT = 1e6
"""Bits of the Mbit in FIT/Mbit."""

FAILURE, EFFECT, SDC = "failure", "effect", Outcome.SDC.value

MEASURES: dict[str, frozenset[str]] = {
    **{outcome.value: frozenset((outcome.value,)) for outcome in Outcome},
    FAILURE: frozenset(o.value for o in Outcome if o not in (Outcome.MASKED, Outcome.BENIGN)),
    EFFECT: frozenset(o.value for o in Outcome if o is not Outcome.MASKED),
}
"""Name of a probability -> outcomes that count. ``failure``: no right answer in time; ``effect``: not masked."""

MACHINE, STRUCTURE, LAYER, BIT, PE_ROW, PE_COL, BOUND = (
    "machine",
    "structure",
    "layer",
    "bit",
    "PE row",
    "PE column",
    "bound",
)

PE_SITE = re.compile(r"u_array\.g_row\[(\d+)\]\.g_col\[(\d+)\]\.u_pe\.")

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
    """Bit position within the lane's value that the (lowest) flipped bit has; None where there is no such value.

    In a buffer word the lanes lie side by side, check bits above them. In the bias buffer bits from ``acc_bits`` on are
    the shift.
    """
    buffer = row.structure.removesuffix("_buffer")
    if buffer in BUFFER_NAMES:
        width = config.buffer_lane_bits(buffer)
        return row.bit % width if row.bit < config.side * width else None
    return row.bit if row.structure in PE_VALUES else None


PE_VALUES = ("pe_weight", "pe_shadow", "pe_activation", "pe_psum")
"""Registers of a PE that hold one value."""


def pe_place(row: Row) -> tuple[int, int] | None:
    """Row and column of the PE that the upset hits."""
    found = PE_SITE.match(row.site)
    return (int(found[1]), int(found[2])) if found else None


class Analysis:
    """All tables of a campaign, with intervals at ``confidence``."""

    def __init__(self, campaign: Campaign, confidence: float = 0.95) -> None:
        if campaign.options.sample is not Sample.ALL:
            what = {
                Sample.LIVE: "upsets in live bits only",
                Sample.STRATIFIED: "a stratified sample",
                Sample.LIST: "faults that no sample drew",
            }[campaign.options.sample]
            raise CampaignError(
                f"{campaign.folder} has {what}, which a report would weigh wrongly: "
                "see `fitact campaign status`, or run a campaign with --sample all"
            )
        self.campaign = campaign
        self.confidence = confidence
        sizes: dict[str, int] = campaign.facts["bits"]
        self.bits = {name: sizes[name] for name in sorted(sizes, key=lambda name: (-sizes[name], name))}
        self.schemes = tuple(s for s in campaign.options.schemes if any(row.scheme == s for row in campaign.rows))

    @property
    def config(self) -> AcceleratorConfig:
        """The machine."""
        return self.campaign.options.config

    def table(self, key_of: Callable[[Row], Key | None]) -> list[Entry]:
        """An entry for every key and scheme, ordered by key, then scheme; rows with key None are left out."""
        groups: dict[Key, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in self.campaign.rows:
            key = key_of(row)
            if key is not None:
                groups[key][row.scheme].append(row)
        return [
            _entry(key, scheme, groups[key][scheme], self.bits, self.confidence)
            for key in groups
            for scheme in self.schemes
            if groups[key].get(scheme)
        ]

    @cached_property
    def unsampled(self) -> dict[str, tuple[str, ...]]:
        """Scheme -> structures of the campaign that have no injection, the largest first."""
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
        return [self._whole(entry) for entry in self.table(lambda row: (MACHINE,))]

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
        nothing = dict.fromkeys(MEASURES, Estimate.of(0, 0, self.confidence))
        empty = [
            Entry((name,), scheme, 0, self.bits[name], nothing, None)
            for scheme, names in self.unsampled.items()
            for name in names
        ]
        found = [*self.table(lambda row: (row.structure,)), *empty]
        return sorted(found, key=lambda entry: (order.index(entry.key[0]), self.schemes.index(entry.scheme)))

    @cached_property
    def layers(self) -> list[Entry]:
        """By the layer that the machine works on when the upset strikes, in the order of the run."""
        first: dict[str, int] = {}
        for row in self.campaign.rows:
            first[row.layer] = min(row.cycle, first.get(row.layer, row.cycle))
        return sorted(self.table(lambda row: (row.layer,)), key=lambda entry: first[entry.key[0]])

    @cached_property
    def bit_positions(self) -> list[Entry]:
        """By structure that holds values and bit of the value; key: (structure, bit)."""

        def key(row: Row) -> Key | None:
            bit = lane_bit(row, self.config)
            return None if bit is None else (row.structure, str(bit))

        order = list(self.bits)
        return sorted(self.table(key), key=lambda entry: (order.index(entry.key[0]), int(entry.key[1])))

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

        order = list(self.bits)
        return sorted(self.table(key), key=lambda entry: (order.index(entry.key[0]), int(entry.key[1])))

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

        return sorted(self.table(key), key=lambda entry: int(entry.key[0]))

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
