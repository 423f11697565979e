"""From a trained checkpoint to the committed files (weights, binary points), and the accuracy of every scheme."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from golden.bounds.schemes import UNPROTECTED, find_scheme
from golden.data.cifar10 import Images
from golden.data.sets import CIFAR10
from golden.errors import GoldenError, WeightsError
from golden.exact.evaluator import FAULT_FREE, Evaluator
from golden.networks.artefacts import WEIGHTS_FOLDER, update_facts
from golden.networks.evaluate import accuracy
from golden.networks.registry import stored_schemes
from golden.networks.zoo import load_bounds, load_model, load_network, load_qnetwork, save_points, save_weights
from golden.quantisation.quantise import calibrate, quantise_images, word_name
from golden.search.profile import statistics, subset
from golden.support.files import write_text
from golden.support.processes import apart_from_main
from golden.support.progress import track
from golden.support.threads import use_threads
from golden.training.train import LOG, load_checkpoint, load_trained

ACCURACY = "accuracy.json"
WORDS = (8, 16, 32)
CALIBRATION_IMAGES = 500


def export(
    model: str,
    checkpoint: Path,
    training: Images,
    folder: Path = WEIGHTS_FOLDER,
    origin: Callable[[], Mapping[str, Any]] = dict,
) -> None:
    """Store the weights of a finished training run, its log, and the calibrated binary points.

    ``origin`` gives the record of where they come from, kept in the manifest as ``provenance``.
    """
    state = load_checkpoint(checkpoint)
    if state is None or state["recipe"]["model"] != model:
        raise WeightsError(f"{checkpoint} is no checkpoint of {model}")
    recipe = state["recipe"]
    if recipe.get("dataset", CIFAR10) != CIFAR10:
        raise WeightsError(
            f"{checkpoint} was trained on {recipe['dataset']}: the stored networks are those of CIFAR-10"
        )
    if len(state["log"]) < recipe["epochs"]:
        raise GoldenError(f"training of {model} stands at epoch {len(state['log'])} of {recipe['epochs']}")
    facts = {"recipe": recipe, "seed": recipe["seed"], "schedule": schedule(state["log"])}
    if "averaged" in state:
        facts["weights"] = f"mean of the checkpoints after epochs {', '.join(map(str, state['averaged']))}"
    save_weights(model, load_trained(checkpoint), facts, folder)
    write_text(folder / f"{model}_{LOG}", (checkpoint.parent / LOG).read_text())
    stored = load_network(model, folder=folder)  # calibrated as committed, rounding to float16 included
    images = subset(training.part(0, len(training) - recipe["validation"]), CALIBRATION_IMAGES, recipe["seed"])
    points = {word: calibrate(stored, images.images, word) for word in WORDS}
    calibration = {"images": CALIBRATION_IMAGES, "seed": recipe["seed"], "of": "training set"}
    save_points(model, points, calibration, folder)
    update_facts(f"{model}.npz", {"provenance": dict(origin())}, folder)


def schedule(log: list[dict[str, Any]]) -> str:
    """Which epochs followed a schedule of how many: more than one if a run was shortened or stretched."""
    runs: list[list[int]] = []
    for row in log:
        if not runs or runs[-1][2] != row["of"]:
            runs.append([row["epoch"], row["epoch"], row["of"]])
        runs[-1][1] = row["epoch"]
    return ", ".join(f"epochs {first}-{last} of {total}" for first, last, total in runs)


def measure(
    model: str,
    test_sets: Mapping[str, Images],
    folder: Path = WEIGHTS_FOLDER,
    origin: Callable[[], Mapping[str, Any]] = dict,
    processes: int | None = None,
    exact_images: int | None = None,
    schemes: Sequence[str] = (),
) -> dict[str, Any]:
    """Accuracy of every scheme with stored bounds in float and at every word width, with the files as committed.

    Returns and writes (to ``accuracy.json``) by test set, scheme and number format; also the share of
    fault-free test activations above their bound. Several single-threaded processes do the work. ``origin`` gives
    the record of where the figures come from; ``provenance`` lists those of all runs that they are of.
    ``exact_images``: words are tried on the first that many images only (integers are slower than floats).
    ``schemes``: measure only these again; the others' figures are kept if they are of as many images. Raises
    GoldenError if there are no such figures.
    """
    formats, chosen = ["float", *(str(word) for word in WORDS)], list(schemes) or stored_schemes(model, folder)
    jobs = [
        (model, str(folder), kind, scheme, form, exact_images)
        for form in formats
        for kind in test_sets
        for scheme in chosen
    ]
    result: dict[str, Any] = {
        "images": {kind: len(data) for kind, data in test_sets.items()},
        "images_of_word_formats": {kind: min(len(data), exact_images or len(data)) for kind, data in test_sets.items()},
    }
    if schemes:
        result = _known_figures(model, result, folder)
    before = result.get("provenance", [])

    def store() -> None:
        result["provenance"] = [*before, dict(origin())]
        _store(model, result, folder)

    context = get_context("spawn")
    arrays = {kind: (data.images, data.labels) for kind, data in test_sets.items()}
    with ProcessPoolExecutor(processes or os.cpu_count(), context, _prepare, (arrays,)) as pool:
        with apart_from_main():
            done = pool.map(_measure_one, jobs)
        for job, value in zip(jobs, track(done, "accuracy", len(jobs)), strict=True):
            _, _, kind, scheme, form, _ = job
            name = "float32" if form == "float" else word_name(int(form))
            result.setdefault(kind, {}).setdefault(scheme, {})[name] = round(100 * value, 2)
            store()  # it takes minutes: what is known is kept
    first = next(iter(test_sets.values()))
    network = load_network(model, folder=folder)
    shares = result.setdefault("share_of_activations_above_bound", {})
    bounded = [scheme for scheme in chosen if find_scheme(scheme).mode is not None]
    for scheme in track(bounded, "activations above bounds", len(bounded)):
        shares[scheme] = _share_above(network, model, scheme, first, folder)
        store()
    facts = {kind: result[kind][UNPROTECTED.name]["float32"] for kind in test_sets}
    update_facts(f"{model}.npz", {"accuracy_percent": facts}, folder)
    return result


def _known_figures(model: str, wanted: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The figures in ``accuracy.json``. Raises GoldenError if they are not of as many images as ``wanted``."""
    known: dict[str, Any] = _read(folder).get(model, {})
    if any(known.get(name) != wanted[name] for name in ("images", "images_of_word_formats")):
        raise GoldenError(f"{folder / ACCURACY} has no figures of {model} with as many images: measure all schemes")
    return known


