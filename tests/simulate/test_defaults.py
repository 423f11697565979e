"""How much `fitact sim` does when nothing is asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fitact_hw.config import AcceleratorConfig
from fitact_hw.simulate.run import default_images


@pytest.mark.parametrize(
    ("million_macs", "images"), [(91, 8), (313, 8), (1300, 3), (9000, 1)]
)  # AlexNet, VGG16, ResNet50, something larger
def test_large_networks_get_fewer_images(million_macs: int, images: int) -> None:
    network: Any = SimpleNamespace(macs=million_macs * 10**6)
    assert default_images(network, AcceleratorConfig.create(), 4) == images
