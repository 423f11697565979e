"""Hits of the clamps under upsets of a campaign: of those that an alarm should tell of."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fitact_hw.campaign.report.tally import Tally
from fitact_hw.campaign.snapshot import Campaign
from fitact_hw.campaign.store import Row
from fitact_hw.campaign.subjects import Loader, load_subject
from fitact_hw.errors import FitActError
from fitact_hw.faults import FaultEvent, Outcome
from fitact_hw.injection.case import Case
from fitact_hw.injection.collapse import collapse
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.facts import Facts
from fitact_hw.injection.functional.judge import FunctionalProgram
from fitact_hw.injection.functional.order import Unsuitable
from fitact_hw.injection.tail import Tail
from fitact_hw.registers import ErrorCode
from golden.bounds.schemes import UNPROTECTED

HEADER = ("scheme", "number", "structure", "image", "outcome", UNPROTECTED.name, "margin", "hits")


class AlarmError(FitActError):
    """A campaign whose upsets cannot be judged again."""


@dataclass(frozen=True)
class Struck:
    """An injection that is an SDC under ``scheme``, or was one without protection (``unprotected``: its outcome there,
    "" if the campaign does not have it). ``hits``: of the whole run, for each margin for which they are known."""

    scheme: str
    number: int
    structure: str
    image: int
    outcome: str
    unprotected: str
    hits: Mapping[int, int]

    def alarms(self, margin: int, threshold: int) -> bool:
        """Whether an alarm is raised; what is not known counts as none."""
        return self.hits.get(margin, 0) >= threshold


def strike(
    campaign: Campaign,
    tally: Tally,
    schemes: Sequence[str],
    margins: Sequence[int],
    engine: Engine,
    progress: Callable[[int, int], None] = lambda done, total: None,
    load: Loader = load_subject,
) -> list[Struck]:
    """The SDC of every one of ``schemes`` and of the unprotected network, judged again without RTL for each margin.

    Hits that the campaign's machine counted itself are taken for its margin. Upsets that only RTL can judge have no
    others. Raises AlarmError if an upset does not come to what the campaign says.
    """
    before = {row.number: row.outcome for row in tally.rows.get(UNPROTECTED.name, ())}
    wanted = [
        (scheme, row)
        for scheme in schemes
        for row in tally.rows[scheme]
        if Outcome.SDC in (row.outcome, before.get(row.number))
    ]
    found, done = [], 0
    for scheme in schemes:
        subject = load(campaign.options, scheme)
        rows = [row for name, row in wanted if name == scheme]
        for image in sorted({row.image for row in rows}):
            some, case = [row for row in rows if row.image == image], subject.case(image)
            hits = _hits(engine, case, some, campaign, margins)
            for row, own in zip(some, hits, strict=True):
                counted = {campaign.options.config.alarm_margin: row.clamp_hits} if row.clamp_hits is not None else {}
                found.append(
                    Struck(
                        scheme, row.number, row.structure, image, row.outcome, before.get(row.number, ""),
                        {margin: n for margin, n in sorted({**own, **counted}.items()) if margin in margins},
                    )
                )  # fmt: skip
            done += len(some)
            progress(done, len(wanted))
    return found


def _hits(
    engine: Engine, case: Case, rows: Sequence[Row], campaign: Campaign, margins: Iterable[int]
) -> list[dict[int, int]]:
    """Hits of each row by margin; none for what only RTL can judge."""
    facts = engine.facts(case)
    events = [FaultEvent.parse(row.event, row.structure, campaign.options.shape) for row in rows]
    starts, dead = collapse(facts, events, True)
    found: list[dict[int, int]] = [{} for _ in rows]
    for margin in margins:
        program, tail = _program(facts, margin), _tail(case, margin)
        clean = tail.clamp_hits(case.trace)
        for index in dead:
            found[index][margin] = clean
        treated = [start for start in starts if not start.actions and program.treats(start.cycle, start.flips)]
        if not treated:
            continue
        image = program.image(replace(case, program=program.order.program))
        ends = tail.ends(case.trace, [image.judge(start.cycle, start.flips) for start in treated])
        for start, end in zip(treated, ends, strict=True):
            for index in starts[start]:
                _check(rows[index], int(end.logits.reshape(-1).argmax()))
                found[index][margin] = clean + end.clamp_hits
    return found


_programs: dict[tuple[str, int], FunctionalProgram] = {}


def _program(facts: Facts, margin: int) -> FunctionalProgram:
    """The program of ``facts`` on a machine whose clamps have an alarm: the same accesses at the same time."""
    key = facts.program.fingerprint, margin
    if key not in _programs:
        if len(_programs) > 8:
            _programs.clear()
        values = facts.program.config.model_dump() | {"clamp_alarm": True, "alarm_margin": margin}
        program = replace(facts.program, config=facts.program.config.create(**values))
        try:
            if not facts.memory.settled or not replace(facts, program=program).countable:
                raise Unsuitable("its hits are not counted without RTL")
            _programs[key] = FunctionalProgram(program, facts.accesses)
        except Unsuitable as error:
            raise AlarmError(f"{facts.program.network}: {error}") from None
    return _programs[key]


_tails: dict[int, Tail] = {}


def _tail(case: Case, margin: int) -> Tail:
    if margin not in _tails or _tails[margin].network is not case.network:
        _tails[margin] = Tail(case.network, margin)
    return _tails[margin]


def _check(row: Row, top1: int) -> None:
    if row.code == ErrorCode.NONE and row.top1 != top1:
        raise AlarmError(
            f"{row.id} comes to class {top1}, the campaign says {row.top1}: it is of other weights, images or sources"
        )


def struck_csv(items: Sequence[Struck]) -> str:
    """A line per injection and margin."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for item in items:
        head = (item.scheme, item.number, item.structure, item.image, item.outcome, item.unprotected)
        writer.writerows((*head, margin, hits) for margin, hits in item.hits.items())
        if not item.hits:
            writer.writerow((*head, "", ""))
    return text.getvalue()


def read_struck(text: str) -> list[Struck]:
    """Inverse of :func:`struck_csv`."""
    hits: dict[tuple[str, ...], dict[int, int]] = {}
    for line in csv.DictReader(io.StringIO(text)):
        own = hits.setdefault(tuple(line[name] for name in HEADER[:6]), {})
        if line["margin"]:
            own[int(line["margin"])] = int(line["hits"])
    return [Struck(key[0], int(key[1]), key[2], int(key[3]), key[4], key[5], own) for key, own in hits.items()]


def load_struck(path: Path) -> list[Struck]:
    """The file that :func:`struck_csv` filled. Raises AlarmError for any other."""
    try:
        found = read_struck(path.read_text(encoding="utf-8"))
    except (OSError, KeyError, ValueError) as error:
        raise AlarmError(f"{path} is no table of upsets of `fitact alarms` ({error!r})") from None
    if not found:
        raise AlarmError(f"{path} has no upset: name a file *_upsets.csv that `fitact alarms` wrote")
    return found
