"""Bit-parallel simulation of a mapped netlist: what its outputs are, and how often every net toggles.

Many independent runs (streams) go side by side, 64 in a machine word. Delays are zero, so glitches are not seen;
the clock is ideal. Flip-flops start at zero, like the hardware after its first instructions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fitact_hw.overhead.jobs import SynthesisError
from fitact_hw.overhead.liberty import Group, Library
from fitact_hw.overhead.liberty_function import truth_table

Net = int | str
"""A net of the netlist: a number, or the constant '0', '1' or 'x'."""

_ONES = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


def pack(values: np.ndarray, width: int) -> np.ndarray:
    """Integers (cycles, streams) as bits: uint64 (cycles, width, streams / 64), two's complement, lowest bit first.

    The number of streams must be a multiple of 64.
    """
    values = np.asarray(values, np.int64)
    bits = (values[:, None, :] >> np.arange(width)[None, :, None]) & 1
    return np.packbits(bits.astype(np.uint8), axis=2, bitorder="little").view(np.uint64)


def unpack(words: np.ndarray, signed: bool = True) -> np.ndarray:
    """The reverse of :func:`pack`: int64 (cycles, streams)."""
    width = words.shape[1]
    bits = np.unpackbits(words.view(np.uint8), axis=2, bitorder="little").astype(np.int64)
    weights = np.left_shift(np.int64(1), np.arange(width))
    if signed:
        weights[-1] = -weights[-1]
    return np.einsum("cws,w->cs", bits, weights)


@dataclass(frozen=True)
class Activity:
    """Toggles of each net per cycle and stream, and the values of the output ports (cycles, streams)."""

    toggles: Mapping[Net, float]
    outputs: Mapping[str, np.ndarray]


class Netlist:
    """A netlist as `worker` returns it, ready to run. Cells that the library does not know are black boxes: their
    inputs can be watched as ports called ``cell type.pin``.

    Raises SynthesisError for a cell whose function is not understood, and for a combinational loop.
    """

    def __init__(self, cells: Sequence[Any], ports: Mapping[str, Any], library: Library) -> None:
        known = set(library.cells)
        self.cells = [
            (kind, {pin: bits[0] for pin, bits in pins.items() if bits}) for kind, pins in cells if kind in known
        ]
        self.inputs: dict[str, list[Net]] = {name: bits for name, (way, bits) in ports.items() if way == "input"}
        self.outputs: dict[str, list[Net]] = {name: bits for name, (way, bits) in ports.items() if way == "output"}
        for kind, pins in cells:
            if kind not in known:
                self.outputs.update({f"{kind}.{pin}": bits for pin, bits in pins.items()})
        self._index: dict[Net, int] = {"0": 0, "x": 0, "1": 1}
        on_cells = [list(pins.values()) for _, pins in self.cells]
        for bits in [*on_cells, *self.inputs.values(), *self.outputs.values()]:
            for net in bits:
                self._index.setdefault(net, len(self._index) - 1)  # '0' and 'x' share a place
        self.clocks: set[Net] = set()
        self._library = library
        self._evaluate, self._next, self._state = self._compile()

    def _compile(self) -> tuple[Callable[..., None], Callable[..., None], list[int]]:
        lines: dict[int, tuple[str, set[int]]] = {}
        following: dict[int, str] = {}
        for kind, pins in self.cells:
            group = self._library.cell(kind)
            names = [pin.args[0] for pin in self._library.inputs(kind) if pin.args[0] in pins]
            flops = group.all("ff")
            if not flops:
                for pin in self._library.outputs(kind):
                    if pin.args[0] in pins:
                        target = self._index[pins[pin.args[0]]]
                        lines[target] = self._line(kind, pin.text("function"), names, pins)
            else:
                self._flop(kind, flops[0], names, pins, following)
        return _function(_ordered(lines)), _function(list(following.items())), list(following)

    def _flop(
        self,
        kind: str,
        flop: Group,
        names: list[str],
        pins: Mapping[str, Net],
        following: dict[int, str],
    ) -> None:
        clock = flop.text("clocked_on").strip("() ")
        if clock not in pins:
            raise SynthesisError(f"{kind}: only flip-flops with a rising clock edge are understood")
        self.clocks.add(pins[clock])
        true, inverse = flop.args
        following_state = flop.text("next_state")
        data = [name for name in names if name != clock]
        if re.search(rf"\b{true}\b", following_state):  # a flip-flop with enable keeps its state
            data, pins = [*data, true], {**pins, true: self._state_net(kind, true, pins)}
        expression, _ = self._line(kind, following_state, data, pins)
        for pin in self._library.outputs(kind):
            if pin.args[0] not in pins:
                continue
            target, function = self._index[pins[pin.args[0]]], pin.text("function").strip("() ")
            if function not in (true, inverse):
                raise SynthesisError(f"{kind}: output {pin.args[0]} is {function}, not the state")
            following[target] = expression if function == true else f"~({expression})"

    def _state_net(self, kind: str, true: str, pins: Mapping[str, Net]) -> Net:
        """The net that shows the state itself."""
        for pin in self._library.outputs(kind):
            if pin.args[0] in pins and pin.text("function").strip("() ") == true:
                return pins[pin.args[0]]
        raise SynthesisError(f"{kind}: a flip-flop with enable whose state is on no output is not understood")

    def _line(self, kind: str, function: str, names: list[str], pins: Mapping[str, Net]) -> tuple[str, set[int]]:
        table = truth_table(function, names)
        if table is None:
            raise SynthesisError(f"{kind}: its function {function!r} is not understood")
        sources = [self._index[pins[name]] for name in names]
        return _expression(table, [f"v[{source}]" for source in sources]), set(sources)

    def run(self, stimulus: Mapping[str, np.ndarray], skip: int = 0) -> Activity:
        """Apply integers (cycles, streams) to input ports; those that are not named stay 0.

        Toggles are counted from cycle ``skip`` on.
        """
        cycles, streams = next(iter(stimulus.values())).shape
        packed = {name: pack(values, len(self.inputs[name])) for name, values in stimulus.items()}
        count = max(self._index.values()) + 1
        v = np.zeros((count, streams // 64), np.uint64)
        v[1] = _ONES
        toggles = np.zeros(count, np.int64)
        before = v.copy()
        seen: dict[str, list[np.ndarray]] = {name: [] for name in self.outputs}
        places = {
            name: [self._index[net] for net in bits] for name, bits in [*self.inputs.items(), *self.outputs.items()]
        }
        for cycle in range(cycles):
            for name, words in packed.items():
                v[places[name]] = words[cycle]
            self._evaluate(v)
            if cycle > skip:
                toggles += np.bitwise_count(v ^ before).sum(axis=1, dtype=np.int64)
            before[:] = v
            for name in self.outputs:
                seen[name].append(v[places[name]])
            self._advance(v)
        per = 1 / (streams * max(1, cycles - skip - 1))
        rates = {net: float(toggles[place]) * per for net, place in self._index.items()}
        rates.update(dict.fromkeys(self.clocks, 2.0))
        return Activity(rates, {name: unpack(np.stack(words)) for name, words in seen.items()})

    def _advance(self, v: np.ndarray) -> None:
        """One clock edge: all flip-flops take their next state at once."""
        fresh = np.zeros_like(v)
        self._next(v, fresh)
        v[self._state] = fresh[self._state]


def _expression(table: str, names: list[str]) -> str:
    """Python source of a truth table (first name slowest) over arrays of bits."""
    if "1" not in table:
        return "v[0]"
    if "0" not in table:
        return "v[1]"
    half = len(table) // 2
    low, high, x, rest = table[:half], table[half:], names[0], names[1:]
    if low == high:
        return _expression(low, rest)
    flat = {"0" * half: False, "1" * half: True}
    if low in flat and high in flat:
        return f"~{x}" if flat[low] else x
    if low in flat:
        return f"(~{x} | {_expression(high, rest)})" if flat[low] else f"({x} & {_expression(high, rest)})"
    if high in flat:
        return f"({x} | {_expression(low, rest)})" if flat[high] else f"(~{x} & {_expression(low, rest)})"
    if all(a != b for a, b in zip(low, high, strict=True)):
        return f"({x} ^ {_expression(low, rest)})"
    return f"(({x} & {_expression(high, rest)}) | (~{x} & {_expression(low, rest)}))"


def _ordered(lines: dict[int, tuple[str, set[int]]]) -> list[tuple[int, str]]:
    """Targets in an order in which every source comes before its use."""
    order: list[tuple[int, str]] = []
    waiting = {target: sources & lines.keys() for target, (_, sources) in lines.items()}
    users: dict[int, list[int]] = {}
    for target, sources in waiting.items():
        for source in sources:
            users.setdefault(source, []).append(target)
    ready = [target for target, sources in waiting.items() if not sources]
    while ready:
        target = ready.pop()
        order.append((target, lines[target][0]))
        for user in users.get(target, ()):
            waiting[user].discard(target)
            if not waiting[user]:
                ready.append(user)
    if len(order) < len(lines):
        raise SynthesisError(f"combinational loop through {len(lines) - len(order)} cells")
    return order


def _function(lines: Sequence[tuple[int, str]]) -> Callable[..., None]:
    """``f(v, out=v)`` that sets ``out[target]`` for each line."""
    body = [f"    out[{target}] = {expression}" for target, expression in lines] or ["    pass"]
    source = "\n".join(["def step(v, out=None):", "    out = v if out is None else out", *body])
    names: dict[str, Any] = {}
    exec(source, names)
    return names["step"]
