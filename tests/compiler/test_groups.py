"""Grouped convolutions and copies of channels: only the tiles of the weights that there are lie in memory and run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import CompileError
from fitact_hw.fsim import estimate_cycles, run
from fitact_hw.isa import Opcode
from fitact_hw.program import Program
from fitact_hw.validation.memory import apply_map
from golden.fault_maps import corrupt, draw, shared_segments
from golden.frontend.lowering import lower
from golden.frontend.weights import group_links
from golden.plain_reference import reference_network
from golden.qnetwork import QNetwork
from tests.compiler.checking import check_program
from tests.compiler.reference import NetworkBuilder


def machine(side: int, word: int = 8, **options: Any) -> AcceleratorConfig:
    return AcceleratorConfig.create(rows=side, cols=side, word_bits=word, **options)


def linked(links: np.ndarray | None, channels: int, kernel: int = 3, word: int = 8) -> tuple[QNetwork, np.ndarray]:
    """Two layers, the second with these links (outputs, inputs), and two images."""
    builder = NetworkBuilder((3, 6, 7), word)
    builder.conv(channels, 1)
    builder.conv(channels if links is None else len(links), kernel, 1, kernel // 2)
    weight = builder.layers[-1].weight
    assert weight is not None
    if links is not None:
        builder.replace_last(links=links, weight=weight * links[:, :, None, None])
    return builder.network(), builder.images(2)


def tiles(program: Program) -> list[int]:
    """Input-channel tiles of each GEMM of the second layer."""
    span = program.spans[1]
    items = program.instructions[span.first : span.last]
    return [item["channel_tiles"] for item in items if item.opcode is Opcode.GEMM]


@pytest.mark.parametrize(
    ("side", "groups", "most"),
    [(3, 2, 2), (3, 4, 1), (3, 12, 1), (4, 2, 3), (4, 4, 3), (4, 12, 1), (8, 2, 2), (8, 4, 2), (8, 12, 1)],
)
def test_groups_are_exact_and_read_their_own_tiles(side: int, groups: int, most: int) -> None:
    """``most``: input-channel tiles that the groups of an output tile reach into, the worst of all output tiles."""
    config = machine(side)
    qnet, images = linked(group_links(12, 12, groups), 12)
    program = check_program(qnet, config, images)
    assert max(tiles(program)) == most
    dense = compile_network(linked(None, 12)[0], config, 2)
    sizes = [{b.layer: b.index.size for b in p.parameters if b.kind == "weight"}["conv1"] for p in (program, dense)]
    assert sizes[0] <= sizes[1]
    if groups == 12:
        assert set(tiles(program)) == {1}
        assert sizes[0] * -(-12 // side) == sizes[1]
        assert estimate_cycles(program).cycles < estimate_cycles(dense).cycles


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), side=st.sampled_from([2, 3, 5]), word=st.sampled_from([8, 16, 32]))
def test_any_links_are_exact(data: st.DataObject, side: int, word: int) -> None:
    inputs, outputs = data.draw(st.integers(1, 13)), data.draw(st.integers(1, 13))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    links = np.abs(np.arange(outputs)[:, None] * inputs / outputs - np.arange(inputs)) < data.draw(st.integers(1, 6))
    links &= rng.random(links.shape) < 0.8
    least = {"activation_words": 40, "weight_words": 8 * side} if data.draw(st.booleans()) else {}
    qnet, images = linked(links, inputs, data.draw(st.sampled_from([1, 3])), word)
    check_program(qnet, machine(side, word, **least), images)


def test_links_that_do_not_fit_are_refused() -> None:
    qnet, _ = linked(group_links(12, 12, 4), 12)
    first, second = qnet.layers
    assert second.links is not None
    changed = [
        (replace(second, links=second.links[:, :5]), "links have shape"),
        (replace(second, links=np.zeros_like(second.links)), "no link"),
    ]
    for layer, message in changed:
        with pytest.raises(CompileError, match=message):
            compile_network(replace(qnet, layers=(first, layer)), machine(4), 1)


def test_bit_errors_hit_only_weights_that_there_are() -> None:
    qnet, images = linked(group_links(12, 12, 6), 12)
    segment = shared_segments(qnet)[2]
    assert (segment.layer, segment.kind, segment.count) == ("conv1", "weight", 12 * 2 * 9)
    assert qnet.layers[1].macs == 12 * 2 * 9 * 6 * 7
    links = qnet.layers[1].links
    assert links is not None
    config = machine(5)
    program = compile_network(qnet, config, len(images))
    for index in range(3):
        faults = draw(qnet, 0.02, 1, index)
        broken = corrupt(qnet, faults)
        weight = broken.layers[1].weight
        assert weight is not None
        assert not weight[~links].any()
        after = run(program, apply_map(program, faults, with_images(program, images)))
        for name, value in reference_network(broken, images).items():
            if name != "input":
                np.testing.assert_array_equal(program.tensors[name].read(after), value)


def test_the_front_end_says_which_channels_are_linked() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(2, 3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.b(self.a(x).relu()).relu()
            y: torch.Tensor = torch.cat([self.c(x[:, 1:3]).relu(), x], 1)
            return y

    a, b, c, first, second = lower(Net(), (4, 6, 6))
    assert a.links is None
    np.testing.assert_array_equal(b.links, np.eye(4, dtype=bool))
    np.testing.assert_array_equal(c.links, [[False, True, True, False]] * 3)
    np.testing.assert_array_equal(first.links, np.eye(7, 3, dtype=bool))
    np.testing.assert_array_equal(second.links, np.eye(7, 4, -3, dtype=bool))
