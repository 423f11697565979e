"""CIFAR-10 in torchvision's manner, from the official archive or from the project's packs.

Images are uint8 arrays (count, 32, 32, 3) in RGB, labels int64 (count,). Three sources:

* the official ``cifar-10-python.tar.gz`` (Krizhevsky 2009) in a root folder, downloaded on request;
* two packs, ``cifar10_jpeg.npz`` (every image, re-encoded as JPEG) and ``cifar10_lossless_part.npz``
  (original pixels of a part), named by path or by the environment variable ``FITACT_CIFAR10``;
* the sample photographs inside the PyPI package foolbox, which need neither (:func:`sample_images`).
"""

from __future__ import annotations

import importlib.util
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from golden.data.archive import CIFAR10, SIDE
from golden.data.dataset import DataSet
from golden.errors import DataError
from golden.support.folders import build_root

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ARCHIVE = CIFAR10
JPEG_PACK = "cifar10_jpeg.npz"
LOSSLESS_PACK = "cifar10_lossless_part.npz"
ENVIRONMENT = "FITACT_CIFAR10"

SAMPLES, TEST_IMAGES = 20, 10_000
"""Images of :func:`sample_images` and of the test set."""

MEAN, STD = CIFAR10.mean, CIFAR10.std


@dataclass(frozen=True, eq=False)
class Images(DataSet):
    """Images uint8 (count, 32, 32, 3) and their labels int64 (count,), by default with the statistics of CIFAR-10."""

    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD

    def __post_init__(self) -> None:
        if self.images.shape != (len(self.labels), SIDE, SIDE, 3) or self.images.dtype != np.uint8:
            raise DataError(
                f"expected uint8 images ({len(self.labels)}, 32, 32, 3), found {self.images.dtype} {self.images.shape}"
            )


class Cifar10(Images):
    """CIFAR-10 from the official archive, as torchvision's class of that name reads it.

    ``root`` is the folder of the archive; ``train`` selects the 50 000 training or the 10 000 test
    images; ``download`` fetches the archive if it is not there. Raises DataError when the archive is
    missing, damaged or cannot be downloaded.
    """

    def __init__(self, root: str | Path, train: bool = True, download: bool = False) -> None:
        path = Path(root) / ARCHIVE.file
        if not download and not path.is_file():
            raise DataError(_absent(path))
        super().__init__(*ARCHIVE.read(ARCHIVE.path(root, download), train))


def read_jpeg_pack(path: str | Path, train: bool) -> Images:
    """The training or test images of the JPEG pack, decoded (about 8 s for 50 000)."""
    arrays = _load_pack(path, ("header", "body", "length", "label", "n_train"))
    header, body = arrays["header"].tobytes(), arrays["body"]
    ends = np.cumsum(arrays["length"], dtype=np.int64)
    starts = np.concatenate([[0], ends[:-1]])
    n_train = int(arrays["n_train"])
    chosen = slice(0, n_train) if train else slice(n_train, None)
    starts, ends = starts[chosen], ends[chosen]
    images = np.empty((len(ends), SIDE, SIDE, 3), np.uint8)
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        try:
            jpeg = Image.open(io.BytesIO(header + body[start:end].tobytes()), formats=("JPEG",))
            images[i] = np.asarray(jpeg)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: image {i} is damaged ({error})") from error
    return Images(images, arrays["label"][chosen].astype(np.int64))


def read_lossless_pack(path: str | Path, train: bool) -> Images:
    """The training or test images of the pack of original pixels (a part of CIFAR-10)."""
    kind = "train" if train else "test"
    arrays = _load_pack(path, (f"x_{kind}", f"y_{kind}"))
    return Images(arrays[f"x_{kind}"], arrays[f"y_{kind}"].astype(np.int64))


