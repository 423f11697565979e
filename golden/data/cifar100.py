"""CIFAR-100 in torchvision's manner, from the official archive: 100 classes (the fine labels)."""

from __future__ import annotations

from pathlib import Path

from golden.data.archive import CIFAR100
from golden.data.cifar10 import Images
from golden.support.folders import build_root

ARCHIVE = CIFAR100


class Cifar100(Images):
    """CIFAR-100 from the official archive in the folder ``root``, with its class names.

    ``train`` selects the 50 000 training or the 10 000 test images; ``download`` fetches the archive if it is not
    there. Raises DataError when the archive is missing, damaged or cannot be downloaded.
    """

    classes: tuple[str, ...]

    def __init__(self, root: str | Path, train: bool = True, download: bool = False) -> None:
        path = ARCHIVE.path(root, download)
        super().__init__(*ARCHIVE.read(path, train), ARCHIVE.mean, ARCHIVE.std)
        object.__setattr__(self, "classes", ARCHIVE.classes(path))


def check_available(root: Path | None = None, download: bool = False) -> None:
    """Whether :func:`load_images` will find something, without reading it. Raises DataError."""
    if not download:
        ARCHIVE.check_present(root or build_root() / "data")


def load_images(train: bool, root: Path | None = None, download: bool = False) -> Cifar100:
    """The full training or test set from the archive in ``root``; None: `data` in the build root."""
    return Cifar100(root or build_root() / "data", train, download)
