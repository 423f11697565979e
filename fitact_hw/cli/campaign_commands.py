"""Commands of fault campaigns: run, resume, status, report, list, validate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fitact_hw.cli.options import ColsOption, ConfigOption, RowsOption, SeedOption, WordOption
from fitact_hw.config import AcceleratorConfig
from fitact_hw.faults import Shape

if TYPE_CHECKING:  # heavy: only when a command runs
    from fitact_hw.campaign.plan import CampaignOptions

app = typer.Typer(no_args_is_help=True, help="Fault campaigns: thousands of RTL-exact upsets.")

ROOT = Path("build/campaigns")

OutOption = Annotated[Path | None, typer.Option(help="campaign folder [build/campaigns/<model>]")]
WorkersOption = Annotated[int, typer.Option(min=1, help="local worker processes; results do not depend on it")]
SchedulerOption = Annotated[str | None, typer.Option(help="address of a Dask scheduler to use instead (tcp://...)")]
FolderArgument = Annotated[Path, typer.Argument(help="campaign folder")]


@app.command()
def run(
    model: Annotated[str, typer.Argument(help="network: see `fitact models`")] = "alexnet",
    faults: Annotated[int, typer.Option(min=1, help="injections per scheme")] = 1000,
    margin: Annotated[float | None, typer.Option(help="margin of error per structure, e.g. 0.01, instead")] = None,
    confidence: Annotated[float, typer.Option(help="confidence of the margin")] = 0.95,
    structures: Annotated[str, typer.Option(help="comma-separated; empty: all: see `fitact sites`")] = "",
    schemes: Annotated[str, typer.Option(help="comma-separated")] = "unprotected,ranger,clipact,fitact",
    shape: Annotated[Shape, typer.Option(help="cells that flip together, rows x columns")] = Shape.SINGLE,
    images: Annotated[int, typer.Option(min=1, help="test images that the injections are spread over")] = 4,
    seed: SeedOption = 1,
    rows: RowsOption = None,
    cols: ColsOption = None,
    word: WordOption = None,
    config: ConfigOption = None,
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = None,
    out: OutOption = None,
) -> None:
    """Run a campaign, or continue it: stop it at any time and repeat the command."""
    from fitact_hw.campaign.plan import CampaignOptions

    options = CampaignOptions(
        model=model,
        config=AcceleratorConfig.load(config, rows=rows, cols=cols, word_bits=word),
        schemes=tuple(filter(None, schemes.split(","))),
        structures=tuple(filter(None, structures.split(","))),
        faults=faults,
        images=images,
        seed=seed,
        shape=shape,
    )
    _run(options, out or ROOT / model, workers, scheduler, (margin, confidence) if margin else None)


@app.command()
def resume(
    folder: FolderArgument,
    faults: Annotated[int | None, typer.Option(min=1, help="injections per scheme [as started]")] = None,
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = None,
) -> None:
    """Continue the campaign in a folder with the options it was started with."""
    from dataclasses import replace

    from fitact_hw.campaign.report import options_of
    from fitact_hw.campaign.run import store_path
    from fitact_hw.campaign.store import Store

    store = Store(store_path(folder))
    try:
        options = options_of(store)
    finally:
        store.close()
    _run(replace(options, faults=faults or options.faults), folder, workers, scheduler, None)


def _run(
    options: CampaignOptions,
    folder: Path,
    workers: int,
    scheduler: str | None,
    margin: tuple[float, float] | None,
) -> None:
    from fitact_hw.campaign.live import run_live

    run_live(options, folder, workers, scheduler, margin)


@app.command()
def status(folder: FolderArgument) -> None:
    """How far a campaign is; works while it runs."""
    from fitact_hw.campaign.live import print_status
    from fitact_hw.campaign.run import store_path
    from fitact_hw.campaign.store import Store
    from fitact_hw.experiment.progress import terminal

    store = Store(store_path(folder))
    try:
        print_status(terminal(), store)
    finally:
        store.close()


@app.command()
def report(
    folder: FolderArgument,
    fit: Annotated[float, typer.Option(help="raw upset rate of the cells, FIT per Mbit")] = 1000.0,
    confidence: Annotated[float, typer.Option(help="confidence of the intervals")] = 0.95,
    parquet: Annotated[bool, typer.Option("--parquet", help="also write injections.parquet")] = False,
) -> None:
    """Probabilities by structure and scheme, FIT, worst sites; works while the campaign runs."""
    from fitact_hw.campaign.report import PARQUET, export_parquet, print_report
    from fitact_hw.campaign.run import store_path
    from fitact_hw.campaign.store import Store
    from fitact_hw.experiment.progress import terminal

    console, store = terminal(), Store(store_path(folder))
    try:
        print_report(console, store, fit, confidence)
        if parquet:
            console.print(f"all injections: {export_parquet(store.rows(), folder / PARQUET)}")
    finally:
        store.close()


@app.command("list")
def list_campaigns(root: Annotated[Path, typer.Option(help="folder that holds campaign folders")] = ROOT) -> None:
    """All campaigns below a folder."""
    from fitact_hw.campaign.live import print_status
    from fitact_hw.campaign.run import STORE
    from fitact_hw.campaign.store import Store
    from fitact_hw.experiment.progress import terminal

    console = terminal()
    paths = sorted(root.glob(f"**/{STORE}"))
    if not paths:
        console.print(f"no campaigns below {root}: start one with `fitact campaign run`")
    for path in paths:
        store = Store(path)
        try:
            print_status(console, store)
        finally:
            store.close()


@app.command()
def validate(
    model: Annotated[str, typer.Argument(help="network: see `fitact models`")] = "alexnet",
    injections: Annotated[int, typer.Option(min=1, help="upsets per scheme, over all structures")] = 50,
    schemes: Annotated[str, typer.Option(help="comma-separated")] = "unprotected,ranger,clipact,fitact",
    seed: SeedOption = 1,
    rows: RowsOption = None,
    cols: ColsOption = None,
    word: WordOption = None,
    config: ConfigOption = None,
    workers: WorkersOption = 2,
) -> None:
    """The same upsets through the engine and as plain RTL runs: must agree on every result."""
    from fitact_hw.campaign.live import run_validation
    from fitact_hw.campaign.plan import CampaignOptions

    machine = AcceleratorConfig.load(config, rows=rows, cols=cols, word_bits=word)
    names = tuple(filter(None, schemes.split(",")))
    run_validation(CampaignOptions(model, machine, names, (), injections, 1, seed), workers)


@app.command()
def bench(
    model: Annotated[str, typer.Argument(help="network: see `fitact models`")] = "alexnet",
    faults: Annotated[int, typer.Option(min=1, help="injections through the engine")] = 1000,
    rtl_runs: Annotated[int, typer.Option(min=1, help="of these, also as plain RTL runs")] = 10,
    software_runs: Annotated[int, typer.Option(min=2, help="software-only injections")] = 64,
    structures: Annotated[str, typer.Option(help="comma-separated; empty: all")] = "",
    scheme: Annotated[str, typer.Option(help="protection scheme")] = "fitact",
    seed: SeedOption = 1,
    rows: RowsOption = None,
    cols: ColsOption = None,
    word: WordOption = None,
    config: ConfigOption = None,
) -> None:
    """Injections per second: engine, plain RTL, software only; and where the engine's time goes."""
    from fitact_hw.campaign.bench import run_bench
    from fitact_hw.campaign.plan import CampaignOptions

    machine = AcceleratorConfig.load(config, rows=rows, cols=cols, word_bits=word)
    names = tuple(filter(None, structures.split(",")))
    run_bench(CampaignOptions(model, machine, (scheme,), names, faults, 1, seed), rtl_runs, software_runs)


def register(main: typer.Typer) -> None:
    """Add this module's commands to ``main``."""
    main.add_typer(app, name="campaign")
