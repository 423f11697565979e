"""The soak compares what it says, notices a difference and prints what repeats it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from fitact_hw.injection.engine import Engine
from fitact_hw.injection.verdict import Verdict
from sim.simulator import Simulator
from tests.sim.machines import TINY
from tests.soak import run
from tests.soak.cases import Differs, Done, check_case
from tests.soak.covered import exercised, missing, wanted
from tests.soak.draws import random_case, random_machine


def test_draws_are_by_their_numbers() -> None:
    machines = [random_machine(3, number) for number in range(12)]
    assert machines == [random_machine(3, number) for number in range(12)]
    assert len({machine.model_dump_json() for machine in machines}) == 12
    one, other = (random_case(3, 0, 4, TINY) for _ in range(2))
    assert one.case.program.fingerprint == other.case.program.fingerprint
    assert (one.model, one.events(30, 500)) == (other.model, other.events(30, 500))
    assert random_case(3, 0, 5, TINY).case.program.fingerprint != one.case.program.fingerprint


def test_cases_agree_and_a_difference_is_printed_as_a_command(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Done()
    for number in range(2):
        check_case(random_case(1, 0, number, TINY), simulator, 40, done)
    assert (done.cases, done.faults, sum(done.outcomes.values())) == (2, 80, 80)
    assert len(done.outcomes) > 1
    drawn, right = random_case(1, 0, 1, TINY), Engine.run

    def wrong(self: Engine, *given: Any) -> list[Verdict]:
        """One cycle more for every fault of the last structure drawn."""
        verdicts = right(self, *given)
        return [replace(v, cycles=v.cycles + 1) if v.outcome.value == "masked" else v for v in verdicts]

    monkeypatch.setattr(Engine, "run", wrong)
    with pytest.raises(Differs) as found:
        check_case(drawn, simulator, 40, Done())
    assert found.value.event in found.value.what
    printed = run.smallest(drawn, simulator, found.value)
    assert printed.startswith("python -m tests.soak --seed 1 --machine 0 --case 1 --event ")
    assert printed.endswith("--no-stalls")
    monkeypatch.undo()
    assert not run.fails(drawn, simulator, found.value.event)


def test_a_machine_by_itself(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """One case at least; what it reports can be kept and is told in a line."""
    options = run.options_of_the_command().parse_args(["--seed", "1", "--machine", "0", "--faults", "5"])
    monkeypatch.setattr(run, "random_machine", lambda seed, machine: TINY)
    found = json.loads(json.dumps(run.run_machine(options)))
    assert (found["cases"], found["faults"], found["problem"]) == (1, 5, {})
    assert run.line(found).startswith("machine 0: 1 networks, 5 faults (")


def test_what_networks_exercise() -> None:
    """By name, and nothing that is not on the list; random machines and networks come to nearly all of it."""
    every, seen = {*wanted()}, set[str]()
    assert len(every) == len(wanted())
    for machine in range(10):
        config = random_machine(1, machine)
        for number in range(4):
            found = exercised(random_case(1, machine, number, config).case.program)
            assert found <= every
            seen |= found
    assert len(seen) > 0.6 * len(every), missing(seen)


def test_a_process_that_dies_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    options = run.options_of_the_command().parse_args(["--seed", "1"])
    monkeypatch.setattr(run.sys, "executable", "false")
    found = run.child(options, 7, 5.0)
    assert found["problem"]["what"].startswith("the process ended with 1")
    assert found["problem"]["command"] == "python -m tests.soak --seed 1 --machine 7 --seconds 5"