def _share_above(network: torch.nn.Module, model: str, scheme: str, data: Images, folder: Path) -> float:
    return statistics(network, load_bounds(model, scheme, folder), data).above


def _store(model: str, result: dict[str, Any], folder: Path) -> None:
    write_text(folder / ACCURACY, json.dumps({**_read(folder), model: result}, indent=1) + "\n")


def _read(folder: Path) -> dict[str, Any]:
    """What is known about every model; nothing if the file is missing or damaged."""
    try:
        known: dict[str, Any] = json.loads((folder / ACCURACY).read_text())
    except (OSError, ValueError):
        return {}
    return known


_test_sets: dict[str, Images] = {}
"""Of a worker process."""


def _prepare(arrays: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    use_threads(1)
    _test_sets.update({kind: Images(*pair) for kind, pair in arrays.items()})


def _measure_one(job: tuple[str, str, str, str, str, int | None]) -> float:
    model, folder, kind, scheme, form, exact_images = job
    data = _test_sets[kind]
    if form == "float":
        return accuracy(load_model(model, scheme, Path(folder)), data)
    qnet = load_qnetwork(model, scheme, int(form), Path(folder))
    part = data.part(0, exact_images or len(data))
    [hits] = Evaluator(qnet).correct(quantise_images(qnet, part.images), part.labels, [FAULT_FREE])
    return float(hits) / len(part)
