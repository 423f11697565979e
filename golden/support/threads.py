"""How many CPU threads this process computes with."""

from __future__ import annotations

import torch
from threadpoolctl import threadpool_limits


def use_threads(count: int) -> None:
    """Compute with ``count`` threads from now on, in torch and in NumPy's matrix products."""
    torch.set_num_threads(count)
    threadpool_limits(count, user_api="blas")
