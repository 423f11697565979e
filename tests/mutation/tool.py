"""Mutants that nobody chose: mutmut changes the modules that compute results, a sample of them is judged.

`make mutate TOOL=mutmut` installs mutmut (`requirements-mutation.txt`) into `build/mutmut`. Of its kinds of changes two
are left out: texts, and what becomes None, which any test sees that runs the line.
"""

from __future__ import annotations

import difflib
import importlib
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.mutation.mutant import AREAS, Mutant, MutantError

INSTALLED = Path(__file__).resolve().parents[2] / "build" / "mutmut"

_ESTIMATION = "tests/estimation/test_spelled_out.py tests/estimation/test_formulas.py"
_FOLDING = "tests/golden/test_batchnorm.py tests/golden/test_folding.py tests/golden/test_lowering.py"
_COMPILED = "tests/compiler/test_same_programs.py tests/compiler/test_fsim.py"
_STATES = "tests/injection/test_handover.py tests/injection/test_state_hash.py"

MODULES: Mapping[str, tuple[str, str]] = {
    "fitact_hw/reporting/statistics.py": ("campaign", "tests/reporting/test_statistics.py"),
    "fitact_hw/reporting/map_statistics.py": ("campaign", "tests/reporting/test_map_statistics.py"),
    "fitact_hw/faults.py": ("campaign", "tests/injection/test_classification.py tests/sim/test_faults.py"),
    "fitact_hw/estimation/counts.py": ("campaign", _ESTIMATION),
    "fitact_hw/estimation/intervals.py": ("campaign", _ESTIMATION),
    "fitact_hw/estimation/allocation.py": ("campaign", f"{_ESTIMATION} tests/estimation/test_allocation.py"),
    "fitact_hw/injection/live_points.py": ("campaign", "tests/injection/test_live_points.py"),
    "fitact_hw/injection/timeline.py": (
        "campaign",
        "tests/injection/test_timeline.py tests/injection/test_live_points.py",
    ),
    "fitact_hw/injection/memory_map.py": ("campaign", _STATES),
    "fitact_hw/injection/tail.py": ("campaign", _STATES),
    "fitact_hw/campaign/strata.py": ("campaign", "tests/campaign/test_strata.py"),
    "fitact_hw/campaign/rounds.py": ("campaign", "tests/campaign/test_rounds.py tests/campaign/test_strata.py"),
    "fitact_hw/campaign/goal.py": ("campaign", "tests/campaign/test_goal.py"),
    "fitact_hw/campaign/report/weighting.py": ("campaign", "tests/campaign/test_rounds.py"),
    "fitact_hw/fmeda/table.py": ("campaign", "tests/fmeda/test_table.py"),
    "fitact_hw/fsim/hazards.py": ("compiler", "tests/compiler/test_fsim.py"),
    "fitact_hw/fsim/arithmetic.py": ("compiler", "tests/compiler/test_fsim.py tests/exact/test_clamps.py"),
    "fitact_hw/fsim/timing.py": ("compiler", _COMPILED),
    "fitact_hw/compiler/ring.py": ("compiler", f"{_COMPILED} tests/compiler/test_ring.py"),
    "fitact_hw/compiler/bounds.py": ("compiler", _COMPILED),
    "fitact_hw/compiler/tiling.py": ("compiler", _COMPILED),
    "fitact_hw/compiler/lower.py": ("compiler", _COMPILED),
    "fitact_hw/verilog/csr_block.py": ("generator", "tests/generator/test_same_verilog.py"),
    "fitact_hw/verilog/lanes.py": ("generator", "tests/generator/test_same_verilog.py"),
    "golden/quantisation/quantise.py": ("golden", "tests/golden/test_quantise.py tests/golden/test_calibration.py"),
    "golden/bounds/code.py": ("golden", "tests/golden/test_stored_bounds.py tests/rtl_cells/test_bound_code.py"),
    "golden/bounds/granularity.py": ("golden", "tests/golden/test_stored_bounds.py tests/golden/test_granularity.py"),
    "golden/fault_maps.py": ("golden", "tests/golden/test_fault_maps.py"),
    "golden/parameter_check.py": ("golden", "tests/golden/test_parameter_check.py"),
    "golden/frontend/fuse.py": ("golden", _FOLDING),
    "golden/frontend/building.py": ("golden", _FOLDING),
    "golden/frontend/weights.py": ("golden", _FOLDING),
    "golden/frontend/refs.py": ("golden", "tests/golden/test_folding.py"),
    "golden/frontend/windows.py": ("golden", "tests/golden/test_windows.py"),
    "golden/exact/kernels.py": ("golden", "tests/exact/test_edges.py"),
    "golden/exact/epilogue.py": ("golden", "tests/exact/test_edges.py tests/exact/test_evaluator.py"),
    "golden/subjects/agreement.py": ("golden", "tests/subjects/test_agreement.py"),
}
"""File -> its area, and the tests that judge it."""

