"""Where an engine's advantage over plain RTL comes from: speed-up is about C / (p_live (L + h)), C cycles of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fitact_hw.injection.verdict import Mechanism, Times


@dataclass(frozen=True)
class Accounting:
    """Averages over upsets that were drawn in one way.

    ``p_live``: share that reading the trace does not settle, ``without_rtl`` of which are judged without RTL;
    ``simulated``: L, RTL cycles of a live upset; ``rest``: h, what else it costs, in cycles of a plain RTL run;
    ``fixed``: share of the time that is spent once for an image (traces and fault-free runs), counted in h.
    """

    p_live: float
    without_rtl: float
    simulated: float
    rest: float
    fixed: float

    @staticmethod
    def of(times: Times, seconds: float, cycle: float) -> Accounting | None:
        """From ``times`` and wall clock ``seconds`` of all upsets; ``cycle``: seconds of one in a plain RTL run.

        None if no upset is live.
        """
        total, found = times.mechanisms.total(), times.mechanisms
        live = total - found[Mechanism.DEAD.value]
        if not live:
            return None
        rest = max(0.0, seconds - (times.faulty - times.judge)) / cycle
        return Accounting(
            live / total,
            found[Mechanism.FUNCTIONAL.value] / live,
            times.faulty_cycles / live,
            rest / live,
            (times.trace + times.states) / seconds,
        )

    def __str__(self) -> str:
        return (
            f"p_live {self.p_live:.1%} ({self.without_rtl:.1%} of them judged without RTL), "
            f"L {self.simulated:,.0f} cycles, h {self.rest:,.0f} cycles ({self.fixed:.0%} of the time once per image)"
        )

    def record(self) -> dict[str, float]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Work:
    """What the injections of a campaign took: ``times`` of all processes, ``software`` seconds of one by software only
    (the golden network with a flipped weight, batch 1) on the same computer, None if it was not measured."""

    times: Times
    software: float | None

    @staticmethod
    def of_runs(records: Iterable[Mapping[str, Any]]) -> Work | None:
        """Of all runs of a campaign together, from their records; None if none has any."""
        times, software = Times(), []
        for record in records:
            if kept := record.get("work"):
                given = {name: value for name, value in kept.items() if name not in ("software", "mechanisms")}
                times.merge(Times(**given, mechanisms=Counter(kept["mechanisms"])))
                software += [kept["software"]] if kept["software"] else []
        if not times.mechanisms.total():
            return None
        return Work(times, sum(software) / len(software) if software else None)

    def record(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self.times), "mechanisms": dict(self.times.mechanisms), "software": self.software}

    def __str__(self) -> str:
        times, seconds = self.times, self.times.seconds
        cycle = (times.faulty - times.judge) / times.faulty_cycles if times.faulty_cycles else seconds
        account = Accounting.of(times, seconds, cycle) if seconds else None
        if account is None:
            return "no upset was live"
        rate = times.mechanisms.total() / seconds
        parts = str(account) if times.faulty_cycles else f"p_live {account.p_live:.1%}, none of them in RTL"
        text = f"{parts}; {rate:,.3g} injections per second and core"
        if not self.software:
            return text
        return f"{text}, {rate * self.software:,.1f} times as many as by software only ({1 / self.software:,.3g})"
