"""What the judge of random networks must not let pass, and how a study counts, keeps and repeats."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from fitact_hw.config import AcceleratorConfig
from fitact_hw.errors import FitActError
from fitact_hw.validation.networks import closeness, judge, study
from fitact_hw.validation.networks.drawing import Drawn, draw
from fitact_hw.validation.networks.judge import Judgement, Subject, Verdict
from golden.qnetwork import QLayer, QNetwork

MACHINE = AcceleratorConfig.create(rows=3, cols=3, word_bits=16)

SOURCE = """
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.bn = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 5, 1), nn.BatchNorm2d(5)
        self.fc = nn.Linear(5, 4)

    def forward(self, x):
        y = F.relu(self.conv1(x))
        y = F.relu(self.bn(self.conv2(y)) + y)
        {line}
        return self.fc(y.mean((2, 3)))


def build():
    torch.manual_seed(0)
    return Net().eval()
"""


def subject(line: str = "pass", bounded: bool = True) -> Subject:
    return Subject(Drawn(SOURCE.format(line=line), (3, 6, 5), 7, 1.0), bounded)


def test_a_good_network_is_exact() -> None:
    judgement, ready = subject().judge(MACHINE)
    assert (judgement.verdict, judgement.layers, judgement.bounded) == (Verdict.EXACT, 4, True)
    assert judgement.snr is not None
    assert judgement.snr > 50
    assert ready is not None
    assert set(ready.expected) == {layer.name for layer in ready.program.spans}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("y = F.gelu(y)", "gelu"),
        ("y = y if y.sum() > 0 else -y", "depends on data"),
        ("y = y.flip(0)", "mixes the images"),
    ],
)
def test_what_the_machine_cannot_do_is_refused(line: str, reason: str) -> None:
    judgement, ready = subject(line).judge(MACHINE)
    assert judgement.verdict is Verdict.REFUSED
    assert reason in judgement.reason
    assert ready is None


def test_a_traceback_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise IndexError("list index out of range")

    monkeypatch.setattr(judge, "compile_network", broken)
    judgement, _ = subject().judge(MACHINE)
    assert judgement.verdict is Verdict.CRASHED
    assert "IndexError" in judgement.reason


def test_a_golden_model_that_differs_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    run = judge.reference.run

    def wrong(qnet: QNetwork, images: np.ndarray) -> dict[str, np.ndarray]:
        trace = run(qnet, images)
        trace["conv2"] = trace["conv2"] + (trace["conv2"] == trace["conv2"].max())
        return trace

    monkeypatch.setattr(judge.reference, "run", wrong)
    judgement, _ = subject().judge(MACHINE)
    assert (judgement.verdict, judgement.reason) == (Verdict.DIFFERS, "golden model, layer conv2")


def test_a_program_that_differs_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_network = judge.compile_network

    def wrong(qnet: QNetwork, *rest: Any) -> Any:
        first = qnet.layers[0]
        return compile_network(replace(qnet, layers=(replace(first, bias=first.bias + 1000), *qnet.layers[1:])), *rest)

    monkeypatch.setattr(judge, "compile_network", wrong)
    judgement, _ = subject().judge(MACHINE)
    assert (judgement.verdict, judgement.reason) == (Verdict.DIFFERS, "functional simulator, layer conv1")


def changed(change: Callable[[QLayer], QLayer]) -> Callable[..., QNetwork]:
    quantise = judge.quantise

    def wrong(*arguments: Any, **options: Any) -> QNetwork:
        qnet = quantise(*arguments, **options)
        return replace(qnet, layers=(qnet.layers[0], change(qnet.layers[1]), *qnet.layers[2:]))

    return wrong


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda layer: replace(layer, weight=layer.weight + 1), "not the nearest word"),
        (lambda layer: replace(layer, bias=layer.bias + 2), "not the nearest word"),
        (lambda layer: replace(layer, residual=replace(layer.residual, lshift=layer.residual.lshift - 1)), "steps"),
        (lambda layer: replace(layer, activation="linear"), "steps"),
    ],
)
def test_numbers_that_are_not_the_networks_are_a_defect(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[QLayer], QLayer], reason: str
) -> None:
    monkeypatch.setattr(judge, "quantise", changed(change))
    judgement, _ = subject(bounded=False).judge(MACHINE)
    assert judgement.verdict is Verdict.FAR
    assert reason in judgement.reason


def test_points_that_lose_the_network_are_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    calibrate = judge.calibrate

    def coarse(*arguments: Any) -> Any:
        points = calibrate(*arguments)
        return replace(points, activation={**points.activation, "conv1": points.activation["conv1"] - 13})

    monkeypatch.setattr(judge, "calibrate", coarse)
    judgement, _ = subject(bounded=False).judge(MACHINE)
    assert judgement.verdict is Verdict.FAR
    assert "dB" in judgement.reason


def test_rounding_is_all_that_is_allowed() -> None:
    drawn = subject(bounded=False)
    assert drawn.network is not None
    layers = judge.lower_network(drawn.network).layers
    qnet = judge.quantise(drawn.network, judge.calibrate(drawn.network, drawn.images, 16))
    trace = judge.reference_network(qnet, judge.quantise_images(qnet, drawn.images))
    assert closeness.beyond_rounding(layers, qnet, trace) == ""
    for layer in qnet.layers:
        wrong = trace | {layer.name: trace[layer.name] + 2}
        assert layer.name in closeness.beyond_rounding(layers, qnet, wrong)


def test_a_network_is_its_seed_and_number() -> None:
    assert study.network(1, 5) == study.network(1, 5)
    assert study.network(1, 5).source != study.network(2, 5).source


def test_drawn_networks_are_of_many_kinds() -> None:
    drawn = [draw(random.Random(number)) for number in range(300)]
    assert {len(one.shape) for one in drawn} == {1, 2, 3}
    sources = "".join(one.source for one in drawn)
    wanted = (
        *("groups=", "dilation=", "ceil_mode", "torch.cat", "+=", ".add_(", "nn.ReLU6", "F.hardtanh", "self.act("),
        *('padding="same"', "bias=False", "BatchNorm1d", "AdaptiveMaxPool", "F.avg_pool2d", "inplace=True", "F.pad"),
        *("channel_shuffle", "left, right", "weight.data.mul_", "net.double()", "net.train()", "register_buffer"),
    )
    assert not [text for text in wanted if text not in sources]
    for one in drawn[:20]:
        assert isinstance(one.build(), nn.Module)


def test_a_study_counts_and_is_repeated_by_a_number(tmp_path: Path) -> None:
    whole = study.run_validate_networks(3, 3, 0, None, 0, tmp_path / "whole")
    assert whole["networks"] == 3
    assert whole["exact"] + whole["refused"] == 3
    assert whole["provenance"]["seed"] == 3
    again = study.run_validate_networks(3, 1, 0, 2, 0, tmp_path / "again")
    assert again["networks"] == 1
    assert (tmp_path / "again" / "network_2.py").read_text() == study.network(3, 2).source
    assert json.loads((tmp_path / "whole" / "networks.json").read_text())["machines"] == whole["machines"]


def test_a_defect_is_kept_and_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def judged(_drawn: Drawn, number: int) -> list[tuple[Judgement, None]]:
        verdict = Verdict.DIFFERS if number == 1 else Verdict.REFUSED
        return [(Judgement(verdict, "3x3 w8", "Net cannot run: gelu (gelu, net.py:3: y) is not supported"), None)]

    monkeypatch.setattr(study, "judge_all", judged)
    with pytest.raises(FitActError, match=r"1 of 3 networks have a defect.*--seed 4 --only 1"):
        study.run_validate_networks(4, 3, 0, None, 0, tmp_path)
    found = json.loads((tmp_path / "networks.json").read_text())
    assert list(found["defects"]) == ["1"]
    assert found["refusals"] == {"gelu is not supported": 2}
    assert (tmp_path / "network_1.py").is_file()
