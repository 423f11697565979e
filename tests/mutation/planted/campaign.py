"""Bugs of engine, campaign and statistics: of what judges upsets."""

from __future__ import annotations

from functools import partial

from tests.mutation.mutant import planted_in

_in = partial(planted_in, "campaign")
STATISTICS = "tests/reporting/test_statistics.py"

MUTANTS = [
    *_in(
        "fitact_hw/faults.py",
        "tests/injection/test_classification.py tests/sim/test_faults.py",
        (
            "    if not finished:\n        return Outcome.HANG\n    if detected:\n        return Outcome.DETECTED\n",
            "    if detected:\n        return Outcome.DETECTED\n    if not finished:\n        return Outcome.HANG\n",
        ),
        ("CODE_OUTCOMES.get(code, Outcome.DETECTED)", "CODE_OUTCOMES.get(code, Outcome.HANG)"),
        ("ErrorCode.BUS: Outcome.BUS_ERROR", "ErrorCode.BUS: Outcome.DETECTED"),
        ("same.all()", "same.any()"),
        ("    if code:\n", "    if code and not finished:\n"),
        ("HANG_FACTOR = 2", "HANG_FACTOR = 3"),
        ("watchdog + watchdog // 2", "watchdog + 1"),
        ("min(word // k, rows - height)", "word // k"),
        ("min(bit * k + word % k, columns - width)", "bit * k + word % k"),
        ("hit = r * k + c % k", "hit = r * k + c // storage.width % k"),
        ('side="right")', 'side="left")'),
        ("if hit < storage.depth:", "if hit <= storage.depth:"),
    ),
    *_in(
        "fitact_hw/reporting/statistics.py",
        STATISTICS,
        ("margin**2 * (population - 1)", "margin**2 * population"),
        ("t**2 * p * (1 - p)", "t**2 * p"),
        ("(bad + 1) / (drawn + 2)", "bad / drawn"),
        ("(bad + 1) / (drawn + 2)", "(bad + 0.5) / (drawn + 1)"),
        ("smoothed * (1 - smoothed) / max(1, drawn)", "smoothed * (1 - smoothed) / (drawn + 2)"),
        ("variance += (weights[name] / total) ** 2", "variance += weights[name] / total"),
        ("round(centre * (1 - centre) / variance)", "round(value * (1 - value) / variance)"),
        ("value * (1 - value) / size + z2 / (4 * size**2)", "value * (1 - value) / size + z2 / (4 * size)"),
        ("0.5 + confidence / 2", "confidence"),
        ("(first + 1) / (count + 2), (second + 1) / (count + 2)", "first / count, second / count"),
        ("variance += share**2 * (one + other - (one - other) ** 2)", "variance += share**2 * (one + other)"),
        (
            "low=rest * self.low,\n            high=rest * self.high + unsampled,",
            "low=rest * self.low,\n            high=rest * self.high,",
        ),
        ("low=rest * self.low - unsampled", "low=rest * self.low"),
        ("self.low > 0 or self.high < 0", "self.low > 0"),
        ("value += weights[name] / total * bad / max(1, drawn)", "value += weights[name] / total * smoothed"),
    ),
    *_in(
        "fitact_hw/reporting/map_statistics.py",
        "tests/reporting/test_map_statistics.py",
        ("if np.ptp(values) == 0:", "if np.ptp(values) < 1e-6:"),
        ('_bootstrap(values, "BCa", seed)', '_bootstrap(values, "percentile", seed)'),
        ("CONFIDENCE = 0.95", "CONFIDENCE = 0.9"),
        ("rng=np.random.default_rng(seed)", "rng=np.random.default_rng(0)"),
        ("mean_interval(values - rival, seed)", "mean_interval(values, seed)"),
        ("ENOUGH_MAPS = 10", "ENOUGH_MAPS = 9"),
    ),
]
