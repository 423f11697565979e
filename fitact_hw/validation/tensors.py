"""`fitact validate`: upsets through RTL and golden model, which must agree on every logit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from fitact_hw.compiler import compile_network
from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import FitActError
from fitact_hw.faults import FaultEvent, Outcome, Storage, classify
from fitact_hw.faults import faults as upsets
from fitact_hw.injection import live_sample
from fitact_hw.injection.case import Case
from fitact_hw.injection.plain_run import judge, plain_job
from fitact_hw.networks import load_images, load_networks
from fitact_hw.registers import ErrorCode
from fitact_hw.reporting.provenance import Run, of_machine, of_weights
from fitact_hw.reporting.terminal import bar, noter, terminal, working
from fitact_hw.validation.tensor_faults import TensorFault, TensorFaults
from golden.subjects.names import short_name
from sim.job import Job
from sim.simulator import Simulator
from sim.trace import instruction_times

MOST_UPSETS = 65_536
"""Drawn at most in search of those that corrupt a whole tensor."""

TENSOR_BUFFERS = ("activation_buffer", "weight_buffer", "bias_buffer", "bound_buffer", "output_buffer")
"""Structures whose words are elements of a tensor."""


@dataclass(frozen=True)
class Comparison:
    """One injection: what the golden model expects and what the RTL did."""

    event: FaultEvent
    expected: TensorFault
    outcome: Outcome
    logits: np.ndarray

    def agrees(self, reference: np.ndarray) -> bool:
        """Same logits, hence the same outcome."""
        expected = classify(True, ErrorCode.NONE, self.expected.logits, reference)
        return bool(np.array_equal(self.logits, self.expected.logits)) and expected is self.outcome


def choose(
    faults: TensorFaults, sites: dict[str, Sequence[Storage]], cycles: int, wanted: int, seed: int
) -> list[tuple[FaultEvent, TensorFault]]:
    """``wanted`` upsets that change at least one tensor that is read, and the golden model's answer to each."""
    found: list[tuple[FaultEvent, TensorFault]] = []
    for event in islice(upsets(sites, cycles, seed), MOST_UPSETS):
        fault = faults.expected(event.structure, event.upsets[0])
        if fault is not None and fault.kind != "none":
            found.append((event, fault))
            if len(found) == wanted:
                return found
    raise FitActError(
        f"only {len(found)} of {MOST_UPSETS:,} upsets are faults of whole tensors, {wanted} are wanted: give fewer "
        "--injections; `fitact campaign validate` judges upsets of any kind"
    )


def compare(
    simulator: Simulator,
    config: AcceleratorConfig,
    model: str,
    scheme: str,
    injections: int,
    seed: int,
    console: Console,
) -> list[Comparison]:
    """Run ``injections`` upsets of one scheme on the first sample image through RTL and golden model."""
    from golden.quantisation.quantise import quantise_images

    network = load_networks(model, config, (scheme,))[scheme]
    images = load_images(model, 1).data.network_input()
    program = compile_network(network, config, 1)
    case = Case(network, program, quantise_images(network, images))
    free = simulator.run([Job(program=program, memory=case.memory, trace=True)])[0]
    assert free.events is not None
    faults = TensorFaults(network, program, case.memory, instruction_times(program, free.events), case.trace)
    sites = live_sample.structure_sites(config)
    checked = {f"{name}_buffer" for name in config.protected}  # a decoder stands between their words and the tensors
    wanted_sites = {name: sites[name] for name in TENSOR_BUFFERS if name in sites and name not in checked}
    if not wanted_sites:
        raise FitActError("every buffer of this machine is protected: leave the protection out to compare with tensors")
    with working(console, "golden model: expected outcomes"):
        chosen = choose(faults, wanted_sites, free.cycles, injections, seed)
    jobs = [plain_job(case, event, free.cycles) for event, _ in chosen]
    with bar(console, "upsets, full RTL runs") as progress:
        results = simulator.run(jobs, progress=progress)
    comparisons = []
    for (event, expected), result in zip(chosen, results, strict=True):
        outcome, logits = judge(result, case.logits)
        comparisons.append(Comparison(event, expected, outcome, logits))
    if not np.array_equal(free.tensor(program.logits).reshape(1, -1), case.logits):
        raise FitActError("fault-free RTL and golden logits differ: this is a defect")
    check(console, comparisons, case.logits)
    return comparisons


def check(console: Console, comparisons: Sequence[Comparison], golden_logits: np.ndarray) -> None:
    """Print agreement by structure; raises FitActError if any injection disagrees."""
    total: Counter[str] = Counter(item.event.structure for item in comparisons)
    agree: Counter[str] = Counter(item.event.structure for item in comparisons if item.agrees(golden_logits))
    changed: Counter[str] = Counter(item.event.structure for item in comparisons if item.outcome is not Outcome.MASKED)
    table = Table(title="Upsets in RTL and corrupted tensors in the golden model")
    for name in ("structure", "injections", "not masked", "same outcome and logits"):
        table.add_column(name, justify="left" if name == "structure" else "right")
    for structure in sorted(total):
        table.add_row(structure, str(total[structure]), str(changed[structure]), str(agree[structure]))
    console.print(table)
    wrong = [item for item in comparisons if not item.agrees(golden_logits)]
    if wrong:
        raise FitActError(f"{len(wrong)} of {len(comparisons)} disagree, the first is {wrong[0].event.id}")


def run_validate(
    model: str, config: AcceleratorConfig, scheme: str, injections: int, seed: int, workers: int
) -> dict[str, Any]:
    """The command: build, compare, print; returns what was compared."""
    console, began = terminal(), Run(seed)
    simulator = Simulator(config, workers=workers, note=noter(console))
    with working(console, "generating and building the simulator (kept for the next run)"):
        simulator.build()
    compared = compare(simulator, config, model, scheme, injections, seed, console)
    console.print(f"all {injections} agree ({short_name(model)}, {scheme}, {config.word_bits}-bit words, seed {seed})")
    return {
        "model": model,
        "scheme": scheme,
        "machine": config.fingerprint,
        "seed": seed,
        "injections": len(compared),
        "differ": 0,
        "structures": dict(Counter(item.event.structure for item in compared)),
        "outcomes": dict(Counter(item.outcome.value for item in compared)),
        "provenance": began.record(**of_machine(config), weights=of_weights(model)),
    }
