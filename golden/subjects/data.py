"""The user's images: an npz file, a folder of class folders, or what a Python function returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from golden.data.dataset import DataSet
from golden.errors import DataError
from golden.subjects.reading import Reading
from golden.subjects.source import call, is_callable
from golden.support.arrays import UNREADABLE

TEST_SHARE, MOST_TEST = 0.2, 1000
"""Of images without test images of their own: these are drawn and tested, the others calibrate and teach bounds."""

TRAINING, TESTING = ("train", "training"), ("test", "val", "validation")
"""Folders that split the images of a folder."""


@dataclass(frozen=True, eq=False)
class Data:
    """Images that calibrate and teach, and others that test. ``labelled``: the labels are the user's, else all 0."""

    training: DataSet
    test: DataSet
    labelled: bool
    source: str
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def read_data(text: str, reading: Reading | None = None) -> Data:
    """The images that ``text`` names: an npz file, a folder of class folders (in `train` and `test`, if it has these)
    or ``file.py:function``, which returns what an npz file would hold.

    Of an npz file: ``images``, ``labels`` (optional), ``test_images`` and ``test_labels`` (optional), ``class_names``,
    ``mean`` and ``std`` (optional). Raises DataError in one line.
    """
    reading, path = reading or Reading(), Path(text)
    if is_callable(text):
        return from_arrays(_mapping(call(text), text), text, reading)
    if path.is_dir():
        return _folder(path, reading)
    if path.suffix != ".npz":
        raise DataError(f"{text} is no data: name an .npz file, a folder of class folders or file.py:function")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except FileNotFoundError:
        raise DataError(f"{text} does not exist: name an .npz file, a folder or file.py:function") from None
    except UNREADABLE as error:
        raise DataError(f"{text} is no readable npz file ({' '.join(str(error).split())})") from error
    return from_arrays(arrays, text, reading)


def _mapping(value: Any, text: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, tuple) and len(value) == 2:
        return {"images": value[0], "labels": value[1]}
    if isinstance(value, np.ndarray):
        return {"images": value}
    raise DataError(f"{text} returns {type(value).__name__}: return (images, labels), images or a dictionary of arrays")


def from_arrays(arrays: Mapping[str, Any], source: str, reading: Reading | None = None) -> Data:
    """The same of arrays by name. Raises DataError."""
    reading = reading or Reading()
    if "images" not in arrays:
        found = ", ".join(map(str, arrays)) or "none"
        raise DataError(f"{source} has no array `images`, found {found}: name them images and labels")
    images = np.asarray(arrays["images"])
    mean = reading.mean or _numbers(arrays, "mean", source)
    std = reading.std or _numbers(arrays, "std", source)
    if images.ndim < 2 or not len(images):
        raise DataError(f"{source}: images must be (count, ...), at least one, found {images.shape}")
    labels = None if arrays.get("labels") is None else _labels(arrays["labels"], source)
    classes = tuple(map(str, np.atleast_1d(arrays["class_names"]).tolist())) if "class_names" in arrays else ()
    all_labels = np.zeros(len(images), np.int64) if labels is None else labels
    try:
        whole = DataSet(images, all_labels, mean, std)
        if arrays.get("test_images") is not None:
            test_images = np.asarray(arrays["test_images"])
            test_labels = np.zeros(len(test_images), np.int64)
            if labels is not None:
                if arrays.get("test_labels") is None:
                    raise DataError("test_images have no test_labels")
                test_labels = _labels(arrays["test_labels"], source)
            training, test = whole, DataSet(test_images, test_labels, mean, std)
            if test.taken != whole.taken or not len(test):
                raise DataError(f"test images are {len(test)} of {test.taken}, the others of {whole.taken}")
        else:
            training, test = _split(whole, reading.seed)
    except DataError as error:
        raise DataError(f"{source}: {error}") from None
    for part in (training, test):
        _check_finite(part, source)
        if classes and labels is not None and part.labels.max() >= len(classes):
            raise DataError(f"{source}: label {part.labels.max()} has no name among {len(classes)} class_names")
    return Data(training, test, labels is not None, source, classes)


