"""How much `fitact sim` does when nothing is asked for."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fitact_hw.config import AcceleratorConfig
from fitact_hw.experiment import struck
from fitact_hw.experiment.sim import default_images
from fitact_hw.experiment.timeline import Timeline
from tests.campaign.conftest import make_case
from tests.sim.machines import TINY


@pytest.mark.parametrize(
    ("million_macs", "images"), [(91, 16), (313, 12), (1300, 3), (9000, 1)]
)  # AlexNet, VGG16, ResNet50, something larger
def test_large_networks_get_fewer_images(million_macs: int, images: int) -> None:
    network: Any = SimpleNamespace(macs=million_macs * 10**6)
    assert default_images(network, AcceleratorConfig.create(), 4) == images


def test_long_runs_get_fewer_cross_checks() -> None:
    case = make_case("layer")
    subject = struck.Subject(case.network, case.program, case.image)
    logits = case.trace[case.program.logits]
    verdict: Any = SimpleNamespace(way=SimpleNamespace(value="full"))
    items = [struck.Injection(k, k % 2, SimpleNamespace(upsets=()), verdict) for k in range(20)]  # type: ignore[arg-type]
    short = Timeline("x", ("a",), np.array([10]), struck.CHECK_CYCLES // 100)
    assert TINY is subject.program.config
    counts = {}
    for cycles in (short.cycles, struck.CHECK_CYCLES // 2, 3 * struck.CHECK_CYCLES):
        checks = struck.make_checks(subject, replace(short, cycles=cycles), logits, items, seed=1)
        assert all(check.injection.image == 0 for check in checks)
        counts[cycles] = len(checks)
    assert list(counts.values()) == [struck.MOST_CHECKS, 2, 1]
