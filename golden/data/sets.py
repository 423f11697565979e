"""The data sets that the networks of this project can be trained on, by name: commands check options here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from golden.errors import DataError
from golden.support.choices import unknown

if TYPE_CHECKING:
    from golden.data.cifar10 import Images

CIFAR10, CIFAR100 = "cifar10", "cifar100"
_CLASSES = {CIFAR10: 10, CIFAR100: 100}
SETS = tuple(_CLASSES)


def class_count(name: str) -> int:
    """Raises DataError for an unknown data set."""
    if name not in _CLASSES:
        raise DataError(unknown("data set", name, SETS))
    return _CLASSES[name]


def check_available(name: str, packs: str | None = None, root: Path | None = None, download: bool = False) -> None:
    """Whether :func:`load_set` will find something. ``packs``: of CIFAR-10 only. Raises DataError."""
    from golden.data import cifar10, cifar100

    class_count(name)
    if name == CIFAR10:
        cifar10.check_available(packs, root, download)
    elif packs is not None:
        raise DataError(f"{packs} holds packs of CIFAR-10, not of {cifar100.ARCHIVE.title}: leave out --cifar10")
    else:
        cifar100.check_available(root, download)


def load_set(
    name: str, train: bool, packs: str | None = None, root: Path | None = None, download: bool = False
) -> Images:
    """All training or test images of a data set."""
    from golden.data import cifar10, cifar100

    if name == CIFAR10:
        return cifar10.load_images(train, packs, root, download)
    return cifar100.load_images(train, root, download)
