"""The networks of this project as subjects: their files lie together in `golden/weights`."""

from __future__ import annotations

from pathlib import Path

from golden.data.cifar10 import (
    CLASSES,
    SAMPLES,
    check_count,
    find_packs,
    load_images,
    load_lossless,
    sample_images,
)
from golden.errors import DataError
from golden.frontend.network import GraphNetwork
from golden.networks.artefacts import WEIGHTS_FOLDER
from golden.networks.registry import check_model, stored_schemes
from golden.networks.zoo import Bounds, load_bounds, load_network, load_points
from golden.qnetwork import ACC_BITS
from golden.quantisation.quantise import BinaryPoints
from golden.subjects.subject import Samples, Subject


class ShippedSubject(Subject):
    """A network by its name; ``folder`` holds its weights, binary points and bounds. Raises GoldenError for an unknown
    one."""

    def __init__(self, name: str, folder: Path = WEIGHTS_FOLDER) -> None:
        check_model(name)
        self.uri = self.name = name
        self.folder, self.classes = folder, CLASSES

    @property
    def schemes(self) -> tuple[str, ...]:
        return stored_schemes(self.name, self.folder)

    @property
    def words(self) -> tuple[int, ...]:
        return tuple(ACC_BITS)

    def float_network(self) -> GraphNetwork:
        return load_network(self.name, folder=self.folder)

    def bounds(self, scheme: str) -> Bounds:
        return load_bounds(self.name, scheme, self.folder)

    def points(self, word_bits: int) -> BinaryPoints:
        return load_points(self.name, word_bits, self.folder)

    @property
    def pictures(self) -> str:
        return "CIFAR-10 test images"

    def study_samples(self, count: int) -> Samples:
        """Those of CIFAR-10, or the samples of the foolbox package if there is no data set."""
        try:
            images = load_images(False)
        except DataError as error:
            if find_packs():
                raise
            images = sample_images()
            note = f"{error}; the {len(images)} sample images are used instead, too few for accuracies"
            return Samples(images.part(0, count), "sample images (first official test images)", note=note)
        if count > len(images):
            raise DataError(f"{count} images asked for, the test set has {len(images)}")
        return Samples(images.part(0, count), "CIFAR-10 test set")

    def at_hand(self, most: int) -> int:
        try:
            return super().at_hand(most)
        except DataError:
            if find_packs():
                raise
            return min(most, SAMPLES)

    def samples(self, count: int | None = None) -> Samples:
        """Up to 20 come from the data files of the foolbox package; more need CIFAR-10 (docs/howto/own-data.md)."""
        chosen = sample_images()
        source = "the first 20 CIFAR-10 test images, as shipped in the foolbox package"
        count = len(chosen) if count is None else count
        check_count(count)
        if count > len(chosen):
            original = load_lossless(train=False)
            if original is not None and count <= len(original):
                chosen, source = original, "CIFAR-10 test images, original pixels"
            else:
                chosen, source = load_images(train=False), "CIFAR-10 test set"
        return Samples(chosen.part(0, count), source)
