"""`fitact validate-networks`: random networks in golden model, functional simulator and RTL against an independent
reference; each is repeated by its seed and number."""

from __future__ import annotations

import random
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import FitActError
from fitact_hw.reporting.command import command_line
from fitact_hw.reporting.provenance import Run
from fitact_hw.reporting.terminal import bar, noter, terminal
from fitact_hw.validation.networks.drawing import Drawn, draw
from fitact_hw.validation.networks.judge import Judgement, Ready, Subject, Verdict
from golden.support.files import read_json, write_json, write_text
from sim.job import EVERYTHING, Job, Status
from sim.simulator import Simulator

SIDES, WORDS = (3, 8, 5), (8, 16, 32)
"""Arrays and words. Network number i runs at each width, at width number k on side number (i + k) modulo 3."""

KEPT_EVERY = 10
"""Networks after which the result so far is written."""

JOBS_PER_RUN = 24
"""Programs that one simulator process runs."""


def machines(number: int) -> list[AcceleratorConfig]:
    """The three machines of network ``number``."""
    sides = [SIDES[(number + k) % len(SIDES)] for k in range(len(WORDS))]
    return [AcceleratorConfig.create(rows=s, cols=s, word_bits=w) for s, w in zip(sides, WORDS, strict=True)]


def network(seed: int, number: int) -> Drawn:
    """Network ``number`` of ``seed``, whatever others are drawn."""
    return draw(random.Random(f"{seed}:{number}"))


