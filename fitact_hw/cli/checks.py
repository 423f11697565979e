"""Checks of what options name (files, injections, structures, images), before anything heavy is imported."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fitact_hw.cli.options import names
from fitact_hw.errors import FitActError
from fitact_hw.fault_models import parse_model
from fitact_hw.faults import Sample
from fitact_hw.structures import STRUCTURES
from golden.bounds.schemes import DEFAULT, UNPROTECTED
from golden.data.sets import CIFAR10, check_available
from golden.subjects.names import check_stored, is_shipped
from golden.support.choices import unknown

if TYPE_CHECKING:
    from fitact_hw.overhead.technology import Technology

_ADDRESS = re.compile(r"(\w+://)?[^\s:/]+:\d+")


def known_structures(text: str, sample: Sample = Sample.ALL) -> tuple[str, ...]:
    """The structures of a list with commas. Raises FitActError for a name that no machine has."""
    wanted, known = names(text), STRUCTURES
    if wanted and sample is Sample.LIVE:
        from fitact_hw.injection.live_sample import STRUCTURES as GROUPS

        known = tuple(GROUPS)
    for name in wanted:
        if name not in known:
            raise FitActError(unknown("structure", name, known))
    return wanted


def known_targets(text: str, schemes: Sequence[str]) -> tuple[str, ...]:
    """Targets of a margin, of a list with commas; layers are looked for later. Raises FitActError for what is none."""
    from fitact_hw.campaign.targets import quantities

    quantities(names(text), schemes, STRUCTURES, None)
    return names(text)


def possible_targets(text: str) -> str:
    """Targets that a campaign may have whose schemes are not known yet. Raises FitActError for what is none."""
    from fitact_hw.campaign.targets import AGAINST

    known_targets(",".join(name for name in names(text) if AGAINST not in name), (DEFAULT.name, UNPROTECTED.name))
    return text


def known_structure(name: str | None) -> str | None:
    """A structure by name. Raises FitActError for one that no machine has."""
    if name is not None and name not in STRUCTURES:
        raise FitActError(unknown("structure", name, STRUCTURES))
    return name


def known_fault_model(text: str) -> str:
    """A fault model, with its argument as a plain number. Raises FitActError for what is none."""
    return parse_model(text).name


def scheduler_address(text: str | None) -> str | None:
    """The address of a Dask scheduler. Raises FitActError for what cannot be one."""
    if text is not None and not _ADDRESS.fullmatch(text):
        raise FitActError(f"--scheduler {text or repr('')}: write it as tcp://host:port")
    return text


def positive_rate(value: float) -> float:
    """A bit error rate. Raises FitActError unless it lies between 0 and 1."""
    if not 0 < value < 1:
        raise FitActError(f"--rate {value:g}: must lie between 0 and 1")
    return value


def rtl_images(model: str, count: int | None) -> None:
    """A number of test images for the RTL. Raises DataError if CIFAR-10 is asked for more than are here."""
    if count is not None and is_shipped(model):
        from golden.data.cifar10 import check_count

        check_count(count)


def alarm_margins(text: str) -> str:
    """Margins of the clamps' alarm, ascending. Raises FitActError for what is none, or twice there."""
    from fitact_hw.config import MOST_MARGIN

    found = names(text)
    if not found or any(not part.isdecimal() or int(part) > MOST_MARGIN for part in found):
        raise FitActError(f"--margins {text or repr('')}: whole numbers from 0 to {MOST_MARGIN}, such as 0,1,2")
    if len({int(part) for part in found}) < len(found):
        raise FitActError(f"--margins {text}: each margin once")
    return ",".join(str(margin) for margin in sorted(int(part) for part in found))


def study_images(count: int) -> int:
    """A number of test images of a study, which does with 20 where there is no data set. Raises FitActError."""
    from golden.data.cifar10 import TEST_IMAGES

    if count > TEST_IMAGES:
        raise FitActError(f"--images {count}: CIFAR-10 has {TEST_IMAGES} test images")
    return count


def data_set(source: str | None, root: Path | None, download: bool = False, name: str = CIFAR10) -> None:
    """Raises DataError if a data set, by default CIFAR-10, is neither here nor to be fetched."""
    check_available(name, source, root, download)


def network(model: str, schemes: Sequence[str] = (), weights: Path | None = None) -> None:
    """Raises GoldenError if the weights of a network (a shipped one, in ``weights``; a subject's folder) or the bounds
    of its schemes are not stored."""
    check_stored(model, schemes, *([weights] if weights else []))


def injection(folder: Path, name: str) -> None:
    """Raises CampaignError if a folder holds no campaign, or its campaign no such injection."""
    from fitact_hw.campaign.store import Store, store_path

    with Store(store_path(folder)) as store:
        store.find(name)


def technologies(sources: Sequence[str | None]) -> list[Technology]:
    """Cell libraries by their paths, None for the compact one. Raises TechnologyError."""
    from fitact_hw.overhead.jobs import cache_folder
    from fitact_hw.overhead.technology import load

    return [load(source, cache_folder()) for source in sources]


def stream_count(count: int) -> int:
    """A number of simulated streams, which share words of 64 bits. Raises FitActError."""
    if count % 64:
        raise FitActError(f"--streams {count}: give a multiple of 64")
    return count


def sram_node(nm: int | None) -> int | None:
    """A node that there is an SRAM model of. Raises SramError."""
    if nm is not None:
        from fitact_hw.overhead.sram import SramModel

        SramModel(nm)
    return nm


def finite(option: str) -> Callable[[float | None], float | None]:
    """A callback for a number that must not be infinite or no number at all."""

    def check(value: float | None) -> float | None:
        if value is not None and not math.isfinite(value):
            raise FitActError(f"{option} {value:g}: must be a finite number")
        return value

    return check
