"""Commands of fault campaigns: run, resume, merge, restore, status, list, report, publish, replay, validate, bench."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fitact_hw.campaign.fault_list.formats import ExportFormat
from fitact_hw.cli.checks import (
    finite,
    injection,
    known_fault_model,
    known_structures,
    known_targets,
    network,
    possible_targets,
    rtl_images,
    scheduler_address,
)
from fitact_hw.cli.command import add
from fitact_hw.cli.options import (
    SchemeOption,
    SchemesOption,
    SeedOption,
    file_option,
    folder_option,
    fraction,
    given_file,
    given_file_option,
    names,
    share,
    with_machine,
)
from fitact_hw.cli.own_networks import NetArgument, with_network
from fitact_hw.cli.panels import CAMPAIGNS
from fitact_hw.cli.usage import Commands
from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import FitActError
from fitact_hw.fault_models import SEU, model_names
from fitact_hw.faults import Sample, Shape
from golden.bounds.schemes import DEFAULT
from golden.subjects.names import short_name

if TYPE_CHECKING:  # heavy: only when a command runs
    from fitact_hw.campaign.goal import Goal
    from fitact_hw.campaign.plan import CampaignOptions

RUN, RESULTS, CHECKS = "Run", "Results", "Checks and benchmarks"

ROOT = Path("build/campaigns")
VALIDATIONS = Path("build/validations")

StructuresOption = Annotated[str, typer.Option(help="comma-separated; empty: all: see `fitact sites`")]
OutOption = Annotated[Path | None, folder_option("campaign folder [build/campaigns/<model>]")]
WorkersOption = Annotated[int, typer.Option(min=1, help="local worker processes; results do not depend on it")]
SchedulerOption = Annotated[
    str | None,
    typer.Option(help="address of a Dask scheduler to use instead (tcp://...)", callback=scheduler_address),
]


def stored(text: str | Path) -> Path:
    """A campaign folder. Raises CampaignError if its store cannot be read."""
    from fitact_hw.campaign.store import Store, store_path

    Store(store_path(Path(text))).close()
    return Path(text)


FaultsOption = Annotated[int | None, typer.Option(min=1, help="injections per scheme [1000, or until --margin]")]
MarginOption = Annotated[
    str | None,
    typer.Option(
        help="stop when the SDC rate of the whole machine has an interval of this half-width under every scheme, e.g. "
        "0.1% (with --sample all or live: a margin of error in every structure)",
        callback=share("--margin"),
    ),
]
MinutesOption = Annotated[float | None, typer.Option(min=0.1, help="stop after so many minutes, between two rounds")]
PerStructureOption = Annotated[bool, typer.Option("--per-structure", help="as --target machine,structures")]
TargetOption = Annotated[
    str,
    typer.Option(
        help="what the margin is of, with commas: machine, structures, layers, differences (of each scheme from the "
        "reference), or one of each: a structure, layer:NAME, two schemes as clipact-fitact [machine]",
        callback=possible_targets,
    ),
]

FAULTS, STRATIFIED_IMAGES, DEFAULT_MARGIN = 1000, 50, 0.005
"""Without an option: injections per scheme, images of a stratified campaign, and its margin."""

FolderArgument = Annotated[Path, typer.Argument(help="campaign folder", parser=stored, metavar="FOLDER")]
FitOption = Annotated[
    float,
    typer.Option(
        "--fit-per-mbit",
        min=0,
        help="raw upset rate of the cells in FIT per 10^6 bits",
        callback=finite("--fit-per-mbit"),
    ),
]
ConfidenceOption = Annotated[
    str, typer.Option(help="confidence of the intervals, e.g. 95% or 0.95", callback=share("--confidence"))
]


@with_network
@with_machine
def run(
    machine: AcceleratorConfig,
    model: NetArgument = "alexnet",
    faults: FaultsOption = None,
    margin: MarginOption = None,
    minutes: MinutesOption = None,
    target: TargetOption = "",
    per_structure: PerStructureOption = False,
    confidence: ConfidenceOption = "95%",
    structures: StructuresOption = "",
    schemes: SchemesOption = "",
    shape: Annotated[Shape, typer.Option(help="cells that flip together, rows x columns")] = Shape.SINGLE,
    fault_model: Annotated[
        str,
        typer.Option(
            "--fault-model", "--model", help=f"what strikes: {', '.join(model_names())}", callback=known_fault_model
        ),
    ] = SEU.name,
    interleave: Annotated[
        int, typer.Option(min=1, help="words whose bits share a physical row, column by column, for --shape")
    ] = 1,
    sample: Annotated[
        Sample | None,
        typer.Option(
            help="stratified: live points, in rounds that go where uncertainty is; all, live: equally many in each "
            "structure, from all (bit, cycle) points or those that are read again "
            "[stratified with --margin or --minutes, else all]"
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="test images that the injections are spread over [stratified: 50, or all at hand; else 4]",
        ),
    ] = None,
    seed: SeedOption = 1,
    fault_list: Annotated[
        Path | None,
        given_file_option(
            "strike exactly the faults of this list instead: CSV, Parquet, or the text of fault simulators"
        ),
    ] = None,
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = None,
    out: OutOption = None,
) -> Any:
    """Run a campaign, or continue it: stop it at any time and repeat the command."""
    from golden.subjects.names import compared_schemes

    targets = _targets(target, per_structure)
    rounds = margin is not None or minutes is not None or bool(targets)
    sample = sample or (Sample.STRATIFIED if rounds else Sample.ALL)
    chosen = known_structures(structures, sample)
    if (fault_model != SEU.name or interleave > 1) and (fault_list or sample is not Sample.ALL):
        other = "--fault-list" if fault_list else f"--sample {sample.value}"
        if fault_model != SEU.name or sample is not Sample.STRATIFIED:
            raise FitActError(f"--fault-model and --interleave are of faults drawn from all points: leave out {other}")
    if sample is Sample.LIST and fault_list is None:
        raise FitActError("--sample list needs --fault-list FILE")
    if fault_list and (margin or minutes or structures):
        given = "--margin" if margin else "--minutes" if minutes else "--structures"
        raise FitActError(f"--fault-list says which faults: leave out {given}")
    network(model, names(schemes))
    known_targets(target, names(schemes) or compared_schemes(model))
    rtl_images(model, images)
    if fault_list:
        folder = out or ROOT / short_name(model)
        return _run_list(_plain_options(machine, model, names(schemes), seed), fault_list, folder, workers, scheduler)
    stratified = sample is Sample.STRATIFIED
    if not stratified and (minutes is not None or targets):
        raise FitActError(f"--minutes, --target and --per-structure are of --sample stratified, not of {sample.value}")
    from fitact_hw.campaign.plan import CampaignOptions

    options = CampaignOptions(
        model=model,
        config=machine,
        schemes=names(schemes) or compared_schemes(model),
        structures=chosen,
        faults=faults or (0 if stratified else FAULTS),
        images=images or (_images_at_hand(model) if stratified else 4),
        seed=seed,
        shape=shape,
        sample=sample,
        fault_model=fault_model,
        interleave=interleave,
    )
    share = fraction(confidence, "--confidence")
    wanted = fraction(margin, "--margin") if margin else None
    if stratified:
        goal = _goal(wanted, minutes, faults, share, targets)
        return _run(options, out or ROOT / short_name(model), workers, scheduler, goal=goal)
    return _run(options, out or ROOT / short_name(model), workers, scheduler, (wanted, share) if wanted else None)


def _images_at_hand(model: str) -> int:
    from fitact_hw.networks import images_at_hand

    return images_at_hand(model, STRATIFIED_IMAGES)


def _targets(text: str, per_structure: bool) -> tuple[str, ...]:
    """Those of a list with commas; none if none were asked for."""
    if text and per_structure:
        raise FitActError("--per-structure is --target machine,structures: give one of them")
    return ("machine", "structures") if per_structure else names(text)


def _goal(
    margin: float | None, minutes: float | None, faults: int | None, confidence: float, targets: tuple[str, ...]
) -> Goal:
    """What was asked for; the default margin, of the machine, if nothing was."""
    from fitact_hw.campaign.goal import Goal

    if margin is minutes is faults is None:
        margin = DEFAULT_MARGIN
    return Goal(margin, minutes, faults, confidence, targets or Goal.targets)


def resume(
    folder: FolderArgument,
    faults: FaultsOption = None,
    margin: MarginOption = None,
    minutes: MinutesOption = None,
    target: TargetOption = "",
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = None,
) -> Any:
    """Continue the campaign in a folder with the options it was started with."""
    from dataclasses import replace

    from fitact_hw.campaign.goal import Goal
    from fitact_hw.campaign.snapshot import options_of
    from fitact_hw.campaign.store import CampaignError, Store, store_path

    with Store(store_path(folder)) as store:
        options, kept = options_of(store), store.facts().get("goal", {})
    if options.sample is Sample.STRATIFIED:
        wanted, last = fraction(margin, "--margin") if margin else None, Goal.from_json(kept)
        if wanted is minutes is faults is None:
            wanted, minutes, faults = last.margin, last.minutes, last.faults
        goal = _goal(wanted, minutes, faults, last.confidence, known_targets(target, options.schemes) or last.targets)
        return _run(options, folder, workers, scheduler, goal=goal)
    if margin is not None or minutes is not None or target:
        raise CampaignError(f"{folder} is no stratified campaign, which --margin and --minutes need: use --faults")
    if not (faults or options.faults):
        raise CampaignError(
            f"{folder} was stopped before its margin became a number: repeat the command, or use --faults"
        )
    return _run(replace(options, faults=faults or options.faults), folder, workers, scheduler, None)


def _plain_options(machine: AcceleratorConfig, model: str, schemes: tuple[str, ...], seed: int) -> CampaignOptions:
    from fitact_hw.campaign.plan import CampaignOptions
    from golden.subjects.names import compared_schemes

    return CampaignOptions(model, machine, schemes or compared_schemes(model), seed=seed)


def _run_list(
    options: CampaignOptions,
    file: Path,
    folder: Path,
    workers: int,
    scheduler: str | None,
) -> Any:
    """A campaign of the faults in ``file``; what cannot be judged is told fault by fault."""
    from dataclasses import replace

    from fitact_hw.campaign.fault_list.files import read_fault_list
    from fitact_hw.campaign.fault_list.listed import FaultListError
    from fitact_hw.campaign.terminal import run_live
    from fitact_hw.networks import images_at_hand

    try:
        faults = read_fault_list(file)
        return run_live(
            replace(options, images=images_at_hand(options.model, faults.images)),
            folder,
            workers,
            scheduler,
            None,
            faults,
        )
    except FaultListError as error:
        if len(error.lines) > 1:
            print(*error.lines, sep="\n", file=sys.stderr)
        raise


def export(
    folder: FolderArgument,
    form: Annotated[
        ExportFormat, typer.Option("--format", help="csv, parquet, or dictionary: the text of fault simulators")
    ] = ExportFormat.CSV,
    out: Annotated[Path | None, file_option("file to write [FOLDER/faults.csv, .parquet or .txt]")] = None,
) -> Any:
    """Write every fault of a campaign with its status; each form can be read again with --fault-list."""
    from fitact_hw.campaign.fault_list.files import export as write
    from fitact_hw.campaign.snapshot import load_campaign
    from fitact_hw.reporting.terminal import terminal

    file = out or folder / f"faults{form.suffix}"
    campaign = load_campaign(folder)
    write(campaign, form, file)
    terminal().print(f"{len(campaign.rows):,} faults with statuses: {file}", soft_wrap=True)
    return {"file": file, "format": form, "faults": len(campaign.rows)}


def _run(
    options: CampaignOptions,
    folder: Path,
    workers: int,
    scheduler: str | None,
    margin: tuple[float, float] | None = None,
    goal: Goal | None = None,
) -> Any:
    from fitact_hw.campaign.terminal import run_live

    return run_live(options, folder, workers, scheduler, margin, goal=goal)


def restore(
    file: Annotated[
        Path, typer.Argument(help="Parquet file of `report` or `publish`", parser=given_file, metavar="FILE")
    ],
    out: Annotated[Path, folder_option("campaign folder")],
) -> Any:
    """Make a campaign folder of a Parquet file again, to report, replay or resume it."""
    from fitact_hw.campaign import archive
    from fitact_hw.reporting.terminal import terminal

    added = archive.restore(file, out)
    terminal().print(f"{added:,} injections added to {out}; `fitact campaign status {out}` says what is there")
    return {"folder": out, "added": added}


def merge(
    folders: Annotated[list[Path], typer.Argument(help="campaign folders", parser=stored, metavar="FOLDER FOLDER")],
    out: Annotated[Path | None, folder_option("folder of the merged campaign [the first one]")] = None,
) -> Any:
    """Make one campaign of what several computers ran: an injection counts once, a contradiction is refused."""
    from fitact_hw.campaign.merge import merge as merged
    from fitact_hw.reporting.command import here
    from fitact_hw.reporting.terminal import terminal

    found = merged(folders, out)
    terminal().print(
        f"{found['added']:,} injections added to {found['folder']}, which has {found['stored']:,} now; "
        f"{found['twice']:,} were in several and count once: {here('campaign', 'status', str(found['folder']))}",
        soft_wrap=True,
    )
    return found


def status(folder: FolderArgument) -> Any:
    """How far a campaign is; works while it runs."""
    from fitact_hw.campaign.terminal import print_status
    from fitact_hw.reporting.terminal import terminal

    return print_status(terminal(), folder)


def list_campaigns(root: Annotated[Path, typer.Option(help="folder that holds campaign folders")] = ROOT) -> Any:
    """All campaigns below a folder."""
    from fitact_hw.campaign.terminal import print_list
    from fitact_hw.reporting.terminal import terminal

    return print_list(terminal(), root)


def report(folder: FolderArgument, fit: FitOption = 1000.0, confidence: ConfidenceOption = "95%") -> Any:
    """Write report.html, report.csv and report.parquet beside the store, print a summary; works while it runs.

    The default raw rate lies within the 700 to 1200 FIT/Mbit that texts on IEC 61508 quote.
    """
    from fitact_hw.campaign.report.summary import run_report
    from fitact_hw.reporting.terminal import terminal

    return run_report(terminal(), folder, fit, fraction(confidence, "--confidence"))


def publish(
    folders: Annotated[list[Path], typer.Argument(help="campaign folders", parser=stored, metavar="FOLDER")],
    out: Annotated[Path, folder_option("folder of the pages, tables and charts")] = Path("docs/results"),
    fit: FitOption = 1000.0,
    confidence: ConfidenceOption = "95%",
) -> Any:
    """Write a Markdown page on the campaigns of each network, with CSV, Parquet and PNG files, to be committed."""
    from fitact_hw.campaign.report.publish import run_publish
    from fitact_hw.reporting.terminal import terminal

    return run_publish(terminal(), folders, out, fit, fraction(confidence, "--confidence"))


def replay(
    folder: FolderArgument,
    fault: Annotated[str, typer.Argument(help="scheme and number of an injection, e.g. fitact-17")],
    waves: Annotated[bool, typer.Option("--waves", help="dump the cycles around the upset as a waveform")] = False,
    before: Annotated[int, typer.Option(min=0, help="cycles dumped before the upset")] = 200,
    after: Annotated[int, typer.Option(min=1, help="cycles dumped after the upset")] = 2000,
    out: Annotated[Path | None, folder_option("folder of the waveform [the campaign folder]")] = None,
) -> Any:
    """Run one injection again in plain RTL; fails if its result differs from the stored one."""
    injection(folder, fault)
    from fitact_hw.campaign.replay import run_replay
    from fitact_hw.reporting.terminal import terminal

    return run_replay(terminal(), folder, fault, (before, after) if waves else None, out or folder)


@with_network
@with_machine
def validate(
    machine: AcceleratorConfig,
    model: NetArgument = "alexnet",
    injections: Annotated[
        int | None, typer.Option(min=1, help="upsets per scheme, over all structures [alexnet 400, others 50]")
    ] = None,
    schemes: SchemesOption = "",
    sample: Annotated[
        Sample, typer.Option(help="all: equally many in each structure; stratified: live points, as campaigns draw")
    ] = Sample.ALL,
    images: Annotated[int, typer.Option(min=1, help="test images that the upsets are spread over")] = 1,
    seed: SeedOption = 1,
    workers: WorkersOption = 2,
    out: Annotated[Path | None, folder_option("result folder [build/validations/<model>[-stratified]]")] = None,
) -> Any:
    """The same upsets through the engine and as plain RTL runs: must agree on every result; resumable."""
    network(model, names(schemes))
    rtl_images(model, images)
    if sample not in (Sample.ALL, Sample.STRATIFIED):
        raise FitActError(f"--sample {sample.value}: must be all or stratified")
    from fitact_hw.campaign.plan import CampaignOptions
    from fitact_hw.validation.engine import default_injections, run_validation
    from golden.subjects.names import compared_schemes

    chosen, count = names(schemes) or compared_schemes(model), injections or default_injections(model)
    options = CampaignOptions(model, machine, chosen, (), count, images, seed, sample=sample)
    name = short_name(model) + ("-stratified" if sample is Sample.STRATIFIED else "")
    return run_validation(options, workers, out or VALIDATIONS / name)


@with_machine
def bench(
    machine: AcceleratorConfig,
    model: NetArgument = "alexnet",
    faults: Annotated[int, typer.Option(min=1, help="injections through the engine, twice")] = 2000,
    rtl_runs: Annotated[int, typer.Option(min=1, help="of these, also as plain RTL runs")] = 10,
    software_runs: Annotated[int, typer.Option(min=2, help="software-only injections")] = 64,
    structures: StructuresOption = "",
    scheme: SchemeOption = DEFAULT.name,
    seed: SeedOption = 1,
) -> Any:
    """Injections per second: engine, plain RTL, software only; and where the engine's time goes."""
    chosen = known_structures(structures)
    network(model, [scheme])
    from fitact_hw.bench.injection import run_bench
    from fitact_hw.campaign.plan import CampaignOptions

    return run_bench(CampaignOptions(model, machine, (scheme,), chosen, faults, 1, seed), rtl_runs, software_runs)


def register(main: typer.Typer) -> Any:
    """Add this module's commands to ``main``."""
    app = typer.Typer(cls=Commands, no_args_is_help=True, help="Fault campaigns: thousands of RTL-exact upsets.")
    for function in (run, resume):
        add(app, RUN, function, verbose=True)
    for function in (merge, restore):
        add(app, RUN, function)
    for function in (status, report, export, publish):
        add(app, RESULTS, function)
    add(app, RESULTS, list_campaigns, "list")
    for function in (replay, validate, bench):
        add(app, CHECKS, function)
    main.add_typer(app, name="campaign", rich_help_panel=CAMPAIGNS)
