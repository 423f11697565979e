"""`fitact sim`: a network through the RTL, fault-free against the golden model, then hit by upsets."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from fitact_hw.campaign.plan import CampaignOptions
from fitact_hw.campaign.pool import Forks
from fitact_hw.campaign.replay import Repeat, window
from fitact_hw.campaign.run import CampaignRun
from fitact_hw.campaign.store import STORE, Row, Store, store_path
from fitact_hw.campaign.subjects import load_subject
from fitact_hw.campaign.terminal import live_shares
from fitact_hw.campaign.work import workplace
from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import FitActError
from fitact_hw.faults import Outcome, Sample, Shape
from fitact_hw.networks import load_images, load_networks
from fitact_hw.reporting.command import here
from fitact_hw.reporting.figures import save_png
from fitact_hw.reporting.formats import percent_interval
from fitact_hw.reporting.provenance import Run, fingerprint, of_machine, of_weights
from fitact_hw.reporting.statistics import Estimate
from fitact_hw.reporting.terminal import bar, details, noter, terminal, working
from fitact_hw.simulate import charts, fault_free, tables, upsets
from fitact_hw.simulate.counts import Origin, csv_text, outcome_counts
from fitact_hw.simulate.verdict_text import Verdict, verdict
from golden.bounds.schemes import COMPARED, DEFAULT, in_order
from golden.networks.artefacts import WEIGHTS_FOLDER
from golden.qnetwork import QNetwork
from golden.subjects.find import open_subject
from golden.subjects.names import compared_schemes, is_shipped, short_name
from golden.subjects.subject import Samples, Subject
from golden.support.files import locked, write_json, write_text
from sim.engine.build import build_libraries
from sim.job import Job, RunResult, Status
from sim.simulator import Simulator
from sim.trace import layer_times

RESULTS, COUNTS, CHART = "results.json", "upsets.csv", "upsets.png"
MOST_IMAGES, IMAGE_CYCLES = 8, 16_000_000
"""Images by default, fewer for a large network: all of them together take about so many cycles."""

WAVE_AROUND = 200, 2000
"""Cycles before and after an upset that `--waves` dumps."""


@dataclass(frozen=True)
class SimOptions:
    """Everything that determines a run of `fitact sim`."""

    model: str = "alexnet"
    config: AcceleratorConfig = field(default_factory=AcceleratorConfig.create)
    images: int | None = None
    faults: int = 203
    seed: int = 1
    scheme: str = DEFAULT.name
    batch: int = 4
    shape: Shape = Shape.SINGLE
    workers: int = 2
    out: Path | None = None
    waves: bool = False

    @property
    def title(self) -> str:
        """Of the network."""
        return short_name(self.model)

    @property
    def folder(self) -> Path:
        """Where results go."""
        return self.out or Path("build") / self.title

    def to_json(self) -> dict[str, Any]:
        """Plain values of what influences results; the machine is recorded beside them."""
        names = ("model", "images", "faults", "seed", "scheme", "batch")
        return {name: getattr(self, name) for name in names} | {"shape": self.shape.value}


def default_images(network: QNetwork, config: AcceleratorConfig, batch: int) -> int:
    """Images that `fitact sim` takes when none are asked for: few enough for a short run, whole batches if possible."""
    cycles = network.macs / (config.rows * config.cols)
    images = max(1, min(MOST_IMAGES, int(IMAGE_CYCLES / cycles)))
    return images if images < batch else images - images % batch


def run_sim(options: SimOptions) -> dict[str, Any]:
    """Run everything, print it, and keep it in the result folder; returns what is in its RESULTS.

    Raises FitActError or GoldenError for bad options, and FitActError at the end if RTL and golden model differ.
    """
    config, began = options.config, Run(options.seed)
    network = load_networks(options.model, config, (options.scheme,))[options.scheme]
    subject = open_subject(options.model)
    found = (
        load_images(options.model, options.images)
        if options.images
        else subject.samples(default_images(network, config, options.batch))
    )
    options = replace(options, images=len(found.data))
    console = terminal()
    with locked(options.folder) as folder:
        note = noter(console)

        simulator = Simulator(config, workers=options.workers, note=note)
        with working(console, "generating and building the simulators (kept for the next run)"):
            simulator.build()
            if options.faults:
                build_libraries(config, note)
        console.print(
            f"[bold]{options.title}[/] on a {config.rows}x{config.cols} array, {config.word_bits}-bit words, "
            f"{config.acc_bits}-bit accumulators; {len(found.data)} images: {found.source}"
        )
        started = time.monotonic()
        record: dict[str, Any] = {
            "options": options.to_json(),
            "config": config.model_dump(mode="json"),
            "image_source": found.source,
            "labelled": found.labelled,
        }
        with ThreadPoolExecutor(1) as beside:  # what the upsets need is made while the simulators are at work
            campaign, pool = _campaign(options), Forks(options.workers)
            drawn = beside.submit(upsets.begin, campaign, folder, pool, note) if options.faults else None
            record |= _fault_free(console, simulator, network, config, options, found, subject)
        record["fault_free_seconds"] = round(time.monotonic() - started, 1)
        differing = sum(row["differing"] for row in record["layers"]) + record["class_mismatches"]
        if drawn and not differing:
            started = time.monotonic()
            record["upsets"] = _upsets(console, simulator, options, drawn.result(), folder)
            record["upset_seconds"] = round(time.monotonic() - started, 1)
        shown = _verdict(options, record, differing)
        record["verdict"] = asdict(shown)
        record["provenance"] = began.record(
            **of_machine(config),
            weights=of_weights(options.model),
            programs={options.scheme: record["program"]},
            images=fingerprint(found.data.images.tobytes()),
        )
        write_json(folder / RESULTS, record)
        console.print(shown.text, style="bold", markup=False, soft_wrap=True)
        _print_files(console, options, folder, record)
    if differing:
        raise FitActError(f"RTL and golden model differ in {differing} values: see {folder / RESULTS}")
    return record


def _fault_free(
    console: Console,
    simulator: Simulator,
    network: QNetwork,
    config: AcceleratorConfig,
    options: SimOptions,
    found: Samples,
    subject: Subject,
) -> dict[str, Any]:
    """All images through RTL and golden model; prints and returns the layer table and the classes."""
    from golden import reference
    from golden.quantisation.quantise import quantise_images

    images, labels = found.data.network_input(), found.data.labels
    batch = min(options.batch, len(images))
    program = compile_network(network, config, batch)
    qimages = quantise_images(network, images)
    runs = fault_free.batches(len(images), batch)
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
    table = fault_free.layer_table(network, program, cycles, differing, len(images))
    tables.print_layers(console, table, len(images), batch)
    total = results[0].cycles
    used = sum(layer.macs for layer in network.layers) * batch / (total * config.rows * config.cols)
    simulated = sum(result.cycles for result in results)
    console.print(f"{total:,} cycles for {batch} images, array used {used:.1%}")
    details(console).print(
        f"{simulated:,} cycles simulated in {seconds:.1f} s ({simulated / seconds / 1e6:.2f} M cycles/s)"
    )
    classes = [{"image": k, "label": int(labels[k]), "rtl": rtl[k], "golden": expected[k]} for k in range(len(images))]
    tables.print_classes(console, classes, subject, found.labelled)
    right = sum(row["rtl"] == row["label"] for row in classes)
    share = percent_interval(Estimate.of(right, len(classes)))
    what = "right by RTL" if found.labelled else "by RTL in the class of the float network"
    console.print(f"{right} of {len(classes)} {what}: {share} (95 % interval)")
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


def _campaign(options: SimOptions) -> CampaignOptions:
    """The upsets of a run: in live bits, for the usual schemes that the network has bounds of and the one that is run;
    all on the first image, whose fault-free run is made once for each scheme and shared by the workers."""
    schemes = in_order({*compared_schemes(options.model), options.scheme})
    return CampaignOptions(
        options.model,
        options.config,
        schemes=tuple(schemes),
        faults=options.faults,
        images=1,
        seed=options.seed,
        shape=options.shape,
        sample=Sample.LIVE,
    )


def _upsets(
    console: Console, simulator: Simulator, options: SimOptions, run: CampaignRun, folder: Path
) -> dict[str, Any]:
    """Upsets for every scheme; prints the outcome table, writes counts and chart, returns the summary."""
    campaign, config = run.options, options.config
    for scheme in (name for name in COMPARED if name not in campaign.schemes):
        learn = here("post-train", options.model, options={"scheme": scheme, "out": WEIGHTS_FOLDER})
        if not is_shipped(options.model):
            learn = here("bounds", options.model, options={"scheme": scheme})
        console.print(
            f"[yellow]{scheme} is left out: {options.title} has no bounds of it yet; to learn them: {learn}[/]",
            soft_wrap=True,
        )
    rows = upsets.work(console, run, folder)
    with Store(store_path(folder)) as store:
        facts = store.facts()
    counts = outcome_counts(rows)
    origin = Origin(options.title, config.rows, config.cols, config.word_bits, options.shape.value, options.seed)
    write_text(folder / COUNTS, csv_text(origin, counts))
    subjects = workplace(campaign, load_subject).subjects
    with ThreadPoolExecutor(1) as beside:
        chart = beside.submit(save_png, charts.upsets(origin, counts), folder / CHART)
        sample = upsets.repeats(campaign, subjects, rows, facts["cycles"])
        checked = upsets.cross_check(console, simulator, sample, folder)
        chart.result()
    tables.print_upsets(console, counts)
    console.print(
        f"{live_shares(campaign, facts)} Every structure gets the same number of upsets: the last rows are not "
        "weighted by size."
    )
    if options.waves and rows:
        row = next((row for row in rows if row.outcome != Outcome.MASKED.value), rows[0])
        item = Repeat.of(row, campaign, subjects[row.scheme], facts["cycles"][row.scheme])
        job = replace(item.job, waves=window(item, WAVE_AROUND, folder))
        [result] = Simulator(config, waves=True, note=noter(console)).run([job])
        console.print(f"waveform of {row.id} ({row.outcome}): {result.waves}", soft_wrap=True)
    return {
        "image": 0,
        "live": facts["live"],
        "dead_but_read": facts["dead_but_read"],
        "cycles": facts["cycles"],
        "checked": checked,
        "sdc": {scheme: sorted(row.number for row in rows if _changed_class(row, scheme)) for scheme in counts},
        "counts": {s: {k: dict(v) for k, v in of_scheme.items()} for s, of_scheme in counts.items()},
    }


def _changed_class(row: Row, scheme: str) -> bool:
    return row.scheme == scheme and row.outcome == Outcome.SDC.value


def _verdict(options: SimOptions, record: dict[str, Any], differing: int) -> Verdict:
    """What the run showed, in words."""
    layers = record["layers"]
    sdc = {scheme: set(numbers) for scheme, numbers in record.get("upsets", {}).get("sdc", {}).items()}
    values = sum(row["elements"] for row in layers)
    return verdict(values, len(layers), len(record["classes"]), differing, sdc, options.faults, options.scheme)


def _print_files(console: Console, options: SimOptions, folder: Path, record: dict[str, Any]) -> None:
    parts = {"images": record["fault_free_seconds"], "upsets": record.get("upset_seconds", 0.0)}
    shares = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in parts.items())
    note = noter(console)
    note(f"done in {sum(parts.values()):.0f} s ({shares}); results: {folder / RESULTS}")
    if "upsets" in record:
        note(f"upsets: {folder / STORE}, chart: {folder / CHART}")
        repeat = here("replay", options={"results": folder, "fault": f"{options.scheme}-0", "waves": True})
        note(f"repeat one: {repeat}")
