"""Stuck and intermittent bits and several upsets in a run: engine and cocotb agree to the last cycle."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from fitact_hw.errors import FitActError
from fitact_hw.fault_models import MODELS, FaultModel, draw, held, model_names, parse_model
from fitact_hw.faults import FaultError, FaultEvent, Shape, Upset, sample
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.plain_run import compare
from fitact_hw.injection.timeline import Timeline, moved
from fitact_hw.injection.verdict import Mechanism
from sim.simulator import Simulator
from tests.injection.tiny_machine import make_case, structures

STUCK, INTERMITTENT, SEVERAL = 60, 70, 30


@pytest.mark.parametrize(
    ("model", "count", "permanent"),
    [
        ("stuck-at-0", STUCK, True),
        ("stuck-at-1", STUCK, True),
        ("intermittent:1", INTERMITTENT // 2, False),
        ("intermittent:200", INTERMITTENT // 2, False),
        ("several:3", SEVERAL, False),
    ],
)
def test_engine_and_cocotb_agree(engine: Engine, simulator: Simulator, model: str, count: int, permanent: bool) -> None:
    case = make_case("neuron")
    events = draw(structures(), count, engine.facts(case).cycles, 5, parse_model(model))
    verdicts, differences = compare(engine, simulator, case, events)
    assert not differences, "\n".join(map(str, differences))
    ways = {verdict.mechanism for verdict in verdicts}
    assert ways == {Mechanism.FULL} if permanent else Mechanism.RECONVERGED in ways
    assert len(Counter(verdict.outcome for verdict in verdicts)) >= 2


def test_an_intermittent_bit_of_one_cycle_is_a_flip_or_nothing(engine: Engine) -> None:
    """Where the bit has the other value, forcing it for one cycle is the upset that prunes and collapses."""
    case = make_case("neuron")
    flips = sample(structures(), 100, engine.facts(case).cycles, 3)
    flipped = engine.run(case, flips)
    forced = [engine.run(case, [held(event, value, event.cycle, event.cycle) for event in flips]) for value in (0, 1)]
    same = 0
    for upset, zero, one in zip(flipped, *forced, strict=True):
        found = {(v.outcome, v.code, v.cycles, v.logits.tobytes()) for v in (zero, one)}
        assert (upset.outcome, upset.code, upset.cycles, upset.logits.tobytes()) in found
        same += len(found) == 1
    assert 0 < same < len(flips)


def test_a_stuck_bit_of_an_idle_word_is_masked_and_one_of_the_counter_hangs_or_lies(engine: Engine) -> None:
    case = make_case("neuron")
    [verdict] = engine.run(case, [FaultEvent("control", Shape.SINGLE, (Upset("u_control.cycles_q", 0, 1, 0, 1),))])
    assert verdict.mechanism is Mechanism.FULL
    assert verdict.cycles & 1


def test_seu_draws_what_it_always_drew() -> None:
    assert draw(structures(), 50, 1000, 1) == sample(structures(), 50, 1000, 1)


def test_models_and_their_names() -> None:
    assert model_names() == ["seu", "stuck-at-0", "stuck-at-1", "intermittent:K", "several:N"]
    stuck = draw(structures(), 20, 1000, 1, parse_model("stuck-at-1"))
    assert {(u.stuck, u.cycle, u.last) for event in stuck for u in event.upsets} == {(1, 0, None)}
    some = [u for event in draw(structures(), 40, 1000, 1, parse_model("intermittent:7")) for u in event.upsets]
    assert {u.stuck for u in some} == {0, 1}
    assert all(u.last == u.cycle + 6 for u in some)
    several = draw(structures(), 40, 1000, 1, parse_model("several:4"))
    assert {len(event.upsets) for event in several} == {4}
    assert all(list(event.upsets) == sorted(event.upsets, key=lambda upset: upset.cycle) for event in several)


def test_what_a_model_draws_depends_on_seed_model_and_structure() -> None:
    """Values of an intermittent bit from a generator for each structure; a longer list starts with the shorter one."""
    places, model = structures(), parse_model("intermittent:7")
    plain = sample(places, 60, 1000, 4, shape=Shape.SQUARE, interleave=2)
    found = draw(places, 60, 1000, 4, model, shape=Shape.SQUARE, interleave=2)
    generators = {name: np.random.default_rng([4, *b"intermittent:7", *name.encode()]) for name in places}
    for event, flip in zip(found, plain, strict=True):
        value = int(generators[flip.structure].integers(2))
        assert event == held(flip, value, flip.cycle, flip.cycle + 6)
    assert draw(places, 25, 1000, 4, model, shape=Shape.SQUARE, interleave=2) == found[:25]


def test_several_are_the_next_flips_of_their_structure() -> None:
    places = structures()
    plain = sample(places, 6 * len(places), 1000, 4)
    for number, event in enumerate(draw(places, 2 * len(places), 1000, 4, parse_model("several:3"))):
        own = [flip for flip in plain if flip.structure == event.structure]
        turn = number // len(places)
        upsets = [upset for flip in own[3 * turn : 3 * turn + 3] for upset in flip.upsets]
        assert sorted(event.upsets, key=repr) == sorted(upsets, key=repr)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stuck-at-2", "did you mean stuck-at-1"),
        ("intermittent", "must be seu, stuck-at-0, stuck-at-1, intermittent:K or several:N"),
        ("intermittent:x", "give a whole number of cycles, at least 1"),
        ("several:0", "give a whole number of upsets, at least 1"),
        ("seu:3", "must be seu"),
    ],
)
def test_names_that_are_no_models(text: str, says: str) -> None:
    with pytest.raises(FitActError) as error:
        parse_model(text)
    assert says in str(error.value)


def test_ids_are_read_again() -> None:
    for upset in (Upset("a.b[3].c", 2, 9, 7), Upset("a.b[3].c", 2, 9, 7, 0), Upset("a.b[3].c", 2, 9, 7, 1, 12)):
        assert Upset.parse(upset.id) == upset
        assert Upset.from_json(upset.to_json()) == upset
    assert Upset("a", 0, 1, 7, 1).id == "a[0]=1&0x1@7-"
    for text in ("a[0]^0x1@7-9", "a[0]=2&0x1@7-", "a[0]=1&0x1@9-7"):
        with pytest.raises(FaultError):
            Upset.parse(text)


def test_a_stuck_bit_moves_with_its_layer_and_keeps_its_length() -> None:
    base = Timeline("a", ("x", "y"), np.array([100, 200]), 200)
    other = Timeline("b", ("x", "y"), np.array([200, 300]), 300)
    whole, part = Upset("s", 0, 1, 0, 1), Upset("s", 0, 1, 50, 0, 59)
    found = moved(FaultEvent("s", Shape.SINGLE, (whole, part)), base, other)
    assert found.upsets == (whole, Upset("s", 0, 1, 100, 0, 109))


def test_a_model_of_ones_own(engine: Engine, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """As docs/howto/add-a-fault-model.md has it: a bit that is stuck from the drawn cycle on."""

    def wear_out(_: str) -> FaultModel:
        return FaultModel("wear-out", lambda events, rng: held(events[0], 1, events[0].cycle))

    monkeypatch.setitem(MODELS, "wear-out", (wear_out, ""))
    case = make_case("neuron")
    events = draw(structures(), 30, engine.facts(case).cycles, 9, parse_model("wear-out"))
    verdicts, differences = compare(engine, simulator, case, events)
    assert not differences
    assert len({verdict.outcome for verdict in verdicts}) >= 2
