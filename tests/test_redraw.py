"""The charts of docs/results are what the program draws from the tables beside them."""

from __future__ import annotations

import shutil
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from fitact_hw.cli import application
from fitact_hw.errors import FitActError
from fitact_hw.redraw import SOURCES, Study, redraw, study_of

RESULTS = Path(__file__).parents[1] / "docs" / "results"
STEMS = ("protected_resnet50", "pareto_alexnet_q15_16", "sim_alexnet_int8", "granularity_vgg16", "overhead",
         "alarms_alexnet_16x16_q15_16_1x1")  # fmt: skip
"""One of each kind, but for campaigns: what takes seconds."""

SAME = 2.0
"""Mean difference of 8-bit pixels below which two charts are equal: releases of FreeType smooth letters differently."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The pages and tables of :data:`STEMS`."""
    (tmp_path / "data").mkdir()
    for stem in STEMS:
        for path in (*RESULTS.glob(f"{stem}.md"), *(RESULTS / "data").glob(f"{stem}[._]*")):
            shutil.copy(path, tmp_path / path.relative_to(RESULTS))
    return tmp_path


def test_committed_charts_are_those_of_the_committed_tables(folder: Path) -> None:
    seen: list[Path] = []
    written = redraw(folder, seen.append)
    assert written == seen
    assert {path.name for path in written} == {f"{stem}.png" for stem in STEMS}
    for path in written:
        pixels = []
        for file in (path, RESULTS / path.name):
            with Image.open(file) as picture:
                pixels.append(np.array(picture.convert("RGB"), np.int64))
        assert pixels[0].shape == pixels[1].shape, path.name
        assert np.abs(pixels[0] - pixels[1]).mean() < SAME, f"{path.name}: run `make redraw` and commit the chart"


def test_every_committed_chart_has_a_table_and_is_small() -> None:
    tables = [path for path in (RESULTS / "data").iterdir() if any(fnmatch(path.name, name) for name in SOURCES)]
    stems = {path.stem.removesuffix("_maps") for path in tables}
    charts = sorted(RESULTS.glob("*.png"))
    assert len(charts) > 30
    for chart in charts:
        assert chart.stem in stems or chart.stem.rpartition("_")[0] in stems, f"{chart.name} cannot be redrawn"
        assert chart.stat().st_size < 100_000, f"{chart.name}: the repository keeps every version"


def test_a_page_names_its_study(tmp_path: Path) -> None:
    assert study_of(RESULTS / "granularity_vgg16.md") == Study("granularity", "vgg16", 1, "fitact")
    assert study_of(RESULTS / "resilience_resnet50_int8.md") == Study("resilience", "resnet50", 1, "")
    assert study_of(RESULTS / "ablation_vgg16.md") is None
    assert study_of(tmp_path / "nothing.md") is None


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FitActError, match="no folder 'data'"):
        redraw(tmp_path, print)
    (tmp_path / "data").mkdir()
    outcome = CliRunner().invoke(application(), ["redraw", str(tmp_path)])
    assert "nothing to draw" in str(outcome.exception)
    (tmp_path / "data" / "pareto_x.csv").write_text("scheme\nfitact\n")
    with pytest.raises(FitActError, match="no Pareto table"):
        redraw(tmp_path, print)
