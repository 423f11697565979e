"""`fitact sim`: a network through the RTL, fault-free against the golden model, then hit by upsets."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import FitActError
from fitact_hw.experiment import faultfree, report, upsets
from fitact_hw.experiment.inputs import SCHEMES, load_images, load_networks
from fitact_hw.experiment.progress import bar, terminal
from fitact_hw.experiment.store import RESULTS, ROWS, RowWriter, locked, write_json
from fitact_hw.faults import Shape, wilson_interval
from fitact_hw.program import Program
from golden.qnetwork import QNetwork
from sim.bench import Simulator
from sim.job import Job, RunResult, Status, WaveWindow
from sim.trace import layer_times

CHART = "upsets.png"
WAVE_BEFORE, WAVE_AFTER = 200, 2000
"""Cycles dumped around an upset with `--waves`."""


@dataclass(frozen=True)
class SimOptions:
    """Everything that determines a run of `fitact sim`."""

    model: str = "alexnet"
    config: AcceleratorConfig = field(default_factory=AcceleratorConfig.create)
    images: int = 20
    faults: int = 21
    seed: int = 1
    scheme: str = "fitact"
    batch: int = 4
    shape: Shape = Shape.SINGLE
    workers: int = 2
    out: Path | None = None
    waves: bool = False

    @property
    def folder(self) -> Path:
        """Where results go."""
        return self.out or Path("build") / self.model

    def to_json(self) -> dict[str, Any]:
        """Plain values of what influences results; the machine is recorded beside them."""
        names = ("model", "images", "faults", "seed", "scheme", "batch")
        return {name: getattr(self, name) for name in names} | {"shape": self.shape.value}


def run_sim(options: SimOptions) -> None:
    """Run everything, print it, and keep it in the result folder.

    Raises FitActError or GoldenError for bad options, and FitActError at the end if RTL and golden model differ.
    """
    config = options.config
    networks = load_networks(options.model, config, tuple(dict.fromkeys((*SCHEMES, options.scheme))))
    images, labels, source = load_images(options.images)
    if len(images) < options.images:
        raise FitActError(f"only {len(images)} images are at hand: set IMAGES={len(images)} or FITACT_CIFAR10")
    console = terminal()
    with locked(options.folder) as folder:
        simulator = Simulator(config, workers=options.workers, note=lambda text: console.print(f"[dim]{text}[/]"))
        with console.status("generating and building the simulator (kept for the next run)"):
            simulator.build()
        console.print(
            f"[bold]{options.model}[/] on a {config.rows}x{config.cols} array, {config.word_bits}-bit words, "
            f"{config.acc_bits}-bit accumulators; {len(images)} images: {source}"
        )
        started = time.monotonic()
        record: dict[str, Any] = {
            "options": options.to_json(),
            "config": config.model_dump(mode="json"),
            "image_source": source,
        }
        record |= _fault_free(console, simulator, networks[options.scheme], config, options, images, labels)
        record["fault_free_seconds"] = round(time.monotonic() - started, 1)
        differing = sum(row["differing"] for row in record["layers"]) + record["class_mismatches"]
        if options.faults and not differing:
            started = time.monotonic()
            record["upsets"] = _upsets(console, simulator, networks, config, options, images, folder)
            record["upset_seconds"] = round(time.monotonic() - started, 1)
        write_json(folder / RESULTS, record)
        _print_files(console, options, folder, record)
    if differing:
        raise FitActError(f"RTL and golden model differ in {differing} values: see {folder / RESULTS}")


def _fault_free(
    console: Console,
    simulator: Simulator,
    network: QNetwork,
    config: AcceleratorConfig,
    options: SimOptions,
    images: np.ndarray,
    labels: np.ndarray,
) -> dict[str, Any]:
    """All images through RTL and golden model; prints and returns the layer table and the classes."""
    from golden import reference
    from golden.quantise import quantise_images

    batch = min(options.batch, len(images))
    program = compile_network(network, config, batch)
    qimages = quantise_images(network, images)
    runs = faultfree.batches(len(images), batch)
    names = tuple(layer.name for layer in network.layers)
    jobs = [
        Job(program=program, memory=with_images(program, qimages[index]), keep=names, trace=number == 0)
        for number, index in enumerate(runs)
    ]
    begin = time.monotonic()
    with bar(console, f"fault-free RTL runs, {batch} images each") as progress:
        results = simulator.run(jobs, progress=progress)
    seconds = time.monotonic() - begin
    differing = dict.fromkeys(names, 0)
    rtl: list[int] = []
    expected: list[int] = []
    for index, result in zip(runs, results, strict=True):
        check_done(result)
        keep = len(np.unique(index))
        golden = reference.run(network, qimages[index])
        for name in names:
            output = result.tensor(name)[:keep]
            differing[name] += int(np.count_nonzero(output != golden[name][:keep]))
        last = names[-1]
        rtl += result.tensor(last)[:keep].reshape(keep, -1).argmax(1).tolist()
        expected += golden[last][:keep].reshape(keep, -1).argmax(1).tolist()
    events = results[0].events
    assert events is not None
    cycles = {item.name: item.busy_cycles for item in layer_times(program, events)}
    table = faultfree.layer_table(network, program, cycles, differing, len(images))
    report.print_layers(console, table, len(images), batch)
    total = results[0].cycles
    used = sum(layer.macs for layer in network.layers) * batch / (total * config.rows * config.cols)
    simulated = sum(result.cycles for result in results)
    console.print(
        f"{total:,} cycles for {batch} images, array used {used:.1%}; "
        f"{simulated:,} cycles simulated in {seconds:.1f} s ({simulated / seconds / 1e6:.2f} M cycles/s)"
    )
    classes = [{"image": k, "label": int(labels[k]), "rtl": rtl[k], "golden": expected[k]} for k in range(len(images))]
    report.print_classes(console, classes)
    right = sum(row["rtl"] == row["label"] for row in classes)
    low, high = wilson_interval(right, len(classes))
    console.print(f"{right} of {len(classes)} right by RTL ({right / len(classes):.1%}, 95 % [{low:.1%}, {high:.1%}])")
    return {
        "layers": [asdict(row) for row in table],
        "classes": classes,
        "class_mismatches": sum(row["rtl"] != row["golden"] for row in classes),
        "cycles": total,
        "batch": batch,
        "utilisation": used,
        "cycles_per_second": simulated / seconds,
        "program": program.fingerprint,
    }


def check_done(result: RunResult) -> None:
    """Raise FitActError if a fault-free run did not finish as it must."""
    if result.status is not Status.DONE or result.violation:
        raise FitActError(
            f"the fault-free run ended with {result.status.value}, error code {result.code}, "
            f"AXI protocol {'violated: ' + result.violation if result.violation else 'kept'}: "
            "this is a defect of the machine"
        )


def build_references(
    simulator: Simulator,
    networks: dict[str, QNetwork],
    config: AcceleratorConfig,
    images: np.ndarray,
    count: int,
) -> list[upsets.Reference]:
    """Fault-free facts of every scheme at batch 1: golden logits of ``count`` images, traced RTL run of image 0."""
    from golden import reference
    from golden.quantise import quantise_images

    programs: list[Program] = [compile_network(network, config, 1) for network in networks.values()]
    qimages = [quantise_images(network, images[:count]) for network in networks.values()]
    jobs = [
        Job(program=program, memory=with_images(program, q[:1]), trace=True)
        for program, q in zip(programs, qimages, strict=True)
    ]
    references = []
    for network, program, q, result in zip(networks.values(), programs, qimages, simulator.run(jobs), strict=True):
        check_done(result)
        logits = reference.logits(network, q)
        if not np.array_equal(result.tensor(program.logits).reshape(-1), logits[0]):
            raise FitActError(f"fault-free RTL and golden logits of {network.scheme} differ: this is a defect")
        references.append(upsets.make_reference(network, program, q, count, logits, result))
    return references


def _upsets(
    console: Console,
    simulator: Simulator,
    networks: dict[str, QNetwork],
    config: AcceleratorConfig,
    options: SimOptions,
    images: np.ndarray,
    folder: Path,
) -> dict[str, Any]:
    """Upsets for every scheme; prints the outcome table, writes rows and chart, returns the summary."""
    count = upsets.fault_images(len(images), options.faults)
    compared = {scheme: networks[scheme] for scheme in SCHEMES}
    with console.status("fault-free references of every scheme"):
        references = build_references(simulator, compared, config, images, count)
    base = next(item for item in references if item.scheme == "fitact")
    drawn = upsets.draw(references, base, options.faults, options.seed, options.shape)
    events = drawn.events
    writer = RowWriter(folder / ROWS)
    try:
        with bar(console, "upsets, full RTL runs") as progress:
            rows = upsets.run_upsets(simulator, references, events, writer.append, progress)
    finally:
        writer.close()
    report.print_upsets(console, rows, drawn.live)
    array = f"{config.rows}x{config.cols}, {config.word_bits}-bit words"
    title = f"{options.model}, {array}, {options.shape.value} upsets, seed {options.seed}"
    report.plot_upsets(rows, title, folder / CHART)
    if options.waves and rows:
        _dump_first(console, config, references, events, rows, folder)
    counts = report.outcome_counts(rows)
    return {
        "images": count,
        "live": drawn.live,
        "cycles": {reference.scheme: reference.cycles for reference in references},
        "counts": {s: {k: dict(v) for k, v in of_scheme.items()} for s, of_scheme in counts.items()},
    }


def _dump_first(
    console: Console,
    config: AcceleratorConfig,
    references: list[upsets.Reference],
    events: dict[str, Any],
    rows: list[dict[str, Any]],
    folder: Path,
) -> None:
    """Waveform around the first upset that was not masked (else the first)."""
    row = next((row for row in rows if row["outcome"] != "masked"), rows[0])
    reference = next(item for item in references if item.scheme == row["scheme"])
    event = events[row["scheme"]][int(row["id"].rsplit("-", 1)[1])]
    path = dump_waves(config, reference, row["image"], event, folder / f"{row['id']}.vcd", WAVE_BEFORE, WAVE_AFTER)
    console.print(f"waveform of {row['id']} ({row['outcome']}): {path}")


def dump_waves(
    config: AcceleratorConfig,
    reference: upsets.Reference,
    image: int,
    event: Any,
    path: Path,
    before: int,
    after: int,
) -> Path:
    """Run one upset with a simulator that dumps waves; returns the waveform (FST if it can be made, else VCD)."""
    window = WaveWindow(max(0, event.cycle - before), event.cycle + after, path.resolve())
    job = replace(upsets.make_job(reference, image, event), waves=window)
    result = Simulator(config, waves=True).run([job])[0]
    assert result.waves is not None
    return result.waves


def _print_files(console: Console, options: SimOptions, folder: Path, record: dict[str, Any]) -> None:
    seconds = record["fault_free_seconds"] + record.get("upset_seconds", 0.0)
    console.print(f"done in {seconds:.0f} s; results: {folder / RESULTS}")
    if "upsets" in record:
        console.print(f"upsets: {folder / ROWS}, chart: {folder / CHART}")
        console.print(f"repeat one: .venv/bin/fitact replay --results {folder} --fault {options.scheme}-0000 --waves")