def judge_all(drawn: Drawn, number: int) -> list[tuple[Judgement, Ready | None]]:
    """A network on its machines, every second one with bounds; one judgement if it was refused as a whole."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of torch, on what users' networks do
        subject = Subject(drawn, bounded=number % 2 == 1)
        found = [subject.judge(config) for config in machines(number)]
    return found[:1] if subject.failure is not None else found


@dataclass
class Study:
    """What has been found so far. ``in_rtl``: networks by number that went through RTL."""

    seed: int
    judged: dict[int, list[Judgement]] = field(default_factory=dict)
    in_rtl: list[int] = field(default_factory=list)

    def every(self) -> Iterator[tuple[int, Judgement]]:
        """Each judgement with the number of its network."""
        for number, judgements in self.judged.items():
            for judgement in judgements:
                yield number, judgement

    @property
    def defects(self) -> dict[int, Judgement]:
        """The first of each network that has one."""
        found = [(number, judgement) for number, judgement in self.every() if judgement.verdict.defect]
        return dict(reversed(found))

    def result(self) -> dict[str, Any]:
        """Plain values: counts by machine, refusals by kind, how close to float, each defect."""
        verdicts: dict[str, Counter[str]] = {}
        noise: dict[str, list[float]] = {}
        for _, judgement in self.every():
            if judgement.machine:
                verdicts.setdefault(judgement.machine, Counter())[judgement.verdict.value] += 1
                if judgement.snr is not None and np.isfinite(judgement.snr) and not judgement.notes:
                    noise.setdefault(judgement.machine.split()[1], []).append(judgement.snr)
        refused = Counter(
            kind(judgement.reason) for _, judgement in self.every() if judgement.verdict is Verdict.REFUSED
        )
        ran = [j for _, j in self.every() if j.verdict is Verdict.EXACT]
        return {
            "seed": self.seed,
            "networks": len(self.judged),
            "exact": sum(all(j.verdict is Verdict.EXACT for j in of) for of in self.judged.values()),
            "refused": sum(any(j.verdict is Verdict.REFUSED for j in of) for of in self.judged.values()),
            "in_rtl": len(self.in_rtl),
            "machines": {name: dict(counts) for name, counts in sorted(verdicts.items())},
            "layers": sum(j.layers for j in ran),
            "bounded": sum(j.bounded for j in ran),
            "with_notes": sum(bool(j.notes) for j in ran),
            "refusals": dict(refused.most_common()),
            "snr_db": {word: _spread(values) for word, values in sorted(noise.items())},
            "defects": {str(number): asdict(judgement) for number, judgement in self.defects.items()},
        }


def kind(reason: str) -> str:
    """What a refusal is about, without names and places."""
    text = reason.partition(" cannot run: ")[2] or reason
    text = re.sub(r" \([^)]*\)*", "", text.partition("; ")[0])
    return re.sub(r"\d[\d.x]*", "N", text)[:90]


def _spread(values: Sequence[float]) -> dict[str, float]:
    least, low, median = (round(float(v), 1) for v in np.quantile(values, (0, 0.05, 0.5)))
    return {"least": least, "5 %": low, "median": median, "networks": len(values)}


def in_rtl(found: dict[int, list[Ready]], console: Console) -> dict[int, str]:
    """Programs through the RTL of their machines, by network; what differs from what they must be, or ""."""
    by_machine: dict[AcceleratorConfig, list[tuple[int, Ready]]] = {}
    for number, programs in found.items():
        for ready in programs:
            by_machine.setdefault(ready.program.config, []).append((number, ready))
    differences = dict.fromkeys(found, "")
    for config, programs_of in by_machine.items():
        simulator = Simulator(config, note=noter(console))
        with bar(console, f"RTL, {config.rows}x{config.cols} w{config.word_bits}") as progress:
            for start in range(0, len(programs_of), JOBS_PER_RUN):
                part = programs_of[start : start + JOBS_PER_RUN]
                jobs = [Job(program=r.program, memory=r.memory, keep=(EVERYTHING,)) for _, r in part]
                for (number, ready), done in zip(part, simulator.run(jobs), strict=True):
                    differences[number] = differences[number] or _difference(ready, done)
                progress(start + len(part), len(programs_of))
    return differences


def _difference(ready: Ready, done: Any) -> str:
    if done.status is not Status.DONE or done.violation:
        return f"RTL, {done.status.value}, code {done.code}: {done.violation}"
    for name, value in ready.expected.items():
        if not np.array_equal(done.tensor(name), value):
            return f"RTL, layer {name}"
    return ""


def run_study(
    seed: int, numbers: Sequence[int], rtl: int, console: Console, keep: Callable[[Study], None] = lambda _: None
) -> Study:
    """Judge networks ``numbers``; the first ``rtl`` exact ones whose machines are those of number 0 also in RTL.

    ``keep`` is called now and then, and at the end.
    """
    study = Study(seed)
    waiting: dict[int, list[Ready]] = {}
    with bar(console, "networks: front end, golden model, functional simulator") as progress:
        for index, number in enumerate(numbers):
            found = judge_all(network(seed, number), number)
            study.judged[number] = [judgement for judgement, _ in found]
            programs = [ready for judgement, ready in found if ready is not None and not judgement.verdict.defect]
            if len(waiting) < rtl and number % len(SIDES) == 0 and len(programs) == len(WORDS):
                waiting[number] = programs
            if index % KEPT_EVERY == KEPT_EVERY - 1:
                keep(study)
            progress(index + 1, len(numbers))
    for number, difference in in_rtl(waiting, console).items():
        study.in_rtl.append(number)
        if difference:
            study.judged[number].append(Judgement(Verdict.DIFFERS, reason=difference))
    keep(study)
    return study


def run_validate_networks(seed: int, n: int, first: int, only: int | None, rtl: int, out: Path) -> dict[str, Any]:
    """The command: draw, judge, print, keep counts and defects in ``out``, those so far too; returns the counts.

    Raises FitActError if a network differs, is too far from float, or ends in a traceback.
    """
    console, began = terminal(), Run(seed)
    numbers = range(first, first + n) if only is None else [only]
    out.mkdir(parents=True, exist_ok=True)

    def keep(study: Study) -> None:
        write_json(out / "networks.json", study.result() | {"first": numbers[0], "provenance": began.record()})

    study = run_study(seed, numbers, rtl, console, keep)
    result = read_json(out / "networks.json")
    if only is not None:
        _keep(network(seed, only), only, out)
    show(result, console)
    console.print(f"result: {out / 'networks.json'}", soft_wrap=True)
    defects = study.defects
    for number, judgement in defects.items():
        _keep(network(seed, number), number, out)
        where = f"network {number}, {judgement.machine or 'every machine'}"
        console.print(f"{where}: {judgement.verdict.value}, {judgement.reason}", markup=False, soft_wrap=True)
    if defects:
        again = command_line("validate-networks", options={"seed": seed, "only": next(iter(defects))})
        raise FitActError(
            f"{len(defects)} of {len(numbers)} networks have a defect, their sources are in {out}: {again}"
        )
    return result


def _keep(drawn: Drawn, number: int, out: Path) -> None:
    write_text(out / f"network_{number}.py", drawn.source)


def show(result: dict[str, Any], console: Console) -> None:
    """Counts by machine, refusals by kind."""
    table = Table(title=f"{result['networks']} random networks, seed {result['seed']}")
    table.add_column("machine")
    kinds = [verdict.value for verdict in Verdict]
    for name in kinds:
        table.add_column(name, justify="right")
    for machine, counts in result["machines"].items():
        table.add_row(machine, *(str(counts.get(name, 0)) for name in kinds))
    console.print(table)
    console.print(
        f"{result['exact']} exact at all widths ({result['in_rtl']} also in RTL), {result['refused']} refused at one "
        f"or more, {len(result['defects'])} with a defect; {result['layers']} layers compared"
    )
    for reason, count in result["refusals"].items():
        console.print(f"  refused {count}: {reason}", markup=False)
