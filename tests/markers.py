"""Which tests need a build of a simulator, take long, or run a whole command: `make check` leaves these out.

A path names a file or all files of a folder; a test of those files may still carry a mark of its own.
"""

from __future__ import annotations

RTL = (
    *("tests/rtl", "tests/rtl_cells", "tests/sim", "tests/validation", "tests/simulate/test_upsets.py"),
    *("tests/injection/test_bound_flips.py", "tests/injection/test_engine.py", "tests/injection/test_facts.py"),
    *("tests/injection/test_functional.py", "tests/injection/test_protected.py", "tests/injection/test_state_hash.py"),
    "tests/injection/test_functional_windows.py",
    "tests/injection/test_handover.py",
    "tests/soak",
    *("tests/injection/test_fault_models.py", "tests/injection/test_range_check.py"),
    *("tests/campaign/test_campaign.py", "tests/campaign/test_commands.py", "tests/campaign/test_nothing_lost.py"),
    "tests/campaign/test_fault_list.py",
    "tests/campaign/test_merge.py",
    "tests/campaign/test_stratified_report.py",
    "tests/subjects/test_cluster.py",
    *("tests/generator/test_array.py", "tests/generator/test_dispatch.py", "tests/generator/test_generated.py"),
    *("tests/generator/test_registers.py", "tests/generator/test_sites.py", "tests/docs/test_examples.py"),
)
"""Something of it is simulated, so Verilator has to build it."""

SLOW = (
    *("tests/resilience/test_study.py", "tests/exact/test_evaluator.py", "tests/exact/test_fused.py"),
    "tests/exact/test_edges.py",
    "tests/networks",
    *("tests/exact/test_limbs.py", "tests/overhead/test_design.py", "tests/overhead/test_formal.py"),
    *("tests/golden/test_published.py", "tests/golden/test_train.py", "tests/golden/test_artefacts.py"),
    "tests/subjects/test_cluster.py",
    *("tests/golden/test_fault_maps.py", "tests/resilience/test_results.py", "tests/compiler/test_networks.py"),
)
"""More than a few seconds each, without a simulator."""

E2E = ("tests/e2e", "tests/package")
"""Whole commands, as a user types them."""

MARKS = {"rtl": RTL, "slow": SLOW, "e2e": E2E}


def marks_of(path: str) -> list[str]:
    """Marks of all tests in the file ``path``, relative to the project."""
    return [mark for mark, places in MARKS.items() if any(path == p or path.startswith(p + "/") for p in places)]
