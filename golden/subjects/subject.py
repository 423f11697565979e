"""What a subject gives, wherever its files are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from golden.bounds.schemes import SCHEMES, UNPROTECTED, Scheme, find_scheme
from golden.data.dataset import DataSet
from golden.errors import WeightsError
from golden.frontend.activations import apply_bounds
from golden.frontend.network import GraphNetwork
from golden.networks.zoo import Bounds
from golden.qnetwork import QNetwork
from golden.quantisation.quantise import BinaryPoints, quantise


@dataclass(frozen=True)
class Samples:
    """Images and where they come from. ``labelled``: their labels are the user's; else they are the classes that the
    float network gives, so that what is counted as right is agreement with it. ``note``: what the user should know."""

    data: DataSet
    source: str
    labelled: bool = True
    note: str = ""


class Subject(ABC):
    """A network with its images, binary points and bounds. ``uri``: what :func:`golden.subjects.find.open_subject`
    takes, on any worker. ``name``: for titles."""

    uri: str
    name: str
    classes: tuple[str, ...]
    """Names of the classes, in the order of the labels; there may be none."""

    @property
    @abstractmethod
    def schemes(self) -> tuple[str, ...]:
        """Schemes that can run: those without bounds, and those whose bounds are stored."""

    @property
    @abstractmethod
    def words(self) -> tuple[int, ...]:
        """Word widths that it can run with."""

    @abstractmethod
    def float_network(self) -> GraphNetwork:
        """The network as it was trained, in evaluation mode: a fresh copy. Raises WeightsError if damaged."""

    @abstractmethod
    def bounds(self, scheme: str) -> Bounds:
        """The bounds of a scheme. Raises WeightsError if there are none, or damaged ones."""

    @abstractmethod
    def points(self, word_bits: int) -> BinaryPoints:
        """Binary points of a word width. Raises GoldenError where the network cannot run with it."""

    @abstractmethod
    def samples(self, count: int | None = None) -> Samples:
        """The first test images; all that are stored by default, fewer than ``count`` if there are not so many."""

    @property
    def pictures(self) -> str:
        """What pages call its test images."""
        return f"test images of {self.name}"

    def study_samples(self, count: int) -> Samples:
        """The first test images for a study of accuracy, which takes those of one source, however many."""
        return self.samples(count)

    def at_hand(self, most: int) -> int:
        """How many test images, up to ``most``, there are without a download. Raises DataError for damaged ones."""
        return len(self.samples(most).data)

    def declared(self, scheme: str) -> Scheme:
        """A scheme by name, also one that is declared with its bounds. Raises WeightsError where a scheme of the user's
        is not, or was declared otherwise since."""
        if scheme not in SCHEMES and scheme not in self.schemes:
            raise WeightsError(f"{self.name} has no bounds of {scheme} as it is declared")
        return find_scheme(scheme)

    def network(self, scheme: str = UNPROTECTED.name) -> GraphNetwork:
        """The float network with the bounded activations of ``scheme``."""
        network, mode = self.float_network(), self.declared(scheme).mode
        if mode is not None:
            apply_bounds(network, self.bounds(scheme), mode)
        return network

    def qnetwork(self, scheme: str, word_bits: int) -> QNetwork:
        """The quantised network of a scheme at 8, 16 or 32 bits (Q15.16), the same on every machine."""
        points = self.points(word_bits)
        return quantise(self.network(scheme), points, self.name, scheme)

    def class_name(self, label: int) -> str:
        """Of a class by its number; ``class 3`` if it has no name."""
        return self.classes[label] if 0 <= label < len(self.classes) else f"class {label}"
