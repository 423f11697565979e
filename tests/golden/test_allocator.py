"""Freed memory is used again."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource
import numpy as np
from golden.support.allocator import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.empty(64 << 20, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if {keep}:
    keep_freed_memory()
faults()
print(faults())
"""


def page_faults(keep: bool) -> int:
    """Page faults of a process that writes to 64 MiB for the second time."""
    return int(subprocess.check_output([sys.executable, "-c", PROGRAM.format(keep=keep)], text=True))


def test_memory_is_cleared_by_the_system_only_once() -> None:
    assert page_faults(keep=True) * 4 < page_faults(keep=False)
