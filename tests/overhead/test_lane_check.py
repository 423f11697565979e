"""Lanes in several technologies: what is mapped, sums and order; figures are given, so that each can be checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fitact_hw.config import AcceleratorConfig
from fitact_hw.overhead import lane_check
from fitact_hw.overhead.design import Block
from fitact_hw.overhead.lane_check import BODY, CLAMPS, DECODER, Library, markdown, measure, ranking
from fitact_hw.overhead.mapping import Mapped
from fitact_hw.overhead.technology import Technology

AREAS = {BODY: 1000.0, "unprotected": 100.0, "ranger": 210.0, "clipact": 150.0, "fitact_all": 200.0, DECODER: 50.0}


def library(tech: Technology, name: str, scale: float, node_nm: int = 130) -> Library:
    blocks = {k: Mapped(k, 4, scale * a, scale * 10.0, 0.0, 8, 9.0, a / 500, 0.0, 1.0, 0.1) for k, a in AREAS.items()}
    return Library(replace(tech, name=name, nand2_um2=scale, node_nm=node_nm), blocks)


def test_every_clamp_is_mapped_and_the_body_once(
    tech: Technology, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, int] = {}

    def fake(block: Block, technology: Technology, folder: Path, names: list[str]) -> Mapped:
        asked[block.key] = len(names)
        return Mapped(block.name, len(names), 1.0, 0.0, 0.0, 0, 1.0, 1.0, 0.0, 1.0, 0.0)

    monkeypatch.setattr(lane_check, "map_block", fake)
    [found] = measure(AcceleratorConfig.create(), [tech], cache)
    assert set(found.blocks) == {BODY, DECODER, *CLAMPS}
    assert len(asked) == len(found.blocks), "no two of them are the same hardware"
    assert sorted(asked.values()) == [1, 8, 8, 8, 8, 8]


def test_differences_order_and_ratios(tech: Technology) -> None:
    one, two, far = library(tech, "one", 2.0), library(tech, "two", 1.0), library(tech, "far", 0.1, node_nm=7)
    area, noise = one.added("ranger")
    assert area == pytest.approx(220.0)
    assert noise == pytest.approx(2 * 2**0.5 * 20 / 4**0.5)
    assert ranking(one) == "Clip-Act < FitAct, all modes = Ranger", "10 of 200 gates are within noise"
    page = markdown(AcceleratorConfig.create(), [one, two, far], "fitact overhead-lanes")
    assert "| Clip-Act | 50 ± 14 (+4.5%) |" in page
    assert "| clamp: Ranger | 0.420 | 0.420 | 0.420 |" in page
    assert "| Ranger, added to unprotected | 1.000 |\n" in page, "7 nm is no peer of 130 nm"
