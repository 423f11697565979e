"""Networks and images of an experiment."""

from __future__ import annotations

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
    from golden.bounds.stored import Format, Granularity, fitted
    from golden.networks.zoo import load_qnetwork

    networks = {scheme: load_qnetwork(model, scheme, config.word_bits) for scheme in schemes}
    if not config.bounds.buffered:
        return networks
    form = Granularity(config.bounds.value), Format(config.bound_format.value)
    return {scheme: fitted(network, *form) for scheme, network in networks.items()}


def load_images(count: int) -> tuple[np.ndarray, np.ndarray, str]:
    """``count`` test images: uint8 (count, 32, 32, 3), labels int64 (count,), and where they come from.

    Up to 20 come from the data files of the foolbox package; more need CIFAR-10 (see README).
    """
    from golden.data import cifar10 as data

    chosen = data.sample_images()
    source = "the first 20 CIFAR-10 test images, as shipped in the foolbox package"
    if count > len(chosen):
        original = data.load_lossless(train=False)
        if original is not None and count <= len(original):
            chosen, source = original, "CIFAR-10 test images, original pixels"
        else:
            chosen, source = data.load_images(train=False), "CIFAR-10 test set"
    return chosen.images[:count], chosen.labels[:count].astype(np.int64), source


def model_summary() -> list[str]:
    """One line per known network: parameters, and the accuracy of its committed weights."""
    from golden.networks.artefacts import WEIGHTS_FOLDER, read_manifest
    from golden.networks.models import MODELS, build_model

    lines = []
    manifest = read_manifest(WEIGHTS_FOLDER)
    for name in MODELS:
        parameters = sum(parameter.numel() for parameter in build_model(name).parameters())
        entry = manifest.get(f"{name}.npz")
        state = f"no committed weights yet: make train MODEL={name}"
        if entry:
            top1 = entry.get("accuracy_percent", {}).get("test_jpeg")
            state = f"weights of {entry['date']}" + (f", {top1} % on the 10 000 test images (JPEG)" if top1 else "")
        lines.append(f"{name:9s} {parameters / 1e6:6.2f} M parameters, {state}")
    return lines