def _split(whole: DataSet, seed: int) -> tuple[DataSet, DataSet]:
    if len(whole) < 2:
        raise DataError("one image is too few: at least one calibrates, and another one tests")
    order = np.random.default_rng(seed).permutation(len(whole))
    count = max(1, min(MOST_TEST, int(TEST_SHARE * len(whole))))
    return whole.at(order[count:]), whole.at(order[:count])


def _labels(value: Any, source: str) -> np.ndarray:
    labels = np.asarray(value)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or (labels.size and labels.min() < 0):
        one_hot = "; of one-hot labels: labels.argmax(1)" if labels.ndim == 2 else ""
        raise DataError(
            f"{source}: labels must be class numbers from 0 (count,), not {labels.dtype} {labels.shape}{one_hot}"
        )
    return labels.astype(np.int64)


def _numbers(arrays: Mapping[str, Any], key: str, source: str) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in np.atleast_1d(arrays.get(key, ())).ravel())
    except (TypeError, ValueError):
        raise DataError(f"{source}: {key} must be numbers, one a channel") from None


def _check_finite(data: DataSet, source: str) -> None:
    if data.images.dtype == np.uint8:
        return
    wrong = ~np.isfinite(data.images.reshape(len(data), -1)).all(axis=1)
    if wrong.any():
        raise DataError(f"{source}: image {int(wrong.argmax())} holds numbers that are NaN or infinite")


def _folder(path: Path, reading: Reading) -> Data:
    split = {kind.name: kind for kind in path.iterdir() if kind.is_dir()}
    train = next((split[name] for name in TRAINING if name in split), None)
    test = next((split[name] for name in TESTING if name in split), None)
    root = train if train is not None and test is not None else path
    classes = sorted(folder.name for folder in root.iterdir() if folder.is_dir())
    if not classes:
        raise DataError(f"{path} has no class folders: images of each class belong in a folder of its own")
    images, labels = _pictures(root, classes, reading)
    arrays: dict[str, Any] = {"images": images, "labels": labels, "class_names": classes}
    if root is train and test is not None:
        strange = sorted(folder.name for folder in test.iterdir() if folder.is_dir() and folder.name not in classes)
        if strange:
            raise DataError(f"{test} has class {strange[0]}, {train} has not")
        arrays["test_images"], arrays["test_labels"] = _pictures(test, classes, reading)
    return from_arrays(arrays, str(path), reading)


def _pictures(root: Path, classes: list[str], reading: Reading) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (count, rows, columns, channels) of as many channels as the preprocessing has values (3 by default)."""
    images: list[np.ndarray] = []
    labels: list[int] = []
    mode = "L" if len(reading.mean) == 1 else "RGB"
    for label, name in enumerate(classes):
        for file in sorted(part for part in (root / name).glob("*") if part.is_file() and part.name[0] != "."):
            try:
                with Image.open(file) as picture:
                    shown = picture.convert(mode)
                    if reading.size is not None:
                        shown = shown.resize(reading.size[::-1], Image.Resampling.BILINEAR)
                    pixels = np.asarray(shown, np.uint8)
            except (OSError, UnidentifiedImageError, ValueError) as error:
                raise DataError(f"{file} is no readable picture ({' '.join(str(error).split())})") from error
            if images and pixels.shape != images[0].shape:
                rows, columns = images[0].shape[:2]
                raise DataError(
                    f"{file} has {pixels.shape[0]}x{pixels.shape[1]} pixels, others {rows}x{columns}: resize all with "
                    f"--size {rows}x{columns}"
                )
            images.append(pixels)
            labels.append(label)
    if not images:
        raise DataError(f"{root} has no pictures in its class folders")
    return np.stack(images), np.array(labels, np.int64)