def find_packs(source: str | None = None) -> dict[str, Path]:
    """The packs named by ``source`` (default: ``FITACT_CIFAR10``), by their file name.

    ``source`` is a pack, several joined with ``os.pathsep``, or a folder that holds them. An empty
    dictionary means that none was named; a named one that does not exist raises DataError.
    """
    source = os.environ.get(ENVIRONMENT, "") if source is None else source
    packs: dict[str, Path] = {}
    for part in filter(None, source.split(os.pathsep)):
        path = Path(part)
        files = [path / JPEG_PACK, path / LOSSLESS_PACK] if path.is_dir() else [path]
        found = [file for file in files if file.is_file()]
        if not found:
            raise DataError(f"no CIFAR-10 pack at {path} (from option or {ENVIRONMENT})")
        for file in found:
            if file.name not in (JPEG_PACK, LOSSLESS_PACK):
                raise DataError(f"{file} is not a CIFAR-10 pack ({JPEG_PACK} or {LOSSLESS_PACK})")
            packs[file.name] = file
    return packs


def check_available(source: str | None = None, root: Path | None = None, download: bool = False) -> None:
    """Whether :func:`load_images` will find something, without reading it. Raises DataError."""
    archive = (root or build_root() / "data") / ARCHIVE.file
    if JPEG_PACK not in find_packs(source) and not download and not archive.is_file():
        raise DataError(_absent(archive))


def _absent(archive: Path) -> str:
    return f"CIFAR-10 is not here: {ENVIRONMENT} names no pack of it, no {archive}; see docs/howto/own-data.md"


def check_count(count: int) -> None:
    """Whether so many test images can be had here, without reading them. Raises DataError."""
    if count > TEST_IMAGES:
        raise DataError(f"{count} images: CIFAR-10 has {TEST_IMAGES} test images")
    if count <= SAMPLES:
        return
    packs = find_packs()
    lossless = packs.get(LOSSLESS_PACK)
    if lossless is None or len(_load_pack(lossless, ("y_test",))["y_test"]) < count:
        try:
            check_available()
        except DataError as error:
            raise DataError(f"{count} images: {SAMPLES} come with the program, more need CIFAR-10; {error}") from None


def load_images(train: bool, source: str | None = None, root: Path | None = None, download: bool = False) -> Images:
    """The full training or test set: from the JPEG pack if one is named, else the official archive in ``root``.

    ``root`` None: `data` in the build root.
    """
    packs = find_packs(source)
    if JPEG_PACK in packs:
        return read_jpeg_pack(packs[JPEG_PACK], train)
    return Cifar10(root or build_root() / "data", train, download)


def load_lossless(train: bool, source: str | None = None) -> Images | None:
    """The images of the pack of original pixels, or None if no such pack is named."""
    packs = find_packs(source)
    return read_lossless_pack(packs[LOSSLESS_PACK], train) if LOSSLESS_PACK in packs else None


def sample_images() -> Images:
    """The 20 CIFAR-10 photographs of the PyPI package foolbox: the first 20 official test images.

    Only its data files are read. The package is located, never imported, since importing it would
    need its dependencies. File names are ``cifar10_<index>_<label>.png``.
    """
    spec = importlib.util.find_spec("foolbox")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("the 20 sample images are missing: pip install --no-deps foolbox==3.3.4 (2 MB)")
    folder = Path(next(iter(spec.submodule_search_locations))) / "data"
    files = sorted(folder.glob("cifar10_*_*.png"))
    if len(files) != SAMPLES:
        raise DataError(f"expected {SAMPLES} sample images in {folder}, found {len(files)}")
    images = np.stack([np.asarray(Image.open(file).convert("RGB"), dtype=np.uint8) for file in files])
    labels = np.array([int(file.stem.split("_")[2]) for file in files], dtype=np.int64)
    return Images(images, labels)


def _load_pack(path: str | Path, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        with np.load(path) as pack:
            return {key: pack[key] for key in keys}
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path} is not a readable CIFAR-10 pack ({error})") from error
    except Exception as error:  # zipfile.BadZipFile and zlib.error share no base class with the above
        raise DataError(f"{path} is damaged ({error})") from error
