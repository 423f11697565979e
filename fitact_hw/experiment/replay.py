"""`fitact replay`: one recorded upset again, from its row alone."""

from __future__ import annotations

from pathlib import Path

from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import FitActError
from fitact_hw.experiment import sim, upsets
from fitact_hw.experiment.inputs import load_images, load_networks
from fitact_hw.experiment.progress import terminal
from fitact_hw.experiment.store import RESULTS, ROWS, locked, read_json, read_rows
from fitact_hw.faults import FaultEvent
from sim.bench import Simulator


def run_replay(fault: str, folder: Path, waves: bool, before: int, after: int) -> None:
    """Run the upset ``fault`` of the results in ``folder`` again and compare.

    Raises FitActError for an unknown id, for a program that is no longer the recorded one, and when outcome or
    logits differ from the record.
    """
    record = read_json(folder / RESULTS)
    rows = {row["id"]: row for row in read_rows(folder / ROWS)}
    if fault not in rows:
        some = ", ".join(list(rows)[:3])
        raise FitActError(f"{folder} has no upset {fault!r}: ids are like {some} (see {folder / ROWS})")
    row = rows[fault]
    options = record["options"]
    config = AcceleratorConfig.create(**record["config"])
    networks = load_networks(options["model"], config, (row["scheme"],))
    images, _, _ = load_images(options["images"])
    console = terminal()
    with locked(folder):
        simulator = Simulator(config, note=lambda text: console.print(f"[dim]{text}[/]"))
        reference = sim.build_references(simulator, networks, config, images, row["image"] + 1)[0]
        if reference.program.fingerprint != row["program"]:
            raise FitActError(f"weights, compiler or machine changed since {fault} was recorded: run `make sim` again")
        event = FaultEvent.from_json(row["event"])
        result = simulator.run([upsets.make_job(reference, row["image"], event)])[0]
        outcome, logits = upsets.judge(reference, row["image"], result)
        console.print(f"upset    {event.id}")
        console.print(f"layer    {row['layer']}, image {row['image']}, scheme {row['scheme']}")
        console.print(f"outcome  {outcome.value} (recorded: {row['outcome']}), cycles {result.cycles:,}")
        console.print(f"logits   {logits.reshape(-1).tolist()}")
        console.print(f"without  {reference.logits[row['image']].reshape(-1).tolist()}")
        if waves:
            path = folder / f"{fault}.vcd"
            path = sim.dump_waves(config, reference, row["image"], event, path, before, after)
            console.print(f"waves    {path} (upset in cycle {event.cycle})")
    if outcome.value != row["outcome"] or logits.reshape(-1).tolist() != row["logits"]:
        raise FitActError(f"{fault} gave another result than recorded: this is a defect, please report it")
