"""Bounds that a function of the user's finds: called, and checked against what its scheme declares."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from golden.bounds.granularity import Granularity
from golden.bounds.schemes import Scheme
from golden.errors import GoldenError
from golden.networks.zoo import Bounds
from golden.search.grouping import groups_of, shared_maxima
from golden.search.profiled import Profiled, Record
from golden.subjects.source import one_line


def found_by(find: Callable[..., Any], profiled: Profiled, scheme: Scheme) -> tuple[Bounds, Record]:
    """The bounds that ``find`` returns for a network, float32 () of a layer or (*neurons), and a record of how.

    Raises GoldenError in one line for what it raises, and for bounds that are not as the scheme declares them.
    """
    try:
        result = find(profiled)
    except Exception as error:  # whatever the user's own code raises
        raise GoldenError(f"{scheme.spec} failed: {one_line(error, scheme.path)}") from error
    bounds, record = result if isinstance(result, tuple) and len(result) == 2 else (result, {})
    if not isinstance(bounds, Mapping) or set(bounds) != set(profiled.maxima) or not isinstance(record, Mapping):
        names = ", ".join(profiled.maxima)
        raise GoldenError(f"{scheme.spec}: return a bound for each of {names} by name, or these and a dictionary")
    last = list(profiled.maxima)[-1]
    checked = {
        name: _checked(bounds[name], maxima, scheme.granularity_in(name == last), f"{scheme.spec}, {name}")
        for name, maxima in profiled.maxima.items()
    }
    says = (inspect.getdoc(find) or "").partition("\n")[0]
    return checked, {"bound": says or f"by {scheme.spec}", **json.loads(json.dumps(dict(record), default=str))}


def _checked(value: Any, maxima: Tensor, granularity: Granularity, where: str) -> Tensor:
    """A bound as float32 () of a layer, or of the shape of ``maxima``."""
    try:
        bound = torch.as_tensor(value).detach().float()
        whole = bound.expand(maxima.shape).contiguous()
    except (TypeError, ValueError, RuntimeError) as error:
        raise GoldenError(f"{where}: no bound for neurons of shape {tuple(maxima.shape)}") from error
    if not bool(torch.isfinite(whole).all()) or bool((whole < 0).any()):
        raise GoldenError(f"{where}: a bound is negative or not finite")
    if not torch.equal(shared_maxima(whole, groups_of(whole, granularity)), whole):
        raise GoldenError(f"{where}: bounds differ within a {granularity.value}, which has one by its declaration")
    return whole.flatten()[0].clone() if granularity is Granularity.LAYER else whole
