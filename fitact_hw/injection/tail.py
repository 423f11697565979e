"""The rest of a network for many faulty runs at once, only where they still differ from the fault-free run.

Runs are taken together, layer by layer, from the layer whose output they change; one whose output is the fault-free
one again is over. Layers are those of :mod:`golden.exact`, bit for bit the golden reference and several times as fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from golden import reference
from golden.exact.clamps import clamp_values, count_hits
from golden.exact.evaluator import engine_of
from golden.exact.kernels import word_type
from golden.exact.layers import Convolution
from golden.exact.words import Pool, Words
from golden.qnetwork import QLayer, QNetwork, last_uses

MOST_RUNS = 32
"""Runs that are taken together at most: with more AlexNet is no faster."""

BATCH_BYTES = 48 << 20
"""Largest tensor of the runs that are taken together; a layer has up to four of that size at a time."""


@dataclass(frozen=True, eq=False)
class Change:
    """Elements of the output of ``layer`` that an upset changes, for all layers that read it.

    ``index``: int64 (n,), flat in (channels, rows, columns); ``values``: int64 (n,).
    """

    layer: str
    index: np.ndarray
    values: np.ndarray

    @staticmethod
    def between(layer: str, clean: np.ndarray, output: np.ndarray) -> Change:
        """What distinguishes an output, int64 (1, channels, rows, columns), from the fault-free one."""
        index = np.flatnonzero(output != clean)
        return Change(layer, index, output.reshape(-1)[index])

    def applied(self, output: np.ndarray) -> np.ndarray:
        """A copy of ``output``, int64 (1, channels, rows, columns), with this change."""
        changed = output.copy()
        changed.reshape(-1)[self.index] = self.values
        return changed


@dataclass(frozen=True, eq=False)
class FaultyRun:
    """A run that differs from the fault-free one by ``changes`` only; ``fixed``: layers whose outputs are complete.

    ``clamp_hits``: hits of the clamps beyond those of the fault-free run, in the layers of the changes.
    """

    changes: Sequence[Change]
    fixed: frozenset[str] = frozenset()
    clamp_hits: int = 0


@dataclass(frozen=True, eq=False)
class Ending:
    """``logits`` int64 (1, classes) of a faulty run; ``clamp_hits``: beyond those of the fault-free run."""

    logits: np.ndarray
    clamp_hits: int = 0


@dataclass(eq=False)
class _Different:
    """Outputs of one layer in the runs ``rows``, int64 ascending, in which they differ from the fault-free one."""

    rows: np.ndarray
    words: Words


class Tail:
    """The layers of ``network``, made when they are first needed, or by :meth:`ready`.

    ``batch``: runs that are taken together at most. ``margin``: of the clamps' alarm, whose hits are counted then.
    """

    def __init__(self, network: QNetwork, margin: int | None = None) -> None:
        self.margin = margin
        self.network, self.dtype = network, word_type(network.word_bits)
        self._engines: dict[str, Convolution | Pool] = {}
        self._clean: _Clean | None = None
        self._last_use = last_uses((x.source, x.residual.source if x.residual else None) for x in network.layers)
        largest = max(int(np.prod(shape)) for layer in network.layers for shape in (layer.in_shape, layer.out_shape))
        self.batch = max(1, min(MOST_RUNS, BATCH_BYTES // (largest * self.dtype.itemsize)))

    def ready(self) -> None:
        """Make all layers: ahead of forks that share them."""
        for layer in self.network.layers:
            self._engine(layer)

    def logits(self, trace: reference.LayerTrace, runs: Sequence[FaultyRun]) -> list[np.ndarray]:
        """Logits int64 (1, classes) of every run; ``trace``: fault-free outputs of all layers, batch 1."""
        return [end.logits for end in self.ends(trace, runs)]

    @torch.inference_mode()
    def clamp_hits(self, trace: reference.LayerTrace) -> int:
        """Hits of the clamps in the fault-free run; 0 without a margin."""
        if self.margin is None:
            return 0
        clean = self._clean_of(trace)
        return sum(self._clean_hits(layer, clean) for layer in self.network.layers if layer.bound is not None)

    @torch.inference_mode()
    def ends(self, trace: reference.LayerTrace, runs: Sequence[FaultyRun]) -> list[Ending]:
        """How every run ends; ``trace``: fault-free outputs of all layers, batch 1."""
        order = {layer.name: number for number, layer in enumerate(self.network.layers)}
        unchanged = trace[self.network.layers[-1].name].reshape(1, -1)
        results = [Ending(unchanged, run.clamp_hits) for run in runs]
        # runs that start at the same layer share their batches
        pending = sorted(
            (number for number, run in enumerate(runs) if run.changes),
            key=lambda number: min(order[change.layer] for change in runs[number].changes),
        )
        clean = self._clean_of(trace)
        for start in range(0, len(pending), self.batch):
            part = pending[start : start + self.batch]
            hits = np.zeros(len(part), np.int64)
            for row, logits in self._sweep(clean, [runs[number] for number in part], hits):
                results[part[row]] = replace(results[part[row]], logits=logits)
            for number, more in zip(part, hits.tolist(), strict=True):
                results[number] = replace(results[number], clamp_hits=results[number].clamp_hits + more)
        return results

    def _clean_of(self, trace: reference.LayerTrace) -> _Clean:
        """The fault-free outputs of ``trace``, as they were made for the last call if it is the same one."""
        if self._clean is None or self._clean.trace is not trace:
            self._clean = _Clean(trace, self.dtype)
        return self._clean

    def _clean_hits(self, layer: QLayer, clean: _Clean) -> int:
        """Hits of the clamps in a layer of the fault-free run."""
        if layer.name not in clean.hits:
            one = np.zeros(1, np.int64)
            source, *residual = (clean.rows(name, one, None) for name in _sources(layer))
            clean.hits[layer.name] = int(self._run(layer, source, residual[0] if residual else None)[1].sum())
        return clean.hits[layer.name]

    def _run(self, layer: QLayer, source: Words, residual: Words | None) -> tuple[Words, Tensor]:
        """Output of a layer with a bound, and the hits of its clamps in each run, int64 (runs,)."""
        assert self.margin is not None
        engine = self._engine(layer)
        output, values = clamp_values(engine, source, residual)
        parameters = engine.parameters if isinstance(engine, Pool) else engine.clean.parameters
        return Words(output, parameters.output_peak), count_hits(engine, values, (self.margin,))[:, 0]

    def _sweep(self, clean: _Clean, runs: Sequence[FaultyRun], hits: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Number and logits of the runs whose logits differ; adds to ``hits`` (runs,) those of the clamps."""
        different: dict[str, _Different] = {}
        for number, layer in enumerate(self.network.layers):
            given = clean.changed(layer.name, runs)
            found = self._layer(layer, clean, runs, different, set(given.rows.tolist()) if given else set(), hits)
            joined = _joined([item for item in (given, found) if item is not None])
            if joined is not None:
                different[layer.name] = joined
            for name in self._last_use.get(number, ()):
                different.pop(name, None)
        output = different.get(self.network.layers[-1].name)
        if output is not None:
            logits = output.words.data.permute(0, 3, 1, 2).reshape(len(output.rows), -1).to(torch.int64).numpy()
            for place, row in enumerate(output.rows.tolist()):
                yield row, logits[place : place + 1]

    def _layer(
        self,
        layer: QLayer,
        clean: _Clean,
        runs: Sequence[FaultyRun],
        different: dict[str, _Different],
        given: set[int],
        hits: np.ndarray,
    ) -> _Different | None:
        """Outputs that differ because an input does, but of the runs ``given``."""
        sources = _sources(layer)
        reached = {row for name in sources if name in different for row in different[name].rows.tolist()} - given
        rows = np.array(sorted(row for row in reached if layer.name not in runs[row].fixed), np.int64)
        if not len(rows):
            return None
        source, *residual = (clean.rows(name, rows, different.get(name)) for name in sources)
        engine = self._engine(layer)
        operand = residual[0] if residual else None
        if self.margin is not None and layer.bound is not None:
            output, own = self._run(layer, source, operand)
            hits[rows] += own.numpy() - self._clean_hits(layer, clean)
        elif isinstance(engine, Convolution):
            output, _ = engine.run(source, operand, None, {}, None, True)
        else:
            output = engine.run(source, operand, {})
        changed = (output.data != clean[layer.name]).flatten(1).any(1)
        if not bool(changed.any()):
            return None
        data = output.data if bool(changed.all()) else output.data[changed]
        return _Different(rows[changed.numpy()], Words(data, output.peak))

    def _engine(self, layer: QLayer) -> Convolution | Pool:
        if layer.name not in self._engines:
            self._engines[layer.name] = engine_of(layer, self.network, torch.device("cpu"))
        return self._engines[layer.name]


