"""Commands that say what protection costs: overhead, overhead-compare, overhead-lanes, overhead-power."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fitact_hw.cli.checks import finite, sram_node, stream_count, technologies
from fitact_hw.cli.command import add, plain
from fitact_hw.cli.options import (
    ColsOption,
    ConfigOption,
    RowsOption,
    SeedOption,
    WordOption,
    file_option,
    folder_option,
    given_file,
    given_file_option,
    names,
    with_machine,
)
from fitact_hw.cli.own_networks import NetArgument, known_nets, with_network
from fitact_hw.cli.panels import COST
from fitact_hw.config import AcceleratorConfig
from fitact_hw.overhead.schemes import choose
from fitact_hw.reporting.command import command_line
from fitact_hw.reporting.terminal import terminal, working
from golden.bounds.schemes import UNPROTECTED
from golden.subjects.names import short_name
from golden.subjects.scheme_files import named
from golden.support.files import beside, write_json, write_text

LibrariesOption = Annotated[
    list[str] | None,
    typer.Option("--liberty", help="library beside the compact one: .lib, .lib.xz or a folder; may be repeated"),
]
PageOption = Annotated[Path | None, file_option("Markdown file to write, figures as JSON beside it [only print]")]


def _known(text: str) -> str:
    chosen = ",".join(map(named, names(text)))
    choose(chosen)
    return chosen


def overhead(
    rows: RowsOption = None,
    cols: ColsOption = None,
    word: WordOption = None,
    config: ConfigOption = None,
    models: Annotated[
        str,
        typer.Option("--models", help="networks for memory, latency and energy, comma between", callback=known_nets),
    ] = "alexnet,vgg16,resnet50",
    liberty: Annotated[
        str | None,
        typer.Option(
            "--liberty",
            envvar="LIBERTY",
            help="cell library: .lib, .lib.xz, a folder, or several with ':' between [compact 130 nm]",
        ),
    ] = None,
    list_pdks: Annotated[
        bool, typer.Option("--list-pdks", help="show the libraries that are installed, and stop")
    ] = False,
    node: Annotated[
        int | None,
        typer.Option("--node", help="nm of the SRAM and energy model [the library's]", callback=sram_node),
    ] = None,
    port_factor: Annotated[
        float,
        typer.Option(
            "--port-factor", min=1.0, help="SRAM area factor for the second port", callback=finite("--port-factor")
        ),
    ] = 1.0,
    fpga: Annotated[bool, typer.Option(help="place and route the lanes on an ECP5")] = True,
    full_top: Annotated[
        int,
        typer.Option(
            "--full-top",
            min=0,
            max=3,
            help="place and route whole machines too, so many times each (8x8: 4 minutes, 16x16: most of an hour)",
        ),
    ] = 0,
    workers: Annotated[int, typer.Option(min=1, help="processes; results do not depend on it")] = 2,
    schemes: Annotated[
        str,
        typer.Option("--schemes", help="compare only these, e.g. ranger,fitact or file.py:NAME [all]", callback=_known),
    ] = "",
    pareto: Annotated[
        list[Path] | None,
        given_file_option(
            "also chart accuracy against area: CSV of `make resilience` or `fitact granularity`; may be repeated",
            "--pareto",
        ),
    ] = None,
    ber: Annotated[float, typer.Option("--ber", min=0.0, max=1.0, help="bit error rate of the Pareto chart")] = 1e-5,
    out: Annotated[Path, folder_option("folder of results")] = Path("build/overhead"),
) -> Any:
    """Area, timing, FPGA resources, memory, latency and energy of every protection scheme, before layout."""
    console = terminal()
    if list_pdks:
        return _list_pdks(console)
    machine = AcceleratorConfig.load(config, rows=rows, cols=cols, word_bits=word)
    technologies([liberty])  # fails here, before minutes of synthesis
    given = {
        "rows": rows,
        "cols": cols,
        "word": word,
        "config": config.name if config else None,
        "models": models,
        "liberty": os.pathsep.join(_file_names(liberty.split(os.pathsep))) if liberty else None,
        "node": node,
        "port-factor": port_factor,
        "no-fpga": not fpga,
        "schemes": schemes,
        "full-top": full_top,
        "pareto": _file_names(pareto),
        "ber": f"{ber:g}" if pareto else None,
    }
    from fitact_hw.overhead.flow import OVERHEAD, Options, run_overhead
    from golden.support.files import read_json

    options = Options(
        config=machine,
        liberty=liberty,
        node_nm=node,
        port_factor=port_factor,
        fpga=fpga,
        full_top=full_top,
        workers=workers,
        out=out,
        command=command_line("overhead", options=given, usual={"full-top": 0, "port-factor": 1.0}),
        schemes=choose(schemes),
        accuracies=tuple(pareto or ()),
        rate=ber,
    )
    run_overhead(options, {short_name(name): _layers(name) for name in names(models)}, console)
    return read_json(out / machine.fingerprint / OVERHEAD)


def overhead_compare(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="overhead.json of two or more runs with different LIBERTY=", parser=given_file, metavar="FILE"
        ),
    ],
    out: PageOption = None,
) -> Any:
    """One machine in several technologies: logic added, ranking, stages of the lane, blocks."""
    from fitact_hw.overhead.crosscheck import compare, read
    from fitact_hw.reporting.provenance import Run, fingerprint

    began = Run()
    runs = [read(path) for path in files]
    record = began.record(files={path.name: fingerprint(path.read_bytes()) for path in files})
    found = {run.library: {"machine": run.machine, "cheapest_first": run.ranking(), "added": run.added} for run in runs}
    return _publish(compare(runs), out, {"libraries": found, "provenance": record})


def overhead_lanes(
    word: WordOption = None,
    config: ConfigOption = None,
    liberty: LibrariesOption = None,
    out: PageOption = None,
) -> Any:
    """One lane of every scheme in several technologies: area of the clamps, longest paths."""
    machine = AcceleratorConfig.load(config, word_bits=word)
    chosen = technologies([None, *(liberty or ())])
    from rich.console import Console

    from fitact_hw.overhead.jobs import cache_folder
    from fitact_hw.overhead.lane_check import markdown, measure
    from fitact_hw.reporting.provenance import Run, of_machine

    command = command_line("overhead-lanes", options={"liberty": _file_names(liberty), "word": word})
    began = Run(command=command)
    with working(Console(stderr=True), "mapping") as say:
        libraries = measure(machine, chosen, cache_folder(), say)
    record = began.record(**of_machine(machine), libraries={tech.name: tech.digest for tech in chosen})
    blocks = {found.technology.name: found.blocks for found in libraries}
    result = {"machine": machine.fingerprint, "libraries": blocks, "provenance": record}
    return _publish(markdown(machine, libraries, command), out, result)


@with_network
@with_machine
def overhead_power(
    machine: AcceleratorConfig,
    model: NetArgument = "alexnet",
    liberty: LibrariesOption = None,
    streams: Annotated[
        int, typer.Option(min=64, help="PEs and lanes simulated, a multiple of 64", callback=stream_count)
    ] = 512,
    seed: SeedOption = 1,
    node: Annotated[
        int | None, typer.Option("--node", help="nm of the SRAM model [each library's]", callback=sram_node)
    ] = None,
    out: PageOption = None,
) -> Any:
    """Energy of array and lanes from switching activity: mapped gates, simulated with a network's operands."""
    chosen = technologies([None, *(liberty or ())])
    from rich.console import Console

    from fitact_hw.networks import load_networks
    from fitact_hw.overhead.jobs import cache_folder
    from fitact_hw.overhead.power import measure
    from fitact_hw.overhead.power.report import markdown
    from fitact_hw.overhead.sram import SramModel, nearest_node
    from fitact_hw.reporting.provenance import Run, fingerprint, of_machine, of_weights
    from golden.quantisation.quantise import quantise_images
    from golden.subjects.find import open_subject

    options = {
        "liberty": _file_names(liberty),
        "rows": machine.rows,
        "cols": machine.cols,
        "word": machine.word_bits,
        "streams": streams,
        "seed": seed,
        "node": node,
    }
    command = command_line("overhead-power", short_name(model), options=options)
    began = Run(seed, command)
    layers = _layers(model)()
    networks = load_networks(model, machine, tuple(scheme.key for scheme in measure.COMPARED))
    images = quantise_images(networks[UNPROTECTED.name], open_subject(model).samples(20).data.network_input())
    with working(Console(stderr=True), "drawing operands") as say:
        drawn = measure.draw(networks, images, machine.rows, streams, seed)
        results = []
        for technology in chosen:
            sram = SramModel(node or nearest_node(technology.node_nm))
            results.append(measure.evaluate(machine, drawn, layers, technology, sram, cache_folder(), say))
    record = began.record(
        **of_machine(machine),
        weights=of_weights(model),
        images=fingerprint(images.tobytes()),
        libraries={tech.name: tech.digest for tech in chosen},
    )
    result = {"machine": machine.fingerprint, "results": results, "provenance": record}
    return _publish(markdown(machine, results, command), out, result)


