"""The official archives of CIFAR-10 and CIFAR-100 (Krizhevsky 2009): photographs of 32x32 pixels, pickled."""

from __future__ import annotations

import hashlib
import pickle
import tarfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from golden.errors import DataError
from golden.support.files import replacing

SIDE = 32


@dataclass(frozen=True)
class Archive:
    """What is in an archive, and where. ``training`` and ``test``: its batches; ``labels``: key of the class numbers in
    a batch; ``meta``: the file of class names and their key; ``mean`` and ``std``: customary figures of the training
    images by channel, on the 0..1 scale."""

    title: str
    file: str
    md5: str
    folder: str
    training: tuple[str, ...]
    test: tuple[str, ...]
    labels: bytes
    meta: tuple[str, bytes]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def url(self) -> str:
        """Where the official one is."""
        return f"https://www.cs.toronto.edu/~kriz/{self.file}"

    def path(self, root: str | Path, download: bool = False) -> Path:
        """The archive in the folder ``root``, fetched if it is not there and ``download``. Raises DataError if it is
        missing, cannot be had or is damaged."""
        path = Path(root) / self.file
        if not download:
            self.check_present(root)
        elif not path.is_file():
            fetch(path, self.url, self.md5)
        if md5_of(path) != self.md5:
            raise DataError(f"{path} is damaged (md5 is not {self.md5}): delete it and download again")
        return path

    def check_present(self, root: str | Path) -> None:
        """Raise DataError if there is no archive in ``root``."""
        path = Path(root) / self.file
        if not path.is_file():
            raise DataError(f"{self.title} is not here: no {path}; see docs/howto/own-data.md")

    def read(self, path: Path, train: bool) -> tuple[np.ndarray, np.ndarray]:
        """Training or test images uint8 (count, 32, 32, 3) and their labels int64 (count,) of an archive whose md5 was
        checked, so that its pickles are the published ones. Raises DataError."""
        images, labels = [], []
        for name in self.training if train else self.test:
            batch = self._load(path, name)
            images.append(np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, SIDE, SIDE))
            labels.append(np.asarray(batch[self.labels], np.int64))
        return np.ascontiguousarray(np.concatenate(images).transpose(0, 2, 3, 1)), np.concatenate(labels)

    def classes(self, path: Path) -> tuple[str, ...]:
        """Names of the classes, in the order of the labels."""
        name, key = self.meta
        return tuple(text.decode() for text in self._load(path, name)[key])

    def _load(self, path: Path, name: str) -> dict[bytes, Any]:
        with tarfile.open(path, "r:gz") as tar:
            try:
                member = tar.extractfile(f"{self.folder}/{name}")
            except KeyError:
                member = None
            if member is None:
                raise DataError(f"{path} has no {name}")
            batch: dict[bytes, Any] = pickle.load(member, encoding="bytes")
        return batch


CIFAR10 = Archive(
    title="CIFAR-10",
    file="cifar-10-python.tar.gz",
    md5="c58f30108f718f92721af3b95e74349a",
    folder="cifar-10-batches-py",
    training=tuple(f"data_batch_{n}" for n in range(1, 6)),
    test=("test_batch",),
    labels=b"labels",
    meta=("batches.meta", b"label_names"),
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
)
CIFAR100 = Archive(
    title="CIFAR-100",
    file="cifar-100-python.tar.gz",
    md5="eb9058c3a382ffc7106e4002c42a8d85",
    folder="cifar-100-python",
    training=("train",),
    test=("test",),
    labels=b"fine_labels",
    meta=("meta", b"fine_label_names"),
    mean=(0.5071, 0.4865, 0.4409),
    std=(0.2673, 0.2564, 0.2762),
)


def fetch(path: Path, url: str, md5: str) -> None:
    """Fetch an archive; it appears under its name only when its checksum is right. Raises DataError."""
    try:
        with urllib.request.urlopen(url, timeout=30) as reply, replacing(path) as file:
            while block := reply.read(1 << 20):
                file.write(block)
            file.flush()
            if md5_of(Path(file.name)) != md5:
                raise DataError(f"{url} arrived damaged (md5 is not {md5}): try again")
    except (urllib.error.URLError, OSError) as error:
        raise DataError(f"cannot download {url}: {getattr(error, 'reason', error)}") from error


def md5_of(path: Path) -> str:
    """Of a file."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
