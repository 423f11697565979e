"""Where an engine's advantage over plain RTL comes from: speed-up is about C / (p_live (L + h)), C cycles of a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass

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
