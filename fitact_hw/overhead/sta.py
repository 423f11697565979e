"""Static timing of one mapped block with the library's NLDM tables, before layout (zero wire load).

Start points: clock pins of flip-flops (ideal clock) and inputs, which arrive with the clock through the
technology's driving cell. End points: data pins of flip-flops, with their setup time, and outputs, which
carry the technology's load; a wire through the block is no path. Black boxes end and start paths. Slews
propagate as the worst of the arcs into a pin; every arc is followed for both edges.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from fitact_hw.overhead.jobs import SynthesisError
from fitact_hw.overhead.liberty import Group
from fitact_hw.overhead.nldm import EDGES, Table, TableReader
from fitact_hw.overhead.technology import Technology

_START_SLEW_NS = 0.03
"""Slew at clock pins and at the inputs of driving cells (ns at 130 nm; scaled by the node)."""

_COMBINATIONAL = ("", "combinational", "combinational_rise", "combinational_fall")
_CLOCK_TO_OUTPUT = ("rising_edge", "falling_edge")


@dataclass(frozen=True)
class Arc:
    """One timing arc of a cell from input pin to output pin, in library units."""

    source: str
    target: str
    sense: str
    delay: dict[str, Table]
    slew: dict[str, Table]


@dataclass(frozen=True)
class CellTiming:
    """What timing needs of one cell: pin capacitances, arcs, clock pin and setup tables by data pin."""

    capacitance: dict[str, float]
    outputs: frozenset[str]
    arcs: tuple[Arc, ...]
    setup: dict[str, tuple[dict[str, Table], ...]]
    clocked: bool


@dataclass(frozen=True)
class Timing:
    """Result: smallest clock period (ns) and the cells on the worst path, in order."""

    period_ns: float
    path: tuple[str, ...]


class _Reader:
    """Makes `CellTiming` from Liberty groups; one per technology."""

    def __init__(self, technology: Technology) -> None:
        self._library = technology.library
        self._tables = TableReader(self._library)
        self._cells: dict[str, CellTiming] = {}

    def cell(self, name: str) -> CellTiming:
        if name not in self._cells:
            self._cells[name] = self._read(name)
        return self._cells[name]

    def _read(self, name: str) -> CellTiming:
        pins = self._library.cell(name).all("pin")
        capacitance = {pin.args[0]: pin.number("capacitance") for pin in pins if pin.text("direction") == "input"}
        outputs = {pin.args[0]: pin for pin in pins if pin.text("direction") == "output"}
        arcs: list[Arc] = []
        setup: dict[str, tuple[dict[str, Table], ...]] = {}
        for pin in pins:
            for timing in pin.all("timing"):
                kind = timing.text("timing_type")
                if pin.args[0] in outputs and kind in _COMBINATIONAL + _CLOCK_TO_OUTPUT:
                    arcs += [
                        self._arc(source, pin.args[0], timing, kind) for source in timing.text("related_pin").split()
                    ]
                elif kind.startswith("setup"):
                    groups = [(edge, group) for edge in EDGES for group in timing.all(f"{edge}_constraint")]
                    tables = {edge: self._tables.read(group, False) for edge, group in groups}
                    setup[pin.args[0]] = (*setup.get(pin.args[0], ()), tables)
        return CellTiming(capacitance, frozenset(outputs), tuple(arcs), setup, bool(setup))

    def _arc(self, source: str, target: str, timing: Group, kind: str) -> Arc:
        delay = {edge: self._tables.read(g, True) for edge in EDGES for g in timing.all(f"cell_{edge}")}
        slew = {edge: self._tables.read(g, True) for edge in EDGES for g in timing.all(f"{edge}_transition")}
        sense = "clock" if kind in _CLOCK_TO_OUTPUT else timing.text("timing_sense", "non_unate")
        return Arc(source, target, sense, delay, slew)


_readers: dict[str, _Reader] = {}


def _causes(sense: str, edge: str) -> tuple[str, ...]:
    """Input edges that can cause an output ``edge``."""
    other = EDGES[1 - EDGES.index(edge)]
    return {"positive_unate": (edge,), "negative_unate": (other,), "clock": ("rise",)}.get(sense, EDGES)


State = tuple[float, float, tuple[Any, str] | None, str]
"""Arrival, slew (library units), the (net, edge) it comes from and the cell it came through."""


def analyse(
    cells: list[Any],
    ports: dict[str, list[Any]],
    technology: Technology,
    start: Collection[str] | None = None,
    end: Collection[str] | None = None,
) -> Timing:
    """Timing of a netlist as `worker` returns it: ``cells`` are [type, {pin: [net]}], nets are numbers.

    ``start``: only paths from these input ports, for a port whose signal comes late (from an SRAM). ``end``:
    only paths into the flip-flops that drive these output ports. Raises SynthesisError for a combinational
    loop.
    """
    outputs = [bit for direction, bits in ports.values() if direction == "output" for bit in bits]
    inputs = [
        bit
        for name, (direction, bits) in ports.items()
        if direction == "input" and (start is None or name in start)
        for bit in bits
    ]
    reader = _readers.setdefault(technology.digest, _Reader(technology))
    known = set(technology.library.cells)
    timed = [
        (kind, {p: bits[0] for p, bits in pins.items() if bits}, reader.cell(kind))
        for kind, pins in cells
        if kind in known
    ]
    boxes = [bit for kind, pins in cells if kind not in known for bits in pins.values() for bit in bits]
    load: dict[Any, float] = defaultdict(float)
    sinks: dict[Any, list[int]] = defaultdict(list)
    waiting: list[int] = []
    for index, (_, pins, timing) in enumerate(timed):
        for pin, cap in timing.capacitance.items():
            if pin in pins:
                load[pins[pin]] += cap
                sinks[pins[pin]].append(index)
        waiting.append(0)
    external = technology.load_ff / 1000 / technology.cap_scale
    for bit in [*outputs, *boxes]:
        load[bit] += external
    driven = {pins[pin] for _, pins, timing in timed for pin in timing.outputs if pin in pins}
    slew0 = _START_SLEW_NS * technology.node_nm / 130 / technology.time_scale
    state: dict[tuple[Any, str], State] = {}
    starts = {bit for bit in [*inputs, *(boxes if start is None else [])] if isinstance(bit, int)} - driven
    clocks = {pins[a.source] for _, pins, timing in timed if timing.clocked for a in timing.arcs if a.sense == "clock"}
    driver = reader.cell(technology.driver).arcs[0]
    for bit in starts:
        for edge in EDGES:
            if bit in clocks:
                state[bit, edge] = (0.0, slew0, None, "clock")
            else:
                at = driver.delay[edge].at(slew0, load[bit])
                state[bit, edge] = (at, driver.slew[edge].at(slew0, load[bit]), None, technology.driver)
    _propagate(timed, sinks, waiting, load, starts, driven, state)
    if end is None:
        return _worst(timed, [*outputs, *boxes], slew0, state, technology)
    wanted = _behind(timed, [bit for name in end for bit in ports[name][1]])
    flops = [cell for cell in timed if any(cell[1].get(pin) in wanted for pin in cell[2].outputs)]
    return _worst(flops, [], slew0, state, technology)


def _behind(timed: list[Any], nets: list[Any]) -> set[Any]:
    """The nets, and those behind the inverters and buffers that drive them."""
    driver = {pins[pin]: (pins, timing) for _, pins, timing in timed for pin in timing.outputs if pin in pins}
    result = set(nets)
    for net in nets:
        while net in driver and not driver[net][1].clocked and len(driver[net][1].capacitance) == 1:
            pins, timing = driver[net]
            net = pins[next(iter(timing.capacitance))]
            result.add(net)
    return result


def _propagate(
    timed: list[Any],
    sinks: dict[Any, list[int]],
    waiting: list[int],
    load: dict[Any, float],
    starts: set[Any],
    driven: set[Any],
    state: dict[tuple[Any, str], State],
) -> None:
    """Visit cells when all their inputs are known (flip-flops only wait for the clock)."""
    for index, (_, pins, timing) in enumerate(timed):
        sources = {pins[arc.source] for arc in timing.arcs if arc.source in pins}
        waiting[index] = len({net for net in sources if net in driven})
    ready = deque(index for index, count in enumerate(waiting) if count == 0)
    done = 0
    while ready:
        index = ready.popleft()
        done += 1
        kind, pins, timing = timed[index]
        for arc in timing.arcs:
            if arc.source not in pins or arc.target not in pins:
                continue
            source, target = pins[arc.source], pins[arc.target]
            for edge, table in arc.delay.items():
                for cause in _causes(arc.sense, edge):
                    if (source, cause) not in state:
                        continue
                    at, slew, _, _ = state[source, cause]
                    arrival = at + table.at(slew, load[target])
                    out_slew = arc.slew[edge].at(slew, load[target])
                    old = state.get((target, edge))
                    if old is None or arrival > old[0]:
                        worst_slew = max(out_slew, old[1]) if old else out_slew
                        state[target, edge] = (arrival, worst_slew, (source, cause), kind)
                    elif out_slew > old[1]:
                        state[target, edge] = (old[0], out_slew, old[2], old[3])
        for net in {pins[pin] for pin in timing.outputs if pin in pins}:
            for sink in set(sinks[net]):
                _, sink_pins, sink_timing = timed[sink]
                if any(sink_pins.get(arc.source) == net for arc in sink_timing.arcs):
                    waiting[sink] -= 1
                    if waiting[sink] == 0:
                        ready.append(sink)
    if done < len(timed):
        raise SynthesisError(f"combinational loop through {len(timed) - done} cells")


def _worst(
    timed: list[Any],
    ends: list[Any],
    slew0: float,
    state: dict[tuple[Any, str], State],
    technology: Technology,
) -> Timing:
    worst, end = 0.0, None
    for _, pins, timing in timed:
        for pin, checks in timing.setup.items():
            for edge in EDGES:
                net = pins.get(pin)
                if (net, edge) not in state:
                    continue
                at, slew, _, _ = state[net, edge]
                needed = max((tables[edge].at(slew, slew0) for tables in checks if edge in tables), default=0.0)
                if at + needed > worst:
                    worst, end = at + needed, (net, edge)
    for bit in ends:
        for edge in EDGES:
            # a wire straight from input to output or black box is no logic path; layout buffers it
            if (bit, edge) in state and state[bit, edge][2] and state[bit, edge][0] > worst:
                worst, end = state[bit, edge][0], (bit, edge)
    path: list[str] = []
    while end is not None:
        _, _, before, through = state[end]
        path.append(through)
        end = before
    return Timing(worst * technology.time_scale, tuple(reversed(path)))
