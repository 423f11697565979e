"""`Program`: instructions, memory image and where everything lives. What the compiler makes and every engine runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from fitact_hw.config import AcceleratorConfig
from fitact_hw.isa import INSTRUCTION_BYTES, Instruction

LANE_DTYPES = {8: np.int8, 16: np.int16, 32: np.int32}


@dataclass(frozen=True)
class Placement:
    """One activation tensor in memory: ``[channel tile][image][row][column][lane]``, see docs/reference/machine.md.

    ``address`` in bytes; ``shape`` = (channels, rows, columns).
    """

    name: str
    address: int
    shape: tuple[int, int, int]
    images: int
    config: AcceleratorConfig

    @property
    def tiles(self) -> int:
        """Channel tiles of `side` lanes."""
        return -(-self.shape[0] // self.config.side)

    @property
    def size_bytes(self) -> int:
        """Bytes occupied, padding lanes included."""
        _, rows, cols = self.shape
        return self.tiles * self.images * rows * cols * self.config.word_bytes

    def _view(self, memory: np.ndarray) -> np.ndarray:
        dtype = LANE_DTYPES[self.config.word_bits]
        _, rows, cols = self.shape
        raw = memory[self.address : self.address + self.size_bytes].view(dtype)
        return raw.reshape(self.tiles, self.images, rows, cols, -1)

    def read_words(self, memory: np.ndarray) -> np.ndarray:
        """The tensor's words (words, side) as they lie in a uint8 memory image, of the type of a lane."""
        return self._view(memory)[..., : self.config.side].reshape(-1, self.config.side)

    def as_words(self, values: np.ndarray) -> np.ndarray:
        """A tensor (images, channels, rows, columns) of any type as words (words, side); padding lanes are 0."""
        side, (channels, rows, cols) = self.config.side, self.shape
        padded = np.zeros((self.images, self.tiles * side, rows * cols), values.dtype)
        padded[:, :channels] = values.reshape(self.images, channels, -1)
        return padded.reshape(self.images, self.tiles, side, -1).transpose(1, 0, 3, 2).reshape(-1, side)

    def read(self, memory: np.ndarray) -> np.ndarray:
        """The tensor as int64 (images, channels, rows, columns) from a uint8 memory image."""
        words = self._view(memory)[..., : self.config.side].astype(np.int64)
        channels_last = words.transpose(1, 2, 3, 0, 4).reshape(self.images, *self.shape[1:], -1)
        return np.ascontiguousarray(channels_last[..., : self.shape[0]].transpose(0, 3, 1, 2))

    def write(self, memory: np.ndarray, values: np.ndarray) -> None:
        """Store int64 (images, channels, rows, columns) into a uint8 memory image; padding lanes become 0."""
        view = self._view(memory)
        view[...] = 0
        view[..., : self.config.side] = self.as_words(values).reshape(*view.shape[:-1], self.config.side)


@dataclass(frozen=True)
class ParameterBlock:
    """Consecutive parameter words of one kind in memory, and how its lanes map to the layer's tensor.

    ``index`` is int64 (words, side): the flat index into the layer's weight (O, I, K, K), bias (O,) or bound
    (C, H, W) tensor that each lane holds, -1 for padding lanes. Shifts live in the bias block. A lane with several
    coded bounds has as many columns; a bound that neurons share is that of the first of them.
    """

    layer: str
    kind: Literal["weight", "bias", "bound"]
    address: int
    word_bytes: int
    index: np.ndarray


@dataclass(frozen=True)
class LayerSpan:
    """The instructions ``[first, last)`` that compute one layer, in program order."""

    name: str
    first: int
    last: int
    macs: int
    """Useful multiply-accumulates of this layer over all images of the program."""


@dataclass(frozen=True)
class Program:
    """A compiled network for one machine and one batch size.

    ``memory`` is the uint8 image at start (parameters, instructions, zeroed activations). The input is
    written with ``tensors['input'].write(...)`` by :meth:`with_images`; ``tensors`` has one entry per layer and
    one for the (im2col'ed) input; ``logits`` names the last layer.
    """

    config: AcceleratorConfig
    network: str
    scheme: str
    images: int
    instructions: tuple[Instruction, ...]
    memory: np.ndarray
    program_address: int
    tensors: dict[str, Placement]
    spans: tuple[LayerSpan, ...]
    parameters: tuple[ParameterBlock, ...]
    logits: str
    meta: dict[str, str] = field(default_factory=dict)

    @property
    def memory_bytes(self) -> int:
        """Size of the memory window that the machine may access."""
        return int(self.memory.size)

    @property
    def instruction_bytes(self) -> int:
        """Bytes of the instruction stream."""
        return len(self.instructions) * INSTRUCTION_BYTES

    @property
    def fingerprint(self) -> str:
        """Hash of configuration and memory image: equal programs do equal things."""
        digest = hashlib.sha256(self.config.fingerprint.encode())
        digest.update(np.ascontiguousarray(self.memory).data)
        return digest.hexdigest()[:16]
