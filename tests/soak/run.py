"""`python -m tests.soak`: random cases until the time is over; the first difference is printed as a command.

Each machine has a process of its own, so that a crash is a difference like any other and growth of memory is seen.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from fitact_hw.faults import FaultEvent
from sim.simulator import Simulator
from tests.soak.cases import Differs, Done, check_case, quiet
from tests.soak.covered import summary
from tests.soak.draws import Drawn, random_case, random_machine

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "build" / "soak.json"

FAULTS = 60
"""Of one case."""

MACHINE_MINUTES = 8.0
"""A machine gets so long, builds included; at least its first case."""

WARM_CASES, GROWTH_MB = 5, 48.0
"""After so many cases a process has what it keeps for good; from then on it may grow by no more."""

STATM = Path("/proc/self/statm")


def resident_mb() -> float:
    """Memory of this process, MiB."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def command(drawn: Drawn, event: str = "", *, stalls: bool = True) -> str:
    """What repeats one case, or one fault of it."""
    parts = ["python", "-m", "tests.soak", "--seed", drawn.seed, "--machine", drawn.machine, "--case", drawn.number]
    parts += ["--event", event] if event else []
    return shlex.join(map(str, [*parts, *([] if stalls else ["--no-stalls"])]))


def fails(drawn: Drawn, simulator: Simulator, event: str) -> bool:
    """Whether the case still differs, with this fault alone."""
    try:
        check_case(drawn, simulator, [FaultEvent.parse(event)] if event else [], Done())
    except Differs:
        return True
    return False


def smallest(drawn: Drawn, simulator: Simulator, found: Differs) -> str:
    """The least command that still shows a difference: the one fault, then without stalls, else the whole case."""
    event = found.event if fails(drawn, simulator, found.event) else ""
    if event != found.event:
        return command(drawn)
    plain = drawn.without_stalls()
    return command(drawn, event, stalls=not fails(plain, simulator, event))


def run_machine(options: argparse.Namespace) -> dict[str, Any]:
    """Cases of one machine for a time, in this process."""
    config = random_machine(options.seed, options.machine)
    simulator, done, memory = Simulator(config, note=quiet), Done(), []
    until, number, problem = time.monotonic() + options.seconds, 0, {}
    while not number or time.monotonic() < until:
        drawn = random_case(options.seed, options.machine, number, config)
        try:
            check_case(drawn, simulator, options.faults, done)
        except Differs as found:
            problem = {"what": found.what, "command": smallest(drawn, simulator, found)}
            break
        memory.append(resident_mb())
        number += 1
    growth = max(memory[WARM_CASES:], default=0.0) - memory[WARM_CASES] if len(memory) > WARM_CASES else 0.0
    if growth > GROWTH_MB and not problem:
        problem = {"what": f"memory grew by {growth:.0f} MiB over {number - WARM_CASES} cases", "command": ""}
    return {
        "machine": options.machine, "config": config.model_dump(mode="json", exclude_defaults=True),
        **done.to_json(), "growth_mb": round(growth, 1), "problem": problem,
    }  # fmt: skip


def run_case(options: argparse.Namespace) -> int:
    """One case again, or one fault of it."""
    config = random_machine(options.seed, options.machine)
    drawn = random_case(options.seed, options.machine, options.case, config)
    drawn = drawn.without_stalls() if options.no_stalls else drawn
    try:
        check_case(
            drawn, Simulator(config), [FaultEvent.parse(options.event)] if options.event else options.faults, Done()
        )
    except Differs as found:
        print(f"differs: {found.what}")
        return 1
    print("no difference")
    return 0


def child(options: argparse.Namespace, machine: int, seconds: float) -> dict[str, Any]:
    """One machine in a process of its own."""
    again = [sys.executable, "-m", "tests.soak", "--seed", str(options.seed), "--machine", str(machine)]
    ran = subprocess.run(
        [*again, "--seconds", f"{seconds:.0f}", "--faults", str(options.faults)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (ran.stderr.strip() or ran.stdout.strip() or "nothing was said").splitlines()[-1]
        printed = shlex.join(["python", *again[1:], "--seconds", f"{seconds:.0f}"])
        problem = {"what": f"the process ended with {ran.returncode}: {last}", "command": printed}
        found = {**Done().to_json(), "machine": machine, "config": {}, "growth_mb": 0.0, "problem": problem}
    return found


def line(found: dict[str, Any]) -> str:
    """A machine in a line."""
    config = found["config"]
    shown = " ".join(f"{name}={value}" for name, value in config.items() if isinstance(value, int | str))
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(found["outcomes"].items()))
    return (
        f"machine {found['machine']}: {found['cases']} networks, {found['faults']} faults ({outcomes}), "
        f"memory +{found['growth_mb']:.0f} MiB; {shown}"
    )


def soak(options: argparse.Namespace) -> int:
    """Machines until the time is over; stops at the first difference."""
    began = time.monotonic()
    results: list[dict[str, Any]] = []
    print(f"soak of {options.minutes:g} minutes, seed {options.seed}", flush=True)
    while (left := 60 * options.minutes - (time.monotonic() - began)) > 0:
        machine = options.first + len(results)
        results.append(child(options, machine, min(left, 60 * MACHINE_MINUTES)))
        print(line(results[-1]), flush=True)
        RECORD.parent.mkdir(exist_ok=True)
        minutes = round((time.monotonic() - began) / 60, 1)
        record = {"seed": options.seed, "minutes": minutes, "faults_a_case": options.faults, "machines": results}
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
        if problem := results[-1]["problem"]:
            print(f"differs: {problem['what']}\nrepeat: {problem['command']}", flush=True)
            return 1
    ways, covered = Counter[str](), Counter[str]()
    for found in results:
        ways.update(found["ways"])
        covered.update(found["covered"])
    networks, faults = (sum(found[name] for found in results) for name in ("cases", "faults"))
    print(f"0 differences: {len(results)} machines, {networks} networks, {faults} faults, judged as {dict(ways)}")
    print(summary(covered))
    return 0


def options_of_the_command() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int(time.time() // 86400), help="another one every day")
    parser.add_argument("--faults", type=int, default=FAULTS, help="of each network")
    parser.add_argument("--first", type=int, default=0, help="number of the first machine")
    parser.add_argument("--machine", type=int, help="this one alone, in this process")
    parser.add_argument("--seconds", type=float, default=0.0, help="for how long; at least one case")
    parser.add_argument("--case", type=int, help="this case of the machine alone")
    parser.add_argument("--event", default="", help="this fault of the case alone")
    parser.add_argument("--no-stalls", action="store_true", help="with the usual memory instead of the drawn one")
    return parser


def main() -> int:
    """Entry point; returns the exit code."""
    options = options_of_the_command().parse_args()
    if options.machine is None:
        return soak(options)
    if options.case is not None:
        return run_case(options)
    print(json.dumps(run_machine(options)))
    return 0
