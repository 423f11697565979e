"""One layer of the fast evaluator: decides per image and channel how to stay exact, and computes it.

Four ways for a convolution whose weights, bias or bounds are hit:

* *touched channels*: the input is the clean one, so only the hit output channels are redone, from the kept
  clean accumulators plus what the changed weights add (int64, exact for any flip);
* *difference*: the input differs in few channels: kept accumulators plus the product of the difference;
* *dense*: everything anew, with small weight changes in the float product (Winograd where it fits) and
  large ones added in int64 to their output channels. Images with too large values go through limbs;
* *matrix unit*, instead of *dense* where the CPU has one: everything anew, any change, in int64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from golden.exact import kernels
from golden.exact.epilogue import Parameters, finish_float, finish_wide
from golden.exact.kernels import EXACT, Weights, word_type
from golden.exact.limb_layer import limb_layer
from golden.exact.limbs import Changes
from golden.exact.patch import LayerPatch, WeightChanges
from golden.exact.words import Channels, CleanLayer, Words
from golden.qnetwork import QLayer, QNetwork

_SPARSE_COST = 80.0
"""One changed weight, applied alone, costs about as much as so many multiply-accumulates of a product."""
_QUICK, _NARROW, _WIDE = 2, 1, 0
"""Ways of a product for an image: Winograd, direct, limbs."""
_DIRECT_COST = 2.6
"""Cost of a multiply-accumulate on a part of the channels against one of the whole (Winograd) product."""
_LIMBS_GAIN = 4.0
"""So much faster is the whole product by the matrix unit."""


@dataclass(frozen=True, eq=False)
class _Hit:
    """A patched convolution: its parameters, weight changes inside and outside of the float product, the
    channels that only int64 gets right, and the largest bias of the others."""

    parameters: Parameters
    terms: tuple[Tensor, Tensor]
    small: WeightChanges | None
    large: WeightChanges | None
    wide_channels: Tensor
    small_gain: float
    bias_peak: float


class Convolution:
    """A convolution or fully connected layer, clean or with a patch."""

    def __init__(self, layer: QLayer, qnet: QNetwork, device: torch.device) -> None:
        self.layer = layer
        self.dtype = word_type(qnet.word_bits)
        self.weights = Weights(layer, device, self.dtype)
        self.geometry = self.weights.geometry
        self.exact = float(EXACT[self.dtype])
        self.limit = min(self.exact, float(1 << (qnet.acc_bits - 1)))
        # twice the usual magnitude of a word: changes below hardly raise the gain of a channel
        self.small_delta = 1 << (qnet.word_bits // 2 + 4)
        parameters = Parameters.of(layer, qnet.acc_bits, qnet.word_bits, device)
        self.half = 2.0 ** (int(layer.shift.max()) - 1)
        self.bias_peak = float(_magnitude(parameters.bias).max())
        nothing = torch.empty(0, dtype=torch.int64, device=device)
        self.clean = _Hit(parameters, parameters.float_terms(), None, None, nothing, 0.0, self.bias_peak)
        self.clean_peak = parameters.output_peak

    def run_clean(self, source: Words, residual: Words | None, keep: bool = True) -> CleanLayer:
        """The fault-free layer; ``keep``: with its accumulators."""
        g = self.geometry
        if not keep:
            return CleanLayer(Words(self._anew(source, residual, None), self.clean_peak))
        acc = source.data.new_empty(source.count, g.out_rows, g.out_columns, g.outputs)
        sums = torch.empty_like(acc, dtype=torch.int64) if self.weights.limbs else None
        found = self._in_limbs(source, residual, None, sums)
        if found is None or sums is None:
            output, whole = self._dense(source, residual, self.clean, acc)
        else:
            output, whole = found, True
            acc.copy_(sums)
        words, peak = Words(output, self.clean_peak), float(_image_peaks(acc).max()) if whole else self.exact
        return CleanLayer(words, acc, peak) if peak < self.exact else CleanLayer(words)

    def sums(self, source: Words, residual: Words | None) -> tuple[Tensor, Tensor]:
        """Output words of the fault-free layer, and its sums before residual and bias: int64, right modulo 2**64."""
        g = self.geometry
        shape = (source.count, g.out_rows, g.out_columns, g.outputs)
        if self.weights.limbs is not None:
            kept = torch.empty(shape, dtype=torch.int64, device=source.data.device)
            found = self._in_limbs(source, residual, None, kept)
            if found is not None:
                return found, kept
        acc = source.data.new_empty(shape)
        output, whole = self._dense(source, residual, self.clean, acc)
        if whole:
            return output, acc.to(torch.int64)
        return output, kernels.wide(source.data.to(torch.int64), self.weights.matrix.double(), g)

    def run(
        self,
        source: Words,
        residual: Words | None,
        patch: LayerPatch | None,
        clean_run: Mapping[str, CleanLayer],
        changed: Channels,
        residual_changed: bool,
    ) -> tuple[Words, Channels]:
        """Output with ``patch`` for an input that differs from that of ``clean_run`` in channels ``changed``."""
        if changed is not None and not len(changed) and not residual_changed:
            assert patch is not None
            if patch.channels is not None and self._few_touched(patch):
                clean = clean_run[self.layer.name]
                if clean.acc is not None:
                    return self._touched(source, residual, patch, clean, patch.channels), patch.channels
            return self._words(self._anew(source, residual, patch), patch), patch.channels
        output = None
        if changed is not None and self._few_changed(changed, patch):
            clean = clean_run[self.layer.name]
            if clean.acc is not None:
                before = clean_run[self.layer.source].output
                output = self._difference(source, residual, self._hit(patch), before, clean, changed)
        if output is None:
            output = self._anew(source, residual, patch)
        return self._words(output, patch), None

    def _words(self, output: Tensor, patch: LayerPatch | None) -> Words:
        unchanged = patch is None or patch.bound is None
        return Words(output, self.clean_peak if unchanged else self._parameters(patch).output_peak)

    def _anew(self, source: Words, residual: Words | None, patch: LayerPatch | None) -> Tensor:
        """Output from nothing but the operands."""
        found = self._in_limbs(source, residual, patch)
        return self._patched(source, residual, self._hit(patch)) if found is None else found

    def _in_limbs(
        self, source: Words, residual: Words | None, patch: LayerPatch | None, kept: Tensor | None = None
    ) -> Tensor | None:
        """Output by the matrix unit, None if it can't; ``kept`` takes the sums as in :func:`limb_layer`."""
        if self.weights.limbs is None:
            return None
        own, changes = self.layer.residual, None
        operand = None if residual is None or own is None else (residual.data, own.lshift)
        if patch is not None and patch.weights is not None:
            w = patch.weights
            terms = self.weights.term(w.row, w.column, w.inputs)
            words = self.weights.matrix[terms, w.outputs].to(torch.int64) + w.delta
            changes = Changes(terms, w.outputs, words)
        parameters = self._parameters(patch)
        return limb_layer(self.weights.limbs, self.geometry, source, operand, parameters, changes, kept)

    def _few_touched(self, patch: LayerPatch) -> bool:
        count = 0 if patch.weights is None else len(patch.weights)
        few = patch.channels is not None and len(patch.channels) <= self.geometry.outputs // 2
        return few and count * self._cost(_SPARSE_COST) < self.weights.matrix.numel()

    def _few_changed(self, changed: Tensor, patch: LayerPatch | None) -> bool:
        count = 0 if patch is None or patch.weights is None else len(patch.weights)
        share = len(changed) / self.geometry.inputs * self._cost(_DIRECT_COST)
        return share + count * self._cost(_SPARSE_COST) / self.weights.matrix.numel() < 0.9

    def _cost(self, part: float) -> float:
        """Cost of a part, given against the whole product in floating point, against what that costs here."""
        return part if self.weights.limbs is None else part * _LIMBS_GAIN

    def _parameters(self, patch: LayerPatch | None) -> Parameters:
        p = self.clean.parameters
        if patch is None:
            return p
        return replace(
            p,
            bias=p.bias if patch.bias is None else patch.bias,
            shift=p.shift if patch.shift is None else patch.shift,
            bound=p.bound if patch.bound is None else patch.bound,
        )

    def _hit(self, patch: LayerPatch | None) -> _Hit:
        if patch is None:
            return self.clean
        parameters = self._parameters(patch)
        small, large = patch.weights, None
        wide = [torch.nonzero(_magnitude(parameters.bias) > max(self.limit / 8, self.bias_peak)).flatten()]
        if patch.weights is not None:
            is_small = patch.weights.delta.abs() < self.small_delta
            small, large = patch.weights.where(is_small), patch.weights.where(~is_small)
            wide.append(large.outputs)
            if not len(large):
                large = None
        if small is not None and not len(small):
            small = None
        gain = 0.0 if small is None else small.gain(self.geometry.outputs)
        wide_channels = torch.unique(torch.cat(wide))
        bias = _magnitude(parameters.bias).index_fill_(0, wide_channels, 0.0)
        terms = parameters.float_terms()
        return _Hit(parameters, terms, small, large, wide_channels, gain, float(bias.max()))

    def _touched(
        self, source: Words, residual: Words | None, patch: LayerPatch, clean: CleanLayer, channels: Tensor
    ) -> Words:
        assert clean.acc is not None
        acc = clean.acc.index_select(3, channels).to(torch.int64)
        if patch.weights is not None:
            acc += self._sparse(source, patch.weights, channels, torch.int64)
        if residual is not None:
            acc = self._with_residual(acc, residual.select(channels))
        parameters = self._parameters(patch)
        words = finish_wide(acc, parameters.select(channels))
        peak = clean.output.peak if patch.bound is None else parameters.output_peak
        return Words(clean.output.data, peak, channels, words)

    def _sparse(self, source: Words, changes: WeightChanges, channels: Tensor, dtype: torch.dtype) -> Tensor:
        """What the changes add to each of ``channels`` (which hold all their outputs)."""
        target = torch.searchsorted(channels, changes.outputs)
        used, place = torch.unique(changes.inputs, return_inverse=True)
        terms = kernels.sparse_terms(
            source.select(used).to(dtype),
            self.geometry,
            changes.row,
            changes.column,
            place,
            target,
            changes.delta,
            len(channels),
        )
        return terms.permute(1, 2, 3, 0)

    def _with_residual(self, acc: Tensor, residual: Tensor | None) -> Tensor:
        """int64 accumulators and the residual operand."""
        if residual is None or self.layer.residual is None:
            return acc
        return acc + (residual.to(torch.int64) << self.layer.residual.lshift)

    def _room(self, residual: Words | None, hit: _Hit) -> Tensor | float:
        """What the sum of products may reach (in each image), so that the float epilogue is exact."""
        half = self.half if hit.parameters.shift is self.clean.parameters.shift else 2.0**62
        room = self.limit - hit.bias_peak - half
        if residual is None or self.layer.residual is None:
            return room
        scale = 2.0**self.layer.residual.lshift
        if residual.peak * scale < room / 2:
            return room - residual.peak * scale
        return room - _image_peaks(residual.data) * scale

    def _difference(
        self,
        source: Words,
        residual: Words | None,
        hit: _Hit,
        clean_source: Words,
        clean: CleanLayer,
        changed: Tensor,
    ) -> Tensor | None:
        """From the kept accumulators; None if an image is too large for that."""
        assert clean.acc is not None
        g = self.geometry
        delta = source.select(changed) - clean_source.select(changed)
        rows = self.weights.matrix.view(g.area, g.inputs, g.outputs).index_select(1, changed)
        matrix = rows.reshape(-1, g.outputs)
        reach = clean.acc_peak
        if len(changed):
            reach += float(_image_peaks(delta).max()) * float(matrix.double().abs().sum(dim=0).max()) * (1 + 1e-9)
        if hit.small is not None:
            reach += self._peak(source) * hit.small_gain
        if not _all(reach < self._room(residual, hit)):
            return None
        small, touched = None, hit.wide_channels
        if hit.small is not None:
            touched = torch.unique(hit.small.outputs)
            small = self._sparse(source, hit.small, touched, self.dtype)
        part = replace(g, inputs=max(1, len(changed)))
        step = kernels.images_per_block(part, False, self.dtype.itemsize)
        output = torch.empty_like(clean.acc)
        kept = clean.acc.new_empty(*output.shape[:3], len(hit.wide_channels))
        for start in range(0, source.count, step):
            block = slice(start, start + step)
            acc = clean.acc[block]
            acc = kernels.direct(delta[block], matrix, part).add_(acc) if len(changed) else acc.clone()
            if small is not None:
                acc.index_add_(3, touched, small[block])
            self._finish(acc, residual, hit, block, output, kept)
        self._finish_wide_channels(kept, source, residual, hit, output)
        return output

    def _peak(self, source: Words) -> float:
        return source.peak if source.peak < 1 << 24 else float(_image_peaks(source.data).max())

    def _finish(
        self, sums: Tensor, residual: Words | None, hit: _Hit, block: slice, output: Tensor, kept: Tensor
    ) -> None:
        """Float epilogue of a block of images into ``output``, sums of the wide channels into ``kept``."""
        if kept.shape[3]:
            chosen = sums.index_select(-1, hit.wide_channels)
            kept[block] = kernels.accumulators(chosen, kept[block].shape)
        own = self.layer.residual
        addend, factor = (None, 1) if residual is None or own is None else (residual.data[block], 2**own.lshift)
        finish_float(sums, addend, factor, hit.parameters, hit.terms, output[block])

    def _patched(self, source: Words, residual: Words | None, hit: _Hit) -> Tensor:
        if hit.small is None:
            return self._dense(source, residual, hit, None)[0]
        s = hit.small
        self.weights.add(s.row, s.column, s.inputs, s.outputs, s.delta)
        try:
            return self._dense(source, residual, hit, None)[0]
        finally:
            # all terms are exact, so this restores every bit
            self.weights.add(s.row, s.column, s.inputs, s.outputs, -s.delta)

    def _ways(self, source: Words, residual: Words | None, hit: _Hit) -> tuple[Tensor, Tensor]:
        """Images (bool (batch,)) that a float product serves, and among them those that Winograd serves."""
        weights, room = self.weights, self._room(residual, hit)
        margin = kernels.WINOGRAD_MARGIN * (weights.winograd_gain + hit.small_gain)
        limit = math.inf if weights.transformed is None else self.exact
        # the word format or the bound often settles it; if not, look at the values
        high = torch.full((source.count,), source.peak, dtype=torch.float64, device=source.data.device)
        low = -high
        if not _all(weights.reach(low, high, hit.small_gain) < room) or not source.peak * margin < limit:
            low, high = _image_extremes(source.data)
        narrow = weights.reach(low, high, hit.small_gain) < room
        if weights.transformed is None:
            return narrow, torch.zeros_like(narrow)
        return narrow, narrow & (torch.maximum(high, -low) * margin < limit)

    def _dense(self, source: Words, residual: Words | None, hit: _Hit, keep: Tensor | None) -> tuple[Tensor, bool]:
        """Output, and whether every image stayed in the exact range of the float product."""
        g, x = self.geometry, source.data
        narrow, quick = self._ways(source, residual, hit)
        output = x.new_empty(len(x), g.out_rows, g.out_columns, g.outputs)
        kept = x.new_empty(len(x), g.out_rows, g.out_columns, len(hit.wide_channels))
        for start, stop, way in _runs(torch.where(quick, _QUICK, torch.where(narrow, _NARROW, _WIDE))):
            step = kernels.images_per_block(g, way == _QUICK, self.dtype.itemsize)
            for first in range(start, stop, step):
                block = slice(first, min(first + step, stop))
                if way == _WIDE:
                    output[block] = self._wide(Words(x[block], source.peak), _part(residual, block), hit)
                    continue
                if way == _QUICK:
                    assert self.weights.transformed is not None
                    sums = kernels.winograd(x[block], self.weights.transformed, g)
                else:
                    sums = self.weights.direct(x[block], source.peak)
                if keep is not None:
                    keep[block] = kernels.accumulators(sums, keep[block].shape)
                self._finish(sums, residual, hit, block, output, kept)
        if not len(hit.wide_channels):
            return output, _all(narrow)
        for start, stop, _ in _runs(narrow.to(torch.int64)):
            if narrow[start]:
                block = slice(start, stop)
                part = Words(x[block], source.peak)
                self._finish_wide_channels(kept[block], part, _part(residual, block), hit, output[block])
        return output, _all(narrow)

    def _finish_wide_channels(
        self, acc: Tensor, source: Words, residual: Words | None, hit: _Hit, output: Tensor
    ) -> None:
        """Redo the wide channels of ``output`` from their float sums ``acc`` (which lack large changes)."""
        channels = hit.wide_channels
        if not len(channels):
            return
        words = acc.to(torch.int64)
        if residual is not None:
            words = self._with_residual(words, residual.select(channels))
        if hit.large is not None:
            words += self._sparse(source, hit.large, channels, torch.int64)
        output.index_copy_(3, channels, finish_wide(words, hit.parameters.select(channels)))

    def _wide(self, source: Words, residual: Words | None, hit: _Hit) -> Tensor:
        acc = kernels.wide(source.data.to(torch.int64), self.weights.matrix.double(), self.geometry)
        if hit.large is not None:
            everywhere = torch.arange(self.geometry.outputs, device=acc.device)
            acc = acc + self._sparse(source, hit.large, everywhere, torch.int64)
        return finish_wide(self._with_residual(acc, None if residual is None else residual.data), hit.parameters)


def _part(words: Words | None, block: slice) -> Words | None:
    return None if words is None else Words(words.data[block], words.peak)


def _runs(classes: Tensor) -> list[tuple[int, int, int]]:
    """(start, stop, class) of the stretches of equal neighbours."""
    values, counts = torch.unique_consecutive(classes, return_counts=True)
    stops = torch.cumsum(counts, dim=0).tolist()
    return list(zip([0, *stops[:-1]], stops, values.tolist(), strict=True))


def _magnitude(values: Tensor) -> Tensor:
    """float64 magnitudes of int64 (so that -2**63 has one)."""
    return values.double().abs()


def _image_extremes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest and largest value in each image, float64 (batch,)."""
    low, high = torch.aminmax(x.reshape(len(x), -1), dim=1)
    return low.double(), high.double()


def _image_peaks(x: Tensor) -> Tensor:
    """Largest magnitude in each image, float64 (batch,)."""
    low, high = _image_extremes(x)
    return torch.maximum(high, -low)


def _all(condition: Tensor | bool) -> bool:
    return bool(condition.all()) if isinstance(condition, Tensor) else condition
