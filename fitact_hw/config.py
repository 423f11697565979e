"""`AcceleratorConfig`: every knob of the machine, checked once, used by generator, compiler and simulator."""

from __future__ import annotations

import hashlib
import json
import tomllib
from enum import Enum
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from fitact_hw.config_errors import explain
from fitact_hw.errors import ConfigError
from golden.bounds.code import CODE_BITS
from golden.bounds.granularity import Granularity
from golden.bounds.stored import BoundFormat
from golden.qnetwork import ACC_BITS, SHIFT_BITS

MIN_SIDE, MAX_SIDE = 2, 32
"""Smallest and largest number of rows and columns of the array."""

AXI_ADDR_BITS = 32
"""Width of every memory address (bits); the machine addresses at most 4 GiB."""

RMW_CYCLES = 4
"""A weight tile occupies the array for at least this long, so that two tiles never meet in the accumulator."""


class Protection(str, Enum):
    """How the words of a buffer are checked: parity detects, SECDED corrects one wrong bit of a lane, detects two."""

    NONE = "none"
    PARITY = "parity"
    SECDED = "secded"


class RangeCheck(str, Enum):
    """What LOAD does with a weight, bias or bound beyond its layer's limit: nothing; or it makes zero of one that is
    larger than the limit (check), or has more magnitude bits (bitcheck). Names as in `golden.bounds.schemes.CHECKS`."""

    NONE = "none"
    WORD = "check"
    BITS = "bitcheck"


MAGNITUDE_BITS = 6
"""Width of a number of magnitude bits: of every word up to 64 bits."""

BUFFER_NAMES = ("activation", "weight", "bias", "bound", "accumulator", "output")


class BufferProtection(BaseModel):
    """Protection of each buffer. One word instead of a table, e.g. ``"secded"``, means all buffers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    activation: Protection = Protection.NONE
    weight: Protection = Protection.NONE
    bias: Protection = Protection.NONE
    bound: Protection = Protection.NONE
    accumulator: Protection = Protection.NONE
    output: Protection = Protection.NONE

    @model_validator(mode="before")
    @classmethod
    def _same_for_all(cls, data: Any) -> Any:
        return dict.fromkeys(BUFFER_NAMES, data) if isinstance(data, str) else data


def secded_check_bits(bits: int) -> int:
    """Check bits of a SECDED code word with ``bits`` data bits: the smallest r with 2**(r-1) >= bits + r."""
    check = 3
    while 1 << (check - 1) < bits + check:
        check += 1
    return check


def pow2_ceil(value: int) -> int:
    """The smallest power of two that is not below ``value`` (>= 1)."""
    return 1 << (value - 1).bit_length()


def address_bits(depth: int) -> int:
    """Bits that address ``depth`` words (at least 1)."""
    return max(1, (depth - 1).bit_length())


LEAST_DEPTHS = {
    "activation_words": 16,
    "weight_words": 2 * MIN_SIDE,  # two words a row
    "bias_words": 2,
    "bound_words": 2,  # of the tile that is computed, and of the next one
    "accumulator_words": 8,
    "output_words": 8,
}
MOST_WORDS = 1 << 16
"""Fewest and most words of a buffer."""

LEAST_QUEUE, MOST_QUEUE = 2, 16
"""Fewest and most instructions in a queue."""

MOST_MARGIN = 16
"""Largest margin of the clamps' alarm (bits)."""

RANGES = {
    **dict.fromkeys(("rows", "cols"), f"{MIN_SIDE} to {MAX_SIDE}"),
    **{name: f"{least} to {MOST_WORDS}" for name, least in LEAST_DEPTHS.items()},
    "queue_depth": f"{LEAST_QUEUE} to {MOST_QUEUE}",
    "alarm_margin": f"0 to {MOST_MARGIN}",
}
"""What the whole-number fields may be, as errors say it."""


