"""Commands that say what protection costs: overhead, overhead-compare, overhead-lanes, overhead-power."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fitact_hw.cli.options import ColsOption, ConfigOption, RowsOption, SeedOption, WordOption, with_machine
from fitact_hw.config import AcceleratorConfig

LibrariesOption = Annotated[
    list[str] | None,
    typer.Option("--liberty", help="library beside the compact one: .lib, .lib.xz or a folder; may be repeated"),
]
PageOption = Annotated[Path | None, typer.Option(help="Markdown file to write [only print]")]
CacheOption = Annotated[Path, typer.Option(help="folder of the cache")]


def overhead(
    rows: RowsOption = None,
    cols: ColsOption = None,
    word: WordOption = None,
    config: ConfigOption = None,
    models: Annotated[
        str, typer.Option("--models", help="networks for memory, latency and energy, comma between")
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
    node: Annotated[int | None, typer.Option("--node", help="nm of the SRAM and energy model [the library's]")] = None,
    port_factor: Annotated[
        float, typer.Option("--port-factor", min=1.0, help="SRAM area factor for the second port")
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
    schemes: Annotated[str, typer.Option("--schemes", help="compare only these, commas between [all]")] = "",
    pareto: Annotated[
        list[Path] | None,
        typer.Option(
            "--pareto",
            help="also chart accuracy against area: CSV of `make resilience` or `fitact granularity`; may be repeated",
        ),
    ] = None,
    ber: Annotated[float, typer.Option("--ber", min=0.0, help="bit error rate of the Pareto chart")] = 1e-5,
    out: Annotated[Path, typer.Option(help="folder of results and cache")] = Path("build/overhead"),
) -> None:
    """Area, timing, FPGA resources, memory, latency and energy of every protection scheme, before layout."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=False)
    if list_pdks:
        _list_pdks(console)
        return
    from fitact_hw.overhead.flow import Options, run_overhead
    from fitact_hw.overhead.schemes import choose

    options = Options(
        config=AcceleratorConfig.load(config, rows=rows, cols=cols, word_bits=word),
        liberty=liberty,
        node_nm=node,
        port_factor=port_factor,
        fpga=fpga,
        full_top=full_top,
        workers=workers,
        out=out,
        command=_command(rows, cols, word, config, models, liberty, node, schemes, full_top, pareto or (), ber),
        schemes=choose(schemes),
        accuracies=tuple(pareto or ()),
        rate=ber,
    )
    run_overhead(options, {name: _layers(name) for name in models.split(",") if name}, console)


def overhead_compare(
    files: Annotated[list[Path], typer.Argument(help="overhead.json of two or more runs with different LIBERTY=")],
    out: PageOption = None,
) -> None:
    """One machine in several technologies: logic added, ranking, stages of the lane, blocks."""
    from fitact_hw.overhead.crosscheck import compare, read

    page = compare([read(path) for path in files])
    _publish(page, out)


def overhead_lanes(
    word: WordOption = None,
    config: ConfigOption = None,
    liberty: LibrariesOption = None,
    out: PageOption = None,
    cache: CacheOption = Path("build/overhead"),
) -> None:
    """One lane of every scheme in several technologies: area of the clamps, longest paths."""
    from rich.console import Console

    from fitact_hw.overhead.lane_check import markdown, measure
    from fitact_hw.overhead.technology import load

    machine = AcceleratorConfig.load(config, word_bits=word)
    technologies = [load(source, cache) for source in (None, *(liberty or ()))]
    with Console(stderr=True).status("mapping") as status:
        libraries = measure(machine, technologies, cache, status.update)
    options = [f"--liberty {Path(source).name}" for source in liberty or ()]
    options += [f"--word {machine.word_bits}"] if word else []
    page = markdown(machine, libraries, " ".join(["fitact overhead-lanes", *options]))
    _publish(page, out)


