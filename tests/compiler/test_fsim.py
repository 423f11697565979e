"""The functional simulator refuses what the machine could not do; its arithmetic is exact."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from fitact_hw.fsim import (
    SimulationError,
    TimingModel,
    check_hazards,
    estimate_cycles,
    layer_schedule,
    run,
)
from fitact_hw.fsim.arithmetic import activated, epilogue, product, rounded, wrap
from fitact_hw.isa import ActMode, Instruction, Opcode
from fitact_hw.program import Program
from tests.compiler.reference import NetworkBuilder

FLAGS = ("pop_prev", "pop_next")


def _example() -> tuple[Program, np.ndarray]:
    """A small program with every kind of wait, and its memory."""
    config = AcceleratorConfig.create(
        rows=4, cols=4, activation_words=60, weight_words=64, output_words=24, accumulator_words=12,
        bound_words=12, bias_words=2,
    )  # fmt: skip
    builder = NetworkBuilder((4, 6, 4))
    entry = builder.conv(8, 3, 1, 1, "clip", "neuron")
    builder.conv(8, 3, 1, 1, "relu", residual=entry, lshift=7)
    builder.pool("maxpool", 2, 2)
    program = compile_network(builder.network(), config, 2)
    return program, with_images(program, builder.images(2))


PROGRAM, MEMORY = _example()
AFTER = run(PROGRAM, MEMORY)


def _changed(number: int, **fields: int) -> Program:
    """The example with other fields in one instruction."""
    instructions = list(PROGRAM.instructions)
    old = instructions[number]
    instructions[number] = Instruction(old.opcode, {**old.fields, **fields})
    return replace(PROGRAM, instructions=tuple(instructions))


def _numbers(opcode: Opcode, **fields: int) -> list[int]:
    return [
        number
        for number, item in enumerate(PROGRAM.instructions)
        if item.opcode is opcode and all(item[name] == value for name, value in fields.items())
    ]


def test_the_example_is_free_of_races_and_runs() -> None:
    check_hazards(PROGRAM)
    assert PROGRAM.tensors[PROGRAM.logits].read(AFTER).any()
    for priority in permutations(range(3)):
        np.testing.assert_array_equal(run(PROGRAM, MEMORY, priority), AFTER)


def test_every_single_wait_is_needed_and_its_loss_is_found() -> None:
    waits = [(i, flag) for i, item in enumerate(PROGRAM.instructions) for flag in FLAGS if item[flag]]
    assert len(waits) > 50
    found = 0
    for number, flag in waits:
        mutant = _changed(number, **{flag: 0})
        try:
            check_hazards(mutant)
        except SimulationError as error:
            found += "no token orders" in str(error)
            continue
        for priority in permutations(range(3)):  # implied by other tokens: then no order may give another result
            np.testing.assert_array_equal(run(mutant, MEMORY, priority), AFTER)
    assert found >= 0.98 * len(waits)


def test_a_lost_token_is_a_deadlock() -> None:
    for opcode, flag in ((Opcode.STORE, "push_prev"), (Opcode.LOAD, "push_next"), (Opcode.GEMM, "push_next")):
        for number in _numbers(opcode, **{flag: 1})[::3]:
            with pytest.raises(SimulationError, match="deadlock"):
                run(_changed(number, **{flag: 0}), MEMORY)


def test_a_missing_finish_is_found() -> None:
    with pytest.raises(SimulationError, match="no FINISH"):
        run(replace(PROGRAM, instructions=PROGRAM.instructions[:-1]), MEMORY)


def test_token_overflow_is_found() -> None:
    load = Instruction(PROGRAM.instructions[0].opcode, {**PROGRAM.instructions[0].fields, "push_next": 1})
    finish = Instruction(Opcode.FINISH, {})
    run(replace(PROGRAM, instructions=(load,) * 255 + (finish,)), MEMORY)
    with pytest.raises(SimulationError, match="token counter overflows"):
        run(replace(PROGRAM, instructions=(load,) * 256 + (finish,)), MEMORY)


@pytest.mark.parametrize(
    ("opcode", "fields", "message"),
    [
        (Opcode.GEMM, {"act_base": 59}, "activation word .* beyond its 60 words"),
        (Opcode.GEMM, {"weight_base": 63}, "weight word .* beyond its 64 words"),
        (Opcode.GEMM, {"out_base": 23}, "output word .* beyond its 24 words"),
        (Opcode.GEMM, {"bias_base": 2}, "bias word 2 is beyond its 2 words"),
        (Opcode.GEMM, {"acc_base": 11, "acc_mode": 0}, "accumulator word .* beyond its 12 words"),
        (Opcode.GEMM, {"rows": 0}, "a loop count is zero"),
        (Opcode.LOAD, {"buffer": 2, "buffer_base": 2}, "bias word 2 is beyond its 2 words"),
        (Opcode.LOAD, {"mem_addr": 1 << 30}, "outside the memory window"),
        (Opcode.LOAD, {"buffer": 0, "mem_addr": 2}, "not aligned to 4 bytes"),
        (Opcode.STORE, {"mem_addr": 1 << 30}, "outside the memory window"),
        (Opcode.STORE, {"mem_addr": 1}, "not aligned to 4 bytes"),
        (Opcode.STORE, {"buffer_base": 23}, "output word .* beyond its 24 words"),
    ],
)
def test_what_lies_outside_is_refused(opcode: Opcode, fields: dict[str, int], message: str) -> None:
    kind = {"epilogue": 1} if opcode is Opcode.GEMM else {"buffer": fields.get("buffer", 0)}
    number = _numbers(opcode, **kind)[-1]
    with pytest.raises(SimulationError, match=f"instruction {number} .*{message}"):
        run(_changed(number, **fields), MEMORY)


def test_a_word_that_was_never_written_is_refused() -> None:
    for number, buffer in enumerate(("activation", "weight", "bias", "bound")):
        load = _numbers(Opcode.LOAD, buffer=number)[0]
        other = _changed(load, buffer=3 - number, mem_addr=0, cols=1, rows=1, planes=1)
        with pytest.raises(SimulationError, match=f"{buffer} word that was never written"):
            run(other, MEMORY)
    with pytest.raises(SimulationError, match="accumulator word that was never written"):
        run(_changed(_numbers(Opcode.GEMM)[0], acc_mode=1), MEMORY)


def _loops(f: Instruction, side: int) -> dict[tuple[str, bool], set[int]]:
    """The words of a GEMM's activation and weight reads, by the loops of the instruction set."""
    acts, weights, tile = set(), set(), 0
    for kr in range(f["kernel_rows"]):
        for kc in range(f["kernel_cols"]):
            for ct in range(f["channel_tiles"]):
                weights |= {f["weight_base"] + tile * f["weight_stride"] + r for r in range(side)}
                tile += 1
                for image in range(f["images"]):
                    for row in range(f["rows"]):
                        for col in range(f["cols"]):
                            acts.add(
                                f["act_base"] + kr * f["kernel_row_stride"] + kc + ct * f["channel_stride"]
                                + image * f["image_stride"] + row * f["row_stride"] + col * f["col_stride"]
                            )  # fmt: skip
    return {("activation", False): acts, ("weight", False): weights}


