"""`fitact check`: whether a network can run, how, and what it loses by integers, before anything is simulated."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fitact_hw.compiler import compile_network
from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import CompileError
from fitact_hw.fsim.timing import estimate_cycles
from fitact_hw.reporting.formats import percent_interval
from fitact_hw.reporting.statistics import Estimate
from golden.errors import GoldenError, QuantisationWarning, UnsupportedError
from golden.frontend.layers import FloatLayer
from golden.frontend.lowering import lower_network
from golden.frontend.network import GraphNetwork
from golden.quantisation.quantise import BinaryPoints, calibrate, quantise, word_name
from golden.subjects.agreement import Agreement, compare
from golden.subjects.find import open_subject
from golden.subjects.make import CALIBRATION_IMAGES, import_checked
from golden.subjects.names import is_source, short_name
from golden.subjects.subject import Samples

if TYPE_CHECKING:
    from golden.subjects.reading import Reading

MOST_IMAGES = 100
"""Test images that are tried by default."""

POOR_SHARE, POOR_SNR = 0.98, 20.0
"""With a smaller share of images in the same class, or with logits of fewer dB, the layer that loses most is named."""


@dataclass(frozen=True)
class LayerLine:
    """A layer as the machine runs it: MACs of an image, estimated cycles of a program of one image, share of the
    array's multiply-accumulates used in them, signal-to-noise ratio of integer against float in dB."""

    name: str
    node: str
    shape: tuple[int, int, int]
    macs: int
    cycles: int
    array_use: float
    snr_db: float


@dataclass(frozen=True)
class Checked:
    """What was found. ``problems``: everything that keeps it from running, each with its place; ``notes``: what is lost
    or left out; the counts are of ``images`` test images."""

    network: str
    word: int
    runs: bool
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    layers: tuple[LayerLine, ...] = ()
    cycles: int = 0
    images: int = 0
    labelled: bool = False
    float_right: int = 0
    integer_right: int = 0
    same: int = 0
    verdict: str = field(default="")

    @property
    def exit_code(self) -> int:
        """0 only if it can run."""
        return 0 if self.runs else 2


def run_check(
    model: str, data: str | None, reading: Reading, config: AcceleratorConfig, images: int, console: Console
) -> Checked:
    """The command: everything that is found is printed and returned.

    Raises GoldenError for images that cannot be read and for a source that is no network.
    """
    name = short_name(model) if not is_source(model) else model
    try:
        net = _net(model, data, reading)
    except UnsupportedError as error:
        return _shown(Checked(name, config.word_bits, False, error.problems), console)
    network, samples = net.network, net.samples
    try:
        lowered, points = lower_network(network), net.points(config.word_bits)
        qnet = quantise(network, points, name)
        program = compile_network(qnet, config, 1)
    except UnsupportedError as error:
        return _shown(Checked(name, config.word_bits, False, error.problems), console)
    except (GoldenError, CompileError) as error:
        return _shown(Checked(name, config.word_bits, False, (str(error),)), console)
    found = compare(lowered.layers, qnet, samples.data.part(0, images))
    estimate = estimate_cycles(program)
    cycles, slots = estimate.layer_cycles(), config.rows * config.cols
    lines = tuple(
        LayerLine(
            layer.name,
            float_layer.node,
            layer.out_shape,
            layer.macs,
            cycles[layer.name],
            layer.macs / (max(1, cycles[layer.name]) * slots),
            found.snr[layer.name],
        )
        for layer, float_layer in zip(qnet.layers, lowered.layers, strict=True)
    )
    outputs = int(np.prod(lowered.layers[-1].out_shape))
    notes = (*net.notes, *points.notes, *_doubt(found, samples.labelled, outputs), *_warning(found, lowered.layers))
    checked = Checked(
        name,
        config.word_bits,
        True,
        (),
        notes,
        lines,
        estimate.cycles,
        found.images,
        samples.labelled,
        found.float_right,
        found.integer_right,
        found.same,
        f"{name} can run with {word_name(config.word_bits)}: about {estimate.cycles:,} cycles an image, "
        f"{estimate.utilisation:.0%} of the {config.rows}x{config.cols} array used",
    )
    return _shown(checked, console)


