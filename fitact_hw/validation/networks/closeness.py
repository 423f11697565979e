"""How far an integer network may be from float: layer by layer no more than the rounding of its words explains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from golden.frontend.check import apply_window
from golden.frontend.layers import FloatLayer
from golden.qnetwork import INPUT, QLayer, QNetwork

_FLOAT = 1e-9
"""Rounding of float64 sums, as a share of their magnitudes."""


def noise_ratio(expected: np.ndarray, qnet: QNetwork, trace: dict[str, np.ndarray]) -> float:
    """Power of float logits ``expected`` (images, ...) over that of their differences from ``qnet``'s, in dB."""
    last = qnet.layers[-1]
    got = trace[last.name].reshape(len(expected), -1) * 2.0**-last.frac_out
    expected = expected.reshape(len(expected), -1)
    noise, signal = float(np.square(got - expected).sum()), float(np.square(expected).sum())
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal else float("-inf")


def beyond_rounding(layers: Sequence[FloatLayer], qnet: QNetwork, trace: dict[str, np.ndarray]) -> str:
    """The first layer with a weight that is not the nearest word, or whose words are farther from the float layer on
    the same inputs than the rounding of its weights, bias and output allows; "" if there is none.

    The float layer saturates where words do. Bounds are not looked at: ``qnet`` is without.
    """
    fracs = {INPUT: qnet.input_frac, **{layer.name: layer.frac_out for layer in qnet.layers}}
    values = {name: torch.from_numpy(words * 2.0 ** -fracs[name]) for name, words in trace.items()}
    for layer, words in zip(layers, qnet.layers, strict=True):
        if not _nearest(layer, words, fracs[layer.source], qnet.word_bits):
            return f"layer {layer.name} ({layer.node}) has a weight or bias that is not the nearest word"
        excess = _excess(layer, words, fracs, values, qnet.word_bits)
        if excess > 0:
            return f"layer {layer.name} ({layer.node}) is {excess:.3g} steps farther from float than rounding explains"
    return ""


def _nearest(layer: FloatLayer, words: QLayer, frac_in: int, word_bits: int) -> bool:
    """Whether each parameter is within half a step of its word, or beyond the largest one."""
    points = words.frac_out + words.shift.astype(np.float64)
    if layer.weight is None or words.weight is None:
        return not words.bias.any()
    top = 2.0 ** (word_bits - 1)
    exact = np.clip(layer.weight * np.exp2(points - frac_in)[:, None, None, None], -top, top - 1)
    bias = layer.bias * np.exp2(points)
    return bool((np.abs(exact - words.weight) <= 0.5).all() and (np.abs(bias - words.bias) <= _half(bias)).all())


def _half(values: np.ndarray) -> np.ndarray:
    """Half a step, and the rounding of float64 where numbers are large."""
    return 0.5 + np.abs(values) * 2.0**-50


def _excess(
    layer: FloatLayer, words: QLayer, fracs: dict[str, int], values: dict[str, torch.Tensor], word_bits: int
) -> float:
    """Steps beyond what rounding allows, the largest of all values."""
    x, step = values[layer.source], 2.0**-words.frac_out
    slack = 0.5 * step
    if layer.weight is None:
        y, allowed = apply_window(layer, x), torch.zeros(())
        magnitude = apply_window(layer, x.abs())
    else:
        assert words.weight is not None
        shift = words.shift.astype(np.float64)
        kept_bias = words.bias * np.exp2(-(words.frac_out + shift))
        kept = words.weight * np.exp2(-(words.frac_out + shift - fracs[layer.source]))[:, None, None, None]
        weight, bias = torch.from_numpy(layer.weight), torch.from_numpy(layer.bias)
        y = apply_window(layer, x, weight, bias)
        magnitude = apply_window(layer, x.abs(), weight.abs(), bias.abs())
        lost = torch.from_numpy(np.abs(layer.weight - kept)), torch.from_numpy(np.abs(layer.bias - kept_bias))
        allowed = apply_window(layer, x.abs(), *lost)
    if layer.residual is not None:
        y = y + values[layer.residual]
        magnitude = magnitude + values[layer.residual].abs()
    top = 2.0 ** (word_bits - 1) * step
    y = y.clamp(0.0 if layer.activation != "linear" else -top, top - step)
    if layer.limit is not None:
        y, slack = y.clamp_max(layer.limit), slack + step
    difference = (values[layer.name] - y).abs() - allowed - slack - _FLOAT * magnitude
    return float(difference.max()) / step
