"""Checkpoints between the stages of a search for bounds that takes hours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from golden.support.arrays import UNREADABLE, pack_arrays
from golden.support.files import write_bytes

History = list[dict[str, Any]]
_FACTS = "facts"


def save_stages(path: Path, scales: Mapping[str, Tensor], done: int, history: History, seconds: float) -> None:
    """Keep the learned ``scales`` (float32, by activation name) after ``done`` stages. Replaces the file at once."""
    facts = json.dumps({"done": done, "history": history, "seconds": seconds})
    arrays = {name: scale.detach().cpu().numpy() for name, scale in scales.items()}
    write_bytes(path, pack_arrays({**arrays, _FACTS: np.frombuffer(facts.encode(), np.uint8)}))


@torch.no_grad()
def load_stages(path: Path, scales: Mapping[str, Tensor]) -> tuple[int, History, float]:
    """Fill ``scales`` from a checkpoint; returns the stages done, their history and the seconds they took.

    A missing or damaged file means to start anew: (0, [], 0.0), ``scales`` as they were.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            facts = json.loads(arrays[_FACTS].tobytes())
            kept = {name: torch.from_numpy(arrays[name]).view(scale.shape) for name, scale in scales.items()}
            done, history, seconds = int(facts["done"]), list(facts["history"]), float(facts["seconds"])
    except (*UNREADABLE, RuntimeError):
        return 0, [], 0.0
    for name, scale in scales.items():
        scale.copy_(kept[name])
    return done, history, seconds
