"""Images to what a network takes."""

from __future__ import annotations

import numpy as np

from golden.data.cifar10 import MEAN, STD
from golden.data.dataset import standardised
from golden.errors import GoldenError
from golden.frontend.graph import image_shape
from golden.frontend.network import GraphNetwork


def normalise_images(images: np.ndarray) -> np.ndarray:
    """uint8 (count, rows, columns, 3) to float64 (count, 3, rows, columns) as in training."""
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise GoldenError(f"expected uint8 images (count, rows, columns, 3), found {images.dtype} {images.shape}")
    return standardised(images, MEAN, STD)


def taken_shape(images: np.ndarray) -> tuple[int, ...]:
    """Of one of these images, as a network takes it. Raises GoldenError as :func:`network_input`."""
    shape = network_input(images[:0]).shape[1:] if np.asarray(images).dtype == np.uint8 else np.shape(images)[1:]
    return tuple(int(size) for size in shape)


def check_images(network: GraphNetwork, pixels: np.ndarray) -> None:
    """Raise GoldenError unless ``pixels`` (count, channels, rows, columns) are of the size that ``network`` is for."""
    if pixels.shape[1:] != network.graph.input_shape:
        size, wanted = ("x".join(map(str, shape)) for shape in (pixels.shape[1:], network.graph.input_shape))
        raise GoldenError(f"{network.graph.name} takes images of {wanted}, not {size}")


def network_input(images: np.ndarray) -> np.ndarray:
    """Images as a network takes them, float64 (count, channels, rows, columns): floating-point images of that layout
    (or vectors or sequences, :func:`golden.frontend.graph.image_shape`) as they are, uint8 (count, rows, columns, 3)
    normalised as in training.

    Raises GoldenError for anything else, and for numbers that are not finite.
    """
    images = np.asarray(images)
    if 2 <= images.ndim <= 4 and np.issubdtype(images.dtype, np.floating):
        pixels = images.astype(np.float64).reshape(len(images), *image_shape(images.shape[1:]))
        wrong = ~np.isfinite(pixels).all(axis=(1, 2, 3))
        if wrong.any():
            raise GoldenError(f"image {int(wrong.argmax())} holds numbers that are NaN or infinite")
        return pixels
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise GoldenError(
            "expected float images (count, channels, rows, columns) as the network takes them or uint8 images "
            f"(count, rows, columns, 3), found {images.dtype} {images.shape}"
        )
    return normalise_images(images)
