"""What a campaign is: its options, its faults, and what makes two campaigns the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fitact_hw.campaign.store import ROWS
from fitact_hw.config import AcceleratorConfig
from fitact_hw.fault_models import SEU, draw, parse_model
from fitact_hw.faults import FaultEvent, Sample, Shape, Storage
from fitact_hw.injection import live_sample
from fitact_hw.injection.audit import AUDIT_SHARE
from fitact_hw.injection.timeline import Timeline
from fitact_hw.reporting.command import command_line
from fitact_hw.reporting.statistics import sample_size
from fitact_hw.sites import list_sites, select
from golden.bounds.own import from_json, own_of, remember, to_json
from golden.bounds.schemes import COMPARED, Scheme, spec_of
from golden.errors import GoldenError
from golden.subjects.names import short_name

if TYPE_CHECKING:  # heavy, and a report needs none of it
    from fitact_hw.campaign.subjects import Subject
    from fitact_hw.injection.facts import Facts

SIMULATED_IMAGES = 4
"""Images of strata of control in a stratified campaign: simulating one takes a fault-free run of every scheme."""

CHUNK = 500
"""Injections of one task: enough that the fault-free run of a task does not weigh, few enough to lose."""


ENDS = "ends"
"""Fact of a scheme: its layers in the order of the run, with the cycle in which each ends."""


@dataclass(frozen=True)
class CampaignOptions:
    """Everything that determines the results of a campaign; ``structures`` empty: every structure of the machine.

    ``faults``: injections per scheme, spread evenly over the structures; more of them continue the same list.
    ``sample``: points that they are drawn from; of live ones the structures are those of
    :data:`fitact_hw.injection.live_sample.STRUCTURES`. ``fault_list``: SHA-256 of the list, if it is one.
    ``fault_model``: as of :mod:`fitact_hw.fault_models`; ``interleave``: words that share a physical row of cells.
    ``own``: those of ``schemes`` that are the user's, filled in.
    """

    model: str = "alexnet"
    config: AcceleratorConfig = field(default_factory=AcceleratorConfig.create)
    schemes: tuple[str, ...] = COMPARED
    structures: tuple[str, ...] = ()
    faults: int = 1000
    images: int = 4
    seed: int = 1
    shape: Shape = Shape.SINGLE
    sample: Sample = Sample.ALL
    fault_list: str = ""
    fault_model: str = SEU.name
    interleave: int = 1
    own: tuple[Scheme, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "own", own_of(self.schemes))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In a worker, which may not know the user's schemes yet."""
        self.__dict__.update(state)
        for scheme in self.own:
            remember(scheme)

    @property
    def base(self) -> str:
        """The scheme whose run the upsets are drawn for; in the others they strike at the same moments."""
        whole = self.sample in (Sample.ALL, Sample.LIST)
        return self.schemes[0] if whole else live_sample.base_scheme(self.schemes)

    def audit_share(self, scheme: str, image: int) -> float:
        """Of the upsets of ``image`` that are judged without the whole machine, so many go through it as well.

        That takes a fault-free run of it, as long as hundreds of upsets. So each scheme has one image for it, in turn,
        and there the share of all images.
        """
        chosen = self.schemes.index(scheme) % self.images
        return min(1.0, AUDIT_SHARE * self.images) if image == chosen else 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values; without ``sample`` if all points count, as in campaigns from before there was a choice."""
        values = {name: getattr(self, name) for name in ("model", "faults", "images", "seed")}
        lists = {"schemes": list(self.schemes), "structures": list(self.structures)}
        values |= {} if self.sample is Sample.ALL else {"sample": self.sample.value}
        for name, usual in _SINCE.items():
            values |= {} if getattr(self, name) == usual else {name: getattr(self, name)}
        values |= {"own": [to_json(scheme, with_folder=False) for scheme in self.own]} if self.own else {}
        return {**values, **lists, "shape": self.shape.value, "config": self.config.model_dump(mode="json")}

    @staticmethod
    def from_json(value: dict[str, Any]) -> CampaignOptions:
        """Inverse of :meth:`to_json`. Raises GoldenError if a scheme of the user's is declared otherwise now."""
        for scheme in map(from_json, value.get("own", ())):
            if not remember(scheme):
                raise GoldenError(f"{scheme.spec} has changed since the campaign was begun: begin another one")
        return CampaignOptions(
            **{name: value[name] for name in ("model", "faults", "images", "seed")},
            schemes=tuple(value["schemes"]),
            structures=tuple(value["structures"]),
            shape=Shape(value["shape"]),
            sample=Sample(value.get("sample", Sample.ALL)),
            **{name: value.get(name, usual) for name, usual in _SINCE.items()},
            config=AcceleratorConfig.create(**value["config"]),
        )


