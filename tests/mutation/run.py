"""`python -m tests.mutation`: plants the bugs of the list one by one in a copy of the project and runs their tests.

The checkout itself is never touched. A bug that no test sees is printed as a survivor, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from golden.support.folders import BUILD
from tests.mutation import tool
from tests.mutation.mutant import AREAS, Mutant, MutantError
from tests.mutation.planted import MUTANTS
from tests.mutation.server import Runner

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "build" / "mutation.json"
LIMIT_S = 900
TOOL_NUMBER = 100
"""Mutants of a tool, unless another number is asked for."""

PASSED, FAILED, STOPPED = 0, 1, 2
"""Exit codes of pytest; the last one also says that a file could not be imported."""


@dataclass(frozen=True)
class Judged:
    """One mutant and what became of it: killed, timeout (killed as well) or survived."""

    mutant: Mutant
    outcome: str
    seconds: float


def copy_project(target: Path) -> None:
    """Everything that git tracks or would track, as it stands in the checkout."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (source := ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)


def changed_files(base: str) -> set[str]:
    """Files that differ from the commit ``base``, uncommitted ones included."""
    commands = (["git", "diff", "--name-only", base], ["git", "ls-files", "--others", "--exclude-standard"])
    done = (subprocess.run(c, cwd=ROOT, capture_output=True, text=True, check=True).stdout for c in commands)
    return {name for text in done for name in text.splitlines()}


def chosen(areas: Sequence[str], number: int | None, seed: int, changed: set[str] | None) -> list[Mutant]:
    """At most ``number`` mutants of each area, drawn with ``seed``; of the files ``changed`` only, unless None."""
    picked = []
    for area in areas:
        there = [m for m in MUTANTS if m.area == area and not m.equivalent and (changed is None or m.file in changed)]
        random.Random(f"{seed}/{area}").shuffle(there)
        picked += there[:number]
    return picked


def run_tests(runner: Runner, project: Path, tests: Sequence[str], seed: int) -> int | None:
    """Exit code of pytest in ``project``; None after LIMIT_S."""
    options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=mutation", f"--hypothesis-seed={seed}"]
    # builds of mutants must not crowd out those of the checkout
    own = {"PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1", BUILD: str(project / "build")}
    return runner.run(project, [*options, *tests], own, LIMIT_S)


def judge(runner: Runner, mutant: Mutant, project: Path, seed: int) -> Judged:
    """Run the tests of ``mutant`` on it. Raises MutantError if there is nothing to judge by."""
    started = time.monotonic()
    with mutant.planted(project):
        code = run_tests(runner, project, mutant.tests, seed)
    if code not in (PASSED, FAILED, STOPPED, None):
        raise MutantError(f"{mutant.name}: pytest ended with code {code}; are {' '.join(mutant.tests)} there?")
    outcome = {PASSED: "survived", None: "timeout"}.get(code, "killed")
    return Judged(mutant, outcome, round(time.monotonic() - started, 1))


def sound(runner: Runner, mutants: Sequence[Mutant], project: Path, seed: int) -> None:
    """Every test passes without a bug. Raises MutantError otherwise: failures would prove nothing."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    if run_tests(runner, project, tests, seed) != PASSED:
        raise MutantError(f"without any bug these do not pass: {' '.join(tests)}")


def scores(judged: Sequence[Judged]) -> str:
    """Table of areas."""
    lines = ["| area | planted | killed | score | argued equivalent |", "|---|---|---|---|---|"]
    for area in AREAS:
        here = [item for item in judged if item.mutant.area == area]
        if here:
            killed = sum(item.outcome != "survived" for item in here)
            equal = sum(m.area == area and bool(m.equivalent) for m in MUTANTS)
            lines.append(f"| {area} | {len(here)} | {killed} | {100 * killed / len(here):.0f} % | {equal} |")
    return "\n".join(lines)


def options_of_the_command() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--area", action="append", choices=AREAS, help="of this area only; may be given again")
    parser.add_argument("--file", action="append", help="of this file only; may be given again")
    parser.add_argument("--number", type=int, help="at most so many of each area, drawn by the seed")
    parser.add_argument("--seed", type=int, default=int(time.time() // 86400), help="another one every day")
    parser.add_argument("--tool", choices=("mutmut", "yosys"), help="mutants of this tool instead of the list")
    parser.add_argument("--changed", metavar="COMMIT", help="only files that differ from this commit; 1: the last one")
    return parser


def main() -> int:
    """Entry point; returns the exit code."""
    options = options_of_the_command().parse_args()
    changed = changed_files({"1": "HEAD"}.get(options.changed, options.changed)) if options.changed else None
    if options.file:
        changed = set(options.file) if changed is None else changed & set(options.file)
    areas = options.area or AREAS
    try:
        if options.tool == "mutmut":
            mutants = tool.sample(ROOT, options.number or TOOL_NUMBER, options.seed, changed, areas)
        else:
            mutants = chosen(areas, options.number, options.seed, changed)
    except MutantError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(mutants)} mutants, seed {options.seed}", flush=True)
    judged: list[Judged] = []
    try:
        with tempfile.TemporaryDirectory(prefix="fitact-mutants-") as folder, Runner() as runner:
            project = Path(folder)
            copy_project(project)
            sound(runner, mutants, project, options.seed)
            for number, mutant in enumerate(mutants, 1):
                judged.append(judge(runner, mutant, project, options.seed))
                outcome, seconds = judged[-1].outcome, judged[-1].seconds
                print(f"{number}/{len(mutants)} {outcome:8} {seconds:5.1f} s  {mutant.name}", flush=True)
                RECORD.parent.mkdir(exist_ok=True)
                record = {"seed": options.seed, "judged": [asdict(item) for item in judged]}
                RECORD.write_text(json.dumps(record, indent=1) + "\n")
    except MutantError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(scores(judged))
    return int(any(item.outcome == "survived" for item in judged))
