"""Where the time and the memory of a campaign went."""

from __future__ import annotations

from rich.console import Console

from fitact_hw.injection.verdict import Times


def print_times(console: Console, times: Times, injections: int) -> None:
    """Where the workers' time went, and what they held."""
    if not injections:
        return
    parts = {
        "access traces": times.trace, "fault-free runs": times.states,
        "faulty RTL": times.chase - times.judge, "memory differences": times.judge, "golden model": times.golden,
    }  # fmt: skip
    total = sum(parts.values())
    shares = ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in parts.items()) if total else "-"
    ways = ", ".join(f"{way} {count}" for way, count in times.ways.most_common())
    console.print(f"worker time {total:.1f} s, {1e3 * total / injections:.1f} ms per injection: {shares}")
    console.print(f"largest worker: {times.peak_bytes / 2**30:.2f} GiB")
    console.print(f"how outcomes were found: {ways}; {times.faulty_cycles:,} faulty cycles simulated")
