"""`fitact overhead`: the whole comparison for one machine, from options to files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from fitact_hw.config import AcceleratorConfig, Granularity, Protection, RangeCheck
from fitact_hw.errors import ConfigError
from fitact_hw.overhead import charts, ecp5, energy, pareto, tables, technology
from fitact_hw.overhead.cost import Cost, evaluate
from fitact_hw.overhead.energy import Energy
from fitact_hw.overhead.html import html
from fitact_hw.overhead.jobs import cache_folder, yosys_version
from fitact_hw.overhead.mapping import PERTURBATIONS
from fitact_hw.overhead.metrics import Results, all_metrics
from fitact_hw.overhead.schemes import ACTIVATIONS, SCHEMES, Scheme, lane_parameters, machine
from fitact_hw.overhead.sram import SramModel, nearest_node
from fitact_hw.overhead.technology import Technology, TechnologyError
from fitact_hw.overhead.traffic import BATCH, Traffic, measure
from fitact_hw.reporting.figures import save_png
from fitact_hw.reporting.provenance import Run, of_machine, section
from fitact_hw.reporting.terminal import noter
from golden.support.files import write_text
from golden.support.installation import how_to_install
from golden.support.progress import progress

if TYPE_CHECKING:  # it needs torch
    from golden.frontend.lowering import FloatLayer

OVERHEAD = "overhead.json"

FULL_TOP = frozenset({scheme.bounds: scheme.key for scheme in reversed(ACTIVATIONS)}.values())
"""Machines that `--full-top` routes: with all modes kept, schemes with the same bound hardware have the same one."""


@dataclass(frozen=True)
class Options:
    """What `fitact overhead` was asked for; ``node_nm`` None takes the library's node.

    ``accuracies``: CSV files for the Pareto chart at the bit error rate ``rate``, none: no chart.
    ``full_top``: how many times each whole machine is placed and routed.
    """

    config: AcceleratorConfig
    liberty: str | None = None
    node_nm: int | None = None
    port_factor: float = 1.0
    fpga: bool = True
    full_top: int = 0
    workers: int = 2
    out: Path = Path("build/overhead")
    schemes: tuple[Scheme, ...] = SCHEMES
    accuracies: tuple[Path, ...] = ()
    rate: float = 1e-5
    command: str = "fitact overhead"


Networks = Mapping[str, Callable[[], Sequence["FloatLayer"]]]
"""Network name -> function that returns its layers (lowering a network takes seconds)."""


def run_overhead(options: Options, networks: Networks, console: Console) -> Results:
    """Measure, print and write `overhead.json`, `.md`, `.html` and `.png`; returns the figures.

    Raises FitActError subclasses: TechnologyError, SynthesisError, GeneratorError, CompileError, SramError;
    ConfigError for a machine with buffer protection or range check, which would be in the baseline as well.
    """
    if protected := ", ".join(options.config.protected):
        raise ConfigError(
            f"protection of the {protected} buffer: the costs of parity and SECDED are rows of their own here, over a "
            "machine without; leave protection out of the configuration"
        )
    if options.config.limit_bits:
        raise ConfigError(
            f"parameter_check={options.config.parameter_check.value}: the cost of a range check is a row of its own "
            "here, over a machine without; leave it out of the configuration"
        )
    began = Run(command=options.command)
    if options.accuracies:  # what is missing should fail before minutes of synthesis
        pareto.read_accuracy(options.accuracies, options.config.word_bits, options.rate)
    if (options.fpga or options.full_top) and not ecp5.available():
        raise TechnologyError(f"{ecp5.PACKAGE} is not installed: {how_to_install('fpga')}, or say --no-fpga")
    with progress(console, transient=True) as shown:
        steps = shown.add_task("reading the library", total=None)
        tech = technology.load(options.liberty, cache_folder())
        model = SramModel(options.node_nm or nearest_node(tech.node_nm), options.port_factor)

        def show(name: str, done: int, total: int) -> None:
            shown.update(steps, description=name, completed=done, total=total)

        costs = evaluate(options.config, tech, model, cache_folder(), options.workers, show, options.schemes)
        routed, tops = _route(options, show)
        traffic, energies = _traffic(options, networks, costs, model, show)
    run = began.record(**of_machine(options.config), library=tech.digest)
    results = Results(costs, routed, tops, traffic, energies, tech.nand2_um2)
    metrics, header = all_metrics(results), make_header(options, tech, model)
    tables.print_report(console, header, metrics, results)
    folder = options.out / options.config.fingerprint
    record = {**tables.to_json(header, metrics, results), "provenance": run}
    write_text(folder / OVERHEAD, json.dumps(record) + "\n")
    page = tables.markdown(header, metrics, results, options.command)
    pictures = {"Area added, area by part, lanes, energy": folder / "overhead.png"}
    if options.accuracies:
        pictures["Accuracy against area"] = folder / "pareto.png"
        page += "\n" + "\n".join(_pareto(options, costs, tech, folder)) + "\n"
        noter(console)(f"wrote pareto.csv and pareto.png to {folder}")
    write_text(folder / "overhead.md", page + "\n")
    save_png(charts.comparison(record), folder / "overhead.png")
    write_text(folder / "overhead.html", html("\n".join([page, "", *section(run), ""]), pictures))
    noter(console)(f"wrote overhead.html, overhead.md, {OVERHEAD} and overhead.png to {folder}")
    return results


def _pareto(options: Options, costs: Mapping[str, Cost], tech: Technology, folder: Path) -> list[str]:
    """Write `pareto.csv` and `pareto.png`; returns the section of the page."""
    machine = f"{_size(options.config)}, {tech.name}"
    result = pareto.evaluate(costs, options.accuracies, machine, options.config.word_bits, options.rate)
    folder.mkdir(parents=True, exist_ok=True)
    pareto.write_csv(result, folder / "pareto.csv")
    save_png(pareto.chart(result), folder / "pareto.png")
    return pareto.markdown(result)


def _size(config: AcceleratorConfig) -> str:
    return f"{config.rows}x{config.cols} array, {config.word_bits}-bit words, {config.acc_bits}-bit accumulators"


def make_header(options: Options, tech: Technology, model: SramModel) -> tables.Header:
    """What the figures depend on."""
    config = options.config
    depths = ", ".join(
        f"{name.removesuffix('_words')} {value}"
        for name, value in config.model_dump().items()
        if name.endswith("_words")
    )
    ports = "single-port areas" if model.port_factor == 1 else f"areas x {model.port_factor:g} for the second port"
    return tables.Header(
        (
            ("machine", f"{_size(config)}; buffer words: {depths}"),
            ("library", f"{tech.name} ({', '.join(path.name for path in tech.files)})"),
            ("corner", tech.corner),
            (
                "wire load",
                f"{tech.wire_load}, pre-layout; outputs drive {tech.load_ff:g} fF, inputs by {tech.driver}",
            ),
            ("gate equivalent", f"{tech.nand2_um2:g} um2 ({tech.nand2_cell})"),
            ("tools", f"pyosys {yosys_version()} with its ABC; {ecp5.PACKAGE} {ecp5.nextpnr_version()}"),
            (
                "scripts",
                f"{len(PERTURBATIONS)} for clamps, half for other blocks of the lanes, 2 for the rest; mean values",
            ),
            ("SRAM", f"model at {model.node_nm} nm, {ports} (sram.py names the sources)"),
            (
                "FPGA",
                f"{ecp5.DEVICE}; {len(ecp5.RUNS)} runs (seed, LUT mapping)" if options.fpga else "not asked for",
            ),
            ("energy", f"model at {model.node_nm} nm: {energy.SOURCE}"),
            (
                "networks",
                f"batch of {BATCH}; cycles from the timing estimate, traffic from the compiled program",
            ),
        )
    )


def _route(
    options: Options, show: Callable[[str, int, int], None]
) -> tuple[dict[str, ecp5.Routed], dict[str, ecp5.Routed]]:
    own = [scheme for scheme in options.schemes if scheme.protection is Protection.NONE and scheme.copies == 1]
    keys = {scheme: tuple(lane_parameters(options.config, scheme).items()) for scheme in own}
    lanes = {keys[scheme]: scheme for scheme in reversed(own)}
    done = -1

    def step(name: str) -> None:
        nonlocal done
        done += 1
        show(name, done, len(lanes) + 1)

    routed: dict[str, ecp5.Routed] = {}
    if options.fpga:
        routed = ecp5.route_lanes(options.config, list(lanes.values()), cache_folder(), options.workers, step)
        for scheme in own:  # schemes may share a lane
            routed[scheme.key] = routed[lanes[keys[scheme]].key]
    chosen = [s for s in options.schemes if s.key in FULL_TOP]
    total, done = len(chosen) * options.full_top, 0

    def top_step(name: str) -> None:
        nonlocal done
        done += 1
        show(name, done, total)

    if not options.full_top:
        return routed, {}
    show("routing whole machines", 0, total)
    tops = ecp5.route_tops(options.config, chosen, cache_folder(), options.full_top, options.workers, top_step)
    return routed, tops


def _traffic(
    options: Options,
    networks: Networks,
    costs: Mapping[str, Cost],
    model: SramModel,
    show: Callable[[str, int, int], None],
) -> tuple[dict[str, dict[str, Traffic]], dict[str, dict[str, Energy]]]:
    traffic: dict[str, dict[str, Traffic]] = {}
    energies: dict[str, dict[str, Energy]] = {}
    for name, make in networks.items():
        show(f"compiling {name}", 0, len(options.schemes))
        layers = make()
        traffic[name], energies[name] = {}, {}
        known: dict[tuple[object, object], Traffic] = {}
        for index, scheme in enumerate(options.schemes):
            show(f"compiling {name}", index, len(options.schemes))
            # buffer protection and range check cost no cycle and no traffic: limits fit into LOADs
            plain = replace(scheme, protection=Protection.NONE, parameter_check=RangeCheck.NONE)
            key = (machine(options.config, plain), scheme.bounds is not Granularity.NONE and scheme.mode)
            if key not in known:
                known[key] = measure(name, layers, scheme, options.config)
            traffic[name][scheme.key] = known[key]
            energies[name][scheme.key] = energy.estimate(options.config, costs[scheme.key].machine, known[key], model)
    return traffic, energies
