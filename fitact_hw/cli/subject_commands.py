"""Commands for networks of one's own: check, subject and bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fitact_hw.cli.command import add
from fitact_hw.cli.options import ALL, FoundSchemesOption, SeedOption, folder_option, names, with_machine
from fitact_hw.cli.own_networks import (
    DataOption,
    MeanOption,
    NetArgument,
    SizeOption,
    StdOption,
    known_net,
    reading_of,
)
from fitact_hw.cli.panels import OWN
from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import FitActError
from fitact_hw.reporting.terminal import terminal
from golden.bounds.schemes import DEFAULT
from golden.subjects.names import is_shipped, is_source, short_name


def _source(text: str) -> str:
    if not is_source(known_net(text)):
        raise FitActError(f"{text} is a subject already: name file.py:callable, a .pt2 or an .onnx file")
    return text


def _folder(text: str) -> str:
    if is_source(text) or is_shipped(known_net(text)):
        raise FitActError(f"{text} is no subject's folder: `fitact subject NET --data DATA --out FOLDER` makes one")
    return text


SourceArgument = Annotated[
    str,
    typer.Argument(
        help="file.py:callable (an nn.Module or a function that returns one), .pt2 or .onnx",
        callback=_source,
        metavar="NET",
    ),
]
FolderArgument = Annotated[str, typer.Argument(help="a subject's folder", callback=_folder, metavar="FOLDER")]


@with_machine
def check(
    net: NetArgument,
    machine: AcceleratorConfig,
    data: DataOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    size: SizeOption = None,
    images: Annotated[int, typer.Option(min=1, help="test images that are tried, at most")] = 100,
) -> Any:
    """Whether a network can run, layer by layer, and what it loses by integers; exits with 0 only if it can."""
    if is_source(net) != (data is not None):
        raise FitActError(
            f"{net} needs images: --data FILE.npz, a folder of class folders or file.py:function"
            if data is None
            else f"--data goes with a network of your own: {short_name(net)} has its images"
        )
    from fitact_hw.check import run_check

    return run_check(net, data, reading_of(mean, std, size), machine, images, terminal(160))


def subject(
    net: SourceArgument,
    data: DataOption = None,
    out: Annotated[Path | None, folder_option("the subject's folder, new")] = None,
    mean: MeanOption = None,
    std: StdOption = None,
    size: SizeOption = None,
) -> Any:
    """Make a subject of a network and its images: a folder that every command takes in place of a name."""
    if data is None or out is None:
        raise FitActError("a subject needs --data DATA (images) and --out FOLDER (where it goes)")
    from golden.subjects.data import read_data
    from golden.subjects.make import import_checked, write_subject
    from golden.subjects.nets import load_net

    imported = import_checked(load_net(net), read_data(data, reading_of(mean, std, size)))
    made = write_subject(imported, out, net)
    console, facts = terminal(), made.facts
    top1 = "no labels" if facts["float_top1"] is None else f"top-1 {facts['float_top1']:.1%} in float"
    words = ", ".join(map(str, made.words))
    console.print(
        f"{out}: {len(made.float_network().graph.ops)} operations, {facts['data']}, {top1}; words of {words} bits",
        markup=False,
        soft_wrap=True,
    )
    return {"folder": made.folder, "words": made.words, "schemes": made.schemes, **facts}


def bounds(
    folder: FolderArgument,
    scheme: FoundSchemesOption = DEFAULT.name,
    seed: SeedOption = 1,
) -> Any:
    """Learn the bounds of schemes for a subject on its own images, for every activation call; kept in its folder."""
    from fitact_hw.reporting.network_tables import print_bounds
    from fitact_hw.reporting.provenance import Run, of_weights
    from golden.search.own import find_own_bounds
    from golden.search.profiled import profiles_folder
    from golden.subjects.stored import StoredSubject

    began, made = Run(seed), StoredSubject(Path(folder))
    record = find_own_bounds(
        made,
        () if scheme == ALL else names(scheme),
        seed,
        profiles_folder(),
        lambda: began.record(weights=of_weights(made.uri)),
    )
    print_bounds(terminal(), record)
    return {"folder": made.folder, "schemes": made.schemes, "bounds": record}


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    for function in (check, subject, bounds):
        add(app, OWN, function)
