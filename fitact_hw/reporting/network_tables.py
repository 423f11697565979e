"""Tables on training: what a search for bounds found, and the accuracy of every scheme."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from golden.bounds.schemes import UNPROTECTED


def print_bounds(console: Console, record: Mapping[str, Any]) -> None:
    """What :func:`golden.search.find.find_bounds` returned: a line for each scheme."""
    neurons, silent = record["neurons"], record["neurons_that_never_fire"]
    table = Table(
        title="top-1 in % on the validation images (smooth: the form learned; hard: what the hardware computes)",
        caption="hard, before: as without bounds, for the search starts from the largest fault-free activations",
    )
    headings = ("hard, before", "hard, after", "smooth, before", "smooth, after", "seconds", "neurons with bound 0")
    for heading in ("scheme", *headings):
        table.add_column(heading, justify="left" if heading == "scheme" else "right")
    for scheme, facts in record.items():
        if not isinstance(facts, dict) or "validation_accuracy" not in facts:
            continue
        of, smooth = facts["validation_accuracy"], facts.get("smooth_accuracy", {})
        values = (of[UNPROTECTED.name], of["hard"], smooth.get("before"), smooth.get("after"))
        shown = ["-" if value is None else f"{100 * value:.2f}" for value in values]
        table.add_row(scheme, *shown, str(facts["seconds"]), f"{facts['neurons_with_bound_0']:,}")
    console.print(table)
    console.print(
        f"{silent:,} of {neurons:,} neurons fire for none of the {record['profile']['images']:,} training images"
    )


def print_accuracy(console: Console, result: Mapping[str, Any]) -> None:
    """What :func:`golden.training.release.measure` returned: a table for each set of test images."""
    for kind, images in result["images"].items():
        of_kind = result[kind]
        formats = list(dict.fromkeys(form for scheme in of_kind.values() for form in scheme))
        fewer = result["images_of_word_formats"][kind]
        note = "" if fewer == images else f"; words on the first {fewer:,}"
        table = Table("scheme", title=f"top-1 in % on {images:,} images ({kind}{note})")
        for form in formats:
            table.add_column(form, justify="right")
        for scheme, shares in of_kind.items():
            table.add_row(scheme, *(f"{shares[form]:.2f}" if form in shares else "-" for form in formats))
        console.print(table)
    for scheme, share in result.get("share_of_activations_above_bound", {}).items():
        console.print(f"{scheme}: {share:.3%} of the fault-free test activations lie above their bound")
