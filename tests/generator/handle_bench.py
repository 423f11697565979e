"""cocotb side of `test_sites`: every fault site must be found by its path, and take a flipped bit."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import Timer

from fitact_hw.sites import FaultSite, list_sites, site_handle_path
from tests.generator.machines import PROTECTED


def find(top: Any, site: FaultSite) -> Any:
    """The cocotb handle of ``site``."""
    handle = top
    for step in site_handle_path(site):
        handle = handle[step] if isinstance(step, int) else getattr(handle, step)
    return handle


@cocotb.test()
async def flips_every_site(dut: Any) -> None:
    """One bit of one word of each site: flipped, seen, and nothing else of that word changed."""
    await Timer(1, "ns")
    for number, site in enumerate(list_sites(PROTECTED)):
        handle = find(dut, site)
        word = number % site.depth
        target = handle[word] if site.kind == "memory" else handle
        assert len(target) == site.width, site
        if site.kind == "memory":
            assert len(handle) == site.depth, site
        bit = (7 * number) % site.width
        before = int(target.value)
        target.value = before ^ 1 << bit
        await Timer(1, "ns")
        assert int(target.value) == before ^ 1 << bit, site
