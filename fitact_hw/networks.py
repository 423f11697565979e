"""Networks and images of an experiment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import FitActError
from golden.bounds.schemes import COMPARED
from golden.qnetwork import QNetwork
from golden.subjects.names import is_source, resolved, short_name, stem_of

if TYPE_CHECKING:
    from golden.subjects.reading import Reading
    from golden.subjects.subject import Samples


def load_networks(model: str, config: AcceleratorConfig, schemes: tuple[str, ...] = COMPARED) -> dict[str, QNetwork]:
    """The quantised network of each scheme; ``model``: a shipped name or a subject's folder.

    Bounds per neuron become what the machine's bound buffer can hold: the maxima of each channel or patch, codes.

    Raises golden.errors.GoldenError for an unknown model or scheme, or a damaged weight file.
    """
    from golden.bounds.stored import fitted
    from golden.subjects.find import open_subject

    subject = open_subject(model)
    networks = {scheme: subject.qnetwork(scheme, config.word_bits) for scheme in schemes}
    if not config.bounds.buffered:
        return networks
    return {scheme: fitted(network, config.bounds, config.bound_format) for scheme, network in networks.items()}


def load_images(model: str, count: int) -> Samples:
    """The first ``count`` test images of a shipped network or of a subject's folder.

    Raises FitActError if there are fewer.
    """
    from golden.subjects.find import open_subject

    found = open_subject(model).samples(count)
    if len(found.data) < count:
        raise FitActError(
            f"{short_name(model)} has {len(found.data)} test images: use --images {len(found.data)} or fewer"
        )
    return found


def subject_of(model: str, data: str | None, reading: Reading) -> str:
    """What workers are told of the network ``model``: a shipped name, or the folder of a subject, which is made in the
    build root if ``model`` is a network with images ``data`` of its own.

    Raises FitActError in one line for what does not go together, GoldenError for a network or images that do not do.
    """
    own = is_source(model)
    if data is None:
        if own:
            raise FitActError(
                f"{model} needs images: --data FILE.npz, a folder of class folders or file.py:function (make: DATA=)"
            )
        return resolved(model)
    if not own:
        raise FitActError(f"--data goes with a network of your own: {short_name(model)} has its images")
    from golden.subjects.data import read_data
    from golden.subjects.make import cached_subject, import_checked
    from golden.subjects.nets import load_net

    imported = import_checked(load_net(model), read_data(data, reading))
    return cached_subject(imported, stem_of(model), model).uri


def images_at_hand(model: str, most: int) -> int:
    """How many test images of a network, up to ``most``, :func:`load_images` has without a download.

    Raises golden.errors.GoldenError for data that is named and damaged.
    """
    from golden.subjects.find import open_subject

    return open_subject(model).at_hand(most)


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
