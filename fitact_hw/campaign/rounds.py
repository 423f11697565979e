"""The rounds of a stratified campaign: what each drew, which injection belongs where, and what they say together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from fitact_hw.campaign.store import Row
from fitact_hw.campaign.strata import Population
from fitact_hw.campaign.targets import Quantity
from fitact_hw.estimation.allocation import round_weights
from fitact_hw.estimation.counts import Counts
from fitact_hw.estimation.intervals import Interval, difference, interval


@dataclass(frozen=True)
class Rounds:
    """``draws``: of each round, how many of each stratum. Injection numbers count through rounds, then strata."""

    population: Population
    draws: tuple[tuple[int, ...], ...] = field(default=())

    @property
    def sizes(self) -> list[int]:
        """Draws of each round."""
        return [sum(numbers) for numbers in self.draws]

    @property
    def total(self) -> int:
        """Draws of all rounds: injections per scheme."""
        return sum(self.sizes)

    def with_round(self, numbers: Iterable[int]) -> Rounds:
        """One round more."""
        return Rounds(self.population, (*self.draws, tuple(int(number) for number in numbers)))

    @cached_property
    def cells(self) -> np.ndarray:
        """int64 (total,): round * strata + stratum of each injection number."""
        numbers = np.array(self.draws, np.int64).reshape(-1)
        return np.repeat(np.arange(len(numbers)), numbers)

    @property
    def shares(self) -> np.ndarray:
        """float64 (rounds * strata,): weight of each round's stratum in the rate."""
        return np.asarray(round_weights(self.sizes)[:, None] * self.population.shares).reshape(-1)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"population": self.population.to_json(), "draws": [list(numbers) for numbers in self.draws]}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Rounds:
        """Inverse of :meth:`to_json`."""
        draws = tuple(tuple(numbers) for numbers in value["draws"])
        return Rounds(Population.from_json(value["population"]), draws)


Spans = Mapping[str, tuple[int, int]]
"""Layer -> cycle of the base run in which it begins, and that in which the next one does."""


class Found:
    """What the injections of complete ``rounds`` came to. ``rows``: of all schemes; ``layers``: needed for figures of
    single layers only."""

    def __init__(
        self, rounds: Rounds, rows: Iterable[Row], schemes: Sequence[str], layers: Spans | None = None
    ) -> None:
        by_scheme: dict[str, list[Row]] = {scheme: [] for scheme in schemes}
        for row in rows:
            by_scheme[row.scheme].append(row)
        stored = min((len(found) for found in by_scheme.values()), default=0)
        kept = [size for size in np.cumsum(rounds.sizes).tolist() if size <= stored]
        self.rounds = Rounds(rounds.population, rounds.draws[: len(kept)])
        total = self.rounds.total
        self.rows = {
            scheme: sorted((row for row in found if row.number < total), key=lambda row: row.number)
            for scheme, found in by_scheme.items()
        }
        self.schemes, self.layers = tuple(schemes), layers or {}
        self._rates: dict[tuple[object, ...], Interval] = {}

    @property
    def images(self) -> int:
        """Over how many images the upsets are spread."""
        return max((stratum.images for stratum in self.rounds.population.strata), default=1)

    @cached_property
    def _struck(self) -> np.ndarray:
        """int64 (total,): the image of each injection, the same for every scheme."""
        return np.array([row.image for row in self.rows[self.schemes[0]]], np.int64)

    @cached_property
    def _draws(self) -> np.ndarray:
        """int64 (cells, images): the same for every scheme."""
        return self._counted(np.ones(self.rounds.total, np.int64))

    def _counted(self, values: np.ndarray) -> np.ndarray:
        cells = len(self.rounds.population.strata) * len(self.rounds.draws)
        found = np.zeros((cells, self.images), np.int64)
        np.add.at(found, (self.rounds.cells, self._struck), values)
        return found

    def fails(self, scheme: str, outcomes: Iterable[str]) -> np.ndarray:
        """bool (total,): which injections came to one of ``outcomes``."""
        wanted = frozenset(outcomes)
        return np.array([row.outcome in wanted for row in self.rows[scheme]], bool)

    def domain(self, structures: Iterable[str] = (), layer: str = "") -> tuple[np.ndarray, float]:
        """bool (strata,): those with points of ``structures`` (none named: of all) while ``layer`` (none: any) runs;
        and the share that all such points, dead ones included, are of all."""
        names, population = frozenset(structures), self.rounds.population
        inside = np.array([not names or stratum.structure in names for stratum in population.strata], bool)
        share = sum(population.share_of(name) for name in names) if names else 1.0
        if layer:
            begin, end = self.layers[layer]
            inside &= [stratum.begin < end and begin < stratum.end for stratum in population.strata]
            share *= (end - begin) / population.cycles
        return inside, share

    def strikes(self, layer: str) -> np.ndarray:
        """bool (total,): which injections strike while ``layer`` runs, the same under every scheme."""
        return np.array([row.layer == layer for row in self.rows[self.schemes[0]]], bool)

    def counts(self, fails: np.ndarray, structures: Iterable[str] = (), layer: str = "") -> Counts:
        """Of upsets that strike any point of :meth:`domain`, a cell of each round and stratum.

        ``fails``: bool (total,), the injections that hit. A stratum that lies in a layer in part has hits there among
        all its draws.
        """
        inside, share = self.domain(structures, layer)
        weights = self.rounds.shares * np.tile(inside, len(self.rounds.draws))
        hits = fails & self.strikes(layer) if layer else fails
        return Counts(weights / share, self._draws, self._counted(hits.astype(np.int64)))

    def rate(
        self,
        scheme: str,
        outcomes: Iterable[str],
        structures: Iterable[str] = (),
        confidence: float = 0.95,
        layer: str = "",
    ) -> Interval:
        """Probability of ``outcomes`` for an upset that strikes any point of :meth:`domain`."""
        key = (scheme, frozenset(outcomes), frozenset(structures), confidence, layer)
        if key not in self._rates:  # a goal asks for the same ones several times after each round
            self._rates[key] = interval(self.counts(self.fails(scheme, key[1]), key[2], layer), confidence)
        return self._rates[key]

    def difference(
        self, first: str, second: str, outcomes: Iterable[str], structures: Iterable[str] = (), confidence: float = 0.95
    ) -> Interval:
        """Probability under ``first`` minus that under ``second``, on the same upsets."""
        key = (first, second, frozenset(outcomes), frozenset(structures), confidence)
        if key not in self._rates:
            one, other = self.fails(first, key[2]), self.fails(second, key[2])
            only_first, only_second = (self.counts(found, key[3]) for found in (one & ~other, other & ~one))
            self._rates[key] = difference(only_first, only_second, confidence)
        return self._rates[key]

    def of(self, quantity: Quantity, outcomes: Iterable[str], confidence: float = 0.95) -> Interval:
        """What is known of ``quantity``."""
        names = [quantity.structure] if quantity.structure else []
        if quantity.rival:
            return self.difference(quantity.scheme, quantity.rival, outcomes, names, confidence)
        return self.rate(quantity.scheme, outcomes, names, confidence, quantity.layer)
