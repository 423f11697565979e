"""Exact integer arithmetic of the array and the lanes on int64 arrays."""

from __future__ import annotations

import numpy as np

from fitact_hw.isa import ActMode

LIMB = 16


def wrap(values: np.ndarray, bits: int) -> np.ndarray:
    """Two's complement of ``bits`` bits (int64 arithmetic wraps by itself)."""
    if bits == 64:
        return values
    half = np.int64(1 << (bits - 1))
    return ((values + half) & np.int64((1 << bits) - 1)) - half


def product(left: np.ndarray, right: np.ndarray, word_bits: int) -> np.ndarray:
    """``left @ right`` modulo 2^64 for int64 matrices of ``word_bits`` values.

    float64 is exact while every partial sum stays below 2^53; 32-bit words are cut into 16-bit limbs.
    """
    if word_bits <= LIMB:
        return (left.astype(np.float64) @ right.astype(np.float64)).astype(np.int64)
    mask = (1 << LIMB) - 1
    left_low, left_high = (left & mask).astype(np.float64), (left >> LIMB).astype(np.float64)
    right_low, right_high = (right & mask).astype(np.float64), (right >> LIMB).astype(np.float64)
    low = (left_low @ right_low).astype(np.int64)
    middle = (left_low @ right_high + left_high @ right_low).astype(np.int64)
    high = (left_high @ right_high).astype(np.int64)
    return low + (middle << LIMB) + (high << 2 * LIMB)


def beyond(words: np.ndarray, limit: int, exact: bool) -> np.ndarray:
    """Which int64 words a range check of parameters makes zero, bool of the same shape: those larger than ``limit``, or
    (not ``exact``) with more than ``limit`` magnitude bits."""
    if exact:
        return (words > limit) | (words < -limit)
    return np.asarray((words ^ words >> 63) >> min(limit, 63) != 0)


def epilogue(
    total: np.ndarray,
    bias: np.ndarray,
    shift: np.ndarray,
    mode: ActMode,
    bound: np.ndarray | int,
    word_bits: int,
    acc_bits: int,
) -> np.ndarray:
    """docs/reference/machine.md, "Epilogue": int64 (pixels, side) accumulators to output words of the same shape."""
    return activated(rounded(wrap(total + bias, acc_bits), shift), mode, bound, word_bits)


def rounded(value: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Right shift of int64 by 0..63, half rounded up."""
    half = np.where(shift > 0, (value >> np.maximum(shift - 1, 0)) & 1, 0)
    return np.asarray((value >> shift) + half)


def activated(value: np.ndarray, mode: ActMode, bound: np.ndarray | int, word_bits: int) -> np.ndarray:
    """Activation of wide values int64: words."""
    top = (1 << (word_bits - 1)) - 1
    if mode is ActMode.LINEAR:
        return np.clip(value, -top - 1, top)
    if mode is ActMode.RELU:
        return np.clip(value, 0, top)
    if mode is ActMode.CLIP:
        return np.where((value >= 0) & (value <= bound), value, 0)
    return np.minimum(np.maximum(value, 0), bound)


def clamp_hits(value: np.ndarray, mode: ActMode, bound: np.ndarray | int, margin: int) -> np.ndarray:
    """Where a bound acts on wide values int64, bool: those above it after a right shift by ``margin`` bits."""
    return np.asarray(((value >> margin) > bound) & (mode in (ActMode.CLIP, ActMode.SATURATE)))