class _Clean:
    """Fault-free outputs (1, rows, columns, channels) of ``trace`` as words, each made when it is first asked for.

    ``hits``: of the clamps, by layer, as far as they were counted.
    """

    def __init__(self, trace: reference.LayerTrace, dtype: torch.dtype) -> None:
        self.trace, self._dtype = trace, dtype
        self.hits: dict[str, int] = {}
        self._words: dict[str, Tensor] = {}
        self._peaks: dict[str, float] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._words:
            words = np.ascontiguousarray(self.trace[name].transpose(0, 2, 3, 1))
            self._words[name] = torch.from_numpy(words).to(self._dtype)
            self._peaks[name] = float(np.abs(words).max())
        return self._words[name]

    def changed(self, name: str, runs: Sequence[FaultyRun]) -> _Different | None:
        """The runs whose changes say what the output of layer ``name`` is."""
        changes = {row: change for row, run in enumerate(runs) for change in run.changes if change.layer == name}
        if not changes:
            return None
        _, rows, columns, channels = self[name].shape
        data = self[name].expand(len(changes), -1, -1, -1).clone()
        flat, peak = data.view(len(changes), -1).numpy(), self._peaks[name]
        for place, change in enumerate(changes.values()):
            channel, pixel = np.divmod(change.index, rows * columns)
            flat[place, pixel * channels + channel] = change.values
            peak = max(peak, float(np.abs(change.values).max(initial=0)))
        return _Different(np.array([*changes], np.int64), Words(data, peak))

    def rows(self, name: str, rows: np.ndarray, found: _Different | None) -> Words:
        """Output of layer ``name`` in the runs ``rows``, of which ``found`` are different."""
        clean = self[name]
        if found is None:
            return Words(clean.expand(len(rows), -1, -1, -1), self._peaks[name])
        if np.array_equal(found.rows, rows):
            return found.words
        place = np.searchsorted(found.rows, rows).clip(max=len(found.rows) - 1)
        data = found.words.data[torch.from_numpy(place)]
        data[torch.from_numpy(found.rows[place] != rows)] = clean
        return Words(data, max(found.words.peak, self._peaks[name]))


def _sources(layer: QLayer) -> list[str]:
    return [layer.source] + ([layer.residual.source] if layer.residual else [])


def _joined(parts: Sequence[_Different]) -> _Different | None:
    """Different runs of one layer together."""
    if len(parts) < 2:
        return parts[0] if parts else None
    rows = np.concatenate([item.rows for item in parts])
    order = np.argsort(rows)
    data = torch.cat([item.words.data for item in parts])[torch.from_numpy(order)]
    return _Different(rows[order], Words(data, max(item.words.peak for item in parts)))
