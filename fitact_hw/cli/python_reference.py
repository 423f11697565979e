"""The page on the Python API, made of docstrings and signatures."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

PAGE = "reference/python.md"

API: dict[str, tuple[str, ...]] = {
    "A network and its images": (
        "golden.subjects.find.open_subject",
        "golden.subjects.subject.Subject",
        "golden.subjects.subject.Samples",
        "golden.data.dataset.DataSet",
        "golden.data.cifar10.sample_images",
        "golden.frontend.activations.BoundedReLU",
        "golden.qnetwork.QNetwork",
        "golden.qnetwork.QLayer",
    ),
    "Quantisation": (
        "golden.quantisation.calibration.calibrate",
        "golden.quantisation.quantise.quantise",
        "golden.quantisation.quantise.quantise_images",
    ),
    "A network of your own": (
        "fitact_hw.api.subject",
        "fitact_hw.api.Study",
        "golden.bounds.schemes.Scheme",
        "golden.bounds.recipes.Maxima",
        "golden.bounds.recipes.PostTraining",
        "golden.bounds.recipes.ThresholdSearch",
        "golden.search.profiled.Profiled",
    ),
    "The golden model": (
        "golden.reference.run",
        "golden.reference.logits",
        "golden.exact.evaluator.Evaluator",
    ),
    "Bit errors in memory": (
        "golden.fault_maps.Memory",
        "golden.fault_maps.FaultMap",
        "golden.fault_maps.draw",
        "golden.fault_maps.corrupt",
    ),
    "A machine and its Verilog": (
        "fitact_hw.config.AcceleratorConfig",
        "fitact_hw.sites.FaultSite",
        "fitact_hw.sites.list_sites",
        "fitact_hw.export.export",
    ),
    "From a network to a run of the RTL": (
        "fitact_hw.networks.load_networks",
        "fitact_hw.networks.load_images",
        "fitact_hw.compiler.compile.compile_network",
        "fitact_hw.compiler.inputs.with_images",
        "sim.job.Job",
        "sim.job.RunResult",
        "sim.simulator.Simulator",
    ),
    "Upsets": (
        "fitact_hw.faults.FaultEvent",
        "fitact_hw.faults.Upset",
        "fitact_hw.faults.Shape",
        "fitact_hw.faults.Outcome",
        "fitact_hw.faults.classify",
    ),
    "A campaign's results": (
        "fitact_hw.campaign.store.Store",
        "fitact_hw.campaign.store.Row",
        "fitact_hw.campaign.archive.load_archive",
    ),
}
"""Section -> dotted names of what belongs to the public interface."""

_HEAD = """# Python API

Made from docstrings by `fitact docs`: what the programs in `examples/` use, and what belongs to it. Names that are not
here may change in any version. Arrays have their shape and dtype beside them; what a function raises is a subclass of
`golden.errors.UserError`, whose text is one line that says what to do."""


def python_md() -> str:
    """The page."""
    lines = [_HEAD]
    for title, names in API.items():
        lines += ["", f"## {title}"]
        for name in names:
            lines += ["", *_entry(name)]
    return "\n".join(lines) + "\n"


def found(name: str) -> Any:
    """What a dotted name of :data:`API` is."""
    module, _, member = name.rpartition(".")
    return getattr(importlib.import_module(module), member)


def _entry(name: str) -> Iterator[str]:
    what, short = found(name), name.rpartition(".")[2]
    yield f"### `{short}`"
    yield ""
    yield f"`from {name.rpartition('.')[0]} import {short}`"
    yield ""
    if not inspect.isclass(what):
        yield from _code(short, what)
        yield ""
        yield _text(what)
        return
    if dataclasses.is_dataclass(what) or "__init__" in vars(what):
        yield from _code(short, what)
        yield ""
    yield _text(what)
    if issubclass(what, Enum):
        yield ""
        yield "Values: " + ", ".join(f"`{item.name}` (`{item.value}`)" for item in what)
    yield from _members(short, what)


def _members(owner: str, what: type) -> Iterator[str]:
    """Public properties and methods that the class itself defines and explains."""
    for name, member in vars(what).items():
        inner = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if name.startswith("_") or not getattr(inner, "__doc__", None):
            continue
        if isinstance(member, property) or type(member).__name__ == "cached_property":
            yield ""
            yield f"**`.{name}`**: {_text(inner)}"
        elif inspect.isfunction(inner):
            prefix = f"{owner}." if isinstance(member, classmethod | staticmethod) else "."
            skip = 0 if isinstance(member, staticmethod) else 1
            yield ""
            yield f"**`{prefix}{name}{_signature(inner, skip)}`**: {_text(inner)}"


def _code(name: str, what: Any) -> list[str]:
    return ["```python", f"{name}{_signature(what)}", "```"]


_STARS = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}


def _signature(what: Any, skip: int = 0) -> str:
    """As it is written in the source, without quotes around annotations."""
    signature = inspect.signature(what)
    parts: list[str] = []
    starred = False
    for parameter in list(signature.parameters.values())[skip:]:
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            parts.append("*")
        starred = starred or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        text = _STARS.get(str(parameter.kind.name), "") + parameter.name
        if parameter.annotation is not parameter.empty:
            text += f": {_annotation(parameter.annotation)}"
        if parameter.default is not parameter.empty:
            text += f" = {_default(parameter.default)}"
        parts.append(text)
    given = signature.return_annotation
    result = "" if inspect.isclass(what) or given is signature.empty else f" -> {_annotation(given)}"
    return f"({', '.join(parts)}){result}"


def _annotation(given: Any) -> str:
    return given if isinstance(given, str) else getattr(given, "__name__", str(given))


def _default(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value)
    plain = value is None or isinstance(value, bool | int | float | str) or value == ()
    return repr(value) if plain else "..."


def _text(what: Any) -> str:
    """A docstring as Markdown: roles and doubled backquotes become code."""
    text = inspect.getdoc(what) or ""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    parts = text.replace("``", "`").split("`")
    escaped = (part if code % 2 else part.replace("<", "&lt;").replace("*", "\\*") for code, part in enumerate(parts))
    return "`".join(escaped)


def documents() -> dict[str, str]:
    """Path in `docs/` -> text."""
    return {PAGE: python_md()}
