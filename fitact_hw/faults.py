"""Faults of stored bits: what is hit, when, how it is drawn, and what came of it.

An upset flips the masked bits of one word of one storage structure at the *falling* clock edge within machine cycle
``cycle``: after the registers took their values of that cycle, before the next rising edge. Cycle 0 is the first cycle
in which the machine runs, i.e. in which its cycle counter reads 0 after the start was accepted. The flip lives
until the word is overwritten.

A stuck bit gets its value there in every cycle from its first to its last one. Storage takes new values at rising edges
only, so that what is read is always the stuck value: forcing it once a cycle is exact.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import count, islice
from typing import Any, Protocol

import numpy as np

from fitact_hw.errors import FitActError
from fitact_hw.registers import ErrorCode


class FaultError(FitActError):
    """An upset that is not well-formed or does not exist in this machine."""


_UPSET = re.compile(
    r"(?P<site>[^\s+\^@=]+)\[(?P<word>\d+)\](?:\^|=(?P<stuck>[01])&)0x(?P<mask>[0-9a-f]+)"
    r"@(?P<cycle>\d+)(?:-(?P<last>\d+)?)?"
)


@dataclass(frozen=True, order=True)
class Upset:
    """Bits of ``mask`` of word ``word`` of the storage at ``site`` flip in ``cycle``.

    ``site``: hierarchical path below the machine's top. ``word``: address in a memory, 0 for a register. ``stuck``: 0
    or 1 if they do not flip but are forced to it in every cycle from ``cycle`` to ``last`` (None: to the end).
    """

    site: str
    word: int
    mask: int
    cycle: int
    stuck: int | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        if self.word < 0 or self.mask <= 0 or self.cycle < 0:
            raise FaultError(f"upset of {self.site}: word and cycle must not be negative and the mask not empty")
        if self.stuck not in (None, 0, 1) or (self.last is not None and (self.stuck is None or self.last < self.cycle)):
            raise FaultError(
                f"upset of {self.site}: bits are stuck at 0 or 1, from a cycle to one that is not before it"
            )

    @property
    def flips(self) -> bool:
        """Whether it is over once it has struck: a flip."""
        return self.stuck is None

    @property
    def id(self) -> str:
        """`<site>[<word>]^<mask>@<cycle>`: complete, so that it alone replays the upset; a stuck bit is
        `<site>[<word>]=<value>&<mask>@<first>-<last>`, without a last cycle if it stays so."""
        if self.stuck is None:
            return f"{self.site}[{self.word}]^{self.mask:#x}@{self.cycle}"
        end = "" if self.last is None else self.last
        return f"{self.site}[{self.word}]={self.stuck}&{self.mask:#x}@{self.cycle}-{end}"

    @staticmethod
    def parse(text: str) -> Upset:
        """Inverse of :attr:`id`. Raises FaultError."""
        match = _UPSET.fullmatch(text.strip())
        if match is None or (match["stuck"] is None and "-" in text.rpartition("@")[2]):
            raise FaultError(f"{text!r} is no upset: write <site>[<word>]^0x<mask>@<cycle>")
        stuck, last = (None if match[name] is None else int(match[name]) for name in ("stuck", "last"))
        return Upset(match["site"], int(match["word"]), int(match["mask"], 16), int(match["cycle"]), stuck, last)

    def to_json(self) -> dict[str, Any]:
        """Plain values; the mask as hexadecimal text, because it may have thousands of bits."""
        held = {} if self.stuck is None else {"stuck": self.stuck, "last": self.last}
        return {"site": self.site, "word": self.word, "mask": f"{self.mask:#x}", "cycle": self.cycle, **held}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Upset:
        """Inverse of :meth:`to_json`. Raises FaultError."""
        try:
            place = str(value["site"]), int(value["word"]), int(value["mask"], 16), int(value["cycle"])
            return Upset(*place, value.get("stuck"), value.get("last"))
        except (KeyError, TypeError, ValueError) as error:
            raise FaultError(f"not an upset record ({error!r}): {value!r}") from None


class Shape(str, Enum):
    """Pattern of one particle: physical rows x physical columns of cells that flip together."""

    SINGLE = "1x1"
    ROWS_2 = "2x1"
    ROWS_3 = "3x1"
    SQUARE = "2x2"
    COLUMNS_2 = "1x2"

    @property
    def rows(self) -> int:
        """Physical rows (along the bit line)."""
        return int(self.value[0])

    @property
    def cols(self) -> int:
        """Physical columns (along the word line)."""
        return int(self.value[2])


class Sample(str, Enum):
    """Which points of (bit, cycle) a campaign draws from."""

    ALL = "all"
    LIVE = "live"
    """Only those that the fault-free run reads before it writes them again."""
    LIST = "list"
    """None: exactly the faults of a list."""
    STRATIFIED = "stratified"
    """Live ones of strata with exact weights, in rounds that go where the uncertainty is."""


@dataclass(frozen=True)
class FaultEvent:
    """One particle: one or more upsets at the same cycle in the same storage; or what a fault model made of it."""

    structure: str
    shape: Shape
    upsets: tuple[Upset, ...]

    @property
    def cycle(self) -> int:
        """When it strikes (first)."""
        return self.upsets[0].cycle

    @property
    def at_once(self) -> bool:
        """Whether it is over in the cycle in which it strikes: flips at the same time."""
        return all(upset.flips and upset.cycle == self.cycle for upset in self.upsets)

    @property
    def bits(self) -> int:
        """Cells that flip."""
        return sum(upset.mask.bit_count() for upset in self.upsets)

    @property
    def id(self) -> str:
        """The ids of its upsets joined by `+`."""
        return "+".join(upset.id for upset in self.upsets)

    @staticmethod
    def parse(text: str, structure: str = "", shape: Shape = Shape.SINGLE) -> FaultEvent:
        """Inverse of :attr:`id`. Raises FaultError."""
        return FaultEvent(structure, shape, tuple(Upset.parse(part) for part in text.split("+")))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        upsets = [upset.to_json() for upset in self.upsets]
        return {"id": self.id, "structure": self.structure, "shape": self.shape.value, "upsets": upsets}

    @staticmethod
    def from_json(value: dict[str, Any]) -> FaultEvent:
        """Inverse of :meth:`to_json`. Raises FaultError."""
        try:
            shape, upsets = Shape(value["shape"]), value["upsets"]
            return FaultEvent(str(value["structure"]), shape, tuple(Upset.from_json(item) for item in upsets))
        except (KeyError, TypeError, ValueError) as error:
            raise FaultError(f"not a fault record ({error!r}): {value!r}") from None


class Storage(Protocol):
    """What the sampler must know of a fault site: `depth` words of `width` bits (depth 1: a register)."""

    @property
    def path(self) -> str:
        """Hierarchical path below the top."""

    @property
    def width(self) -> int:
        """Bits of a word."""

    @property
    def depth(self) -> int:
        """Words."""


def _cells(storage: Storage, shape: Shape, cell: int, interleave: int) -> dict[int, int]:
    """Word -> mask of the pattern anchored at physical cell number ``cell``.

    With column interleaving by k, k words share a physical row: bit b of word w lies in row w // k, column
    b * k + w % k. Rows that a storage does not have are left out of the pattern (a register is one row); at the
    far edge the pattern moves inwards, so that it always hits its full number of cells.
    """
    k = min(interleave, storage.depth)
    columns, rows = storage.width * k, -(-storage.depth // k)
    height, width = min(shape.rows, rows), min(shape.cols, columns)
    word, bit = divmod(cell, storage.width)
    row, column = min(word // k, rows - height), min(bit * k + word % k, columns - width)
    masks: dict[int, int] = {}
    for r in range(row, row + height):
        for c in range(column, column + width):
            hit = r * k + c % k
            if hit < storage.depth:  # the last physical row may be partly filled
                masks[hit] = masks.get(hit, 0) | 1 << c // k
    return masks


def sample(
    structures: Mapping[str, Sequence[Storage]],
    number: int,
    cycles: int,
    seed: int,
    *,
    shape: Shape = Shape.SINGLE,
    interleave: int = 1,
) -> list[FaultEvent]:
    """``number`` faults spread evenly over ``structures`` (name -> its storages), each uniform over (bit, cycle).

    Every structure draws from its own generator, derived from ``seed`` and its name: adding a structure does not
    change the faults of the others, and a longer list starts with the shorter one. ``cycles``: length of the shortest
    run, so that the same list suits every scheme. Raises FaultError when there is nothing to draw from.
    """
    return list(islice(faults(structures, cycles, seed, shape=shape, interleave=interleave), number))


def faults(
    structures: Mapping[str, Sequence[Storage]],
    cycles: int,
    seed: int,
    *,
    shape: Shape = Shape.SINGLE,
    interleave: int = 1,
) -> Iterator[FaultEvent]:
    """The faults of :func:`sample` without end, drawn as they are needed."""
    if not structures or cycles < 1 or interleave < 1:
        raise FaultError("sampling needs at least one structure, one cycle and an interleave factor >= 1")
    streams = [_stream(name, storages, cycles, seed, shape, interleave) for name, storages in structures.items()]
    for number in count():
        yield next(streams[number % len(streams)])


def _stream(
    name: str, storages: Sequence[Storage], cycles: int, seed: int, shape: Shape, interleave: int
) -> Iterator[FaultEvent]:
    """Endless faults of one structure."""
    sizes = np.array([storage.width * storage.depth for storage in storages], np.int64)
    if not sizes.sum():
        raise FaultError(f"structure {name!r} has no storage in this configuration: leave it out")
    ends = np.cumsum(sizes)
    generator = np.random.default_rng([seed, *name.encode()])
    while True:
        cell, cycle = int(generator.integers(ends[-1])), int(generator.integers(cycles))
        place = int(np.searchsorted(ends, cell, side="right"))
        yield event_at(name, storages[place], cell - int(ends[place] - sizes[place]), cycle, shape, interleave)


def event_at(
    structure: str, storage: Storage, cell: int, cycle: int, shape: Shape = Shape.SINGLE, interleave: int = 1
) -> FaultEvent:
    """The particle that strikes ``storage`` with its pattern anchored at cell number ``cell`` (word x width + bit)."""
    masks = _cells(storage, shape, cell, interleave)
    upsets = tuple(Upset(storage.path, word, mask, cycle) for word, mask in sorted(masks.items()))
    return FaultEvent(structure, shape, upsets)


class Outcome(str, Enum):
    """What an upset did, see :func:`classify`."""

    MASKED = "masked"
    BENIGN = "benign"
    SDC = "sdc"
    DETECTED = "detected"
    HANG = "hang"
    BUS_ERROR = "bus_error"


CODE_OUTCOMES: dict[int, Outcome] = {
    ErrorCode.ADDRESS: Outcome.BUS_ERROR,
    ErrorCode.BUS: Outcome.BUS_ERROR,
    ErrorCode.WATCHDOG: Outcome.HANG,
}
"""Outcome of a run that the machine ended with an error code; any other one is DETECTED: it found the error itself."""

HANG_FACTOR = 2
"""A run that takes longer than this many times the fault-free cycles is a hang: set the watchdog to it."""


def hang_limits(cycles: int) -> tuple[int, int]:
    """Watchdog of the machine and cycle in which the test bench gives up, for a fault-free run of ``cycles``."""
    watchdog = HANG_FACTOR * cycles
    return watchdog, watchdog + watchdog // 2


def classify(finished: bool, code: int, logits: np.ndarray, reference: np.ndarray, detected: bool = False) -> Outcome:
    """Outcome of a run against its fault-free run.

    ``finished``: the machine raised done. ``code``: its ErrorCode, or what an upset made of one; NONE without done: it
    never answered. ``logits`` and ``reference``: (images, classes) outputs of this and of the fault-free run. One
    image whose first class changes makes a batch an SDC; the first of equal maxima counts. ``detected``: a checker
    (parity or SECDED of a buffer) raised its flag: a run that finished then counts as detected, whatever its outputs.
    """
    if code:
        return CODE_OUTCOMES.get(code, Outcome.DETECTED)
    if not finished:
        return Outcome.HANG
    if detected:
        return Outcome.DETECTED
    if np.array_equal(logits, reference):
        return Outcome.MASKED
    images = len(reference)
    same = logits.reshape(images, -1).argmax(1) == reference.reshape(images, -1).argmax(1)
    return Outcome.BENIGN if same.all() else Outcome.SDC
