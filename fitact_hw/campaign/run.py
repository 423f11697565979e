"""Runs a campaign: draws its upsets, hands tasks to workers, stores what comes back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from fitact_hw.campaign.origin import recorded
from fitact_hw.campaign.plan import (
    CHUNK,
    ENDS,
    CampaignOptions,
    Storages,
    bits_of,
    draw_all,
    faults_for_margin,
    identity,
    image_of,
    structure_storages,
    timing,
    unreached,
    without_injection,
)
from fitact_hw.campaign.pool import Forks, Pool
from fitact_hw.campaign.store import CampaignError, Row, Store, store_path
from fitact_hw.campaign.subjects import Loader, load_subject
from fitact_hw.campaign.work import Task, workplace
from fitact_hw.fault_models import shortcuts_off
from fitact_hw.faults import FaultEvent, Sample
from fitact_hw.injection import live_sample
from fitact_hw.injection.accounting import Work
from fitact_hw.injection.bound_flips import bound_flips
from fitact_hw.injection.facts import Facts
from fitact_hw.injection.software_only import software_seconds
from fitact_hw.injection.timeline import Timeline, moved
from fitact_hw.injection.verdict import Times
from fitact_hw.reporting.provenance import Run, versions
from golden.bounds.own import check_unchanged
from sim.cache import Note
from sim.engine.build import build_libraries, source_fingerprint

ATTEMPTS = 5
"""Workers that may die (killed, out of memory) without a single task coming back in between."""

TASKS_PER_WORKER = 3
"""For upsets that share a fault-free run: some, so that no worker waits long for another."""

SOFTWARE_RUNS = 4
"""Injections by software only whose time a campaign is compared with."""

Finished = Callable[[int, int, list[Row]], None]
"""Called with (injections stored, all injections, the rows just stored)."""


def run_campaign(
    options: CampaignOptions,
    folder: Path,
    *,
    pool: Pool | None = None,
    finished: Finished = lambda done, total, rows: None,
    note: Note = print,
    chunk: int = CHUNK,
    margin: tuple[float, float] | None = None,
    load: Loader = load_subject,
) -> Times:
    """Run or continue the campaign in ``folder`` (see :class:`CampaignRun`); returns where the time went."""
    run = CampaignRun(options, folder, pool or Forks(2), note=note, chunk=chunk, margin=margin, load=load)
    return run.work(finished)


@dataclass(frozen=True)
class Draw:
    """Upsets of the run ``base`` and the image that each strikes."""

    base: Timeline
    events: list[FaultEvent]
    images: list[int]
    live: live_sample.LiveDraw | None = None

    @staticmethod
    def in_turn(base: Timeline, events: list[FaultEvent], structures: int, images: int) -> Draw:
        """Of ``structures`` that take turns."""
        return Draw(base, events, [image_of(number, structures, images) for number in range(len(events))])


class CampaignRun:
    """A campaign bound to its folder, its upsets drawn and the first of them ready; :meth:`work` does the rest.

    ``margin``: (margin of error, confidence) that every structure should have, instead of ``options.faults``. The
    stored rows do not depend on ``pool``, ``chunk`` (injections of one task at most) or interruptions. Raises
    CampaignError if the folder belongs to another campaign or the store cannot be written. ``load`` makes the subjects.
    """

    def __init__(
        self,
        options: CampaignOptions,
        folder: Path,
        pool: Pool,
        *,
        note: Note = print,
        chunk: int = CHUNK,
        margin: tuple[float, float] | None = None,
        load: Loader = load_subject,
    ) -> None:
        self.options = replace(options, faults=0) if margin else options  # until the length of a run is known
        self._margin = margin
        self._path, self._pool, self._note, self._chunk, self._load = store_path(folder), pool, note, chunk, load
        self._began = Run(options.seed)
        self._storages = structure_storages(options)  # bad options fail here, before there is a store
        self._place = workplace(options, load)
        self._check_faults()
        bound = identity(self.options, self._place.subjects, source_fingerprint(options.config))
        self._identities = {s: (bound["programs"][s], bound["pictures"][s]) for s in options.schemes}
        check_unchanged(options.schemes)
        with Store(self._path, create=True) as store:
            store.claim(bound)
            store.note(faults=self._planned(store), bits=bits_of(self._storages), versions=versions(), **self._facts())
        build_libraries(options.config, note)
        self._place.engine.times = Times()
        self._draw: Draw | None = None
        self._software: float | None = None
        self._begin()
        self._tasks = self._make_tasks()
        self._first = next(self._tasks, None)

    def _begin(self) -> None:
        """Settle how many upsets there are."""
        if self._margin:
            self._take_margin(*self._margin)
        if self.options.sample is not Sample.LIST and (missing := without_injection(self.options)):
            self._note(unreached(missing, len(self._storages)))

    def work(self, finished: Finished = lambda done, total, rows: None) -> Times:
        """Do what is missing; returns where the time of this run went. Raises CampaignError if workers keep dying."""
        times, failures = Times(), 0
        tasks: Iterable[Task] = [] if self._first is None else chain([self._first], self._tasks)
        total = sum(map(self._wanted, self.options.schemes))

        def work() -> Work:
            whole = Times()
            for part in (times, self._place.engine.times):
                whole.merge(part)
            return Work(whole, self._software)

        with Store(self._path, create=True) as store, recorded(store, self.options, self._began, work):
            while True:
                missing = sum(map(len, self._missing(store).values()))
                finished(total - missing, total, [])
                if not missing:
                    if not self._extend(store):
                        break
                    total, tasks = self.options.faults * len(self.options.schemes), self._make_tasks()
                    continue
                with closing(self._pool.run(tasks)) as results:
                    for result in results:
                        if result is None:
                            failures += 1
                            self._check(failures)
                            continue
                        rows, spent = result
                        times.merge(spent)
                        missing -= store.add(rows)
                        failures = 0
                        finished(total - missing, total, rows)
                tasks = self._make_tasks()
        times.merge(self._place.engine.times)
        return times

    def _check_faults(self) -> None:
        """Raise an error for faults that cannot be judged, before there is a store."""

    def _facts(self) -> dict[str, Any]:
        """What else the store keeps from the start."""
        return {}

    def _wanted(self, scheme: str) -> int:
        """Injections of a scheme."""
        return self.options.faults

    def _extend(self, store: Store) -> bool:
        """Called when everything planned is stored: whether more is planned now."""
        return False

    def _check(self, failures: int) -> None:
        if failures >= ATTEMPTS:
            raise CampaignError(
                f"worker processes died {ATTEMPTS} times in a row (out of memory?): use fewer with --workers; "
                "what had finished is kept"
            )
        self._note("a worker process died; going on with new ones")

    def _planned(self, store: Store) -> int:
        """Injections per scheme: a later run may ask for more, one that asks for fewer changes nothing."""
        return max(self.options.faults, int(store.facts().get("faults", 0)))

    def _missing(self, store: Store) -> dict[str, list[int]]:
        """Scheme -> numbers of injections that are not stored, the scheme first that they are drawn for."""
        present = store.present()
        schemes = sorted(self.options.schemes, key=lambda scheme: scheme != self.options.base)
        return {s: [n for n in range(self._wanted(s)) if (s, n) not in present] for s in schemes}

    def _take_margin(self, margin: float, confidence: float) -> None:
        cycles = self._place.facts(self.options.base).cycles
        faults = faults_for_margin(self._storages, cycles, margin, confidence)
        self.options = replace(self.options, faults=faults)
        self._note(f"margin {margin:.3g} at {confidence:.3g} in every structure: {faults:,} injections per scheme")
        with Store(self._path, create=True) as store:
            store.note(margin=margin, confidence=confidence, faults=self._planned(store))

    def _make_tasks(self) -> Iterator[Task]:
        """Tasks for everything that is missing, scheme by scheme; what they need is ready when they come."""
        with Store(self._path, create=True) as store:
            missing = self._missing(store)
        for scheme, numbers in missing.items():
            if not numbers:
                continue
            events, images = self._struck(scheme)
            groups: dict[int, list[int]] = defaultdict(list)
            for number in numbers:
                groups[images[number]].append(number)
            for image, group in groups.items():
                yield from self._tasks_of(scheme, image, {number: events[number] for number in group})

    def _tasks_of(self, scheme: str, image: int, events: Mapping[int, FaultEvent]) -> Iterator[Task]:
        """Injections of one image in tasks; those of a task lie close together in time.

        If there are enough tasks each of them makes its own fault-free run. If not, workers that share the memory of
        this process get one that is made here, where RTL sees the image.
        """
        order = sorted(events, key=lambda number: (events[number].cycle, number))
        size = max(1, min(self._chunk, self._place.engine.capacity))
        parts = [order[start : start + size] for start in range(0, len(order), size)]
        share = self._pool.shared and len(parts) < 2 * self._pool.workers
        for part in parts:
            case = self._place.case(scheme, image)
            if self._software is None:
                self._software = software_seconds(case.network, case.image, 1, SOFTWARE_RUNS)
            count = 1
            if self._pool.shared:
                self._place.engine.ready(case)
            if share:
                audit = self.options.audit_share(scheme, image)
                self._place.engine.prepare(case.ready(), [events[number] for number in part], audit=audit)
                count = min(len(part), TASKS_PER_WORKER * self._pool.workers)
            for first in range(count):
                numbers = tuple(part[first::count])
                some = tuple(events[number] for number in numbers)
                yield Task(self.options, self._load, scheme, image, numbers, some, self._identities[scheme])

    def _struck(self, scheme: str) -> tuple[list[FaultEvent], list[int]]:
        """The faults of a scheme and the image that each strikes, by number."""
        self._draw = self._draw or self._make_draw()
        return self._events(scheme, self._draw), self._draw.images

    def _make_draw(self) -> Draw:
        """The upsets of the base scheme, as many as were ever planned: facts are about all of them."""
        options, base = self.options, self.options.base
        self._note("tracing a fault-free run of every scheme, while others are at work")
        if cost := shortcuts_off(options.fault_model):
            self._note(cost)
        facts = self._place.facts(base)
        with Store(self._path, create=True) as store:
            planned = self._planned(store)
        if options.sample is Sample.ALL:
            events = draw_all(options, self._storages, planned, facts.cycles)
            return Draw.in_turn(timing(base, facts), events, len(self._storages), options.images)
        storages = self._live_storages(facts)
        live = live_sample.draw(storages, facts.cycles, facts.accesses, planned, options.seed, options.shape)
        counts = {name: [points - len(live.dead[name]), points] for name, points in live.drawn.items()}
        with Store(self._path, create=True) as store:
            store.note(live=counts, bits=bits_of(storages))
        draw = Draw.in_turn(timing(base, facts), live.events, len(storages), options.images)
        return replace(draw, live=live)

    def _live_storages(self, facts: Facts) -> Storages:
        """Structures in which something is live. Raises CampaignError if one that was asked for has nothing."""
        dead = [name for name, group in self._storages.items() if not live_sample.has_live(group, facts.accesses)]
        if dead:
            text = f"nothing ever reads {', '.join(dead)} in a run of {self.options.base}"
            if self.options.structures or len(dead) == len(self._storages):
                raise CampaignError(f"{text}: leave it out of --structures, or draw from all points")
            self._note(f"{text}: left out, an upset there is masked")
        return {name: group for name, group in self._storages.items() if name not in dead}

    def _events(self, scheme: str, draw: Draw) -> list[FaultEvent]:
        """The upsets at their moments in the run of ``scheme``; keeps the facts that a report needs of it."""
        facts = self._place.facts(scheme)
        timeline = timing(scheme, facts)
        events = [moved(event, draw.base, timeline) for event in draw.events]
        flips = bound_flips(self._place.subjects[scheme].program, facts.accesses, events)
        ends = list(zip(timeline.layers, timeline.ends.tolist(), strict=True))
        found: dict[str, Any] = {"cycles": facts.cycles, "bound_flips": flips, ENDS: ends}
        if draw.live:
            found["dead_but_read"] = draw.live.read_in(draw.base, timeline, facts.accesses)
        with Store(self._path, create=True) as store:
            store.note_of(scheme, **found)
        return events
