"""The order of the datapath, read from the Verilog: nothing reaches the output buffer past the clamp."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fitact_hw.config import AcceleratorConfig
from fitact_hw.verilog import TOP, design
from fitact_hw.verilog.ast import Node, children, node, show
from tests.generator.machines import SMALL

BOUNDED = [AcceleratorConfig.create(**(SMALL.model_dump() | {"bounds": bounds})) for bounds in ("layer", "neuron")]


def pins(module: Node) -> Iterator[tuple[str, str, str]]:
    """(instance, port, connected text) of every connection in ``module``."""
    for item in children(module):
        if isinstance(item, node.Instance):
            for pin in item.portlist:
                yield item.name, pin.portname, show(pin.argname)


def base(text: str) -> str:
    """The signal of a plain reference or select."""
    return text.split("[")[0]


def touching(module: Node, signal: str) -> set[tuple[str, str]]:
    """(instance, port) of everything connected to ``signal``."""
    return {(instance, port) for instance, port, text in pins(module) if base(text) == signal}


def assigned(module: Node) -> dict[str, set[str]]:
    """Signal -> signals that decide its value, in any assignment or condition around it."""
    sources: dict[str, set[str]] = {}

    def visit(item: Node, conditions: frozenset[str]) -> None:
        if isinstance(item, node.IfStatement | node.CaseStatement):
            chooser = item.cond if isinstance(item, node.IfStatement) else item.comp
            conditions |= names(chooser)
        if isinstance(item, node.Assign | node.Substitution):
            for target in names(item.left):
                sources.setdefault(target, set()).update(names(item.right) | conditions)
        for child in item.children():
            visit(child, conditions)

    visit(module, frozenset())
    return sources


def names(item: Node) -> frozenset[str]:
    """Identifiers of an expression."""
    return frozenset(part.name for part in children(item) if isinstance(part, node.Identifier))


def cone(module: Node, signal: str) -> set[str]:
    """Everything that can influence ``signal`` inside ``module``."""
    sources, seen, todo = assigned(module), set(), [signal]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(sources.get(name, ()))
    return seen


@pytest.mark.parametrize("config", BOUNDED, ids=lambda config: config.bounds.value)
def test_clamp_sits_between_accumulator_and_output_buffer(config: AcceleratorConfig) -> None:
    """Output buffer <- lanes <- clamp register <- bound register and accumulated sum, with no way around."""
    modules = design(config).modules
    top, lanes, buffers = (modules[name] for name in (TOP, "fitact_lanes", "fitact_buffers"))
    # The buffer's write data come from the lanes and from nothing else.
    assert touching(top, "out_wr_data") == {("u_lanes", "out_wr_data"), ("u_buffers", "out_wr_data")}
    assert "out_wr_data" not in assigned(top)
    assert ("u_output", "wr_data") in touching(buffers, "out_wr_data")
    assert touching(lanes, "out_wr_data") == {("u_lane", "out_q")}
    assert "out_wr_data" not in assigned(lanes)
    # Inside a lane the result depends on the bound register, the mode and the sum.
    lane, clamp = modules["fitact_lane"], modules["fitact_clamp"]
    assert touching(lane, "out_q") == {("u_clamp", "out_q")}
    assert "out_q" not in assigned(lane)
    assert {"bound_q", "bound", "act_mode", "value"} <= cone(clamp, "out_q")
    clamp_inputs = {port: text for _, port, text in pins(lane)}
    assert (clamp_inputs["value"], clamp_inputs["bound"]) == ("rounded_q", "bound")
    assert {"sum_q", "psum", "acc_data", "bias", "shift"} <= cone(lane, "rounded_q")
    # Partial sums and accumulator words go to the lanes only.
    assert touching(top, "psum") == {("u_array", "psum_out"), ("u_lanes", "psum")}
    assert touching(top, "acc_rd_data") == {("u_buffers", "acc_rd_data"), ("u_lanes", "acc_rd_data")}


@pytest.mark.parametrize("config", BOUNDED, ids=lambda config: config.bounds.value)
def test_every_column_has_its_own_lane(config: AcceleratorConfig) -> None:
    """N lanes write N different slices that together are the whole output word."""
    lanes = [item for item in design(config).instances(TOP) if item.module == "fitact_lane"]
    assert [item.path for item in lanes] == [f"u_lanes.g_lane[{c}].u_lane" for c in range(config.cols)]
    slices = {text for _, port, text in pins(design(config).modules["fitact_lanes"]) if port == "out_q"}
    assert slices == {"out_wr_data[c*DATA_W +: DATA_W]"}


def test_bound_comes_from_the_buffer_or_the_token() -> None:
    """With neuron bounds the lane's bound is chosen between the buffer's word and the layer's bound."""
    lanes = design(BOUNDED[1]).modules["fitact_lanes"]
    assert {"bound_select", "bound_rd_data", "layer_bound"} <= cone(lanes, "bound")
    assert touching(lanes, "bound") == {("u_lane", "bound")}
