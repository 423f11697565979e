"""One network from its source to the machine's memory: exact on every layer and close to float, or refused by name."""

from __future__ import annotations

import copy
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from fitact_hw.compiler import compile_network, with_images
from fitact_hw.config import AcceleratorConfig
from fitact_hw.fsim import check_hazards, run
from fitact_hw.program import Program
from fitact_hw.validation.networks.closeness import beyond_rounding, noise_ratio
from fitact_hw.validation.networks.drawing import Drawn
from golden import reference
from golden.bounds.schemes import DEFAULT, UNPROTECTED
from golden.bounds.stored import fitted
from golden.errors import QuantisationWarning, UserError
from golden.frontend.activations import Recorder, apply_bounds
from golden.frontend.lowering import import_network, lower_network
from golden.frontend.modules import evaluation_mode
from golden.frontend.network import GraphNetwork
from golden.plain_reference import reference_network
from golden.qnetwork import INPUT, QNetwork
from golden.quantisation.quantise import calibrate, quantise, quantise_images

IMAGES = 4
"""Images for calibration and for the comparison with float; :data:`RUN_IMAGES` of them go through the machine."""
RUN_IMAGES = 2

BOUND_SHARE = 0.9
"""Of the largest activation: where bounds are put, so that they act."""


class Verdict(str, Enum):
    """What has become of a network on a machine."""

    EXACT = "exact"
    REFUSED = "refused"
    """By an error of our own, before anything ran."""
    DIFFERS = "differs"
    """From the independent reference, in golden model, functional simulator or RTL."""
    FAR = "far"
    """From float, by more than words of that width explain, without a note that says so."""
    CRASHED = "crashed"
    """With a traceback."""

    @property
    def defect(self) -> bool:
        """Whether it must not be."""
        return self not in (Verdict.EXACT, Verdict.REFUSED)


@dataclass(frozen=True)
class Judgement:
    """``reason``: of a refusal or defect; ``snr``: of the last layer against float, in dB, with ``notes`` on what
    quantisation loses; ``layers`` and ``bounded``: of the network that ran."""

    verdict: Verdict
    machine: str = ""
    reason: str = ""
    snr: float | None = None
    notes: tuple[str, ...] = ()
    layers: int = 0
    bounded: bool = False


@dataclass(eq=False)
class Ready:
    """A program with images in its ``memory`` and what each layer must be, for a run in RTL."""

    program: Program
    memory: np.ndarray
    expected: dict[str, np.ndarray] = field(repr=False)


def describe(config: AcceleratorConfig) -> str:
    """A machine in a word."""
    return f"{config.rows}x{config.cols} w{config.word_bits} {config.bounds.value} {config.bound_format.value}"


class Subject:
    """A drawn network, imported once for all machines."""

    def __init__(self, drawn: Drawn, bounded: bool) -> None:
        self.drawn, self.bounded = drawn, bounded
        rng = np.random.default_rng(drawn.seed)
        self.images = drawn.spread * rng.standard_normal((IMAGES, *drawn.shape))
        self.model = drawn.build()
        self.network: GraphNetwork | None = None
        self.failure: Judgement | None = None
        try:
            self.network = import_network(self.model, drawn.shape)
            lower_network(self.network)
        except Exception as error:
            self.failure = _failed(error)

    def judge(self, config: AcceleratorConfig) -> tuple[Judgement, Ready | None]:
        """The network on ``config``, in golden model and functional simulator."""
        if self.failure is not None:
            return self.failure, None
        try:
            return self._judge(config)
        except Exception as error:
            return _failed(error, describe(config)), None

    def _judge(self, config: AcceleratorConfig) -> tuple[Judgement, Ready | None]:
        assert self.network is not None
        machine = describe(config)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", QuantisationWarning)
            points = calibrate(self.network, self.images, config.word_bits)
        notes = tuple(str(item.message) for item in caught if item.category is QuantisationWarning)
        plain = quantise(self.network, points, scheme=UNPROTECTED.name)
        words = quantise_images(plain, self.images)
        expected = reference_network(plain, words)
        snr = noise_ratio(self._logits(), plain, expected)
        far = beyond_rounding(lower_network(self.network).layers, plain, expected)
        if not far and not notes and snr < LEAST_SNR[config.word_bits]:
            far = f"logits {snr:.1f} dB"
        if far:
            return Judgement(Verdict.FAR, machine, far, snr, notes, len(plain.layers)), None
        qnet = plain
        bounded = self.bounded and bool(self.network.activation_calls)
        if bounded:
            protected = apply_bounds(copy.deepcopy(self.network), self._maxima(), "clip")
            qnet = fitted(quantise(protected, points, scheme=DEFAULT.name), config.bounds, config.bound_format)
        words = words[:RUN_IMAGES]
        expected = reference_network(qnet, words) if bounded else {k: v[:RUN_IMAGES] for k, v in expected.items()}
        ready, different = _run(qnet, config, words, expected)
        kind = Verdict.DIFFERS if different else Verdict.EXACT
        return Judgement(kind, machine, different, snr, notes, len(qnet.layers), bounded), ready

    def _logits(self) -> np.ndarray:
        """Of the user's module, or of its graph where that leaves out a function at the end."""
        assert self.network is not None
        model = self.network if self.network.graph.final else self.model
        kind = next((p.dtype for p in self.model.parameters() if p.is_floating_point()), torch.float32)
        with torch.no_grad(), evaluation_mode(model):
            [output] = pytree.tree_leaves(model(torch.from_numpy(self.images.copy()).to(kind)))
        return np.asarray(output.double().numpy())

    def _maxima(self) -> dict[str, Tensor]:
        assert self.network is not None
        maxima: dict[str, Tensor] = {}

        def visit(call: str, values: Tensor) -> None:
            maxima[call] = BOUND_SHARE * values.relu().amax(dim=0)

        with Recorder(self.network, visit), torch.no_grad():
            self.network(torch.from_numpy(self.images).to(next(iter(self.network.parameters())).dtype))
        return maxima


LEAST_SNR = {8: 3.0, 16: 40.0, 32: 20.0}


def _run(
    qnet: QNetwork, config: AcceleratorConfig, words: np.ndarray, expected: dict[str, np.ndarray]
) -> tuple[Ready, str]:
    """The program, and the first difference from ``expected``."""
    program = compile_network(qnet, config, len(words))
    memory = with_images(program, words)
    check_hazards(program)
    ready = Ready(program, memory, {name: value for name, value in expected.items() if name != INPUT})
    golden = reference.run(qnet, words)
    after = run(program, memory)
    for name, value in ready.expected.items():
        if not np.array_equal(golden[name], value):
            return ready, f"golden model, layer {name}"
        if not np.array_equal(program.tensors[name].read(after), value):
            return ready, f"functional simulator, layer {name}"
    return ready, ""


def _failed(error: Exception, machine: str = "") -> Judgement:
    if isinstance(error, UserError):
        return Judgement(Verdict.REFUSED, machine, str(error))
    return Judgement(Verdict.CRASHED, machine, "".join(traceback.format_exception(error)))


__all__ = ["Judgement", "Ready", "Subject", "Verdict", "describe"]


def any_defect(judgements: Sequence[Judgement]) -> bool:
    """Whether one of them must not be."""
    return any(judgement.verdict.defect for judgement in judgements)
