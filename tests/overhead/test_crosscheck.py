"""One machine in two technologies: sums, ranking, ratios, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fitact_hw.errors import FitActError
from fitact_hw.overhead.crosscheck import compare, read


def run_file(folder: Path, library: str, scale: float, ranger: float, machine: str = "2x2") -> Path:
    """A run whose lane has 100 gates, 100 + ``ranger`` with Ranger's clamp, 130 with FitAct's."""

    def blocks(clamp: float) -> list[dict[str, Any]]:
        areas = {"fitact_lane": 100.0, "fitact_clamp_mode": clamp}
        return [{"name": name, "count": 4, "area": area * scale} for name, area in areas.items()]

    schemes = {"unprotected": 10.0, "ranger": 10 + ranger, "fitact": 40.0}
    data = {
        "header": {"library": f"{library} (x.lib)", "machine": machine, "gate equivalent": f"{scale} um2 (nand2)"},
        "metrics": [
            {"group": "one lane", "name": name, "values": dict.fromkeys(schemes, scale)}
            for name in ("longest path", "clamp stage")
        ],
        "area_added": {key: {"logic": 0.0} for key in schemes if key != "unprotected"},
        "blocks": {key: blocks(clamp) for key, clamp in schemes.items()},
    }
    path = folder / f"{library}.json"
    path.write_text(json.dumps(data))
    return path


def test_gates_ranking_and_ratios(tmp_path: Path) -> None:
    runs = [read(run_file(tmp_path, "one", 2.0, 5.0)), read(run_file(tmp_path, "two", 0.1, 50.0))]
    assert runs[0].gates("ranger") == pytest.approx(4 * 5 / 1000)
    assert runs[0].ranking() == ["ranger", "fitact"]
    assert runs[1].ranking() == ["fitact", "ranger"]
    page = compare(runs)
    assert "* two: FitAct < Ranger" in page
    assert "| fitact_lane | 0.40 | 0.40 | 1.000 |" in page
    assert "| clamp stage | FitAct | 2.000 | 0.100 |" in page


def test_different_machines_are_not_compared(tmp_path: Path) -> None:
    runs = [read(run_file(tmp_path, "one", 1.0, 1.0)), read(run_file(tmp_path, "two", 1.0, 1.0, machine="4x4"))]
    with pytest.raises(FitActError, match="two and one were not run with the same machine"):
        compare(runs)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with pytest.raises(FitActError, match="cannot read"):
        read(path)
    path.write_text('{"a": 1}')
    with pytest.raises(FitActError, match="of this version"):
        read(path)
