"""Sixty whole networks that Hypothesis draws: exact on every layer and close to float, or refused by name."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from fitact_hw.config import AcceleratorConfig
from fitact_hw.validation.networks.drawing import draw
from fitact_hw.validation.networks.judge import Subject, Verdict
from fitact_hw.validation.networks.study import SIDES, WORDS

SEED, NETWORKS = 2026, 60
MOST_REFUSED = NETWORKS // 4
"""Of them: refusals are rare, or the test would say little."""


def test_random_networks_are_exact_or_refused() -> None:
    verdicts: Counter[Verdict] = Counter()

    @seed(SEED)
    @settings(max_examples=NETWORKS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        numbers=st.randoms(use_true_random=False),
        side=st.sampled_from(SIDES),
        word=st.sampled_from(WORDS),
        bounded=st.booleans(),
    )
    def judged(numbers: random.Random, side: int, word: int, bounded: bool) -> None:
        drawn = draw(numbers)
        judgement, _ = Subject(drawn, bounded).judge(AcceleratorConfig.create(rows=side, cols=side, word_bits=word))
        verdicts[judgement.verdict] += 1
        assert not judgement.verdict.defect, f"{judgement}\n{drawn.source}"

    judged()
    assert verdicts.total() >= NETWORKS
    assert verdicts[Verdict.REFUSED] <= MOST_REFUSED, verdicts
