"""Whether program and golden model are of the same network: what is judged without RTL rests on both."""

from __future__ import annotations

import numpy as np

from fitact_hw.fsim.arithmetic import wrap
from fitact_hw.injection.case import EngineError
from fitact_hw.injection.functional.epilogues import Epilogues
from fitact_hw.injection.functional.run import Run

SOME_CHAINS, SOME_PIXELS = 2, 256
"""Of each layer, once a whole image has been checked."""


def check_image(run: Run, *, whole: bool) -> None:
    """Compare what the program's words give with the golden outputs of an image. Raises EngineError for a difference.

    ``whole``: every output word by its epilogue, and the sum over all weight tiles for one pixel of every channel tile,
    so with every weight; else a random part of that.
    """
    order, epilogues = run.order, run.epilogues
    rng = np.random.default_rng(0)
    counts = order.gemms.pixels[order.chains.last]
    chain_of = np.repeat(np.arange(len(counts)), counts)
    for tensor in np.unique(order.chains.layer):
        chains = np.flatnonzero(order.chains.layer == tensor)
        place = np.flatnonzero(order.chains.layer[chain_of] == tensor)
        if whole:
            chains = _of_each_channel_tile(epilogues, chains)
        else:
            chains = rng.choice(chains, min(SOME_CHAINS, len(chains)), replace=False)
            place = rng.choice(place, min(SOME_PIXELS, len(place)), replace=False)
        same = _same_words(epilogues, chain_of[place], place)
        for chain, pixel in zip(chains, rng.integers(counts[chains]), strict=True):
            formed = run.accumulation(int(chain)).whole(int(chain), int(pixel))
            same = same and _same_total(epilogues, int(chain), int(pixel), formed)
        if not same:
            name = order.tensors.placements[int(tensor)].name
            raise EngineError(f"program and golden model differ in layer {name}: they are of other networks or images")


def _same_words(epilogues: Epilogues, chain: np.ndarray, place: np.ndarray) -> bool:
    """Whether epilogues give the golden words ``place`` of one layer."""
    lanes = np.arange(epilogues.config.side)
    found = epilogues.finish(chain, place, lanes, epilogues.totals(chain, place, lanes))
    return np.array_equal(found.values, epilogues.contents.values[epilogues.order.stored[place]])


def _same_total(epilogues: Epilogues, chain: int, pixel: int, formed: np.ndarray) -> bool:
    """Whether the golden accumulators of a pixel are those ``formed`` from the program's words, int64 (1, side)."""
    place = epilogues.order.chains.out_first[[chain]] + pixel
    total = epilogues.totals(np.array([chain]), place, np.arange(epilogues.config.side))
    return np.array_equal(wrap(total, epilogues.config.acc_bits), formed)


def _of_each_channel_tile(epilogues: Epilogues, chains: np.ndarray) -> np.ndarray:
    """One output tile of each channel tile."""
    order = epilogues.order
    tensor = order.tensors.placements[int(order.chains.layer[chains[0]])]
    first = order.stored[order.chains.out_first[chains]] - order.tensors.first[order.chains.layer[chains[0]]]
    _, number = np.unique(first // (tensor.shape[1] * tensor.shape[2]), return_index=True)
    return np.asarray(chains[number])
