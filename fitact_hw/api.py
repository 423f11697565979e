"""From Python: a network and its images through everything that the command line does, in a few lines.

from fitact_hw.api import subject

mine = subject(model, images, labels, classes=names, folder="my_net")
mine.check()
mine.bounds("fitact")
mine.sim(faults=200)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from fitact_hw.check import MOST_IMAGES, Checked, run_check
from fitact_hw.config import AcceleratorConfig
from fitact_hw.reporting.terminal import terminal
from golden.subjects.find import open_subject
from golden.subjects.names import compared_schemes, default_scheme, is_shipped, resolved, short_name, stem_of
from golden.subjects.reading import Reading
from golden.subjects.scheme_files import named
from golden.subjects.stored import StoredSubject
from golden.subjects.subject import Subject


def subject(
    model: nn.Module,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    test_images: np.ndarray | None = None,
    test_labels: np.ndarray | None = None,
    classes: Sequence[str] = (),
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    folder: str | Path | None = None,
) -> Study:
    """A subject of ``model`` and arrays, in ``folder`` (default: in the build root, made once).

    ``images``: floating point (count, ...) as the network takes them, or uint8 (count, rows, columns[, channels]) with
    ``mean`` and ``std`` on the 0..1 scale. They calibrate it and teach bounds; without images for tests a fifth,
    drawn with seed 1, tests instead. Without ``labels`` the classes of the float network count as right. ``model``
    stays as it is. Raises UnsupportedError naming everything that cannot run, GoldenError in one line for the rest.
    """
    from golden.frontend.given import title_of
    from golden.subjects.data import from_arrays
    from golden.subjects.make import cached_subject, import_checked, write_subject

    arrays: dict[str, Any] = {"images": images, "labels": labels, "test_images": test_images}
    arrays |= {"test_labels": test_labels, "mean": tuple(mean), "std": tuple(std)}
    if classes:
        arrays["class_names"] = list(classes)
    imported = import_checked(model, from_arrays(arrays, "the given images"))
    source = title_of(model)
    name = stem_of(source)
    made = cached_subject(imported, name, source) if folder is None else write_subject(imported, Path(folder), source)
    return Study(made.uri)


@dataclass(frozen=True)
class Study:
    """Everything that can be done with a subject. ``uri``: a shipped name or a subject's folder.

    Methods print what their commands print, and return their results. Every draw is from ``seed``. Schemes are names,
    or ``file.py:NAME`` of one of your own.
    """

    uri: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "uri", resolved(self.uri))

    @property
    def subject(self) -> Subject:
        """Network, images, binary points and bounds."""
        return open_subject(self.uri)

    def check(self, config: AcceleratorConfig | None = None, images: int = MOST_IMAGES) -> Checked:
        """`fitact check`: layers as the machine runs them, and what integers lose."""
        return run_check(self.uri, None, Reading(), config or AcceleratorConfig(), images, terminal(160))

    def bounds(self, *schemes: str, seed: int = 1) -> dict[str, Any]:
        """`fitact bounds`: learn the bounds of these schemes, by default of all. Raises GoldenError for a shipped
        network, whose bounds `fitact post-train` learns."""
        from golden.errors import GoldenError
        from golden.search.own import find_own_bounds
        from golden.search.profiled import profiles_folder

        if is_shipped(self.uri):
            raise GoldenError(f"bounds of {self.uri} come with the program: fitact post-train {self.uri} learns others")
        chosen = [named(scheme) for scheme in schemes]
        return find_own_bounds(StoredSubject(Path(self.uri)), chosen, seed, profiles_folder())

    def sim(self, config: AcceleratorConfig | None = None, scheme: str | None = None, **options: Any) -> dict[str, Any]:
        """`fitact sim`; ``options``: fields of :class:`fitact_hw.simulate.run.SimOptions`."""
        from fitact_hw.simulate.run import SimOptions, run_sim

        chosen = named(scheme) if scheme else default_scheme(self.uri)
        if options.get("out") is not None:
            options["out"] = Path(options["out"])
        return run_sim(SimOptions(self.uri, config or AcceleratorConfig(), scheme=chosen, **options))

    def campaign(
        self,
        config: AcceleratorConfig | None = None,
        schemes: Sequence[str] = (),
        out: str | Path | None = None,
        workers: int = 2,
        scheduler: str | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """`fitact campaign run`; ``options``: fields of :class:`fitact_hw.campaign.plan.CampaignOptions`.

        ``scheduler``: address of a Dask cluster whose workers see the subject's folder.
        """
        from fitact_hw.campaign.plan import CampaignOptions
        from fitact_hw.campaign.terminal import run_live

        chosen = tuple(map(named, schemes)) or compared_schemes(self.uri)
        plan = CampaignOptions(self.uri, config or AcceleratorConfig(), chosen, **options)
        folder = Path(out or Path("build") / "campaigns" / short_name(self.uri))
        return run_live(plan, folder, workers, scheduler, None)

    def resilience(
        self, out: str | Path | None = None, workers: int = 1, schemes: Sequence[str] = (), **options: Any
    ) -> list[Any]:
        """`fitact resilience`; ``options``: fields of :class:`fitact_hw.resilience.subjects.Settings`."""
        from fitact_hw.resilience.experiments import run_resilience
        from fitact_hw.resilience.pool import Processes
        from fitact_hw.resilience.subjects import Settings

        folder = Path(out or Path("build") / short_name(self.uri) / "resilience")
        settings = Settings(self.uri, tuple(map(named, schemes)), **options)
        return list(run_resilience(settings, folder, terminal(160), Processes(workers, 1)))