class AcceleratorConfig(BaseModel):
    """Frozen, validated parameters of one machine.

    Sides are in PEs, widths in bits, buffer depths in words. A word of the activation, weight, bound and
    output buffers is ``side`` lanes of ``word_bits``; of the accumulator buffer ``side`` lanes of ``acc_bits``;
    of the bias buffer ``side`` lanes of ``acc_bits + SHIFT_BITS``. A lane of a bound word holds one bound, or as many
    4-bit codes as fit. The bound buffer holds the bounds of the tile that is computed and of those that DMA loads
    ahead, never those of a whole layer. A protected buffer's memory words have the check
    bits of all lanes above the data.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    rows: int = 16
    """Rows of the PE array (input channels); the array is square."""
    cols: int = 16
    """Columns of the PE array (output channels), and lanes."""
    word_bits: Literal[8, 16, 32] = 8
    """Width of activations, weights and bounds; 32 is Q15.16."""
    acc_bits: Literal[0, 32, 48, 64] = 0
    """Width of accumulators and biases; 0: 32, 48 or 64 for words of 8, 16 or 32 bits."""
    bus_bits: Literal[32, 64, 128, 256, 512] = 128
    """Width of the AXI master's data."""
    bounds: Granularity = Granularity.NEURON
    """Which bound hardware the lanes have; each can also do what those before it do."""
    bound_format: BoundFormat = BoundFormat.WORD
    """How the bound buffer stores a bound: a word, or a 4-bit code."""
    activation_words: int = 4096
    """Depth of the activation buffer; a word is one value for each row."""
    weight_words: int = 2048
    """Depth of the weight buffer; a word is one value for each column. At least two words a row."""
    bias_words: int = 64
    """Depth of the bias buffer; a word is a bias and a shift for each column."""
    bound_words: int = 256
    """Depth of the bound buffer, if there is one."""
    accumulator_words: int = 512
    """Depth of the accumulator buffer: pixels of an output tile."""
    output_words: int = 1024
    """Depth of the output buffer."""
    queue_depth: int = 4
    """Instructions in the queue of each unit."""
    protection: BufferProtection = BufferProtection()
    """Check of each buffer's words: a table, or one word for all buffers."""
    clamp_alarm: bool = False
    """Whether the machine counts the words on which a bound acts, keeps the first place and can raise an alarm."""
    alarm_margin: int = 0
    """The alarm counts only values at least 2^alarm_margin times as large as their bound (bits)."""
    parameter_check: RangeCheck = RangeCheck.NONE
    """Range check of weights, biases and bounds as LOAD brings them from memory: one that is larger than the layer's
    largest (`check`), or has more magnitude bits (`bitcheck`), becomes zero."""

    @model_validator(mode="before")
    @classmethod
    def _default_acc_bits(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("acc_bits"):
            return {**data, "acc_bits": ACC_BITS.get(data.get("word_bits", 8), 0)}
        return data

    @model_validator(mode="after")
    def _check(self) -> AcceleratorConfig:
        for name in ("rows", "cols"):
            value = getattr(self, name)
            if not MIN_SIDE <= value <= MAX_SIDE:
                raise ValueError(f"{name}={value}: the array must have {MIN_SIDE} to {MAX_SIDE} {name}")
        if self.rows != self.cols:
            raise ValueError(
                f"rows={self.rows} cols={self.cols}: the array must be square, because a layer's output words "
                "are the next layer's input words; set both to the same number"
            )
        if self.acc_bits < self.word_bits:
            raise ValueError(f"acc_bits={self.acc_bits} must not be below word_bits={self.word_bits}")
        for name, least in self._least_depths().items():
            value = getattr(self, name)
            if not least <= value <= MOST_WORDS:
                raise ValueError(f"{name}={value}: must be between {least} and {MOST_WORDS} words")
        if self.bound_format is BoundFormat.CODE and not self.bounds.buffered:
            raise ValueError(
                f"bound_format=code4 needs a bound buffer, which bounds={self.bounds.value} has not: use "
                "bounds=channel, patch or neuron"
            )
        if self.bounds.buffered and self.bound_entries > MOST_WORDS:
            raise ValueError(
                f"bound_words={self.bound_words}: at most {MOST_WORDS // self.bounds_per_lane} words of coded bounds "
                "have an address"
            )
        if not 0 <= self.alarm_margin <= MOST_MARGIN:
            raise ValueError(f"alarm_margin={self.alarm_margin}: must be between 0 and {MOST_MARGIN} bits")
        if self.clamp_alarm and self.bounds is Granularity.NONE:
            raise ValueError("clamp_alarm=true needs bounds: use bounds=layer, channel, patch or neuron")
        if self.alarm_margin and not self.clamp_alarm:
            raise ValueError(f"alarm_margin={self.alarm_margin} needs clamp_alarm=true")
        if not LEAST_QUEUE <= self.queue_depth <= MOST_QUEUE:
            raise ValueError(
                f"queue_depth={self.queue_depth}: must be between {LEAST_QUEUE} and {MOST_QUEUE} instructions"
            )
        return self

    def _least_depths(self) -> dict[str, int]:
        least = {**LEAST_DEPTHS, "weight_words": 2 * self.rows}
        if not self.bounds.buffered:
            del least["bound_words"]
        return least

    @classmethod
    def create(cls, **values: Any) -> AcceleratorConfig:
        """Build a configuration; raises :class:`ConfigError` with a one-line message."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise ConfigError(explain(error, cls, RANGES)) from None

    @classmethod
    def load(cls, path: Path | None, **overrides: Any) -> AcceleratorConfig:
        """The machine described by a TOML file (field names as here), with ``overrides`` that are not None.

        Raises :class:`ConfigError`, which names the file, for one that is missing or malformed, for unknown fields and
        for impossible values.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        if path is None:
            return cls.create(**given)
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is no TOML file: {error}") from None
        try:
            return cls.create(**{**values, **given})
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    # Derived sizes: defined here once, used by Verilog, compiler and simulator.

    @property
    def side(self) -> int:
        """Lanes of every buffer word = rows = columns."""
        return self.rows

    @property
    def lane_word_bits(self) -> int:
        """Bits of one activation, weight, bound or output buffer word."""
        return self.side * self.word_bits

    @property
    def size(self) -> str:
        """Array and words in a few words, for titles: ``16x16, 8-bit words``."""
        return f"{self.rows}x{self.cols}, {self.word_bits}-bit words"

    @property
    def word_bytes(self) -> int:
        """Bytes that one activation, weight, bound or output word occupies in memory (a power of two)."""
        return pow2_ceil(self.lane_word_bits) // 8

    @property
    def bound_bits(self) -> int:
        """Bits of one bound in the bound buffer."""
        return CODE_BITS if self.bound_format is BoundFormat.CODE else self.word_bits

    @property
    def bounds_per_lane(self) -> int:
        """Bounds in one lane of a bound word: 1, or as many codes as fit."""
        return self.word_bits // self.bound_bits

    @property
    def bound_entries(self) -> int:
        """Bounds that one lane of the whole bound buffer holds; `bound_base` counts in these."""
        return self.bound_words * self.bounds_per_lane

    @property
    def bias_lane_bits(self) -> int:
        """Bits of one lane of the bias buffer: shift (high) and bias (low)."""
        return self.acc_bits + SHIFT_BITS

    @property
    def bias_lane_bytes(self) -> int:
        """Bytes of one bias lane in memory: bias in the low ``acc_bits``, shift directly above."""
        return pow2_ceil(self.bias_lane_bits) // 8

    @property
    def bias_word_bytes(self) -> int:
        """Bytes that one bias buffer word occupies in memory."""
        return pow2_ceil(self.side) * self.bias_lane_bytes

    @property
    def protected(self) -> dict[str, Protection]:
        """Buffers of this machine that have protection, by name, in the order of :data:`BUFFER_NAMES`."""
        kinds = {name: Protection(getattr(self.protection, name)) for name in BUFFER_NAMES}
        if not self.bounds.buffered:
            kinds["bound"] = Protection.NONE  # there is no such buffer
        return {name: kind for name, kind in kinds.items() if kind is not Protection.NONE}

    def buffer_lane_bits(self, buffer: str) -> int:
        """Data bits of one lane of ``buffer`` (a name of :data:`BUFFER_NAMES`): one code word of its protection."""
        return {"bias": self.bias_lane_bits, "accumulator": self.acc_bits}.get(buffer, self.word_bits)

    def check_bits(self, buffer: str) -> int:
        """Check bits of one lane of ``buffer``: 0 without protection, 1 for parity."""
        kind = self.protected.get(buffer, Protection.NONE)
        if kind is Protection.SECDED:
            return secded_check_bits(self.buffer_lane_bits(buffer))
        return int(kind is Protection.PARITY)

    @property
    def register_parts(self) -> tuple[bool, bool, bool]:
        """Arguments of :func:`fitact_hw.csr.machine_registers`: buffer protection, alarm of the clamps, range check of
        parameters."""
        return bool(self.protected), self.clamp_alarm, self.limit_bits > 0

    @property
    def limit_bits(self) -> int:
        """Bits of a LOAD's `limit` that this machine has: 0 without a range check of parameters."""
        bits = {RangeCheck.NONE: 0, RangeCheck.BITS: MAGNITUDE_BITS, RangeCheck.WORD: self.acc_bits}
        return bits[self.parameter_check]

    @property
    def no_limit(self) -> int:
        """The limit of a LOAD that every word passes."""
        return (1 << self.limit_bits) - 1

    @property
    def bus_bytes(self) -> int:
        """Bytes of one AXI beat."""
        return self.bus_bits // 8

    @property
    def fingerprint(self) -> str:
        """Short stable name of this configuration, for build folders."""
        values = self.model_dump(mode="json")
        if self.protection == BufferProtection():
            del values["protection"]  # the same machine as before there was protection
        if self.bound_format is BoundFormat.WORD:
            del values["bound_format"]
        if not self.clamp_alarm:
            del values["clamp_alarm"], values["alarm_margin"]
        if self.parameter_check is RangeCheck.NONE:
            del values["parameter_check"]
        text = json.dumps(values, sort_keys=True)
        return f"{self.rows}x{self.cols}w{self.word_bits}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