@dataclass(frozen=True, eq=False)
class _Net:
    """What is checked: a network, its test images, binary points by word width, and what is to be known of it."""

    network: GraphNetwork
    samples: Samples
    points: Callable[[int], BinaryPoints]
    notes: tuple[str, ...]


def _net(model: str, data: str | None, reading: Reading) -> _Net:
    from golden.subjects.data import read_data
    from golden.subjects.nets import load_net

    if not is_source(model):
        subject = open_subject(model)
        network = subject.float_network()
        return _Net(network, subject.samples(), subject.points, network.graph.notes)
    assert data is not None
    imported = import_checked(load_net(model), read_data(data, reading))
    network, parts = imported.network, imported.data

    def points(word_bits: int) -> BinaryPoints:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", QuantisationWarning)  # they are in the points' notes
            calibration = parts.training.part(0, CALIBRATION_IMAGES).network_input()
            return calibrate(network, calibration.reshape(-1, *network.graph.taken), word_bits)

    return _Net(network, Samples(parts.test, parts.source, parts.labelled), points, parts.notes)


def _doubt(found: Agreement, labelled: bool, outputs: int) -> tuple[str, ...]:
    """Labels that the float network hardly ever meets are probably wrong."""
    count, chance = found.images, 1 / outputs
    if not labelled or count < 20 or found.float_right > count * chance + 2 * math.sqrt(count * chance * (1 - chance)):
        return ()
    return (
        f"float is right for {found.float_right} of {found.images} images, little more than by chance: are labels in "
        "the order of the network's outputs (classes of a folder are in that of their names), and images as in "
        "training (mean, std)?",
    )


def _warning(found: Agreement, layers: Sequence[FloatLayer]) -> tuple[str, ...]:
    logits = list(found.snr.values())[-1]
    if found.same >= POOR_SHARE * found.images and logits >= POOR_SNR:
        return ()
    changed, node = found.images - found.same, next(layer.node for layer in layers if layer.name == found.worst)
    worst = f"{found.worst} ({node})"
    return (
        f"most is lost in layer {worst}: {found.snr[found.worst]:.1f} dB, {found.loss:.1f} dB below what it reads; "
        f"{changed} of {found.images} images change their class by integers",
    )


def _shown(checked: Checked, console: Console) -> Checked:
    if not checked.runs:
        for problem in checked.problems:
            console.print(f"- {problem}", markup=False, soft_wrap=True)
        count = len(checked.problems)
        verdict = f"{checked.network} cannot run: {count} problem{'s' if count > 1 else ''}"
        console.print(verdict, style="bold red", markup=False, soft_wrap=True)
        return Checked(checked.network, checked.word, False, checked.problems, verdict=verdict)
    table = Table(title=f"{escape(checked.network)} as the machine runs it, {word_name(checked.word)}, one image")
    for name in ("layer", "stands for", "output", "M MAC", "cycles", "array used", "SNR, dB"):
        table.add_column(name, justify="left" if name in ("layer", "stands for", "output") else "right")
    for line in checked.layers:
        table.add_row(
            line.name,
            escape(line.node),
            "x".join(map(str, line.shape)),
            f"{line.macs / 1e6:.3g}" if line.macs else "-",
            f"{line.cycles:,}",
            f"{line.array_use:.1%}" if line.macs else "-",
            f"{line.snr_db:.1f}" if math.isfinite(line.snr_db) else "exact",
        )
    console.print(table)
    meaning = "cycles are estimated; array used: useful multiply-accumulates; SNR: integer against float"
    console.print(meaning, style="dim")
    same = percent_interval(Estimate.of(checked.same, checked.images))
    if checked.labelled:
        console.print(f"top-1 of {checked.images} images: float {checked.float_right}, integer {checked.integer_right}")
    console.print(f"{checked.same} of {checked.images} images in the same class as by float: {same} (95 % interval)")
    for note in checked.notes:
        console.print(f"note: {note}", style="yellow", markup=False, soft_wrap=True)
    console.print(checked.verdict, style="bold", markup=False, soft_wrap=True)
    return checked