EQUIVALENT: Mapping[tuple[str, str], str] = {
    ("golden/bounds/granularity.py", "return np.asarray(patch, )"): "it is int64 already",
    (
        "fitact_hw/faults.py",
        "sizes = np.array([storage.width * storage.depth for storage in storages], )",
    ): "so is this",
    (
        "fitact_hw/campaign/report/weighting.py",
        "in_rtl = np.array([row.way in IN_RTL for row in rows], )",
    ): "truth values count as 0 and 1",
    ("fitact_hw/verilog/lanes.py", 'm.output("push_next", None, )'): "a comment of the Verilog",
}
"""(file, changed line) -> why no test can tell it from the product."""


def _mutmut() -> tuple[object, object]:
    if not (INSTALLED / "mutmut").is_dir():
        raise MutantError(f"there is no mutmut in {INSTALLED}: make mutate TOOL=mutmut installs it")
    if str(INSTALLED) not in sys.path:
        sys.path.append(str(INSTALLED))
    return importlib.import_module("mutmut.file_mutation"), importlib.import_module("libcst")


def mutants_of(file: str, text: str, order: random.Random) -> Iterator[Mutant]:
    """Every change of ``text`` that mutmut knows, as the lines that differ, in an ``order``; made as they are taken.

    Raises MutantError without mutmut.
    """
    mutation, cst = _mutmut()
    area, tests = MODULES[file]
    module, found = mutation.create_mutations(text)  # type: ignore[attr-defined]
    order.shuffle(found)
    texts = cst.SimpleString, cst.FormattedString, cst.ConcatenatedString  # type: ignore[attr-defined]
    for item in found:
        before, after = (module.code_for_node(node) for node in (item.original_node, item.mutated_node))
        if isinstance(item.original_node, texts) or after.count("None") > before.count("None"):
            continue
        lines = _replaced(text, module.deep_replace(item.original_node, item.mutated_node).code)
        if lines is not None and (file, lines[1].strip()) not in EQUIVALENT:
            yield Mutant(area, file, *lines, tuple(tests.split()))


def _replaced(text: str, changed: str) -> tuple[str, str] | None:
    """The lines that differ, with as many around them as make the place unique; None if none does."""
    old, new = text.splitlines(keepends=True), changed.splitlines(keepends=True)
    parts = [part for part in difflib.SequenceMatcher(None, old, new, False).get_opcodes() if part[0] != "equal"]
    if not parts:
        return None
    first, last, shift = parts[0][1], parts[-1][2], len(new) - len(old)
    while text.count("".join(old[first:last])) > 1:
        first, last = (first - 1, last) if first else (first, last + 1)
    return "".join(old[first:last]), "".join(new[first : last + shift])


def sample(root: Path, number: int, seed: int, changed: set[str] | None, areas: Sequence[str] = AREAS) -> list[Mutant]:
    """``number`` mutants drawn with ``seed`` from the modules of ``areas`` (those ``changed``), each as likely."""
    files = [f for f, (area, _) in MODULES.items() if area in areas and (changed is None or f in changed)]
    pools = {f: mutants_of(f, (root / f).read_text(), random.Random(f"{seed}/{f}")) for f in files}
    order = random.Random(seed)
    found: list[Mutant] = []
    while len(found) < number and pools:
        turn = list(pools)
        order.shuffle(turn)
        for file in turn:
            if (mutant := next(pools[file], None)) is None:
                del pools[file]
            elif len(found) < number:
                found.append(mutant)
    return found
