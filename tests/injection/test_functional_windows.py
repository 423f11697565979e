"""Upsets of imported networks judged without RTL, as by RTL: windows that differ in rows and columns and in the padding
of each side (GoogLeNet's pools that round up), averages, concatenation and groups."""

from __future__ import annotations

from collections import Counter

import pytest

from fitact_hw.compiler import compile_network
from fitact_hw.faults import sample
from fitact_hw.injection.case import Case
from fitact_hw.injection.engine import Engine
from fitact_hw.injection.verdict import Mechanism
from golden.frontend.lowering import import_network
from golden.quantisation.quantise import calibrate, quantise, quantise_images
from tests.compiler.checking import fitted_to
from tests.golden.agreement import normal
from tests.golden.zoo import build
from tests.injection.test_functional import buffers, changing, same
from tests.sim.machines import TINY

NETWORKS = ("spectrogram", "separable kernels", "ShuffleNet", "DenseNet", "GoogLeNet", "many paths")

EVENTS = 240
"""Of one network, a sixth in each buffer."""


@pytest.mark.parametrize("name", NETWORKS)
def test_upsets_of_imported_networks(name: str) -> None:
    net, shape = build(name)
    network, x = import_network(net, shape), normal(shape, 2)
    qnet = fitted_to(quantise(network, calibrate(network, x, TINY.word_bits)), TINY)
    case = Case(qnet, compile_network(qnet, TINY, 1), quantise_images(qnet, x[:1])).ready()
    functional, rtl = Engine(TINY, audit=0), Engine(TINY, prune=False)
    events = sample(buffers(TINY), EVENTS, functional.facts(case).cycles, 1)
    verdicts = functional.run(case, events)
    same(verdicts, rtl.run(case, events), events)
    found = Counter(verdict.mechanism for verdict in verdicts)
    assert found[Mechanism.FUNCTIONAL] > 0.05 * EVENTS, found
    assert len(changing(events, verdicts, case)) >= 2