def test_the_schedule_names_exactly_the_words_of_the_loops() -> None:
    for item in layer_schedule(PROGRAM):
        instruction = PROGRAM.instructions[item.number]
        found = {(a.space, a.write): set(a.words.tolist()) for a in item.accesses}
        for access in item.accesses:
            covered = {word for start, stop in access.ranges for word in range(start, stop)}
            assert covered == set(access.words.tolist())
        if instruction.opcode is Opcode.GEMM:
            assert found.items() >= _loops(instruction, PROGRAM.config.side).items()
            pixels = instruction["images"] * instruction["rows"] * instruction["cols"]
            if instruction["epilogue"]:
                base = instruction["out_base"]
                assert found[("output", True)] == set(range(base, base + pixels))
        if instruction.opcode is Opcode.STORE:
            assert len(found[("memory", True)]) == len(found[("output", False)])


def test_an_access_outside_is_refused_by_the_schedule() -> None:
    last = _numbers(Opcode.STORE)[-1]
    with pytest.raises(SimulationError, match=f"instruction {last} .*memory: word .* is outside"):
        check_hazards(_changed(last, mem_addr=1 << 30))


@given(
    st.lists(st.integers(-(1 << 31), (1 << 31) - 1), min_size=6, max_size=6),
    st.lists(st.integers(-(1 << 31), (1 << 31) - 1), min_size=6, max_size=6),
)
def test_products_are_exact_modulo_2_to_the_64(left: list[int], right: list[int]) -> None:
    exact = sum(a * b for a, b in zip(left, right, strict=True))
    got = product(np.array([left]), np.array(right).reshape(6, 1), 32)[0, 0]
    assert (exact - int(got)) % (1 << 64) == 0


