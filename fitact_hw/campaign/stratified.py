"""A stratified campaign: rounds of upsets, each drawn where the ones before leave most uncertainty for its cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fitact_hw.campaign.goal import SDC, Goal
from fitact_hw.campaign.outlook import budget_line, first_line, outlook, progress_line
from fitact_hw.campaign.pace import Pace
from fitact_hw.campaign.plan import CHUNK, SIMULATED_IMAGES, CampaignOptions, bits_of, timing
from fitact_hw.campaign.pool import Pool
from fitact_hw.campaign.rounds import Found, Rounds, Spans
from fitact_hw.campaign.run import CampaignRun, Draw
from fitact_hw.campaign.store import CampaignError, Row, Store
from fitact_hw.campaign.strata import Population, draw, make_strata
from fitact_hw.campaign.subjects import Loader, load_subject
from fitact_hw.campaign.targets import Quantity
from fitact_hw.estimation.allocation import allocation, smoothed
from fitact_hw.injection.live_points import LivePoints
from fitact_hw.injection.verdict import Mechanism
from fitact_hw.reporting.formats import percent
from sim.cache import Note

ROUNDS, GOAL = "rounds", "goal"
"""Names of what the store keeps: a :class:`Rounds`, and the last :class:`Goal`."""

WAY_CYCLES = {Mechanism.DEAD: 50, Mechanism.FUNCTIONAL: 6_000, Mechanism.RECONVERGED: 8_000, Mechanism.GOLDEN: 40_000}
"""About what an upset of each kind costs, in cycles of RTL that take as long (AlexNet, Q15.16). An allocation by what
was measured would differ from machine to machine."""


class StratifiedRun(CampaignRun):
    """A campaign with ``sample`` stratified, bound to its folder; ``goal``: when it ends. Otherwise as its base class.

    ``options.faults`` is what is planned so far. Raises CampaignError if the budget is too small for its strata.
    """

    def __init__(
        self,
        options: CampaignOptions,
        folder: Path,
        pool: Pool,
        *,
        goal: Goal,
        note: Note = print,
        chunk: int = CHUNK,
        load: Loader = load_subject,
    ) -> None:
        self._goal, self._pace, self._live, self._rounds, self._found = goal, Pace(), None, None, None
        super().__init__(replace(options, faults=0), folder, pool, note=note, chunk=chunk, load=load)

    _live: LivePoints | None
    _rounds: Rounds | None
    _found: Found | None

    def _begin(self) -> None:
        """Strata of this campaign, and the rounds that its store has or a first one."""
        options, base = self.options, self.options.base
        self._note("tracing a fault-free run of every scheme")
        order = sorted(options.schemes, key=lambda scheme: scheme != base)
        for scheme in order:
            facts = self._place.facts(scheme)
            line = timing(scheme, facts)
            self._live = self._live or LivePoints(line, options.shape, options.interleave)
            self._live.add(line, facts.accesses)
        assert self._live
        bits = bits_of(self._storages)
        population = make_strata(self._live, self._storages, options.images, SIMULATED_IMAGES, bits)
        with Store(self._path, create=True) as store:
            kept = store.facts().get(ROUNDS)
            rounds = Rounds.from_json(kept) if kept else Rounds(population)
            if rounds.population != population:
                raise CampaignError(f"{self._path} has other strata: choose another folder with --out")
            empty = Found(Rounds(population), [], options.schemes, self._layers)
            self._goal.quantities(empty)  # an unknown target fails here
            self._plan(store, rounds if rounds.draws else self._pilot(population))
            self._pace.mark(sum(store.counts("scheme").values()) // len(options.schemes))
        live = float(population.shares.sum())
        self._note(
            f"{len(population.strata)} strata; {percent(live)} of all (bit, cycle) points are live under some scheme, "
            "the others masked under each"
        )
        if not (kept and kept["draws"]) and (text := first_line(empty, self._goal)):
            self._note(text)

    def _pilot(self, population: Population) -> Rounds:
        strata = len(population.strata)
        size, least = self._goal.pilot(strata)
        if size < strata:
            raise CampaignError(f"{size} upsets do not reach each of {strata} strata: --faults {strata} or more")
        numbers = allocation(population.shares, np.ones(strata), np.ones(strata), size, least)
        return Rounds(population).with_round(numbers)

    def _plan(self, store: Store, rounds: Rounds) -> None:
        self._rounds, self.options = rounds, replace(self.options, faults=rounds.total)
        self._draw = None
        store.note(**{ROUNDS: rounds.to_json(), GOAL: self._goal.to_json(), "faults": rounds.total})

    def _make_draw(self) -> Draw:
        """All upsets of the rounds that are planned."""
        assert self._live
        assert self._rounds
        strata, options = self._rounds.population.strata, self.options
        of = self._rounds.cells % len(strata)
        events: list[Any] = [None] * len(of)
        images = [0] * len(of)
        for index, stratum in enumerate(strata):
            numbers = np.flatnonzero(of == index)
            drawn = draw(stratum, self._live, self._storages, options.seed, range(len(numbers)))
            for number, (event, image) in zip(numbers.tolist(), drawn, strict=True):
                events[number], images[number] = event, image
        return Draw(self._live.base, events, images)

    def _extend(self, store: Store) -> bool:
        assert self._rounds
        found = self._found = Found(self._rounds, store.rows(), self.options.schemes, self._layers)
        self._pace.mark(found.rounds.total)
        size = self._goal.next_size(found, self._pace)
        self._note(progress_line(found, self._goal))
        if size <= 0:
            return False
        if text := budget_line(found, self._goal, self._pace):
            self._note(text)
        chosen = self._goal.quantities(found)
        self._plan(store, self._rounds.with_round(next_round(found, size, self._live_cycles, chosen)))
        self._note(f"round {len(self._rounds.draws)}: {size:,} upsets per scheme more")
        return True

    def outlook(self) -> str:
        """As :func:`fitact_hw.campaign.outlook.outlook`; empty before the first round is complete."""
        return outlook(self._found, self._goal, self._pace) if self._found else ""

    @property
    def _layers(self) -> Spans:
        assert self._live
        base = self._live.base
        return layer_spans(zip(base.layers, base.ends.tolist(), strict=True), base.cycles)

    @property
    def _live_cycles(self) -> int:
        assert self._live
        return self._live.base.cycles


def layer_spans(ends: Iterable[tuple[str, int]], cycles: int) -> Spans:
    """From the cycles in which the layers of a run of ``cycles`` end; the last one has all that remain."""
    found, begin = {}, 0
    listed = list(ends)
    for number, (name, end) in enumerate(listed, 1):
        until = cycles if number == len(listed) else end
        found[name] = (begin, until)
        begin = until
    return found


def next_round(found: Found, size: int, cycles: int, chosen: Sequence[Quantity]) -> np.ndarray:
    """Draws int64 (strata,) of a round of ``size`` for intervals of ``chosen``; ``cycles``: of a fault-free run."""
    strata = len(found.rounds.population.strata)
    of = found.rounds.cells % strata
    drawn = np.bincount(of, minlength=strata)
    variances, costs = np.zeros(strata), np.zeros(strata)
    for quantity in chosen:
        names = [quantity.structure] if quantity.structure else []
        inside, share = found.domain(names, quantity.layer)
        variances += inside / share**2 * _variance(found, quantity, of, drawn)
    for scheme in found.schemes:
        cost = np.array([cost_of(row, cycles) for row in found.rows[scheme]], float)
        costs += np.bincount(of, cost, minlength=strata)
    costs = np.maximum(costs / np.maximum(drawn, 1), 1.0)
    return allocation(found.rounds.population.shares, variances / len(chosen), costs, size)


def _variance(found: Found, quantity: Quantity, of: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """float64 (strata,): about that of one draw. Pairs of which just one fails are all that a difference varies by."""
    hits = found.fails(quantity.scheme, SDC)
    if quantity.rival:
        hits = hits ^ found.fails(quantity.rival, SDC)
    if quantity.layer:
        hits = hits & found.strikes(quantity.layer)
    q = smoothed(np.bincount(of[hits], minlength=len(drawn)), drawn)
    return np.asarray(q if quantity.rival else q * (1 - q))


def cost_of(row: Row, cycles: int) -> float:
    """What an injection costs, about, in cycles of RTL; the same on every machine."""
    way = Mechanism(row.way)
    if way is Mechanism.FULL:
        return float(WAY_CYCLES[Mechanism.RECONVERGED] + max(0, min(row.cycles, cycles) - row.cycle))
    return float(WAY_CYCLES[way])
