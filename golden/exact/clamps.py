"""Hits of the clamps: how many outputs of a layer a bound acts on, exact as the evaluator's layers are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from golden.exact.epilogue import activated_wide, rounded_wide
from golden.exact.evaluator import engine_of
from golden.exact.kernels import word_type
from golden.exact.layers import Convolution
from golden.exact.words import Pool, Words
from golden.qnetwork import INPUT, QLayer, QNetwork, last_uses


def clamp_values(engine: Convolution | Pool, source: Words, residual: Words | None) -> tuple[Tensor, Tensor]:
    """Output words, and the wide values before the activation (int64, of the same shape), of a fault-free layer."""
    if isinstance(engine, Pool):
        values = rounded_wide(_with(engine.sums(source), engine.layer, residual), engine.parameters)
        return activated_wide(values, engine.parameters), values
    output, sums = engine.sums(source, residual)
    return output, rounded_wide(_with(sums, engine.layer, residual), engine.clean.parameters)


def _with(sums: Tensor, layer: QLayer, residual: Words | None) -> Tensor:
    """Accumulators and the residual operand."""
    if residual is None or layer.residual is None:
        return sums
    return sums + (residual.data.to(torch.int64) << layer.residual.lshift)


def count_hits(engine: Convolution | Pool, values: Tensor, margins: tuple[int, ...]) -> Tensor:
    """Hits in each image for each margin, int64 (batch, margins); ``values``: as of :func:`clamp_values`.

    A hit at margin k is a value above its bound after a right shift by k bits. None without a bound.
    """
    bound = (engine.parameters if isinstance(engine, Pool) else engine.clean.parameters).bound
    found = torch.zeros(len(values), len(margins), dtype=torch.int64, device=values.device)
    if bound is None:
        return found
    limit = bound.to(torch.int64) if isinstance(bound, Tensor) else torch.tensor(bound, device=values.device)
    if bool((limit < 0).any()):  # a larger margin may have hits that a smaller one has not
        return torch.stack([((values >> margin) > limit).flatten(1).sum(dim=1) for margin in margins], dim=1)
    place = (values > limit).nonzero()
    few, limits = values[tuple(place.T)], limit.expand(values.shape)[tuple(place.T)]
    for number, margin in enumerate(margins):
        found[:, number].index_add_(0, place[:, 0], ((few >> margin) > limits).to(torch.int64))
    return found


def bounded_layers(qnet: QNetwork) -> list[str]:
    """Names of the layers whose activation has a bound, in execution order."""
    return [layer.name for layer in qnet.layers if layer.bound is not None]


@torch.inference_mode()
def clean_hits(
    qnet: QNetwork,
    images: np.ndarray,
    margins: tuple[int, ...],
    chunk: int = 50,
    done: Callable[[int], object] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Hits of a fault-free network on each image, int64 (images, bounded layers, margins); its logits, int64 (images,
    classes).

    ``images``: quantised, int64 (images, channels, rows, columns), taken ``chunk`` at a time; ``done`` gets the number
    of images of each chunk. Margins as in :func:`count_hits`.
    """
    engines = {layer.name: engine_of(layer, qnet, torch.device("cpu")) for layer in qnet.layers}
    last_use = last_uses((x.source, x.residual.source if x.residual else None) for x in qnet.layers)
    bounded = bounded_layers(qnet)
    hits = np.zeros((len(images), len(bounded), len(margins)), np.int64)
    logits = []
    for start in range(0, len(images), chunk):
        part = np.ascontiguousarray(images[start : start + chunk].transpose(0, 2, 3, 1))
        data = torch.from_numpy(part).to(word_type(qnet.word_bits))
        values = {INPUT: Words(data, float(1 << (qnet.word_bits - 1)))}
        for number, layer in enumerate(qnet.layers):
            engine, source = engines[layer.name], values[layer.source]
            residual = values[layer.residual.source] if layer.residual else None
            if layer.bound is not None:
                output, wide = clamp_values(engine, source, residual)
                parameters = engine.parameters if isinstance(engine, Pool) else engine.clean.parameters
                found = count_hits(engine, wide, margins).numpy()
                hits[start : start + len(part), bounded.index(layer.name)] = found
                values[layer.name] = Words(output, parameters.output_peak)
            elif isinstance(engine, Convolution):
                values[layer.name] = engine.run_clean(source, residual, keep=False).output
            else:
                values[layer.name] = engine(source, residual)
            for name in last_use.get(number, ()):
                values.pop(name, None)
        last = values[qnet.layers[-1].name].data
        logits.append(last.permute(0, 3, 1, 2).reshape(len(part), -1).to(torch.int64).numpy())
        if done:
            done(len(part))
    return hits, np.concatenate(logits)
