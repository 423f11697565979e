"""Images of any shape with their labels, and how they become what a network takes."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from golden.errors import DataError

if TYPE_CHECKING:  # heavy: commands ask here what images there are before they load anything
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class DataSet:
    """``images``: floating point (count, ...) as the network takes them, or uint8 (count, rows, columns, channels) or
    (count, rows, columns), of which ``mean`` is subtracted and which are divided by ``std`` on the 0..1 scale, one
    value a channel. ``labels``: int64 (count,)."""

    images: np.ndarray
    labels: np.ndarray
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if len(images) != len(labels) or labels.ndim != 1:
            raise DataError(f"{len(images)} images have {len(labels)} labels: there must be one for each")
        if images.dtype == np.uint8:
            if images.ndim not in (3, 4):
                raise DataError(f"uint8 images must be (count, rows, columns[, channels]), found {images.shape}")
            if images.ndim == 4 and images.shape[1] in _CHANNELS and images.shape[3] not in _CHANNELS:
                raise DataError(
                    f"uint8 images must be (count, rows, columns, channels), found {images.shape}: put channels last, "
                    "images.transpose(0, 2, 3, 1)"
                )
            check_preprocessing(self.mean, self.std, images)
        elif not np.issubdtype(images.dtype, np.floating) or not 2 <= images.ndim <= 4:
            raise DataError(
                "images must be uint8 (pixels from 0 to 255), or floating point as the network takes them, (count, "
                f"...) of 2 to 4 axes, found {images.dtype} {images.shape}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.images[index], int(self.labels[index])

    @property
    def taken(self) -> tuple[int, ...]:
        """Shape of one image as the network takes it."""
        if self.images.dtype != np.uint8:
            return tuple(self.images.shape[1:])
        rows, columns, *channels = self.images.shape[1:]
        return (channels[0] if channels else 1, rows, columns)

    @property
    def digest(self) -> str:
        """SHA-256 of pixels and labels, 16 digits."""
        return hashlib.sha256(self.images.tobytes() + self.labels.tobytes()).hexdigest()[:16]

    def at(self, chosen: Any) -> Self:
        """The images of a slice or of an array of numbers."""
        other = copy.copy(self)
        object.__setattr__(other, "images", self.images[chosen])
        object.__setattr__(other, "labels", self.labels[chosen])
        return other

    def part(self, start: int, stop: int | None = None) -> Self:
        """The images ``start`` to ``stop`` (exclusive)."""
        return self.at(slice(start, stop))

    def tensor(self) -> Tensor:
        """float32 (count, *taken)."""
        if self.images.dtype == np.uint8:
            return standardised_tensor(_with_channels(self.images), self.mean, self.std)
        import torch

        return torch.from_numpy(np.ascontiguousarray(self.images, np.float32))

    def network_input(self) -> np.ndarray:
        """float64 (count, *taken)."""
        if self.images.dtype == np.uint8:
            return standardised(_with_channels(self.images), self.mean, self.std)
        return self.images.astype(np.float64)


_CHANNELS = (1, 3, 4)
"""What pictures usually have."""


def check_preprocessing(mean: tuple[float, ...], std: tuple[float, ...], images: np.ndarray) -> None:
    """Raise DataError unless there is a mean and a positive deviation for each channel of uint8 ``images``."""
    channels = images.shape[3] if images.ndim == 4 else 1
    if len(mean) != channels or len(std) != channels:
        seen = images[:_SEEN].reshape(-1, channels) / 255
        here = f"--mean {_listed(seen.mean(0))} --std {_listed(seen.std(0))}" if seen.size else "none"
        raise DataError(
            f"uint8 images of {channels} channel{'s' * (channels > 1)} need as many values of mean and std on the 0..1 "
            f"scale, as in training, found {len(mean)} and {len(std)}: give --mean and --std, or mean and std in the "
            f"file (these images have {here})"
        )
    if not np.isfinite([*mean, *std]).all() or min(std) <= 0:
        raise DataError(f"mean {mean} must be finite and std {std} positive")


_SEEN = 1000


def _listed(values: np.ndarray) -> str:
    return ",".join(f"{value:.4g}" for value in values)


def standardised(images: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """uint8 (count, rows, columns, channels) to float64 (count, channels, rows, columns)."""
    return np.asarray((images / 255.0 - np.array(mean)) / np.array(std)).transpose(0, 3, 1, 2)


def standardised_tensor(images: object, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """The same in float32, as networks are trained."""
    return standardise(to_tensor(images), mean, std)


def to_tensor(images: object) -> Tensor:
    """uint8 images (count, rows, columns, channels) as a uint8 tensor (count, channels, rows, columns)."""
    import torch

    return torch.as_tensor(images).permute(0, 3, 1, 2).contiguous()


def standardise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """uint8 (count, channels, rows, columns) to float32."""
    import torch

    shape = (1, len(mean), 1, 1)
    centre = torch.tensor(mean, device=images.device).view(shape)
    deviation = torch.tensor(std, device=images.device).view(shape)
    return (images.float() / 255 - centre) / deviation


def _with_channels(images: np.ndarray) -> np.ndarray:
    return images if images.ndim == 4 else images[..., None]
