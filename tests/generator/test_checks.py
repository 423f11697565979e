"""The connection check finds what lint finds too late: each kind of mistake, with its place."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import FitActError
from fitact_hw.verilog import GeneratorError, generate, rtl_sources
from fitact_hw.verilog.ast import expression, parse_module, show
from fitact_hw.verilog.elaborate import Design
from fitact_hw.verilog.evaluate import Scope, Signal, value, width
from fitact_hw.verilog.layout import text
from fitact_hw.verilog.module import Module

GOOD = {"clk": "clk", "in_data": "data", "out_data": "late"}


def check(connections: Mapping[str, str | None], parameters: dict[str, str] | None = None) -> Design:
    """Compose a module `outer` with one delay line, print it, and elaborate the print."""
    m = Module("outer", "A test module.")
    m.input("clk")
    m.input("data", 8)
    m.output("late", 8)
    m.instance("fitact_skew", "u_line", parameters or {"WIDTH": "8", "DELAY": "2"}, connections)
    cell = next(path for path in rtl_sources() if path.stem == "fitact_skew")
    design = Design({
        "outer": parse_module(text(m, "test")),
        "fitact_skew": parse_module(cell.read_text()),
    })  # fmt: skip
    list(design.instances("outer"))
    return design


def test_a_good_connection_passes() -> None:
    """The registers inside are found: two stages of eight bits."""
    registers = list(check(GOOD).registers("outer"))
    assert sum(register.width * register.depth for register in registers) == 2 * 8
    assert all(register.path.startswith("u_line.") for register in registers)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"in_dat": "data"}, "outer: instance u_line of fitact_skew: port in_dat does not exist"),
        ({"in_data": "data[3:0]"}, r"port in_data has 8 bits, data\[3:0\] has 4"),
        ({"in_data": "{data, 1'b0}"}, "port in_data has 8 bits, .* has 9"),
        ({"in_data": "dada"}, "port in_data: 'dada' is not declared"),
        ({"in_data": "data[1 +: 8]"}, r"data\[1 \+: 8\] takes bits 8..1 of 8"),
        ({"in_data": None}, "input in_data is left open"),
    ],
)
def test_a_bad_connection_is_named(change: dict[str, str | None], message: str) -> None:
    """Unknown port, wrong width, unknown net, select beyond the end, open input."""
    with pytest.raises(GeneratorError, match=message):
        check({**GOOD, **change})
    assert issubclass(GeneratorError, FitActError)


def test_a_missing_port_is_named() -> None:
    """All ports must be mentioned."""
    with pytest.raises(GeneratorError, match="instance u_line of fitact_skew: port out_data is not connected"):
        check({name: pin for name, pin in GOOD.items() if name != "out_data"})


def test_an_unknown_parameter_is_named() -> None:
    """A parameter that the cell does not have."""
    with pytest.raises(GeneratorError, match="fitact_skew has no parameter LATENCY"):
        check(GOOD, {"WIDTH": "8", "LATENCY": "2"})


def test_a_changed_cell_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that a leaf cell gains is missing in the composition: generation stops."""
    from fitact_hw import verilog

    real = verilog.parse_module

    def changed(source: str, what: str) -> object:
        return real(
            source.replace("input  wire [ACC_W-1:0]  psum_in,", "input wire [ACC_W-1:0] psum_in, input wire extra,"),
            what,
        )

    monkeypatch.setattr(verilog, "parse_module", changed)
    verilog.design.cache_clear()
    try:
        with pytest.raises(GeneratorError, match=r"fitact_array: instance g_row\[0\]\.g_col\[0\]\.u_pe .*: port extra"):
            generate(AcceleratorConfig())
    finally:
        verilog.design.cache_clear()


@pytest.mark.parametrize(
    "source",
    ["a[i*W +: W]", "a[7:4]", "{a, {3{b[0]}}, 4'd2}", "c ? a : d ? b : e", "&{1'b0, a}", "(a + b)*c",
     "a - (b - c)", "!(a || b) && c", "(a << 2) + $clog2(N)", "a == b && c < d", "~(a & b) | c ^ d"],
)  # fmt: skip
def test_printed_expressions_mean_the_same(source: str) -> None:
    """Printing and parsing again gives the same tree; pyverilog's own printer breaks indexed selects."""
    tree = expression(source)
    assert expression(show(tree)) == tree
    assert ("+:" in show(tree)) == ("+:" in source)


SCOPE = Scope({"N": 5, "W": 8}, {"a": Signal(40), "m": Signal(8, 16), "b": Signal(3)})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("N*W - 1", 39),
        ("$clog2(N)", 3),
        ("$clog2(1)", 0),
        ("(N > 4) ? 2**W : 0", 256),
        ("N % 2 == 1 && !(W < 8)", 1),
        ("8'hf0 >> 4", 15),
        ("{2'b10, 3'd1}", 17),
        ("W[3:3]", 1),
    ],
)
def test_values(source: str, expected: int) -> None:
    """Constant expressions as Verilog evaluates them."""
    assert value(expression(source), SCOPE) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [("a", 40), ("a[N*W-1:0]", 40), ("a[b]", 1), ("a[W +: N]", 5), ("m[3]", 8), ("{a, m[b], 2'd1}", 50),
     ("a == b", 1), ("a + b", 40), ("~b", 3), ("{N{b}}", 15), ("b << 4", 3), ("&a", 1)],
)  # fmt: skip
def test_widths(source: str, expected: int) -> None:
    """Self-determined widths."""
    assert width(expression(source), SCOPE) == expected


@pytest.mark.parametrize("source", ["a[40]", "a[N*W +: 1]", "m[16]", "c", "a[2 -: 4]"])
def test_bad_selects_are_refused(source: str) -> None:
    """Beyond the end, undeclared, or a form the project does not use."""
    with pytest.raises(GeneratorError):
        width(expression(source), SCOPE)
