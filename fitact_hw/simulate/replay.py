"""`fitact replay`: one recorded upset again, from its row alone."""

from __future__ import annotations

from pathlib import Path

from fitact_hw.campaign.plan import CampaignOptions, load_subject
from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import FitActError
from fitact_hw.faults import FaultEvent
from fitact_hw.injection.plain_run import judge
from fitact_hw.reporting.terminal import noter, terminal, working
from fitact_hw.simulate import run as sim
from fitact_hw.simulate.run import RESULTS
from fitact_hw.simulate.upsets import ROWS
from golden.support.files import locked, read_json, read_rows
from sim.simulator import Simulator


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
    campaign = CampaignOptions(options["model"], config, (row["scheme"],), images=options["images"])
    console = terminal()
    with locked(folder):
        simulator = Simulator(config, note=noter(console))
        subject = load_subject(campaign, row["scheme"])
        if subject.program.fingerprint != row["program"]:
            raise FitActError(f"weights, compiler or machine changed since {fault} was recorded: run `make sim` again")
        event = FaultEvent.from_json(row["event"])
        fault_free = subject.case(row["image"]).logits
        with working(console, "plain RTL run, after a build if there is none yet"):
            [result] = simulator.run([sim.recorded_job(subject, row)])
        outcome, logits = judge(result, fault_free)
        console.print(f"upset    {event.id}")
        console.print(f"layer    {row['layer']}, image {row['image']}, scheme {row['scheme']}")
        console.print(f"outcome  {outcome.value} (recorded: {row['outcome']}), cycles {result.cycles:,}")
        console.print(f"logits   {logits.reshape(-1).tolist()}")
        console.print(f"without  {fault_free.reshape(-1).tolist()}")
        if waves:
            path = sim.dump_waves(subject, row, folder / f"{fault}.vcd", before, after)
            console.print(f"waves    {path} (upset in cycle {event.cycle})")
    if outcome.value != row["outcome"] or logits.reshape(-1).tolist() != row["logits"]:
        raise FitActError(f"{fault} gave another result than recorded: this is a defect, please report it")
