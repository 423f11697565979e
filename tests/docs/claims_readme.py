"""What README says in figures, made from the published files.

Each claim is a piece of text that must stand in the page word for word; a figure that no claim covers fails the test.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from fitact_hw.cli.sim_commands import SHOWN_WORD
from fitact_hw.config import AcceleratorConfig
from fitact_hw.networks import load_networks
from fitact_hw.reporting.statistics import wilson
from fitact_hw.simulate.run import SimOptions, default_images
from fitact_hw.simulate.verdict_text import verdict
from golden.bounds.schemes import titled
from golden.data.cifar10 import sample_images
from tests.docs import claims_findings, claims_speed
from tests.docs import evidence as e
from tests.docs.pages import DOCS, RESULTS

BOUND = {"ranger": "layer", "clipact": "layer", "proact": "layer (last: neuron)", "fitact": "neuron"}
ABOVE = {"unprotected": "passes on", "ranger": "saturates"}
STUDY = "parameter_check_alexnet"
PAPERS = {"ranger": "2003.13874", "clipact": "1912.00941", "proact": "2406.06313"}
"""Sources of the rivals, on arXiv; FitAct's stands in the first lines."""
NETWORKS = ("alexnet", "vgg16", "resnet50")


def claims() -> Iterator[str]:
    yield from _first_run()
    areas = e.areas("overhead_q15_16.md")
    for scheme, name in e.SCHEMES.items():
        upsets = e.rate_between(e.sdc("alexnet", 32, scheme)).replace(" (", " % (")
        area = areas[name][2] if name in areas else ""
        paper = f"[{name}](https://arxiv.org/abs/{PAPERS[scheme]})" if scheme in PAPERS else name
        yield e.line(paper, BOUND.get(scheme, ""), ABOVE.get(scheme, "zero"), *_accuracies(scheme), upsets, area)
    area = e.areas("overhead_parameter_check_q15_16.md")[titled("bitcheck")][2]
    name = "range check of stored words by bits"
    yield e.line(name, "layer", "word read as zero", *_accuracies("bitcheck"), "", area)
    yield from _samples()
    yield from _speed()
    yield from _comparisons_with_plain_rtl()
    rows = [row for model in NETWORKS for row in e.table(f"validate_memory_{model}")]
    assert not any(int(row["logits_that_differ_in_rtl"]) for row in rows)
    yield f"all {len(rows)} runs ({len(rows) // len(NETWORKS)} for each network)"
    yield f"the {len(sample_images())} that come with the package foolbox"


def _accuracies(scheme: str) -> list[str]:
    """Top-1 without faults and at three rates."""
    clean, *struck = (e.cell(STUDY, "accuracy", scheme, rate) for rate in (0.0, 1e-6, 1e-5, 1e-4))
    return [f"{clean} %", *struck]


def _samples() -> Iterator[str]:
    """How large the samples behind the table are, and what its sentences rest on."""
    study = e.one(e.table(STUDY), scheme="fitact", rate=1e-5, word_bits=32)
    yield f"Accuracy: {study['maps']} fault maps, the first {study['images']} CIFAR-10 test images"
    kept = {scheme: float(e.one(e.table(STUDY), scheme=scheme, rate=1e-4)["mean"]) for scheme in e.SCHEMES}
    assert max(kept.values()) < 15
    assert float(e.one(e.table(STUDY), scheme="bitcheck", rate=1e-4)["low"]) > 85
    upsets = {e.sdc("alexnet", 32, scheme)["upsets"] for scheme in e.SCHEMES}
    yield f"SDC: {e.thousands(int(upsets.pop()))} upsets a scheme on 4 images"
    assert not upsets
    yield "default machine at 130 nm"
    zeroing = [e.sdc("alexnet", 32, scheme) for scheme in ("clipact", "proact", "fitact")]
    assert max(float(row["low"]) for row in zeroing) < min(float(row["high"]) for row in zeroing)
    told = list(claims_findings.stratified())
    (images,) = {found[1] for text in told if (found := re.search(r"scheme on (\d+ images)", text))}
    (gain,) = [text for text in told if text.startswith("less than")]
    yield f"on [{images}](docs/results/README.md#upsets-on-chip) FitAct's advantage is {gain}"


def _first_run() -> Iterator[str]:
    """What `make sim MODEL=alexnet` prints, from the counts of the published run."""
    rows = e.table("sim_alexnet_q15_16")
    upsets, changed = Counter[str](), Counter[str]()
    for row in rows:
        upsets[row["scheme"]] += int(row["upsets"])
        changed[row["scheme"]] += int(row["upsets"]) * (row["outcome"] == "sdc")
    (total,) = set(upsets.values())
    machine = AcceleratorConfig.create(word_bits=SHOWN_WORD)
    network = load_networks("alexnet", machine, ("fitact",))["fitact"]
    images = default_images(network, machine, SimOptions.batch)
    values = images * sum(math.prod(layer.out_shape) for layer in network.layers)
    numbers = {scheme: set(range(count)) for scheme, count in changed.items()}  # those of FitAct are among the others
    yield verdict(values, len(network.layers), images, 0, numbers, total, "fitact").text
    low, high = wilson(1, images, 0.95)
    yield f"{images} of {images} right by RTL: 100.0 % [{100 * low:.1f}, {100 * high:.1f}] (95 % interval)"
    yield f"{len(changed)} upsets repeated through cocotb"


def _speed() -> Iterator[str]:
    fastest = claims_speed.ratios(8, "plain RTL (cocotb)", "over all bits")
    assert len(fastest) == len(NETWORKS)
    yield f"{min(fastest):.0f} to {max(fastest):.0f} times as fast"
    text = (RESULTS / "speed.md").read_text()
    seconds = re.search(r"of an AMD EPYC \(AVX2 only\): (\d+) s, .* the second time (\d+ s)", " ".join(text.split()))
    assert seconds
    assert round(int(seconds[1]) / 60) == 3
    yield f"takes three minutes on two cores of an AMD EPYC, once; again, {seconds[2]}"
    disk = re.search(r"takes ([\d.]+ GB) on disk, ([\d.]+) GB with PyTorch's build for CPUs", text)
    assert disk
    yield f"({disk[1]} on disk, {disk[2]} without)"


def _comparisons_with_plain_rtl() -> Iterator[str]:
    """How many upsets were compared, from the page that tells the runs one by one."""
    text = " ".join((DOCS / "method" / "exactness.md").read_text().split())
    found = re.search(r"compared (2 000) upsets .* So did (\d+) upsets on VGG16 and (\d+) on ResNet50", text)
    assert found
    total = e.thousands(sum(int(part.replace(" ", "")) for part in found.groups()))
    yield f"{found[1]} upsets"
    yield f"{total} of {total}"
