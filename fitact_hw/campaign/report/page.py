"""The report as one HTML file without outside references."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fitact_hw import templates
from fitact_hw.campaign.plan import command_of
from fitact_hw.campaign.report import charts
from fitact_hw.campaign.report.analysis import Analysis, Entry
from fitact_hw.campaign.report.comparison import Comparison, scheme_name
from fitact_hw.campaign.report.findings import scope_sentences, sections
from fitact_hw.campaign.report.measures import EFFECT, SDC
from fitact_hw.campaign.report.places import LIVE_ONLY, worst_sites
from fitact_hw.campaign.report.weighting import Weighting
from fitact_hw.campaign.store import Row
from fitact_hw.fault_models import shortcuts_off
from fitact_hw.faults import Outcome
from fitact_hw.injection.accounting import Work
from fitact_hw.reporting.command import here
from fitact_hw.reporting.figures import svg_text
from fitact_hw.reporting.formats import agreement, number_interval, percent, percent_interval, points, spaced
from fitact_hw.reporting.palette import LABELS
from fitact_hw.reporting.provenance import summary
from fitact_hw.reporting.statistics import Estimate

TEMPLATES = (Path(__file__).parent / "templates", templates.FOLDER)
"""Pages of campaigns, and what all pages of the project share."""

FIT_SOURCE = "texts on IEC 61508 quote 700 to 1200 FIT/Mbit"
"""Where the default raw rate comes from."""


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates with the formats they use."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=lambda name: bool(name and name.endswith(".html.j2")),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    made.filters |= {
        "percent": percent, "points": points, "interval": percent_interval, "rate": number_interval,
        "scheme": scheme_name, "spaced": spaced, "label": lambda outcome: LABELS[Outcome(outcome)],
    }  # fmt: skip
    return made


@dataclass
class Replays:
    """Commands that run an injection again with a waveform; ``rows``: those that the page mentions."""

    folder: Path
    rows: dict[str, Row] = field(default_factory=dict)

    def link(self, row: Row) -> str:
        """Remember ``row``; returns its id, the anchor of its command."""
        self.rows[row.id] = row
        return row.id

    def command(self, row: Row) -> str:
        """The exact command."""
        return replay_command(self.folder, row)


def replay_command(folder: Path, row: Row) -> str:
    """Command line that runs the injection again in plain RTL, with a waveform."""
    return here("campaign", "replay", str(folder), row.id, options={"waves": True})


def method_lines(analysis: Analysis, fit_per_mbit: float) -> list[tuple[str, str]]:
    """(name, value) of everything that the figures depend on."""
    campaign = analysis.campaign
    options, facts = campaign.options, campaign.facts
    per_scheme = {s: sum(row.scheme == s for row in campaign.rows) for s in analysis.schemes}
    confidence = f"{100 * analysis.confidence:g}%"
    lines = [
        ("command", command_of(options)),
        ("seed", str(options.seed)),
        ("injections", ", ".join(f"{scheme_name(s)} {n:,}" for s, n in per_scheme.items())
         + f" of {options.faults:,} planned for each"),
        *(_of_strata(analysis.weighting, confidence) if analysis.weighting else _of_turns(analysis, confidence)),
        ("raw rate", f"{fit_per_mbit:g} FIT per 10^6 bits ({FIT_SOURCE}); FIT figures are for inference without pause"),
        ("machine", f"{options.config.fingerprint}, RTL and engine {campaign.identity['machine']}"),
        ("programs", ", ".join(f"{scheme_name(s)} {p}" for s, p in campaign.identity["programs"].items())),
        ("fault-free cycles", ", ".join(f"{scheme_name(s)} {n:,}" for s, n in facts.get("cycles", {}).items())),
        ("versions", ", ".join(f"{name} {version}" for name, version in facts.get("versions", {}).items())),
    ]  # fmt: skip
    if cost := shortcuts_off(options.fault_model):
        lines.append(("fault model", cost))
    if options.interleave > 1:
        lines.append(("interleave", f"{options.interleave} words share a physical row, column by column"))
    if "margin" in facts and not analysis.weighting:
        lines.append(
            ("asked for", f"margin {percent(facts['margin'])} at {100 * facts['confidence']:g}% in every structure")
        )
    return [(name, value) for name, value in lines if value]


def _of_turns(analysis: Analysis, confidence: str) -> list[tuple[str, str]]:
    """Of a sample in which structures take turns."""
    least = min(per_structure_counts(analysis).values())
    return [
        ("images", f"{analysis.campaign.options.images}, every structure equally often on each"),
        ("sampling", f"equally many upsets in each of {len(analysis.bits)} structures, uniform over (bit, cycle) "
         "within one; the same bits and moments for every scheme"),
        ("weights", f"{analysis.scope} and layers: each structure by its bits, {sum(analysis.bits.values()):,} in all"),
        ("margin", f"at least {least:,} upsets for each structure and scheme: "
         f"{percent(margin_of(least, analysis.confidence))} or less at {confidence}"),
        ("intervals", f"{confidence}: Wilson within a structure, Wilson with the effective sample "
         "size over structures, Bonett-Price for paired differences, exact McNemar p"),
    ]  # fmt: skip


def _of_strata(weighting: Weighting, confidence: str) -> list[tuple[str, str]]:
    """Of a stratified sample."""
    rounds = weighting.rounds
    strata, sizes = rounds.population.strata, ", ".join(f"{size:,}" for size in rounds.sizes)
    halves = {s: weighting.half_width(s) for s in weighting.schemes}
    widest = max(halves, key=lambda scheme: halves[scheme])
    few = {stratum.images for stratum in strata}
    images = f"{weighting.images} as clusters" + (f"; {min(few)} where RTL judges" if len(few) > 1 else "")
    found = [
        ("images", images),
        ("sampling", f"{len(strata)} strata (structure, buffers also by layer), rounds of {sizes} upsets where "
         "the ones before left most uncertainty for its cost; the same bits and moments for every scheme"),
        ("weights", f"exact: {percent(weighting.population_live)} of all (bit, cycle) points are read under some "
         "scheme, an upset anywhere else is masked; points uniform within a stratum"),
        ("margin", f"{percent(halves[widest])} at {confidence} for SDC of the whole machine ({scheme_name(widest)}, "
         f"the widest); half of it needs about {4 * rounds.total:,} upsets per scheme"),
        ("intervals", f"{confidence}: gamma intervals of Fay and Feuer with images as clusters, differences by MOVER "
         "(docs/method/sampling.md); McNemar p of all upsets alike, unweighted"),
    ]  # fmt: skip
    return [*found, *((f"speed, {scheme_name(s)}", text) for s in weighting.schemes if (text := weighting.work(s)))]


def _runs(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """When and on what the injections were computed: no part of a page that is to be the same after a repetition."""
    records = facts.get("runs", [])
    return [("run", summary(record)) for record in records] + accounting_lines(records)


def accounting_lines(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(name, value) of what the engine's advantage comes from, and how often it was compared with the whole machine."""
    work = Work.of_runs(records)
    if work is None:
        return []
    audit = agreement(work.times.audited, "of what was judged without it, at random")
    memory = f"{work.times.peak_bytes / 2**30:.2f} GiB in the largest worker"
    return [
        ("accounting, of the upsets drawn", str(work)),
        ("compared with the whole machine's RTL", audit),
        ("memory", memory),
    ]