_SINCE: dict[str, Any] = {"fault_list": "", "fault_model": SEU.name, "interleave": 1}
"""Options that older campaigns do not have, and what they are there."""

Storages = Mapping[str, Sequence[Storage]]
"""Structure -> what it stores in."""


def structure_storages(options: CampaignOptions) -> Storages:
    """Structure -> its storages. Raises GeneratorError for a structure that this machine does not have."""
    sites = list_sites(options.config)
    groups = live_sample.structure_sites(options.config) if options.sample is Sample.LIVE else {}
    names = options.structures or tuple(groups) or tuple(dict.fromkeys(site.structure for site in sites))
    return {name: groups.get(name) or select(sites, [name]) for name in names}


def without_injection(options: CampaignOptions) -> tuple[str, ...]:
    """Structures that ``options.faults`` injections do not reach: they are spread in turn."""
    return tuple(structure_storages(options))[options.faults :]


def unreached(missing: Sequence[str], structures: int) -> str:
    """What too few injections leave open, in one line."""
    return (
        f"{len(missing)} of {structures} structures get no injection ({', '.join(missing)}): figures over all of them "
        f"will only be bounded; --faults {structures} or more reaches each"
    )


def bits_of(storages: Storages) -> dict[str, int]:
    """Structure -> storage bits: the weights of a stratified estimate."""
    return {name: sum(s.width * s.depth for s in group) for name, group in storages.items()}


def faults_for_margin(storages: Storages, cycles: int, margin: float, confidence: float) -> int:
    """Injections per scheme so that every structure's probabilities have this margin of error.

    All structures get as many as the largest of them needs, because injections are spread evenly.
    """
    sizes = [sample_size(bits * cycles, margin, confidence) for bits in bits_of(storages).values()]
    return max(sizes) * len(sizes)


def image_of(number: int, structures: int, images: int) -> int:
    """The image that injection ``number`` strikes: every structure meets every image equally often."""
    return number // structures % images


def command_of(options: CampaignOptions) -> str:
    """The command line that runs the same campaign; without paths. ``machine.toml`` stands for what has no option,
    ``faults.csv`` for a fault list."""
    default, machine = CampaignOptions(), options.config
    sizes = {"rows": machine.rows, "cols": machine.cols, "word_bits": machine.word_bits}
    plain = AcceleratorConfig.create(**sizes, parameter_check=machine.parameter_check)
    usual: dict[str, Any] = {name: getattr(default, name) for name in ("sample", "shape", "schemes", "interleave")}
    usual["fault-model"] = default.fault_model
    usual |= {"rows": default.config.rows, "cols": default.config.cols, "word": default.config.word_bits}
    names = ("faults", "images", "seed", "sample", "shape", "schemes", "structures")
    given = {name: getattr(options, name) for name in names}
    given["schemes"] = tuple(map(spec_of, options.schemes))
    given |= {"fault-model": options.fault_model, "interleave": options.interleave}
    given |= {"rows": machine.rows, "cols": machine.cols, "word": machine.word_bits}
    given["parameter-check"] = machine.parameter_check.value if machine.limit_bits else None
    given["config"] = None if machine == plain else "machine.toml"
    if options.sample is Sample.LIST:
        given |= {"faults": None, "sample": None, "seed": None, "fault-list": "faults.csv"}
    return command_line("campaign", "run", short_name(options.model), options=given, usual=usual)


def timing(scheme: str, facts: Facts) -> Timeline:
    """What the pairing of schemes needs of a fault-free run: when its layers end."""
    ends = facts.memory.ends
    return Timeline(scheme, tuple(ends), np.array(list(ends.values()), np.int64), facts.cycles)


def draw_faults(options: CampaignOptions, cycles: int) -> list[FaultEvent]:
    """The upsets of a run of ``cycles``, over all points."""
    return draw_all(options, structure_storages(options), options.faults, cycles)


def draw_all(options: CampaignOptions, storages: Storages, number: int, cycles: int) -> list[FaultEvent]:
    """``number`` faults of the model of ``options``, over all points of ``storages``."""
    model = parse_model(options.fault_model)
    return draw(storages, number, cycles, options.seed, model, shape=options.shape, interleave=options.interleave)


def identity(options: CampaignOptions, subjects: Mapping[str, Subject], machine: str) -> dict[str, Any]:
    """What must be equal for two runs to belong to one campaign; ``machine``: fingerprint of RTL, engine and tools.

    The number of faults may grow, therefore it is not part of it.
    """
    values = options.to_json()
    del values["faults"]
    programs, pictures = {}, {}
    for scheme in subjects:  # not items(), which would hold one while the next is loaded
        programs[scheme], pictures[scheme] = subjects[scheme].identity
    return {**values, "programs": programs, "pictures": pictures, "machine": machine, "tables": ROWS}
