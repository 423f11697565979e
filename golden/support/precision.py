"""Arithmetic of training."""

from __future__ import annotations

import torch


def mixed_precision(device: torch.device) -> torch.autocast:
    """Context in which products are computed in bfloat16, where the device is fast at that.

    A CPU without instructions for it takes tens of times as long as in float32, which it then uses.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type != "cpu" or _cpu_multiplies_bfloat16())


def _cpu_multiplies_bfloat16() -> bool:
    facts = torch.cpu.get_capabilities()
    return any(bool(facts.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))
