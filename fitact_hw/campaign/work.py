"""What a worker does: injections of one scheme on one image."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import platform
import threading
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from fitact_hw.campaign.latest import Latest
from fitact_hw.campaign.plan import CampaignOptions, timing
from fitact_hw.campaign.store import CampaignError, Row
from fitact_hw.campaign.subjects import Loader, Subjects
from fitact_hw.config import AcceleratorConfig
from fitact_hw.faults import FaultEvent
from fitact_hw.injection.case import Case
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.facts import Facts
from fitact_hw.injection.timeline import Timeline, layer_at
from fitact_hw.injection.verdict import Times, Verdict


@dataclass(frozen=True)
class Task:
    """Injections ``numbers`` of one scheme on one image; ``load``: as in :class:`Workplace`; ``identity``: of the
    subject that is meant, where a worker of another computer might have another one."""

    options: CampaignOptions
    load: Loader
    scheme: str
    image: int
    numbers: tuple[int, ...]
    events: tuple[FaultEvent, ...]
    identity: tuple[str, str] | None = None


Result = tuple[list[Row], Times]
"""Rows of a task, and where the time went."""


_ALONE = threading.Lock()
"""A process holds one machine, but a Dask worker may have several threads."""


@lru_cache(maxsize=1)
def _engine(config: AcceleratorConfig) -> Engine:
    return Engine(config, note=lambda _: None)


class Workplace:
    """What a process needs for the tasks of a campaign: the engine, subjects, and one case at a time.

    ``load`` makes the subject of a scheme. There is one workplace in a process (:func:`workplace`), which forks share.
    """

    def __init__(self, options: CampaignOptions, load: Loader) -> None:
        self.subjects = Subjects(options, load)
        self._config = options.config
        self._case = Latest(self._make_case)
        self._scheme = ""

    @cached_property
    def engine(self) -> Engine:
        """The engine of the process. Raises SimulationError if it has to be built and cannot be."""
        return _engine(self._config)

    def case(self, scheme: str, image: int) -> Case:
        """An image of a scheme, which the engine has the facts of. One at a time: a large network is large."""
        if scheme != self._scheme:
            self.forget()
            self._scheme = scheme
        return self._case((scheme, image))

    def facts(self, scheme: str) -> Facts:
        """What the engine knows of the program of a scheme."""
        return self.engine.facts(self.case(scheme, 0))

    def forget(self) -> None:
        """Let go of the case, and of the facts about its program."""
        self._case.forget()
        self.engine.forget()
        return_memory()

    def _make_case(self, work: tuple[str, int]) -> Case:
        scheme, image = work
        case = self.subjects[scheme].case(image)
        self.engine.facts(case)
        return_memory()
        return case


_workplace: Latest[tuple[CampaignOptions, Loader], Workplace] = Latest(lambda work: Workplace(*work))


def workplace(options: CampaignOptions, load: Loader) -> Workplace:
    """The workplace of this process for a campaign, whatever its number of faults."""
    return _workplace((replace(options, faults=0), load))


def return_memory() -> None:
    """Give what the C library's heap keeps for later back to the system: after a large network 0.1 to 0.2 GB."""
    gc.collect()
    with contextlib.suppress(AttributeError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def run_task(task: Task) -> Result:
    """The rows of all injections of ``task``, and where the time went. Deterministic.

    Raises CampaignError if the network or the images here are others than those of the campaign.
    """
    from golden.support.threads import use_threads

    with _ALONE:
        use_threads(1)
        place = workplace(task.options, task.load)
        case = place.case(task.scheme, task.image)
        if task.identity is not None and place.subjects[task.scheme].identity != task.identity:
            _workplace.forget()  # the next task looks again
            raise CampaignError(
                f"{platform.node()} has another network or other images of {task.options.model} ({task.scheme}) than "
                "the campaign: copy the subject's folder there, install the same version, and resume"
            )
        before, place.engine.times = place.engine.times, Times()
        try:
            audit = task.options.audit_share(task.scheme, task.image)
            verdicts = place.engine.run(case, task.events, audit=audit)
            times = place.engine.times
        finally:
            place.engine.times = before
        moments = timing(task.scheme, place.engine.facts(case))
    rows = zip(task.numbers, task.events, verdicts, strict=True)
    counted = task.options.config.clamp_alarm
    return [make_row(moments, task.image, number, event, verdict, counted) for number, event, verdict in rows], times


def make_row(
    moments: Timeline, image: int, number: int, event: FaultEvent, verdict: Verdict, counted: bool = False
) -> Row:
    """The record of an injection; ``moments``: when the layers of its scheme end; ``counted``: the machine has an alarm
    of the clamps."""
    first = event.upsets[0]
    return Row(
        scheme=moments.scheme,
        number=number,
        image=image,
        structure=event.structure,
        layer=layer_at(moments, event.cycle),
        site=first.site,
        word=first.word,
        bit=(first.mask & -first.mask).bit_length() - 1,
        bits=event.bits,
        cycle=event.cycle,
        event=event.id,
        outcome=verdict.outcome.value,
        code=verdict.code,
        cycles=verdict.cycles,
        way=verdict.mechanism.value,
        simulated_cycles=verdict.simulated_cycles,
        top1=int(verdict.logits.reshape(-1).argmax()),
        logits=json.dumps(verdict.logits.reshape(-1).tolist()),
        violation=verdict.violation,
        status=verdict.status.value,
        detected=int(verdict.detected),
        corrected_words=verdict.corrected_words,
        detected_words=verdict.detected_words,
        clamp_hits=verdict.clamp_hits if counted else None,
    )
