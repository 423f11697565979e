"""Networks and images of an experiment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitact_hw.config import AcceleratorConfig
from golden.bounds.schemes import SCHEMES as REGISTERED
from golden.qnetwork import QNetwork

SCHEMES = tuple(REGISTERED)
"""Protection schemes that are compared, in the order of every table."""


def load_networks(model: str, config: AcceleratorConfig, schemes: tuple[str, ...] = SCHEMES) -> dict[str, QNetwork]:
    """The quantised network of each scheme, from committed weights and bounds.

    Bounds per neuron become what the machine's bound buffer can hold: the maxima of each channel or patch, codes.

    Raises golden.errors.GoldenError for an unknown model or scheme, or a damaged weight file.
    """
    from golden.bounds.stored import fitted
    from golden.networks.zoo import load_qnetwork

    networks = {scheme: load_qnetwork(model, scheme, config.word_bits) for scheme in schemes}
    if not config.bounds.buffered:
        return networks
    return {scheme: fitted(network, config.bounds, config.bound_format) for scheme, network in networks.items()}


def load_images(count: int) -> tuple[np.ndarray, np.ndarray, str]:
    """``count`` test images: uint8 (count, 32, 32, 3), labels int64 (count,), and where they come from.

    Up to 20 come from the data files of the foolbox package; more need CIFAR-10 (docs/howto/own-data.md). Raises
    DataError if there are not so many.
    """
    from golden.data import cifar10 as data

    data.check_count(count)
    chosen = data.sample_images()
    source = "the first 20 CIFAR-10 test images, as shipped in the foolbox package"
    if count > len(chosen):
        original = data.load_lossless(train=False)
        if original is not None and count <= len(original):
            chosen, source = original, "CIFAR-10 test images, original pixels"
        else:
            chosen, source = data.load_images(train=False), "CIFAR-10 test set"
    return chosen.images[:count], chosen.labels[:count].astype(np.int64), source


def images_at_hand(most: int) -> int:
    """How many test images, up to ``most``, :func:`load_images` has without a download.

    Raises golden.errors.GoldenError for data that is named and damaged.
    """
    from golden.errors import DataError

    try:
        return len(load_images(most)[0])
    except DataError:
        from golden.data import cifar10 as data

        if data.find_packs():
            raise
        return min(most, len(data.sample_images()))


@dataclass(frozen=True)
class ModelSummary:
    """A known network. ``date`` of its stored weights and ``top1`` (%, 10 000 test images): None if there are none."""

    name: str
    parameters: int
    date: str | None
    top1: float | None

    @property
    def line(self) -> str:
        """What the command line says of it."""
        state = f"no committed weights yet: make train MODEL={self.name}"
        if self.date:
            top1 = f", {self.top1} % on the 10 000 test images (JPEG)" if self.top1 else ""
            state = f"weights of {self.date}{top1}"
        return f"{self.name:9s} {self.parameters / 1e6:6.2f} M parameters, {state}"


def model_summary() -> list[ModelSummary]:
    """Every known network."""
    from golden.networks.artefacts import WEIGHTS_FOLDER, read_manifest
    from golden.networks.models import MODELS, build_model

    found = []
    manifest = read_manifest(WEIGHTS_FOLDER)
    for name in MODELS:
        parameters = sum(parameter.numel() for parameter in build_model(name).parameters())
        entry = manifest.get(f"{name}.npz")
        top1 = (entry or {}).get("accuracy_percent", {}).get("test_jpeg")
        found.append(ModelSummary(name, parameters, entry["date"] if entry else None, top1))
    return found
