"""What flows between layers, and the pools that need no more than that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from golden.exact import kernels
from golden.exact.epilogue import Parameters, finish_wide
from golden.exact.kernels import Geometry
from golden.exact.patch import LayerPatch
from golden.qnetwork import QLayer, QNetwork

Channels = Tensor | None
"""Channels in which a tensor may differ from the clean run: int64, or None for all of them."""


class Words:
    """A layer's output: integers in floating point (batch, rows, columns, channels), none beyond +-``peak``.

    Either a whole tensor, or that of another output (``base``) in which ``part`` replaces some channels; the
    whole is put together only when it is asked for.
    """

    def __init__(self, data: Tensor, peak: float, channels: Tensor | None = None, part: Tensor | None = None) -> None:
        self.peak, self.channels, self.part = peak, channels, part
        self._data = data

    @property
    def data(self) -> Tensor:
        """The whole tensor."""
        if self.part is not None:
            assert self.channels is not None
            self._data = self._data.clone().index_copy_(3, self.channels, self.part)
            self.part = None
        return self._data

    @property
    def count(self) -> int:
        """Images."""
        return len(self._data)

    def select(self, channels: Tensor) -> Tensor:
        """Some channels, a new tensor (batch, rows, columns, len(channels))."""
        if self.part is None:
            return self._data.index_select(3, channels)
        assert self.channels is not None
        if torch.equal(channels, self.channels):
            return self.part
        chosen = self._data.index_select(3, channels)
        place = torch.searchsorted(self.channels, channels).clamp_max(len(self.channels) - 1)
        own = torch.nonzero(self.channels[place] == channels).flatten()
        return chosen.index_copy_(3, own, self.part.index_select(3, place[own]))


@dataclass(frozen=True, eq=False)
class CleanLayer:
    """Results of the fault-free run on a chunk: the output, and the sums before residual and bias (in the words'
    type, None unless every image stayed within the exact range) with their largest magnitude."""

    output: Words
    acc: Tensor | None = None
    acc_peak: float = 0.0


class Pool:
    """A max or average pool."""

    def __init__(self, layer: QLayer, qnet: QNetwork, device: torch.device) -> None:
        self.layer, self.geometry = layer, Geometry.of(layer)
        self.parameters = Parameters.of(layer, qnet.acc_bits, qnet.word_bits, device)
        # sums of several words may be too large for one
        self.identity = self.parameters.is_identity and (layer.kind == "maxpool" or layer.area == 1)

    def __call__(self, source: Words, residual: Words | None, patch: LayerPatch | None = None) -> Words:
        """The pool of ``source``, plus the residual operand if the layer has one; ``patch``: of its bounds."""
        acc = self._sums(source.data)
        if residual is None and self.identity:
            return Words(acc, source.peak)
        # pools are a small part of the work: always the wide way
        words = acc.to(torch.int64)
        if residual is not None and self.layer.residual is not None:
            words += residual.data.to(torch.int64) << self.layer.residual.lshift
        parameters = self.parameters
        if patch is not None:
            parameters = replace(parameters, bound=parameters.bound if patch.bound is None else patch.bound)
        return Words(finish_wide(words, parameters), parameters.output_peak)

    def run(self, source: Words, residual: Words | None, clean_run: Mapping[str, CleanLayer]) -> Words:
        """The same; of the fault-free output only the changed channels are redone, if ``source`` says which."""
        if source.part is None or source.channels is None or residual is not None:
            return self(source, residual)
        part = self._sums(source.part)
        if not self.identity:
            part = finish_wide(part.to(torch.int64), self.parameters.select(source.channels))
        clean = clean_run[self.layer.name].output
        return Words(clean.data, max(clean.peak, source.peak), source.channels, part)

    def sums(self, source: Words) -> Tensor:
        """Sums or maxima before residual and bias, int64 (batch, rows, columns, channels)."""
        return self._sums(source.data).to(torch.int64)

    def _sums(self, x: Tensor) -> Tensor:
        g = self.geometry
        x = kernels.pad(x, g)
        acc: Tensor | None = None
        for row in range(g.down.kernel):
            for column in range(g.across.kernel):
                seen = kernels.seen_by(x, g, row, column)
                if acc is None:
                    acc = seen.clone()
                elif self.layer.kind == "maxpool":
                    torch.maximum(acc, seen, out=acc)
                else:
                    acc += seen
        assert acc is not None
        return acc