@given(
    acc_bits=st.sampled_from([32, 48, 64]),
    word_bits=st.sampled_from([8, 16, 32]),
    shift=st.integers(0, 63),
    mode=st.sampled_from(list(ActMode)),
    data=st.data(),
)
def test_the_epilogue_follows_the_contract(
    acc_bits: int, word_bits: int, shift: int, mode: ActMode, data: st.DataObject
) -> None:
    edge = 1 << (acc_bits - 1)
    value, bias = (data.draw(st.integers(-edge, edge - 1)) for _ in range(2))
    top = (1 << (word_bits - 1)) - 1
    bound = data.draw(st.integers(-top - 1, top))
    biased = (value + bias + edge) % (2 * edge) - edge
    rounded = biased if shift == 0 else (biased + (1 << (shift - 1))) // (1 << shift)
    expected = {
        ActMode.LINEAR: max(-top - 1, min(top, rounded)),
        ActMode.RELU: max(0, min(top, rounded)),
        ActMode.CLIP: rounded if 0 <= rounded <= bound else 0,
        ActMode.SATURATE: min(max(rounded, 0), bound),
    }[mode]
    arrays = [np.array([[item]], np.int64) for item in (value, bias, shift)]
    got = epilogue(arrays[0], arrays[1], arrays[2], mode, np.array([[bound]]), word_bits, acc_bits)
    assert int(got[0, 0]) == expected
    assert int(wrap(np.array(value + bias if acc_bits < 64 else value), acc_bits)) == (
        biased if acc_bits < 64 else value
    )


@pytest.mark.parametrize("bits", [8, 32, 48, 64])
def test_wrapping_at_both_ends(bits: int) -> None:
    edge = 1 << (bits - 1)
    ends = [-edge, -edge + 1, -1, 0, edge - 1]
    assert wrap(np.array(ends, np.int64), bits).tolist() == ends
    if bits < 64:
        beyond = np.array([edge, -edge - 1, 2 * edge, 3 * edge], np.int64)
        assert wrap(beyond, bits).tolist() == [-edge, edge - 1, 0, -edge]


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_activations_at_the_ends_of_a_word(bits: int) -> None:
    top = (1 << (bits - 1)) - 1
    values = np.array([-top - 2, -top - 1, -top, -1, 0, 1, 5, 6, top, top + 1], np.int64)
    assert activated(values, ActMode.LINEAR, 0, bits).tolist() == [-top - 1, -top - 1, *values[2:9].tolist(), top]
    assert activated(values, ActMode.RELU, 0, bits).tolist() == [0, 0, 0, 0, 0, 1, 5, 6, top, top]
    assert activated(values, ActMode.CLIP, 5, bits).tolist() == [0, 0, 0, 0, 0, 1, 5, 0, 0, 0]
    assert activated(values, ActMode.SATURATE, 5, bits).tolist() == [0, 0, 0, 0, 0, 1, 5, 5, 5, 5]
    assert activated(values, ActMode.SATURATE, -3, bits).tolist() == [-3] * 10


@given(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(0, 63))
def test_rounding_is_half_up(value: int, shift: int) -> None:
    exact = (value + (1 << shift >> 1)) >> shift
    assert int(rounded(np.array([value], np.int64), np.array([shift]))[0]) == exact


@pytest.mark.parametrize("shift", [1, 2, 7])
def test_rounding_of_every_remainder(shift: int) -> None:
    values = np.arange(-3 << shift, 3 << shift, dtype=np.int64)
    expected = [(int(value) + (1 << (shift - 1))) >> shift for value in values]
    assert rounded(values, np.array(shift)).tolist() == expected


def test_the_estimate_counts_every_weight_tile_and_grows_with_latency() -> None:
    slots = 0
    for number in _numbers(Opcode.GEMM):
        f = PROGRAM.instructions[number]
        pixels = f["images"] * f["rows"] * f["cols"]
        slots += f["kernel_rows"] * f["kernel_cols"] * f["channel_tiles"] * max(pixels, 4)
    estimate = estimate_cycles(PROGRAM)
    assert estimate.compute_cycles == slots
    assert estimate.cycles >= max(slots, estimate.load_cycles, estimate.store_cycles)
    slow = estimate_cycles(PROGRAM, TimingModel(load_latency=200, store_latency=200))
    assert slow.cycles > estimate.cycles
    macs = sum(span.macs for span in PROGRAM.spans)
    assert estimate.utilisation == pytest.approx(macs / (estimate.cycles * 16))


