"""What the findings page says in figures, made from the published files: see :mod:`tests.docs.claims_readme`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from fitact_hw.config import AcceleratorConfig
from tests.docs import evidence as e
from tests.docs import recomputed
from tests.docs.pages import RESULTS

TITLES = {"alexnet": "AlexNet", "vgg16": "VGG16", "resnet50": "ResNet50"}
SHOWN = [("alexnet", 1e-6), ("alexnet", 1e-5), ("vgg16", 1e-6), ("vgg16", 1e-5), ("resnet50", 1e-6), ("resnet50", 3e-6)]
"""Networks and rates of the table on bit errors."""


def claims() -> Iterator[str]:
    yield from _limits()
    yield from _parameter_memory()
    yield from _int8()
    yield from _granularity()
    yield from _on_chip()
    yield from _alarms()
    yield from _cost()
    yield from _clean()


def _limits() -> Iterator[str]:
    networks = {model: e.manifest(f"{model}.npz") for model in TITLES}
    top1 = {model: network["accuracy_percent"]["test_jpeg"] for model, network in networks.items()}
    images = e.thousands(e.clean("resnet50")["images"]["test_jpeg"])
    yield f"ResNet50 ({networks['resnet50']['recipe']['epochs']} epochs, {top1['resnet50']} % on {images} test images)"
    yield f"AlexNet ({top1['alexnet']} %)"
    count, excluding, kept = e.comparisons()
    yield f"Of the {count} comparisons of FitAct"
    yield f"{excluding} exclude zero, and {kept} stay significant"
    maps = len(e.by_map("resilience_alexnet", "fitact", 32, 1e-5))
    yield f"**{maps} fault maps at each rate.** BCa intervals from {maps} maps"
    bits = e.facts("alexnet", 32)["bits"]
    yield f"Each of {len(bits)} structures"
    half = {m: (high - low) / 2 for m in TITLES for _, low, high in [e.sdc_gain(m, 32, "fitact", "clipact")]}
    yield f"below {half['alexnet']:.2f} points (AlexNet, {_upsets('alexnet')} upsets a scheme)"
    yield f"or {half['resnet50']:.1f} points (ResNet50, {_upsets('resnet50')})"
    yield f"{sum(bits.values()) / 1e6:.1f} Mbit at Q15.16"
    yield f"{recomputed.parameter_bits(32) / 1e6:.1f} Mbit in external memory"
    yield "compact 130 nm library"
    yield from _parameter_check()


def _parameter_check() -> Iterator[str]:
    rows = e.table("parameter_check_alexnet")

    def row(scheme: str, rate: float = 1e-5) -> dict[str, float]:
        found = e.one(rows, scheme=scheme, rate=rate, word_bits=32)
        return {key: float(found[key]) for key in ("maps", "images", "mean", "low", "high")}

    check, fitact, both, bits = map(row, ("check", "fitact", "fitact+check", "bitcheck"))
    yield f"at 1e-5 {check['mean']:.1f} % ({check['low']:.1f} to {check['high']:.1f})"
    yield f"FitAct keeps {fitact['mean']:.1f} ({fitact['low']:.1f} to {fitact['high']:.1f})"
    yield f"no fault leaves {row('check', 0)['mean']:.1f}"
    yield f"[{check['maps']:.0f} maps, {check['images']:.0f} images]"
    yield f"FitAct with that check keeps {both['mean']:.1f}"
    yield f"does as well ({bits['mean']:.1f})"
    high = row("bitcheck", 1e-4)
    yield f"{high['mean']:.1f} % ({high['low']:.1f} to {high['high']:.1f})"
    assert max(row(scheme, 1e-4)["mean"] for scheme in e.SCHEMES) < 15
    first = e.by_map("parameter_check_alexnet", "fitact", 32, 1e-5)[:20].mean()
    lead = e.one(rows, scheme="proact", rate=1e-5, word_bits=32)
    apart, low, high_end = (float(lead[key]) for key in ("difference", "difference_low", "difference_high"))
    yield "a hundred maps"
    assert check["maps"] == 100
    yield f"the first {check['images']:.0f} images"
    yield f"leave FitAct {fitact['mean']:.1f} % at 1e-5, the first 20 of them {first:.1f}"
    yield f"over ProAct ({abs(round(apart, 1)):.1f}, {low:.1f} to {high_end:.1f})"
    names = ("range check by bits", "range check", "FitAct")
    small, large = (
        [e.areas(f"overhead_parameter_check{word}.md")[name][2] for name in names] for word in ("", "_q15_16")
    )
    yield f"{large[0]} against {large[1]} and {large[2]} at Q15.16, {small[0]}, {small[1]} and"
    yield f"{small[2]} at int8, with no cycle"
    rtl = e.table("validate_memory_parameter_check")
    assert not any(int(run["logits_that_differ_in_rtl"]) for run in rtl)
    yield f"for {len(rtl)} of {len(rtl)} corrupted memory"
    assert all((int(run["parameters_zeroed"]) > 0) == (int(run["range_hits"]) > 0) for run in rtl)
    assert all(int(run["parameters_zeroed"]) <= int(run["bias_flips"]) for run in rtl if run["word_bits"] == "8")


def _rate(rate: float) -> str:
    return np.format_float_scientific(rate, trim="-", exp_digits=1)


def _upsets(model: str) -> str:
    return e.thousands(int(e.sdc(model, 32, "fitact")["upsets"]))


def _parameter_memory() -> Iterator[str]:
    for scheme, name in e.SCHEMES.items():
        yield e.line(name, *(e.accuracy(model, scheme, rate) for model, rate in SHOWN))
    for rival in ("clipact", "proact"):
        yield e.line(f"FitAct - {e.SCHEMES[rival]}", *(e.difference(model, rival, rate) for model, rate in SHOWN))
    row = e.one(e.table("resilience_alexnet"), scheme="fitact", rate=1e-5, word_bits=32)
    yield f"Top-1 in %, {row['maps']} fault maps, first {e.thousands(int(row['images']))} test images"
    ahead = [e.difference(model, "clipact", 1e-5).split()[0].strip("+") for model in ("alexnet", "vgg16")]
    yield f"by {ahead[0]} and {ahead[1]} points at 1e-5"
    yield f"{e.difference('alexnet', 'proact', 1e-5).split()[0].strip('+')} points at 1e-5 on AlexNet"
    for model, rate in (("vgg16", 1e-5), ("resnet50", 3e-6)):
        value, low, high = re.findall(r"[\d.]+", e.difference(model, "proact", rate))
        yield f"{value} ({low} to {high}) at {_rate(rate)} on {TITLES[model]}"
    thresholds = e.manifest("resnet50_bounds.npz")["clipact"]["of_maximum"].values()
    yield f"{sum(value == 1 for value in thresholds)} of {len(thresholds)} thresholds stayed at 1.0 x maximum"
    hit, other = recomputed.logit_layer()
    yield f"Of the {len(hit) + len(other)} maps of FitAct on AlexNet at 1e-5, {len(hit)} flip"
    yield f"one of the upper {32 - recomputed.LEAST_BIT} bits of a word of the logit layer"
    yield f"{hit.mean():.1f} % there (standard deviation {hit.std(ddof=1):.1f})"
    yield f"{other.mean():.1f} % ({other.std(ddof=1):.1f}) on the other {len(other)}"
    yield from _ablation()


def _ablation() -> Iterator[str]:
    names = ("profiled maxima", "maxima x 0.85", "learned")
    maxima, scaled, learned = (e.by_map("ablation_vgg16", name, 32, 1e-5) for name in names)
    page = (RESULTS / "ablation_vgg16.md").read_text()
    cells = re.search(r"^\| maxima x 0\.85 \|.*\| (\S+) \((\S+) \+(\S+)\) \|$", page, re.M)
    assert cells
    gain = f"{learned.mean() - scaled.mean():+.1f}"
    assert gain == cells[1]
    yield f"the profiled maxima times 0.85 keep {scaled.mean():.1f} % at 1e-5"
    yield f"learned ones {learned.mean():.1f}, a difference of {gain.strip('+')} ({cells[2]} to {cells[3]})"
    yield f"the maxima as they are, {maxima.mean():.1f}"


def _int8() -> Iterator[str]:
    kept = {(m, s): e.accuracy(m, s, 1e-3, 8) for m in TITLES for s in ("unprotected", "clipact", "proact", "fitact")}
    yield f"At 1e-3 AlexNet keeps {kept['alexnet', 'unprotected']} % unprotected and {kept['alexnet', 'fitact']} with"
    yield f"VGG16 {kept['vgg16', 'unprotected']} and {kept['vgg16', 'fitact']}"
    yield f"ResNet50 keeps {kept['resnet50', 'fitact']} with FitAct, {kept['resnet50', 'proact']} with ProAct and"
    yield f"{kept['resnet50', 'clipact']} with Clip-Act"
    share = 100 * recomputed.parameter_bits(8, ("bias",)) / recomputed.parameter_bits(8)
    yield f"{share:.2f} % of AlexNet's bits"
    (none, none_spared), (fitact, fitact_spared) = map(recomputed.biases_spared, ("unprotected", "fitact"))
    yield f"On the {len(recomputed.sample_images())} photographs and the same {recomputed.MAPS} maps"
    yield f"{none:.0f} % stay right unprotected and {fitact:.0f} with FitAct"
    yield f"with flips in weights only {none_spared:.1f} and {fitact_spared:.1f}"
    assert none < none_spared - 50
    assert abs(none_spared - fitact_spared) < 2


STUDIES = {"AlexNet": ("alexnet_q15_16", 1e-5), "VGG16": ("vgg16", 1e-5), "ResNet50": ("resnet50", 3e-6)}
KINDS = ("layer-clip-learned", "channel-clip-learned", "patch-clip-learned", "neuron-clip-word")


def _granularity() -> Iterator[str]:
    rows = {
        (title, kind): row
        for title, (name, rate) in STUDIES.items()
        for kind in KINDS
        for row in e.table(f"granularity_{name}")
        if row["scheme"] == kind and float(row["rate"]) == rate
    }
    for title, (name, rate) in STUDIES.items():
        page, there = f"granularity_{name}", [kind for kind in KINDS if (title, kind) in rows]
        cells = [e.cell(page, "accuracy", kind, rate).split()[0] if kind in there else "" for kind in KINDS]
        gain = e.cell(page, "difference", "channel-clip-learned", rate)
        yield e.line(f"{title}, {_rate(rate)}", *cells, gain)
    size = {key: int(row["bound_bytes"]) for key, row in rows.items()}
    yield e.line("bytes", *(e.thousands(size["AlexNet", kind]) for kind in KINDS), "")
    maps = {row["maps"] for row in rows.values()}
    yield f"Q15.16, {maps.pop()} maps"
    assert not maps
    yield f"[AlexNet](granularity_alexnet_q15_16.md), {rows['AlexNet', KINDS[3]]['images']} images"
    yield f"[VGG16](granularity_vgg16.md), {rows['VGG16', KINDS[3]]['images']}"
    yield f"[ResNet50](granularity_resnet50.md), {rows['ResNet50', KINDS[3]]['images']})"
    less = [round(size[title, KINDS[3]] / size[title, KINDS[1]]) for title in ("AlexNet", "VGG16")]
    yield f"at 1/{less[0]} and 1/{less[1]} of the memory"
    largest = [
        e.cell(f"granularity_{name}", "accuracy", "channel-clip-word", rate).split()[0]
        for name, rate in (STUDIES["AlexNet"], STUDIES["ResNet50"])
    ]
    yield f"({largest[0]} % on AlexNet, {largest[1]} % on ResNet50)"
    saturating = [row for row in e.table("granularity_alexnet_q15_16") if "saturate" in row["scheme"]]
    most = max(float(row["mean"]) for row in saturating if float(row["rate"]) == 1e-5)
    yield f"(below {np.ceil(most):.0f} % on AlexNet at 1e-5)"
    lost = {model: e.table(f"protected_{model}_lost") for model in ("alexnet", "vgg16")}
    assert all(abs(float(r["lost"])) < 0.1 for rows in lost.values() for r in rows if float(r["rate"]) <= 3e-6)
    worst = e.one(lost["vgg16"], rate=1e-5)
    value, low, high = (float(worst[name]) for name in ("lost", "low", "high"))
    yield f"{value:.1f} points ({low:.1f} to {high:.1f}) on VGG16 at 1e-5"


def _on_chip() -> Iterator[str]:
    shown = ("unprotected", "ranger", "clipact", "fitact")
    for word, name in ((32, "Q15.16"), (8, "int8")):
        for model, title in TITLES.items():
            yield e.line(f"{title}, {name}", *(e.rate_between(e.sdc(model, word, scheme)) for scheme in shown))
    yield f"[AlexNet](campaigns_alexnet.md), {_upsets('alexnet')} upsets a scheme"
    yield f"[ResNet50](campaigns_resnet50.md), {_upsets('resnet50')}; 4 images"
    gain = {model: e.sdc_gain(model, 32, "fitact", "unprotected") for model in TITLES}
    yield "on AlexNet by {:.2f} points ({:.2f} to {:.2f})".format(*gain["alexnet"])
    yield "on ResNet50 by {:.2f} ({:.2f} to {:.2f})".format(*gain["resnet50"])
    yield "({:.2f}, {:.2f} to {:.2f})".format(*gain["vgg16"])
    assert gain["vgg16"][1] < 0 < gain["alexnet"][1]
    for model in TITLES:
        _, low, high = e.sdc_gain(model, 32, "fitact", "clipact")
        assert low < 0 < high
    yield from stratified()
    (many, above), (few, far) = _hit_buffers("alexnet"), _hit_buffers("resnet50")
    assert _hit_buffers("vgg16") == (few, far)
    yield f"0 of {many} in each on AlexNet (at most {above:.2f} %)"
    yield f"but only 0 of {few} on VGG16 and ResNet50 (at most {far:.1f} %)"
    yield f"(0 of {many} on AlexNet, 0 of {few} on the others)"


def stratified() -> Iterator[str]:
    """What the campaign on 50 images says."""
    rows = e.table("campaign_alexnet_16x16_q15_16_1x1_stratified")

    def row(scheme: str, rival: str = "") -> dict[str, str]:
        return e.one(rows, group="machine", scheme=scheme, rival=rival, measure="sdc")

    drawn = {scheme: row(scheme)["upsets"] for scheme in e.SCHEMES}
    (count,) = set(drawn.values())
    archive = e.archive("campaign_alexnet_16x16_q15_16_1x1_stratified", "image")
    images = {item["image"] for item in archive}
    assert len(archive) == int(count) * len(drawn)
    yield f"--faults {count} --images {len(images)} --seed 1"
    yield f"{e.thousands(int(count))} upsets a scheme on {len(images)} images"
    for scheme, title in e.SCHEMES.items():
        yield f"{title} {e.rate_between(row(scheme))}"
    for rival, before in (
        ("clipact", "Clip-Act minus FitAct is {:.3f} points"),
        ("proact", "ProAct minus FitAct {:.3f}"),
    ):
        value, low, high = (100 * float(row("fitact", rival)[name]) for name in ("value", "low", "high"))
        assert low < 0 < high
        yield before.format(value) + f" ({low:.3f} to {high:.3f})"
        if rival == "clipact":
            yield f"less than {high:.3f} points of {e.percent(row('unprotected')['value'])}"
    widest = {name: float(row(name)["high"]) - float(row(name)["low"]) for name in drawn}
    assert max(widest, key=lambda name: widest[name]) == "unprotected"
    yield f"the widest, {50 * widest['unprotected']:.2f} points"


def _hit_buffers(model: str) -> tuple[int, float]:
    """Upsets in each data buffer of the int8 machine, none of which ended as SDC, and how large the rate may be (%)."""
    rows = [
        e.one(e.campaign(model, 8), group="structure", key=f"{name}_buffer", scheme=scheme, rival="", measure="sdc")
        for name in ("activation", "weight", "accumulator", "output", "bound")
        for scheme in ("unprotected", "fitact")
    ]
    assert not any(int(row["hits"]) for row in rows)
    return int(rows[0]["upsets"]), 100 * max(float(row["high"]) for row in rows)


def _alarms() -> Iterator[str]:
    rows = e.table("alarms_alexnet_16x16_q15_16_1x1")

    def row(scheme: str, margin: int, threshold: int = 1) -> dict[str, float]:
        found = e.one(rows, scheme=scheme, margin=margin, threshold=threshold)
        return {key: float(value) for key, value in found.items() if key != "scheme"}

    def ends(found: dict[str, float], name: str, digits: int) -> str:
        low, high = (f"{100 * found[f'{name}_{end}']:.{digits}f}" for end in ("low", "high"))
        return f"{100 * found[name]:.{digits}f} ({low}-{high})"

    images = {float(item["images"]) for item in rows}
    yield f"{e.thousands(int(images.pop()))} clean images"
    draws = sum(item["scheme"] == "fitact" for item in e.archive("alarms_alexnet_16x16_q15_16_1x1_campaign"))
    yield f"{e.thousands(draws)} upsets a scheme, stratified, over 8 images"
    for scheme in ("ranger", "clipact", "proact", "fitact"):
        for margin in (0, 1, 2):
            found = row(scheme, margin)
            cells = (
                ends(found, name, digits) for name, digits in (("coverage", 1), ("notice", 1), ("residual_sdc", 3))
            )
            yield e.line(
                e.SCHEMES[scheme], str(margin), f"{100 * found['false_alarms']:.2f}", *cells, ends(found, "sdc", 3)
            )
    by_margin = [row(scheme, 1) for scheme in ("ranger", "clipact", "fitact")]
    most = max(found["false_alarms"] for found in by_margin)
    least = min(found["notice"] for found in by_margin)
    yield f"false on at most {100 * most:.2f} % of clean images and notices at least {100 * least:.1f} %"
    yield f"Ranger with an alarm leaves {100 * row('ranger', 0)['residual_sdc']:.3f} %"
    yield f"FitAct without one {100 * row('fitact', 0)['sdc']:.3f} %"
    few = [int(row(scheme, 0)["sdc_upsets"]) for scheme in ("clipact", "proact", "fitact")]
    yield f"{min(few)} or {max(few)} upsets"
    high = [100 * row(scheme, 0)["false_alarms"] for scheme in ("proact", "fitact")]
    yield f"raise one on {min(high):.0f} % of clean images"


def _cost() -> Iterator[str]:
    columns = ("Ranger", "Clip-Act", "FitAct", "channels", "parity", "SECDED", "3 lanes + voter")
    for name, page in (("int8", "overhead.md"), ("Q15.16", "overhead_q15_16.md")):
        yield e.line(name, *(e.areas(page)[column][2] for column in columns))
    _, memory, total = e.areas("overhead.md")["FitAct"]
    yield f"({memory.strip('+ %')} of {total.strip('+ ')})"
    lane, wide = ({word: recomputed.secded(word, bits) for word in (8, 32)} for bits in (None, 64))
    for word, page in ((8, "overhead.md"), (32, "overhead_q15_16.md")):
        assert abs(lane[word] - float(e.areas(page)["SECDED"][1].strip("+ %"))) < 0.01
    machine = AcceleratorConfig.create(protection="secded")
    yield f"({machine.word_bits + machine.check_bits('activation')},{machine.word_bits}) code words of one lane"
    yield f"cost +{lane[8]:.1f} % in memory (int8)"
    yield f"one code word for 64 bits, (72,64), would cost +{wide[8]:.1f} % by the same SRAM formula"
    yield f"(Q15.16: +{lane[32]:.1f} and +{wide[32]:.1f} %"
    yield f"Single images in the RTL take {e.extra_cycles('alexnet', 8):.2f} % more cycles with FitAct on AlexNet"
    more = [e.extra_cycles(model, 32) for model in TITLES]
    yield f"{more[0]:.2f} % at Q15.16 (VGG16 {more[1]:.2f}, ResNet50 {more[2]:.1f})"
    energy = re.search(r"^\| chip \|.*\(([+\d.]+)%\) \|$", (RESULTS / "overhead_power.md").read_text(), re.M)
    assert energy
    yield f"chip energy on AlexNet {energy[1]} %"
    yield "default machine at 130 nm"


def _clean() -> Iterator[str]:
    networks = {model: e.clean(model)["test_jpeg"] for model in TITLES}
    images = e.clean("alexnet")["images"]
    original = e.clean("alexnet")["test_lossless_part"]
    epochs = {model: e.manifest(f"{model}.npz")["recipe"]["epochs"] for model in TITLES}
    yield f"stored AlexNet ({epochs['alexnet']} epochs on two CPU cores"
    yield f"on the {e.thousands(images['test_jpeg'])} test images re-encoded as JPEG"
    yield f"on the {e.thousands(images['test_lossless_part'])} whose original pixels"
    assert networks["alexnet"]["unprotected"] == networks["alexnet"]["ranger"]
    for scheme, name in e.SCHEMES.items():
        if scheme != "ranger":
            words = [networks["alexnet"][scheme][word] for word in ("float32", "int8", "int16", "Q15.16")]
            title = "unprotected, Ranger" if scheme == "unprotected" else name
            yield e.line(title, *(f"{value:.2f}" for value in (*words, original[scheme]["float32"])))
    averaged = re.findall(r"\d+", e.manifest("vgg16.npz")["weights"])
    yield f"VGG16 (mean of epochs {averaged[0]}, {averaged[1]} and {averaged[2]})"
    vgg16, resnet50 = ({s: f"{networks[m][s]['float32']:.2f}" for s in e.SCHEMES} for m in ("vgg16", "resnet50"))
    yield f"has {vgg16['unprotected']} % in float32"
    yield f"(Clip-Act {vgg16['clipact']}, ProAct {vgg16['proact']}, FitAct {vgg16['fitact']})"
    yield f"ResNet50 ({epochs['resnet50']} epochs) {resnet50['unprotected']} %"
    yield f"({resnet50['clipact']}, {resnet50['proact']}, {resnet50['fitact']})"
