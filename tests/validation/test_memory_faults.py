"""Fault maps in the memory image: the bytes that flip, and the RTL against the golden model."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from fitact_hw.compiler import compile_network
from fitact_hw.errors import FitActError
from fitact_hw.validation.memory import apply_map, check, csv_text, run_maps
from golden.fault_maps import Memory, corrupt, draw
from golden.qnetwork import QNetwork
from sim.simulator import Simulator
from tests.compiler.reference import NetworkBuilder
from tests.sim.machines import IMAGES, TINY

EVERYTHING = Memory(bounds=True, shifts=True)


def network(bound: str) -> tuple[QNetwork, np.ndarray]:
    builder = NetworkBuilder((3, 6, 6), seed=11)
    activation = "relu" if bound == "none" else "clip"
    builder.conv(6, 3, 1, 1, activation, bound)
    builder.pool("maxpool", 2, 2)
    builder.conv(5, 3, 1, 1, activation, bound)
    builder.conv(4, 0, activation="linear")
    return builder.network(), builder.images(IMAGES)


@pytest.mark.parametrize("bound", ["none", "layer", "neuron"])
def test_flips_land_in_the_bytes_that_the_compiler_stores(bound: str) -> None:
    """The flipped image is the image of the corrupted network, and no bit more."""
    qnet, _ = network(bound)
    program = compile_network(qnet, TINY, IMAGES)
    for index in range(12):
        faults = draw(qnet, 0.01, 3, index, EVERYTHING)
        faulty = corrupt(qnet, faults)
        if any(layer.bound is not None and np.min(layer.bound) < 0 for layer in faulty.layers):
            continue  # the compiler refuses a negative bound, the machine does not
        image = apply_map(program, faults, program.memory)
        assert np.array_equal(image, compile_network(faulty, TINY, IMAGES).memory)
        flipped = int(np.bitwise_count(image ^ program.memory).sum())
        assert flipped >= faults.count() > 0  # a layer's bound stands in several instructions
        if bound != "layer":
            assert flipped == faults.count()


def test_rtl_computes_what_the_golden_model_says_of_corrupted_memory() -> None:
    networks, images = {}, {}
    for bound in ("none", "layer", "neuron"):
        networks[bound], images[bound] = network(bound)
    results = run_maps(
        Simulator(TINY), networks, images, 0.01, 6, 5, Console(quiet=True), Memory(bounds=True, shifts=False)
    )
    assert len(results) == 18
    assert all(result.agrees for result in results)
    assert sum(not result.masked for result in results) > 9  # else nothing was shown
    lines = list(csv.DictReader(io.StringIO(csv_text(results, 8, 5))))
    assert [line["scheme"] for line in lines] == [result.scheme for result in results]
    assert [line["logits_changed"] == "0" for line in lines] == [result.masked for result in results]
    assert {line["logits_that_differ_in_rtl"] for line in lines} == {"0"}
    assert {(line["rate"], line["seed"], line["images"]) for line in lines} == {("0.01", "5", str(IMAGES))}
    check(Console(quiet=True), results)
    results[7] = replace(results[7], rtl=results[7].rtl + 1)
    with pytest.raises(FitActError, match="1 of 18 disagree, the first is map 1 of layer"):
        check(Console(quiet=True), results)


def test_a_map_of_another_network_is_refused() -> None:
    program = compile_network(network("none")[0], TINY, IMAGES)
    other, _ = network("neuron")
    faults = draw(other, 0.05, 1, 0)
    assert faults.count("bound")
    stranger = replace(faults, flips=tuple(replace(f, segment=replace(f.segment, layer="x")) for f in faults.flips))
    with pytest.raises(FitActError, match="another network"):
        apply_map(program, stranger, program.memory)
