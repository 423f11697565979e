"""The Python interface from a program as people write them: no ``if __name__ == "__main__":``, several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

PROGRAM = """
import numpy as np
import torch
from torch import nn

from fitact_hw.api import subject

print("begun")
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))
images = np.random.default_rng(0).standard_normal((60, 12)).astype(np.float32)
mine = subject(model, images, classes=["cat", "dog", "gnu"], folder="mine")
mine.bounds("ranger")
rows = [
    {
        (row.scheme, row.rate): row.mean
        for row in mine.resilience(words=(8,), rates=(1e-2,), maps=6, workers=workers, out=f"study-{workers}")
    }
    for workers in (1, 2)
]
assert rows[0] == rows[1], rows
print("done", len(rows[0]))
"""


@pytest.mark.slow
def test_several_processes_do_not_run_the_caller_s_program_again(tmp_path: Path) -> None:
    (tmp_path / "study.py").write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FITACT_BUILD": str(tmp_path / "build")}
    done = subprocess.run(
        [sys.executable, "study.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("begun") == 1
    assert done.stdout.splitlines()[-1] == "done 4"
    assert "airplane" not in done.stdout + done.stderr
