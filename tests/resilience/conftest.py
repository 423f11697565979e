"""Small tensors gain nothing from threads, and tests may run side by side."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from golden.threads import use_threads


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    use_threads(1)
    yield
    use_threads(before)
