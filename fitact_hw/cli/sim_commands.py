"""Commands that run networks through the RTL: sim, replay, validate and its kin."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from fitact_hw.cli.checks import injection, network, rtl_images
from fitact_hw.cli.command import add
from fitact_hw.cli.options import (
    SchemesOption,
    SeedOption,
    StoredSchemeOption,
    WorkersOption,
    folder_option,
    names,
    with_machine,
)
from fitact_hw.cli.own_networks import NetArgument, with_network
from fitact_hw.cli.panels import SIMULATE
from fitact_hw.config import AcceleratorConfig
from fitact_hw.faults import Shape
from golden.subjects.names import compared_schemes, default_scheme

SHOWN_WORD = 32
"""Word width of `fitact sim`: Q15.16, where upsets of high bits do damage and schemes differ. At 8 bits the format
itself limits activations."""


def _with_results(text: str | Path) -> Path:
    from fitact_hw.campaign.store import store_path

    if not Path(text).is_dir():
        raise ValueError("does not exist: run `make sim` first or name another folder")
    if not store_path(Path(text)).is_file():
        raise ValueError("holds no upsets: run `make sim` first or name another folder")
    return Path(text)


@with_network
@partial(with_machine, word_bits=SHOWN_WORD)
def sim(
    machine: AcceleratorConfig,
    model: NetArgument = "alexnet",
    images: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="test images [8, fewer for a large network]; more than 20 need FITACT_CIFAR10",
        ),
    ] = None,
    faults: Annotated[int, typer.Option(min=0, help="single-event upsets per protection scheme")] = 203,
    shape: Annotated[
        Shape, typer.Option(help="bits per upset: words along the bit line x bits along the word line")
    ] = Shape.SINGLE,
    seed: SeedOption = 1,
    scheme: StoredSchemeOption = None,
    batch: Annotated[int, typer.Option(min=1, help="images per program in the fault-free part")] = 4,
    workers: WorkersOption = 2,
    out: Annotated[Path | None, folder_option("result folder [build/<model>]")] = None,
    waves: Annotated[bool, typer.Option("--waves", help="dump a waveform of the first upset")] = False,
) -> Any:
    """Run a network through the RTL: bit-exact check, classification, upsets for every protection scheme."""
    scheme = scheme or default_scheme(model)
    network(model, [scheme])
    rtl_images(model, images)
    from fitact_hw.simulate.run import SimOptions, run_sim

    return run_sim(
        SimOptions(
            model=model,
            config=machine,
            images=images,
            faults=faults,
            shape=shape,
            seed=seed,
            scheme=scheme,
            batch=batch,
            workers=workers,
            out=out,
            waves=waves,
        )
    )


def replay(
    fault: Annotated[str, typer.Option("--fault", help="scheme and number of an upset, e.g. fitact-3")],
    results: Annotated[
        Path,
        typer.Option(help="result folder of `fitact sim`, or a campaign's", parser=_with_results, metavar="FOLDER"),
    ] = Path("build/alexnet"),
    waves: Annotated[bool, typer.Option("--waves", help="dump the cycles around the upset as a waveform")] = False,
    before: Annotated[int, typer.Option(min=0, help="cycles dumped before the upset")] = 200,
    after: Annotated[int, typer.Option(min=1, help="cycles dumped after the upset")] = 2000,
) -> Any:
    """Run one recorded upset again; fails if its outcome differs from the record."""
    injection(results, fault)
    from fitact_hw.campaign.replay import run_replay
    from fitact_hw.reporting.terminal import terminal

    return run_replay(terminal(), results, fault, (before, after) if waves else None, results)


@with_network
@with_machine
def validate(
    machine: AcceleratorConfig,
    model: NetArgument = "alexnet",
    injections: Annotated[int, typer.Option(min=1, help="upsets that change a tensor in use")] = 50,
    seed: SeedOption = 1,
    scheme: StoredSchemeOption = None,
    workers: WorkersOption = 2,
) -> Any:
    """Upsets in RTL buffers against the same corruption of the golden model's tensors: must agree on every logit."""
    scheme = scheme or default_scheme(model)
    network(model, [scheme])
    from fitact_hw.validation.tensors import run_validate

    return run_validate(model, machine, scheme, injections, seed, workers)


@with_network
@with_machine
def validate_memory(
    machine: AcceleratorConfig,
    model: NetArgument = "alexnet",
    schemes: SchemesOption = "",
    maps: Annotated[int, typer.Option(min=1, help="fault maps per scheme")] = 4,
    rate: Annotated[
        float | None, typer.Option(min=0, max=1, help="bit error rate [1e-4, 1e-5, 3e-6 for 8, 16, 32 bits]")
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="test images per run")] = 1,
    seed: SeedOption = 1,
    workers: WorkersOption = 2,
) -> Any:
    """Bit errors in the memory image (weights, biases, bounds) through the whole RTL: logits as the golden model's."""
    network(model, names(schemes))
    rtl_images(model, images)
    from fitact_hw.validation.memory import run_validate_memory

    chosen = names(schemes) or compared_schemes(model)
    return run_validate_memory(model, machine, chosen, maps, rate, images, seed, workers)


def validate_networks(
    n: Annotated[int, typer.Option("--n", min=1, help="networks to draw")] = 100,
    seed: SeedOption = 1,
    first: Annotated[int, typer.Option(min=0, help="number of the first one")] = 0,
    only: Annotated[
        int | None, typer.Option(min=0, help="this network alone, by its number; its source is kept")
    ] = None,
    rtl: Annotated[int, typer.Option(min=0, help="networks that go through the RTL too")] = 0,
    out: Annotated[Path, folder_option("result folder")] = Path("build/validate-networks"),
) -> Any:
    """Random whole networks against an independent reference: exact on every layer and close to float, or refused."""
    from fitact_hw.validation.networks.study import run_validate_networks

    return run_validate_networks(seed, n, first, only, rtl, out)


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    add(app, SIMULATE, sim, verbose=True)
    for function in (replay, validate, validate_memory, validate_networks):
        add(app, SIMULATE, function)
