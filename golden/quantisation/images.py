"""Images to what a network takes."""

from __future__ import annotations

import numpy as np

from golden.data.cifar10 import MEAN, STD
from golden.errors import GoldenError


def normalise_images(images: np.ndarray) -> np.ndarray:
    """uint8 (count, rows, columns, 3) to float64 (count, 3, rows, columns) as in training."""
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise GoldenError(f"expected uint8 images (count, rows, columns, 3), found {images.dtype} {images.shape}")
    return ((images / 255.0 - np.array(MEAN)) / np.array(STD)).transpose(0, 3, 1, 2)


def network_input(images: np.ndarray) -> np.ndarray:
    """Images as a network takes them, float64 (count, channels, rows, columns): floating-point images of that layout
    as they are, uint8 (count, rows, columns, 3) normalised as in training.

    Raises GoldenError for anything else, and for numbers that are not finite.
    """
    images = np.asarray(images)
    if images.ndim == 4 and np.issubdtype(images.dtype, np.floating):
        wrong = ~np.isfinite(images).all(axis=(1, 2, 3))
        if wrong.any():
            raise GoldenError(f"image {int(wrong.argmax())} holds numbers that are NaN or infinite")
        return images.astype(np.float64)
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise GoldenError(
            "expected float images (count, channels, rows, columns) as the network takes them or uint8 images "
            f"(count, rows, columns, 3), found {images.dtype} {images.shape}"
        )
    return normalise_images(images)