def margin_of(count: int, confidence: float) -> float:
    """Half width of the largest interval of ``count`` injections (p = 0.5)."""
    half = Estimate.of(count // 2, count, confidence)
    return (half.high - half.low) / 2


def per_structure_counts(analysis: Analysis) -> Mapping[tuple[str, str], int]:
    """(structure, scheme) -> injections."""
    return {(entry.key[0], entry.scheme): entry.upsets for entry in analysis.structures}


def pivot(entries: Iterable[Entry]) -> list[tuple[tuple[str, ...], dict[str, Entry]]]:
    """One line per key: scheme -> entry."""
    lines: dict[tuple[str, ...], dict[str, Entry]] = {}
    for entry in entries:
        lines.setdefault(entry.key, {})[entry.scheme] = entry
    return list(lines.items())


def render(
    analysis: Analysis, comparisons: Sequence[Comparison], fit_per_mbit: float, export: Sequence[str] = ()
) -> str:
    """The page; ``export``: names of files beside it that hold the data."""
    campaign = analysis.campaign
    structures, layers, bits = analysis.structures, analysis.layers, analysis.bit_positions
    machine = analysis.machine
    sdc = [item for item in comparisons if item.measure == SDC]
    pictures: dict[str, Any] = {
        "shares": charts.outcome_shares(analysis, structures, {entry.scheme: entry for entry in machine}),
        "structures": charts.probabilities(analysis, structures, "structure"),
        "layers": charts.probabilities(analysis, layers, "layer"),
    }
    if bits:
        pictures["bits"] = charts.bit_positions(analysis)
    if sdc:
        pictures["differences"] = charts.differences(analysis, sdc)
    lines = analysis.pe_rows, analysis.pe_columns
    if lines[0]:
        pictures["array"] = charts.array_maps(analysis, EFFECT)
    return environment().get_template("report.html.j2").render(
        campaign=campaign,
        analysis=analysis,
        confidence=analysis.confidence,
        methods=[*method_lines(analysis, fit_per_mbit), *_runs(campaign.facts)],
        findings=sections(analysis, comparisons, fit_per_mbit),
        open=scope_sentences(analysis),
        fit_per_mbit=fit_per_mbit,
        outcomes=[outcome.value for outcome in Outcome],
        machine=machine,
        structures=structures,
        layers=layers,
        bits=pivot(bits),
        pe_lines=lines,
        comparisons=comparisons,
        of_sites=LIVE_ONLY if analysis.weighting else "",
        sites=worst_sites(campaign.rows, analysis.schemes, analysis.confidence),
        violations=[row for row in campaign.rows if row.violation],
        mechanisms=analysis.mechanisms(),
        pictures={name: svg_text(figure) for name, figure in pictures.items()},
        replays=Replays(campaign.folder),
        export=export,
    )  # fmt: skip
