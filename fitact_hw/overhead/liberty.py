"""Reads the parts of Liberty files that the overhead flow needs: header, areas, functions, pins, NLDM tables.

Only cells that are asked for are parsed, because real libraries have up to 40 MB of tables.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fitact_hw.errors import FitActError
from fitact_hw.overhead.liberty_function import truth_table

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}();:,]|[^\s{}();:,"]+', re.S)
_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_CONTINUATION = re.compile(r"\\\r?\n")
_CELL = re.compile(r'(?:^|(?<=[{};]))\s*(?P<start>cell)\s*\(\s*"?(?P<name>[\w.$\[\]-]+)"?\s*\)\s*\{', re.M)
_OPEN_END = re.compile(r"^(\s*\w+\s*:[^;{}()\n]+)$", re.M)
_FUNCTION = re.compile(r'(?<!\w)function\s*:\s*"([^"]*)"')
_BRACE = re.compile(r"[{}]")


class LibertyError(FitActError):
    """A file that is not a usable Liberty library."""


@dataclass
class Group:
    """One Liberty group ``kind (args) { ... }``; values of attributes are lists of strings without quotes."""

    kind: str
    args: tuple[str, ...]
    attributes: dict[str, list[str]] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)

    def all(self, kind: str) -> list[Group]:
        """Direct subgroups of one kind, in file order."""
        return [group for group in self.groups if group.kind == kind]

    def text(self, name: str, default: str = "") -> str:
        """A simple attribute as text."""
        return " ".join(self.attributes[name]) if name in self.attributes else default

    def number(self, name: str, default: float = 0.0) -> float:
        """A simple attribute as a number; ``default`` if it is absent."""
        return float(self.attributes[name][0]) if name in self.attributes else default


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = iter(_TOKEN.findall(text))

    def group(self, kind: str, args: tuple[str, ...]) -> Group:
        """Statements up to the closing brace (or the end of the text)."""
        result = Group(kind, args)
        for name in self._tokens:
            if name == "}":
                return result
            if name == ";":
                continue
            self._statement(result, name)
        return result

    def _statement(self, into: Group, name: str) -> None:
        mark = next(self._tokens, "")
        if mark == ":":
            into.attributes[name] = [_unquote(t) for t in itertools.takewhile(lambda t: t != ";", self._tokens)]
        elif mark == "(":
            args = tuple(_unquote(t) for t in itertools.takewhile(lambda t: t != ")", self._tokens) if t != ",")
            after = next(self._tokens, "")
            if after == "{":
                into.groups.append(self.group(name, args))
            else:
                into.attributes[name] = list(args)
        else:
            raise LibertyError(f"not Liberty near {name!r}: expected ':' or '(' but found {mark!r}")


def _unquote(token: str) -> str:
    return token[1:-1] if token.startswith('"') else token


def _cell_spans(text: str) -> Iterator[tuple[str, int, int]]:
    """(name, start, end) of every cell group; ``end`` is behind its closing brace."""
    position = 0
    while match := _CELL.search(text, position):
        depth, position = 1, match.end()
        for brace in _BRACE.finditer(text, position):
            depth += 1 if brace.group() == "{" else -1
            if depth == 0:
                position = brace.end()
                break
        else:
            raise LibertyError(f"cell {match['name']} is not closed: the Liberty file is cut off")
        yield match["name"], match.start("start"), position


_CONDITIONS = (
    "nom_voltage",
    "nom_temperature",
    "nom_process",
    "time_unit",
    "capacitive_load_unit",
    "leakage_power_unit",
)
"""What files of one library must agree on."""


def _refuse_other_conditions(file: str, header: Group, other_file: str, other: Group) -> None:
    for name in _CONDITIONS:
        mine, its = header.text(name), other.text(name)
        if mine and its and not _same(mine, its):
            raise LibertyError(f"{file} has {name} {mine}, {other_file} has {its}: give the files of one corner")


def _same(a: str, b: str) -> bool:
    try:
        return float(a) == float(b)
    except ValueError:
        return a.lower() == b.lower()


class Library:
    """One or more Liberty files of the same technology and corner, parsed on demand.

    ``names``: what errors call the files. Raises LibertyError for text that is no library, for a cell that two files
    define and for files of different corners or units.
    """

    def __init__(self, *texts: str, names: Sequence[str] = ()) -> None:
        self._cells: dict[str, str] = {}
        self._parsed: dict[str, Group] = {}
        self.unread: dict[str, str] = {}
        """Functions that were not understood, by cell."""
        headers: list[tuple[str, Group]] = []
        owner: dict[str, str] = {}
        for number, text in enumerate(texts):
            file = names[number] if names else f"file {number + 1}"
            clean = _CONTINUATION.sub(" ", _COMMENT.sub(" ", text))
            clean = _OPEN_END.sub(r"\1;", clean)  # ASAP7 leaves out semicolons
            spans = list(_cell_spans(clean))
            if not spans:
                raise LibertyError(f"{file} has no cell groups: give a Liberty (.lib) file")
            tops = _Parser(clean[: spans[0][1]]).group("file", ()).all("library")
            if not tops:
                raise LibertyError(f"{file} does not start with a library group: give a Liberty (.lib) file")
            for name, start, end in spans:
                if owner.setdefault(name, file) != file:
                    raise LibertyError(f"cell {name} is in {owner[name]} and in {file}: give the files of one corner")
                self._cells[name] = clean[start:end]
            headers.append((file, tops[0]))
        if not headers:
            raise LibertyError("no Liberty file")
        self.header: Group = headers[0][1]
        for file, header in headers[1:]:
            _refuse_other_conditions(headers[0][0], self.header, file, header)

    @property
    def name(self) -> str:
        """Name of the (first) library."""
        return self.header.args[0]

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of all cells, in file order."""
        return tuple(self._cells)

    def area(self, name: str) -> float:
        """Area of a cell (um2), without parsing its tables."""
        match = re.search(r'(?:^|[{;])\s*area\s*:\s*"?([-\d.eE+]+)', self._cells[name], re.M)
        return float(match.group(1)) if match else 0.0

    def is_flop(self, name: str) -> bool:
        """Whether a cell is a flip-flop or latch."""
        return re.search(r"(?<!\w)(ff|latch|ff_bank|latch_bank)\s*\(", self._cells[name]) is not None

    def cell(self, name: str) -> Group:
        """The parsed group of one cell. Raises LibertyError if there is none."""
        if name not in self._cells:
            raise LibertyError(f"library {self.name} has no cell {name}")
        if name not in self._parsed:
            self._parsed[name] = _Parser(self._cells[name]).group("file", ()).groups[0]
        return self._parsed[name]

    def inputs(self, name: str) -> list[Group]:
        """Input pins of a cell."""
        return [pin for pin in self.cell(name).all("pin") if pin.text("direction") == "input"]

    def outputs(self, name: str) -> list[Group]:
        """Output pins of a cell."""
        return [pin for pin in self.cell(name).all("pin") if pin.text("direction") == "output"]

    def find(self, table: str, pins: int) -> list[str]:
        """Combinational cells with one output, ``pins`` inputs and this truth table, smallest first.

        ``table`` has one character per input combination, the first input pin counting slowest; inputs may
        be in any order, so give tables of symmetric functions.
        """
        found = [name for name in self._cells if self._matches(name, table, pins)]
        return sorted(found, key=self.area)

    def _matches(self, name: str, table: str, pins: int) -> bool:
        body = self._cells[name]
        if re.search(r"\b(ff|latch|statetable)\s*\(", body) or not self.area(name):
            return False
        functions = _FUNCTION.findall(body)
        if len(functions) != 1 or len(set(re.findall(r"\w+", functions[0]))) != pins:
            return False
        inputs, outputs = self.inputs(name), self.outputs(name)
        if len(outputs) != 1 or "three_state" in outputs[0].attributes:
            return False
        function = outputs[0].text("function")
        found = truth_table(function, [pin.args[0] for pin in inputs])
        if found is None:
            self.unread[name] = function
        return found == table
