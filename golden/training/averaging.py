"""Stochastic weight averaging: the mean of one run's checkpoints (Izmailov et al., UAI 2018, arXiv 1803.05407).

Made for runs whose schedule was stretched, so that the rate fell to its end several times: the ends lie around one
minimum, and their mean nearer to it. Batch statistics are averaged with the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from golden.errors import GoldenError, WeightsError
from golden.training.train import load_checkpoint, save_run


def average_checkpoints(paths: Sequence[Path], folder: Path) -> Path:
    """Write the mean of ``paths`` and its log to ``folder``, as a checkpoint that can be exported; returns its path.

    The log and the recipe are those of the longest run; ``averaged`` in the checkpoint lists the epochs. Raises
    GoldenError if there are fewer than two checkpoints or they are of different runs, WeightsError if one is missing
    or damaged.
    """
    found = []
    for path in paths:
        state = load_checkpoint(path)
        if state is None:
            raise WeightsError(f"no checkpoint at {path}")
        found.append((path, state))
    if len(found) < 2:
        raise GoldenError("an average needs two checkpoints or more")
    found.sort(key=lambda item: len(item[1]["log"]))
    states = [state for _, state in found]
    last = states[-1]
    for path, state in found:
        if state["recipe"]["model"] != last["recipe"]["model"] or last["log"][: len(state["log"])] != state["log"]:
            raise GoldenError(f"{path} and the others are not of one training run: their logs differ")
    mean = {
        name: torch.stack([state["model"][name] for state in states]).mean(0) if value.is_floating_point() else value
        for name, value in last["model"].items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    epochs = [len(state["log"]) for state in states]
    return save_run(folder, {"recipe": last["recipe"], "model": mean, "log": last["log"], "averaged": epochs})
