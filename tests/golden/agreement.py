"""What every network must pass: close to float, and each layer the same in the golden model, in an independent
reference of plain loops and in the compiled program."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.utils import _pytree as pytree

from fitact_hw.config import AcceleratorConfig
from golden.errors import QuantisationWarning
from golden.frontend.lowering import import_network
from golden.frontend.modules import evaluation_mode
from golden.plain_reference import reference_network
from golden.qnetwork import QNetwork
from golden.quantisation.quantise import calibrate, quantise, quantise_images
from golden.reference import run
from tests.compiler.checking import check_program, fitted_to

TOLERANCE = {8: 0.2, 16: 2e-3, 32: 5e-3}
"""Largest difference of logits as a share of the largest one."""


def normal(shape: Sequence[int], count: int = 4, seed: int = 1) -> np.ndarray:
    """Normally distributed images, float64 (count, *shape)."""
    return np.random.default_rng(seed).standard_normal((count, *shape))


def agree(
    net: nn.Module, shape: Sequence[int], words: Sequence[int] = (8, 16, 32), side: int = 4, notes: bool = False
) -> dict[int, QNetwork]:
    """Assert all of it for ``net`` on images of ``shape``; returns the quantised networks by word width.

    ``notes``: it may lose something at some widths, if that is said.
    """
    x = normal(shape)
    network = import_network(net, shape)
    with torch.no_grad(), evaluation_mode(net):
        [output] = pytree.tree_leaves(net(torch.from_numpy(x).float()))
        expected = output.double().numpy()
    if network.graph.final:
        with torch.no_grad():
            expected = network(torch.from_numpy(x)).numpy()
    expected = expected.reshape(len(x), -1)
    found = {}
    for word_bits in words:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if notes else "error", QuantisationWarning)
            qnet = quantise(network, calibrate(network, x, word_bits))
        found[word_bits] = qnet
        check_exact(qnet, quantise_images(qnet, x[:2]), side)
        trace = run(qnet, quantise_images(qnet, x))
        last = qnet.layers[-1]
        got = trace[last.name].reshape(len(x), -1) * 2.0**-last.frac_out
        error = np.abs(got - expected).max() / np.abs(expected).max()
        assert error < TOLERANCE[word_bits], f"{word_bits} bits: {error:.2g}"
    return found


def check_exact(qnet: QNetwork, images: np.ndarray, side: int) -> None:
    """Golden model, plain loops and compiled program agree on every layer."""
    expected = reference_network(qnet, images)
    trace = run(qnet, images)
    for name, value in expected.items():
        np.testing.assert_array_equal(trace[name], value, err_msg=name)
    config = AcceleratorConfig.create(rows=side, cols=side, word_bits=qnet.word_bits, acc_bits=qnet.acc_bits)
    check_program(fitted_to(qnet, config), config, images)
