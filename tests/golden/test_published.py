"""The integers of the published networks: every scheme and width, bit for bit as when they were measured."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from golden.networks.registry import NETWORKS, stored_schemes
from golden.networks.zoo import load_network, load_points, load_qnetwork
from golden.qnetwork import QNetwork
from golden.quantisation.quantise import quantise

DIGESTS: dict[str, str] = json.loads(Path(__file__).with_name("published.json").read_text())


def digest(qnet: QNetwork) -> str:
    """Of everything that the machine computes with."""
    state = hashlib.sha256(repr((qnet.word_bits, qnet.acc_bits, qnet.input_shape, qnet.input_frac)).encode())
    for layer in qnet.layers:
        residual = (layer.residual.source, layer.residual.lshift) if layer.residual else None
        shape = (layer.in_shape, layer.out_shape, layer.kernel, layer.stride, layer.padding)
        state.update(
            repr((layer.name, layer.kind, layer.source, *shape, layer.activation, layer.frac_out, residual)).encode()
        )
        for array in (layer.weight, layer.bias, layer.shift, layer.bound):
            state.update(b"-" if array is None else np.asarray(array, np.int64).tobytes())
    return state.hexdigest()


def test_all_are_listed() -> None:
    assert set(DIGESTS) == {f"{n}/{s}/{w}" for n in NETWORKS for s in stored_schemes(n) for w in (8, 16, 32)}


@pytest.mark.parametrize("network", list(dict.fromkeys(key.rpartition("/")[0] for key in DIGESTS)))
def test_integers_are_the_published_ones(network: str) -> None:
    """At every width; the float network, which takes longer than all three, is loaded once."""
    name, scheme = network.split("/")
    float_network = load_network(name, scheme)
    for word_bits in (8, 16, 32):
        found = quantise(float_network, load_points(name, word_bits), name, scheme)
        assert digest(found) == DIGESTS[f"{network}/{word_bits}"], word_bits


def test_a_stored_network_is_loaded_as_that() -> None:
    assert digest(load_qnetwork("alexnet", "fitact", 8)) == DIGESTS["alexnet/fitact/8"]
