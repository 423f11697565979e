"""What a worker process does: one scheme, one image, some hundred injections."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import signal
import threading
from dataclasses import dataclass
from functools import lru_cache

from fitact_hw.campaign.latest import Latest
from fitact_hw.campaign.plan import CampaignOptions, Subject, load_subject, timing
from fitact_hw.campaign.store import Row
from fitact_hw.config import AcceleratorConfig
from fitact_hw.faults import FaultEvent
from fitact_hw.injection.case import Case
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.timeline import Timeline, layer_at
from fitact_hw.injection.verdict import Times, Verdict
from fitact_hw.interrupts import end_with_parent


@dataclass(frozen=True)
class Task:
    """Injections ``numbers`` of one scheme on one image."""

    options: CampaignOptions
    scheme: str
    image: int
    numbers: tuple[int, ...]
    events: tuple[FaultEvent, ...]


_ALONE = threading.Lock()
"""A process holds one machine, but a Dask worker may have several threads."""


@lru_cache(maxsize=1)
def process_engine(config: AcceleratorConfig) -> Engine:
    """The engine of this process."""
    return Engine(config, note=lambda _: None)


def _load(work: tuple[CampaignOptions, str]) -> Subject:
    options, scheme = work
    _case.forget()  # it holds the subject, as the engine's facts do
    process_engine(options.config).forget()
    subject = load_subject(options, scheme)
    return_memory()
    return subject


def _make_case(work: tuple[CampaignOptions, str, int]) -> Case:
    options, scheme, image = work
    case = process_subject(options, scheme).case(image)
    process_engine(options.config).facts(case)
    return_memory()
    return case


_subject, _case = Latest(_load), Latest(_make_case)


def process_subject(options: CampaignOptions, scheme: str) -> Subject:
    """The subject that this process works for; one at a time, because a large network has large tensors."""
    return _subject((options, scheme))


def process_case(options: CampaignOptions, scheme: str, image: int) -> Case:
    """One image of the subject at work, which the engine has the facts of; one at a time too."""
    return _case((options, scheme, image))


def return_memory() -> None:
    """Give what the C library's heap keeps for later back to the system: after a large network 0.1 to 0.2 GB."""
    gc.collect()
    with contextlib.suppress(AttributeError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def begin_worker() -> None:
    """Once per local worker: one thread, and an end when its parent ends."""
    end_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    os.environ["OMP_NUM_THREADS"] = "1"


def judge_task(task: Task) -> tuple[list[Verdict], Timeline, Times]:
    """All injections of ``task``, when its layers end, and where the time went. Deterministic."""
    with _ALONE:
        return _judge_task(task)


def _judge_task(task: Task) -> tuple[list[Verdict], Timeline, Times]:
    from golden.support.threads import use_threads

    use_threads(1)
    engine = process_engine(task.options.config)
    engine.times = Times()
    case = process_case(task.options, task.scheme, task.image)
    verdicts = engine.run(case, task.events)
    return verdicts, timing(task.scheme, engine.facts(case)), engine.times


def run_task(task: Task) -> tuple[list[Row], Times]:
    """The rows of all injections of ``task``, and where the time went. Deterministic."""
    verdicts, moments, times = judge_task(task)
    rows = []
    for number, event, verdict in zip(task.numbers, task.events, verdicts, strict=True):
        first = event.upsets[0]
        rows.append(
            Row(
                scheme=task.scheme,
                number=number,
                image=task.image,
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
            )
        )
    return rows, times