def test_every_order_of_two_units_is_needed() -> None:
    """A push and the pop that it serves, taken away together, leave no deadlock: only the rules can tell.

    Whatever is found must name the access that lost its order; what is not found must run the same in every order.
    """
    units = {Opcode.LOAD: 0, Opcode.GEMM: 1, Opcode.SYNC: 1, Opcode.STORE: 2}
    pushes: dict[tuple[int, int], list[tuple[int, str]]] = {}
    pairs = []
    for number, item in enumerate(PROGRAM.instructions):
        unit = units.get(item.opcode)
        if unit is None:
            continue
        for other, flag in ((unit - 1, "pop_prev"), (unit + 1, "pop_next")):
            if item[flag]:
                pairs.append((pushes[other, unit].pop(0), (number, flag)))
        for other, flag in ((unit - 1, "push_prev"), (unit + 1, "push_next")):
            if item[flag]:
                pushes.setdefault((unit, other), []).append((number, flag))
    found: Counter[object] = Counter()
    for (giver, push), (taker, pop) in pairs:
        instructions = list(PROGRAM.instructions)
        for number, flag in ((giver, push), (taker, pop)):
            old = instructions[number]
            instructions[number] = Instruction(old.opcode, {**old.fields, flag: 0})
        mutant = replace(PROGRAM, instructions=tuple(instructions))
        try:
            check_hazards(mutant)
        except SimulationError as error:
            found["no token orders" in str(error)] += 1
            found[f"{PROGRAM.instructions[giver].opcode.name} {PROGRAM.instructions[taker].opcode.name}"] += 1
            continue
        for priority in permutations(range(3)):
            np.testing.assert_array_equal(run(mutant, MEMORY, priority), AFTER)
    assert not found[False]
    assert min(found["GEMM LOAD"], found["STORE GEMM"]) > 5  # overwriting what another unit still reads


def _hazard(first: Instruction, second: Instruction) -> None:
    """Two instructions of different units without tokens."""
    finish = Instruction(Opcode.FINISH, {})
    check_hazards(replace(PROGRAM, instructions=(first, second, finish)))


def test_each_kind_of_conflict_alone() -> None:
    """Read after write, write after read and write after write, of buffers and of memory; two reads conflict not."""
    load = PROGRAM.instructions[_numbers(Opcode.LOAD, buffer=0)[0]]
    store = PROGRAM.instructions[_numbers(Opcode.STORE)[0]]
    flags = dict.fromkeys(("pop_prev", "pop_next", "push_prev", "push_next"), 0)

    def changed(item: Instruction, **fields: int) -> Instruction:
        return Instruction(item.opcode, {**item.fields, **flags, **fields})

    small = {"cols": 1, "rows": 1, "planes": 1, "buffer_base": 0}
    load = changed(load, **small, mem_addr=0, pad_left=0, pad_right=0, pad_top=0, pad_bottom=0)
    gemm = changed(
        PROGRAM.instructions[_numbers(Opcode.GEMM)[0]], act_base=0, kernel_rows=1, kernel_cols=1, channel_tiles=1,
        images=1, rows=1, cols=1, epilogue=1, acc_mode=0, out_base=0,
    )  # fmt: skip
    store = changed(store, **small, mem_addr=64)
    races = {
        "memory, read then written": (load, changed(store, mem_addr=0)),
        "memory, written then read": (changed(store, mem_addr=0), load),
        "activation, read then written": (gemm, load),
        "activation, written then read": (load, gemm),
        "output, read then written": (store, gemm),
        "output, written then read": (gemm, store),
    }
    for name, (first, second) in races.items():
        with pytest.raises(SimulationError, match=f"instruction 1 .*no token orders its {name.split(',')[0]}"):
            _hazard(first, second)
    for first, second in ((gemm, changed(load, cols=4)), (changed(load, cols=4), gemm), (store, changed(gemm, cols=3))):
        with pytest.raises(SimulationError, match=r"instruction 1 .*no token orders"):
            _hazard(first, second)  # one word of several
    _hazard(load, store)  # other words
    _hazard(load, load)  # one unit is in order by itself
