"""Upsets as corrupted tensors: what the golden model must compute when a buffer word was flipped.

An upset in a buffer acts on the instructions that read the word before it is overwritten. When these are whole
instructions (none was reading or writing the word at that moment), the effect is that of one wrong element of a weight,
bias, shift, bound or activation tensor on the part of the layer's output that those instructions produce.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fitact_hw.compiler.bounds import first_neurons, stored, unstored
from fitact_hw.compiler.inputs import unfold_first
from fitact_hw.faults import Upset
from fitact_hw.fsim import InstructionAccess, layer_schedule
from fitact_hw.fsim.access import dma_addresses, load_rows
from fitact_hw.isa import Opcode
from fitact_hw.program import Placement, Program
from golden import reference
from golden.qnetwork import INPUT, QLayer, QNetwork


def margin_cycles(program: Program) -> int:
    """Instructions closer to the upset than this count as running.

    The weight loader reads a GEMM's first tile while the last tile of the GEMM before streams (at most one accumulator
    buffer of pixels), and results leave through the array and the lanes after the last read.
    """
    return program.config.accumulator_words + 8 * program.config.side


@dataclass(frozen=True)
class TensorFault:
    """``logits``: int64 (1, classes) that the golden model computes; ``kind``: which tensor was corrupted."""

    kind: str
    logits: np.ndarray


def flip(value: int, mask: int, bits: int) -> int:
    """``value`` (two's complement of ``bits`` bits) with the bits of ``mask`` inverted."""
    raw = (value ^ mask) & ((1 << bits) - 1)
    return raw - (1 << bits) if raw >> (bits - 1) else raw


class TensorFaults:
    """Translates upsets of one program run on one image.

    ``times``: int64 (instructions, 2), start and finish cycle of the fault-free run; ``trace``: golden layer outputs.
    """

    def __init__(
        self,
        network: QNetwork,
        program: Program,
        memory: np.ndarray,
        times: np.ndarray,
        trace: reference.LayerTrace,
    ) -> None:
        self.network, self.program, self.times, self.trace = network, program, times, trace
        self.schedule: Sequence[InstructionAccess] = list(layer_schedule(program))
        self.margin = margin_cycles(program)
        self.unfolded = unfold_first(network, program.config)
        self.input = program.tensors[INPUT].read(memory)

    def expected(self, structure: str, upset: Upset) -> TensorFault | None:
        """The golden model's answer to ``upset``, or None if it acts on a part of an instruction or on no tensor."""
        space = structure.removesuffix("_buffer")
        touching = [item for item in self.schedule if self._touches(item, space, upset.word)]
        if any(self._running(item.number, upset.cycle) for item in touching):
            return None
        before = [i for i in touching if self._touches(i, space, upset.word, write=True) and self._done(i, upset.cycle)]
        if not before:
            return self._unchanged()
        source = before[-1]
        readers = []
        for item in touching:
            if item.number <= source.number or self._done(item, upset.cycle):
                continue
            if self._touches(item, space, upset.word, write=True):
                break
            readers.append(item.number)
        if not readers:
            return self._unchanged()
        if space == "output":
            return self._output(readers, upset)
        if space in ("activation", "weight", "bias", "bound"):
            return self._loaded(space, source.number, readers, upset)
        return None

    @staticmethod
    def _touches(item: InstructionAccess, space: str, word: int, write: bool | None = None) -> bool:
        for access in item.accesses:
            if access.space == space and (write is None or access.write == write):
                place = int(np.searchsorted(access.words, word))
                if place < len(access.words) and access.words[place] == word:
                    return True
        return False

    def _running(self, number: int, cycle: int) -> bool:
        start, finish = self.times[number]
        return bool(start - self.margin <= cycle <= finish + self.margin)

    def _done(self, item: InstructionAccess, cycle: int) -> bool:
        return bool(self.times[item.number, 1] < cycle)

    def _unchanged(self) -> TensorFault:
        return TensorFault("none", self.trace[self.network.layers[-1].name].reshape(1, -1))

    def _layer_of(self, number: int) -> QLayer:
        for span in self.program.spans:
            if span.first <= number < span.last:
                return self.network.layer(span.name)
        raise ValueError(f"instruction {number} is in no layer")

    def _loaded(self, space: str, load: int, readers: list[int], upset: Upset) -> TensorFault | None:
        instruction = self.program.instructions[load]
        words, _ = load_rows(instruction)
        hit = np.flatnonzero(words == upset.word)
        if not len(hit):
            return None  # a padding word: no tensor holds it
        address = int(self._load_address(load, space, int(hit[0])))
        layer = self._layer_of(readers[0])
        if any(self._layer_of(number).name != layer.name for number in readers):
            return None
        config = self.program.config
        lane_bits = config.bias_lane_bits if space == "bias" else config.word_bits
        lane, bit = divmod(upset.mask.bit_length() - 1, lane_bits)
        mask = upset.mask >> (lane * lane_bits)
        if space == "activation":
            return self._activation(layer, address, lane, mask, readers)
        changed = self._parameter(layer, space, address, lane, mask, bit)
        if changed is None:
            return None
        return self._finish(space, layer, changed, self.trace[layer.source], readers)

    def _load_address(self, load: int, space: str, index: int) -> int:
        """Byte address of the ``index``-th word that the LOAD number ``load`` reads."""
        config = self.program.config
        size = config.bias_word_bytes if space == "bias" else config.word_bytes
        return int(dma_addresses(self.program.instructions[load], size)[index])

    def _parameter(self, layer: QLayer, space: str, address: int, lane: int, mask: int, bit: int) -> QLayer | None:
        """``layer`` with the element at (address, lane) of its parameters flipped; None if no tensor holds it."""
        config = self.program.config
        for block in self.program.parameters:
            end = block.address + len(block.index) * block.word_bytes
            if block.layer == layer.name and block.kind == space and block.address <= address < end:
                word = block.index[(address - block.address) // block.word_bytes]
                break
        else:
            return None  # an identity tile of a pool or a residual
        if space == "bound":
            return self._bound(layer, word.reshape(config.side, -1)[lane], mask)
        flat = int(word[lane])
        if flat < 0:
            return layer
        if space == "bias" and bit >= config.acc_bits:
            shift = layer.shift.copy()
            shift[flat] ^= mask >> config.acc_bits
            return replace(layer, shift=shift)
        if space == "bias":
            bias = layer.bias.copy()
            bias[flat] = flip(int(bias[flat]), mask, config.acc_bits)
            return replace(layer, bias=bias)
        tensor = np.array(layer.weight)
        tensor.reshape(-1)[flat] = flip(int(tensor.reshape(-1)[flat]), mask, config.word_bits)
        return replace(layer, weight=tensor)

    def _bound(self, layer: QLayer, neurons: np.ndarray, mask: int) -> QLayer:
        """``layer`` with flips in one lane of a bound word; ``neurons``: first neuron of each bound in it, or -1."""
        config = self.program.config
        before = np.asarray(layer.bound)
        raw, base = stored(config, before)
        after, first = before.copy(), first_neurons(config, before.shape)
        for part, neuron in enumerate(neurons):
            flips = mask >> (part * config.bound_bits) & (1 << config.bound_bits) - 1
            if flips and neuron >= 0:
                value = flip(int(raw.reshape(-1)[neuron]), flips, config.word_bits)
                after[first == neuron] = unstored(config, np.array(value), base)
        return replace(layer, bound=after)

    def _activation(self, layer: QLayer, address: int, lane: int, mask: int, readers: list[int]) -> TensorFault | None:
        sources = [layer.source] + ([layer.residual.source] if layer.residual else [])
        for name in sources:
            placement = self.program.tensors[name]
            if placement.address <= address < placement.address + placement.size_bytes:
                break
        else:
            return None
        if name != layer.source:
            return None  # a residual operand: only its own GEMM reads it, the main operand stays
        first = name == INPUT and self.unfolded is not None
        values = (self.input if first else self.trace[name]).copy()
        place = self._element(placement, address, lane)
        if place is not None:
            values[place] = flip(int(values[place]), mask, self.program.config.word_bits)
        used = self.unfolded if first and self.unfolded is not None else layer
        return self._finish("activation", layer, used, values, readers)

    def _element(self, placement: Placement, address: int, lane: int) -> tuple[int, ...] | None:
        channels, rows, cols = placement.shape
        word = (address - placement.address) // self.program.config.word_bytes
        tile, image, row, col = np.unravel_index(word, (placement.tiles, placement.images, rows, cols))
        channel = int(tile) * self.program.config.side + lane
        return (int(image), channel, int(row), int(col)) if channel < channels else None

    def _finish(self, kind: str, layer: QLayer, changed: QLayer, x: np.ndarray, readers: list[int]) -> TensorFault:
        """Golden logits when ``readers`` computed ``changed`` on ``x`` and all other instructions the true layer."""
        network = self.network
        residual = self.trace[layer.residual.source] if layer.residual else None
        wrong = reference.run_layer(changed, x, network.acc_bits, network.word_bits, residual)
        output = np.where(self._region(layer, readers), wrong, self.trace[layer.name])
        return self._continue(kind, layer.name, output)

    def _continue(self, kind: str, name: str, output: np.ndarray) -> TensorFault:
        after = reference.run_from(self.network, {**self.trace, name: output}, name)
        return TensorFault(kind, after[self.network.layers[-1].name].reshape(1, -1))

    def _region(self, layer: QLayer, readers: list[int]) -> np.ndarray:
        """Bool (1, C, H, W): output elements that the GEMMs ``readers`` contribute to."""
        placement = self.program.tensors[layer.name]
        region = np.zeros((1, *placement.shape), bool)
        for number in readers:
            words = self._stored_words(self._epilogue_after(number))
            for address in words:
                for lane in range(self.program.config.side):
                    place = self._element(placement, int(address), lane)
                    if place is not None:
                        region[place] = True
        return region

    def _epilogue_after(self, number: int) -> int:
        base = self.program.instructions[number]["acc_base"]
        for later in range(number, len(self.program.instructions)):
            item = self.program.instructions[later]
            if item.opcode is Opcode.GEMM and item["epilogue"] and item["acc_base"] == base:
                return later
        raise ValueError(f"GEMM {number} has no epilogue")

    def _stored_words(self, gemm: int) -> np.ndarray:
        """Byte addresses to which the output words of an epilogue GEMM are stored."""
        item = self.program.instructions[gemm]
        first = item["out_base"]
        last = first + item["images"] * item["rows"] * item["cols"]
        for later in range(gemm, len(self.program.instructions)):
            store = self.program.instructions[later]
            if store.opcode is Opcode.STORE and first <= store["buffer_base"] < last:
                return dma_addresses(store, self.program.config.word_bytes)
        raise ValueError(f"GEMM {gemm} is never stored")

    def _output(self, readers: list[int], upset: Upset) -> TensorFault | None:
        store = self.program.instructions[readers[0]]
        address = int(dma_addresses(store, self.program.config.word_bytes)[upset.word - store["buffer_base"]])
        for layer in self.network.layers:
            placement = self.program.tensors[layer.name]
            if placement.address <= address < placement.address + placement.size_bytes:
                break
        else:
            return None
        lane, _ = divmod(upset.mask.bit_length() - 1, self.program.config.word_bits)
        mask = upset.mask >> (lane * self.program.config.word_bits)
        place = self._element(placement, address, lane)
        if place is None:
            return None  # a padding lane: the next layer's weights for it are zero, but a pool passes it on
        output = self.trace[layer.name].copy()
        output[place] = flip(int(output[place]), mask, self.program.config.word_bits)
        return self._continue("output", layer.name, output)