def _publish(page: str, out: Path | None, result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Print a page and, where that is asked for, write it and beside it the result with where it comes from."""
    terminal().print(page, markup=False, soft_wrap=True)
    if out is not None:
        write_text(out, page)
        write_json(beside(out), plain(result))
    return result


def _file_names(paths: Sequence[str | Path] | None) -> list[str]:
    """Where a file lies is not the reader's business."""
    return [Path(path).name for path in paths or ()]


def _layers(name: str) -> Callable[[], Sequence[Any]]:
    """Shapes of a network's layers, when they are needed; trained weights are not."""
    from golden.networks.graphs import untrained_network
    from golden.subjects.find import open_subject
    from golden.subjects.names import is_shipped

    # an unknown name fails here, before minutes of synthesis
    network = untrained_network(name) if is_shipped(name) else open_subject(name).float_network()

    def layers() -> Sequence[Any]:
        from golden.frontend.lowering import lower

        return lower(network)

    return layers


def _list_pdks(console: Any) -> Any:
    from rich.table import Table

    from fitact_hw.overhead.technology import find_pdks

    table = Table("found by", "LIBERTY=")
    found = find_pdks()
    for item in found:
        table.add_row(item.origin, item.path)
    console.print(table)
    if len(found) == 1:
        console.print("no PDK found; `pip install ciel`, then e.g. `ciel enable --pdk-family ihp-sg13g2 <version>`")
    return found


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    for function in (overhead, overhead_compare, overhead_lanes, overhead_power):
        add(app, COST, function)