@with_machine
def overhead_power(
    machine: AcceleratorConfig,
    model: Annotated[str, typer.Argument(help="network whose operands are used: see `fitact models`")] = "alexnet",
    liberty: LibrariesOption = None,
    streams: Annotated[int, typer.Option(min=64, help="PEs and lanes simulated, a multiple of 64")] = 512,
    seed: SeedOption = 1,
    node: Annotated[int | None, typer.Option("--node", help="nm of the SRAM model [each library's]")] = None,
    out: PageOption = None,
    cache: CacheOption = Path("build/overhead"),
) -> None:
    """Energy of array and lanes from switching activity: mapped gates, simulated with a network's operands."""
    from rich.console import Console

    from fitact_hw.networks import load_images, load_networks
    from fitact_hw.overhead.power import measure
    from fitact_hw.overhead.power.report import markdown
    from fitact_hw.overhead.sram import SramModel, nearest_node
    from fitact_hw.overhead.technology import load
    from golden.quantisation.quantise import quantise_images

    layers = _layers(model)()
    networks = load_networks(model, machine, tuple(scheme.key for scheme in measure.COMPARED))
    images = quantise_images(networks["unprotected"], load_images(20)[0])
    technologies = [load(source, cache) for source in (None, *(liberty or ()))]
    with Console(stderr=True).status("drawing operands") as status:
        drawn = measure.draw(networks, images, machine.rows, streams, seed)
        results = []
        for technology in technologies:
            sram = SramModel(node or nearest_node(technology.node_nm))
            results.append(measure.evaluate(machine, drawn, layers, technology, sram, cache, status.update))
    options = [f"--liberty {Path(source).name}" for source in liberty or ()]
    options += [f"--rows {machine.rows} --cols {machine.cols} --word {machine.word_bits}"]
    options += [f"--streams {streams} --seed {seed}", *([f"--node {node}"] if node else [])]
    page = markdown(machine, results, " ".join([f"fitact overhead-power {model}", *options]))
    _publish(page, out)


def _publish(page: str, out: Path | None) -> None:
    """Print a page, and write it whole where that is asked for."""
    from fitact_hw.overhead.jobs import write_whole

    print(page)
    if out is not None:
        write_whole(out, page)


def _command(
    rows: int | None,
    cols: int | None,
    word: int | None,
    config: Path | None,
    models: str,
    liberty: str | None,
    node: int | None,
    schemes: str,
    full_top: int,
    pareto: Sequence[Path],
    ber: float,
) -> str:
    """The command line that gives the same figures again; files by their names only."""
    library = os.pathsep.join(Path(path).name for path in liberty.split(os.pathsep)) if liberty else None
    given = {
        "rows": rows,
        "cols": cols,
        "word": word,
        "config": config.name if config else None,
        "models": models,
        "liberty": library,
        "node": node,
        "schemes": schemes,
        "full-top": full_top,
    }
    words = [f"--{name} {value}" for name, value in given.items() if value]
    words += [f"--pareto {path.name}" for path in pareto]
    return " ".join(["fitact overhead", *words, *([f"--ber {ber:g}"] if pareto else [])])


def _layers(name: str) -> Callable[[], Sequence[Any]]:
    """Shapes of a network's layers, when they are needed; trained weights are not."""
    from golden.networks.models import build_model

    model = build_model(name)  # an unknown name fails here, before minutes of synthesis

    def layers() -> Sequence[Any]:
        from golden.frontend.lowering import lower

        return lower(model)

    return layers


def _list_pdks(console: Any) -> None:
    from rich.table import Table

    from fitact_hw.overhead.technology import find_pdks

    table = Table("found by", "LIBERTY=")
    found = find_pdks()
    for item in found:
        table.add_row(item.origin, item.path)
    console.print(table)
    if len(found) == 1:
        console.print("no PDK found; `pip install ciel`, then e.g. `ciel enable --pdk-family ihp-sg13g2 <version>`")


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    app.command()(overhead)
    app.command("overhead-compare")(overhead_compare)
    app.command("overhead-lanes")(overhead_lanes)
    app.command("overhead-power")(overhead_power)
