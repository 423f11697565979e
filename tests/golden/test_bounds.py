"""Profiles, bounded activations and the searches for bounds: among them the traps listed in method.md."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from golden.bounds.recipes import PostTraining, ThresholdSearch
from golden.bounds.schemes import SCHEMES, find_scheme
from golden.data.cifar10 import Images
from golden.errors import GoldenError
from golden.fault_maps import Segment, draw_flips
from golden.frontend.activations import (
    BoundedReLU,
    Mode,
    SmoothBoundedReLU,
    activation_names,
    apply_bounds,
)
from golden.frontend.lowering import import_network, lower
from golden.networks.evaluate import accuracy, batches
from golden.networks.models import conv_block
from golden.search import clipact
from golden.search import post_training as posttrain
from golden.search.clipact import search
from golden.search.folded import FoldedNetwork, fault_maps
from golden.search.post_training import distillation, post_train
from golden.search.profile import layer_bounds, profile, statistics, subset
from golden.support.precision import mixed_precision
from tests.golden.conftest import accuracy_under_faults, random_images

MODES: tuple[Mode, ...] = ("clip", "saturate")


class SmallNet(nn.Module):
    """One convolution, one pool, two linear layers, on 32x32 images."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(*conv_block(3, 4), nn.MaxPool2d(8))
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.flatten(self.features(x)))


@pytest.fixture(scope="module")
def trained() -> SmallNet:
    """Learns the synthetic images to above 85 % in a second."""
    torch.manual_seed(0)
    net = SmallNet()
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    for epoch in range(8):
        for pixels, truth in batches(random_images(400, epoch), 50):
            loss = nn.functional.cross_entropy(net(pixels), truth)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    net.eval()
    assert accuracy(net, random_images(200, 50)) > 0.85
    return net


def test_hard_form() -> None:
    x = torch.tensor([[-1.0, 0.0, 0.5, 1.0, 1.0000001, 1e30, torch.inf]])
    clip = BoundedReLU(torch.tensor(1.0), "clip")
    assert clip(x).tolist() == [[0, 0, 0.5, 1, 0, 0, 0]]
    saturate = BoundedReLU(torch.tensor(1.0), "saturate")
    assert saturate(x).tolist() == [[0, 0, 0.5, 1, 1, 1, 1]]
    per_neuron = BoundedReLU(torch.tensor([0.0, 2.0]), "clip")
    assert per_neuron(torch.tensor([[1.0, 1.0]])).tolist() == [[0, 1]]
    for bad in (torch.tensor(-0.5), torch.tensor(torch.nan)):
        with pytest.raises(GoldenError, match="negative or not finite"):
            BoundedReLU(bad, "clip")


def test_smooth_form_has_the_published_values() -> None:
    """Figures of method.md for k = 20 and a bound of 1."""
    smooth = SmoothBoundedReLU(torch.tensor(1.0), 20.0)
    x = torch.tensor([[0.8, 1.0, 1.1, -3.0]])
    np.testing.assert_allclose(smooth(x).detach().numpy(), [[0.786, 0.5, 0.131, 0]], atol=6e-4)
    formula = torch.relu(x - x * torch.sigmoid(20 * (x - 1)))
    np.testing.assert_allclose(smooth(x).detach().numpy(), formula.numpy(), atol=1e-6)
    steep = SmoothBoundedReLU(torch.tensor(1.0), 1e4)
    hard = BoundedReLU(torch.tensor(1.0), "clip")
    apart = torch.tensor([[0.99, 1.01, 50.0]])
    np.testing.assert_allclose(steep(apart).detach().numpy(), hard(apart).numpy(), atol=1e-6)


def test_profile_is_the_maximum_of_each_neuron_over_all_batches(trained: SmallNet) -> None:
    """The public re-implementation reduced over the wrong dimension from its second batch on."""
    data = random_images(37, 3)
    maxima = profile(trained, data, batch=10)
    with torch.no_grad():
        x = torch.cat([pixels for pixels, _ in batches(data)])
        first = trained.features[2](trained.features[1](trained.features[0](x)))
        second = trained.classifier[1](trained.classifier[0](trained.flatten(trained.features[3](first))))
    expected = [first.max(dim=0).values, second.max(dim=0).values]
    assert [tuple(value.shape) for value in maxima.values()] == [(4, 32, 32), (12,)]
    for value, wanted in zip(maxima.values(), expected, strict=True):
        np.testing.assert_allclose(value.numpy(), wanted.numpy(), rtol=1e-4, atol=1e-5)
    single = profile(trained, data, batch=37)
    for name, value in maxima.items():
        np.testing.assert_allclose(value.numpy(), single[name].numpy(), rtol=1e-4, atol=1e-5)
    with pytest.raises(GoldenError, match="at least one image"):
        profile(trained, data.part(0, 0))


def test_profiled_bounds_change_nothing_on_the_profiled_images(trained: SmallNet) -> None:
    data = random_images(60, 4)
    maxima = profile(trained, data)
    pixels, _ = next(batches(data, 60))
    with torch.no_grad():
        expected = trained(pixels)
        for bounds in (maxima, layer_bounds(maxima)):
            roomy = {name: bound * 1.0001 for name, bound in bounds.items()}
            for mode in MODES:
                bounded = apply_bounds(copy.deepcopy(trained), roomy, mode)
                np.testing.assert_allclose(bounded(pixels).numpy(), expected.numpy(), atol=1e-4)
    assert statistics(trained, {n: b * 1.0001 for n, b in maxima.items()}, data).above == 0
    found = statistics(trained, {name: bound * 0.5 for name, bound in maxima.items()}, data)
    assert found.neurons == 4 * 32 * 32 + 12
    assert 0 < found.above < 0.9


def test_saturation_is_not_zeroing(trained: SmallNet) -> None:
    """The public re-implementation of Ranger silently zeroed."""
    data = random_images(30, 5)
    low = {name: bound * 0.3 for name, bound in layer_bounds(profile(trained, data)).items()}
    pixels, _ = next(batches(data))
    outputs = {}
    for mode in MODES:
        bounded = apply_bounds(copy.deepcopy(trained), low, mode)
        outputs[mode] = bounded.get_submodule("features")[:3](pixels)  # type: ignore[index]
        assert outputs[mode].max() <= low["features.2"]
    assert (outputs["saturate"] == low["features.2"]).any()
    assert (outputs["saturate"] >= outputs["clip"]).all()
    assert (outputs["saturate"] > outputs["clip"]).any()


def test_every_activation_needs_its_bound(trained: SmallNet) -> None:
    with pytest.raises(GoldenError, match=r"do not match: classifier\.1"):
        apply_bounds(copy.deepcopy(trained), {"features.2": torch.tensor(1.0)}, "clip")


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, [2813, 3983, 8864, 13439, 13786, 30024]),
        (1, [712, 1374, 2117, 2423, 10959, 11877, 13064, 16840, 23388, 23734]),
    ],
)
def test_random_streams_are_those_that_the_committed_bounds_were_found_with(index: int, expected: list[int]) -> None:
    memory = Segment("parameters", "weight", 1000, 32)
    [flips] = draw_flips((memory,), 2e-4, np.random.default_rng([1, 2, index]))
    assert (flips.element * 32 + flips.bit).tolist() == expected


def test_maps_of_the_search_flip_each_word_of_parameter_memory_alike(trained: SmallNet) -> None:
    """Against the draw written out: its number binomial over all bits, their places without replacement."""
    network, rates, seed = FoldedNetwork(lower(trained)), (0.0, 1e-4, 0.05), 5
    maps = fault_maps(network, rates, 2, seed)
    assert [len(of_rate) for of_rate in maps] == [1, 2, 2]
    assert np.array_equal(maps[0][0], network.words)
    for i, rate in enumerate(rates):
        for j, words in enumerate(maps[i]):
            generator = np.random.default_rng([seed, i, j])
            count = int(generator.binomial(network.bit_count, rate))
            places = generator.choice(network.bit_count, size=count, replace=False, shuffle=False)
            bits = np.unpackbits(network.words.astype("<i4").view(np.uint8), bitorder="little")
            bits[places] ^= 1
            assert words.dtype == np.int32
            assert np.array_equal(words, np.packbits(bits, bitorder="little").view("<i4"))
    assert (maps[2][0] != maps[2][1]).any()
    with pytest.raises(GoldenError, match="not within"):
        fault_maps(network, (1.5,), 1, seed)


def test_batchnorm_is_part_of_the_memory_that_is_hit(trained: SmallNet) -> None:
    """Folded: weights carry its gain, biases its shift, and both are in the bit space."""
    network = FoldedNetwork(lower(trained))
    assert network.words.size == (4 * 27 + 4) + (12 * 64 + 12) + (10 * 12 + 10)
    conv, norm = trained.features[0], trained.features[1]
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_var is not None
    gain = norm.weight[0].item() / (norm.running_var[0].item() + norm.eps) ** 0.5
    expected = conv.weight[0, 0, 0, 0].item() * gain
    assert network.words[0] / 65536 == pytest.approx(expected, abs=2e-5)


def test_fault_maps_are_shared_and_leave_no_trace(trained: SmallNet) -> None:
    data = random_images(40, 6)
    pixels, truth = next(batches(data, len(data)))
    network = FoldedNetwork(lower(trained))
    rates = [0.0, 1e-3, 3e-2]
    first = accuracy_under_faults(network, pixels, truth, rates, 3, seed=1)
    again = accuracy_under_faults(network, pixels, truth, rates, 3, seed=1)
    np.testing.assert_array_equal(first, again)
    assert (first[0] == accuracy(trained, data)).all()
    assert first[2].mean() < first[0].mean()
    maxima = layer_bounds(profile(trained, data))
    bounded = FoldedNetwork(lower(apply_bounds(copy.deepcopy(trained), maxima, "clip")))
    assert (bounded.words == network.words).all()  # same positions mean the same bits in every scheme


def test_clipact_search_only_improves(trained: SmallNet) -> None:
    data = random_images(60, 7)
    maxima = layer_bounds(profile(trained, data))
    options = ThresholdSearch(rates=(0.0, 1e-3, 1e-2), maps=2, iterations=1, points=3)
    bounds, record = search(copy.deepcopy(trained), maxima, data, options)
    assert record["area"] >= record["area_at_maxima"]
    for name, bound in bounds.items():
        assert bound.ndim == 0
        assert 0 < bound <= maxima[name]


def test_post_training_learns_bounds_only(trained: SmallNet) -> None:
    training, validation = random_images(200, 8), random_images(100, 9)
    start = profile(trained, training)
    weights = {key: value.clone() for key, value in trained.state_dict().items()}
    options = PostTraining(zeta=1.0, delta=0.02, lr=0.02, epochs=2, images=200, batch=50, checks=2)
    bounds, record = post_train(trained, start, training, validation, options)
    assert all(torch.equal(value, trained.state_dict()[key]) for key, value in weights.items())
    assert {name: tuple(b.shape) for name, b in bounds.items()} == {
        "features.2": (4, 32, 32),
        "classifier.1": (12,),
    }
    before, after = (sum(float(b.sum()) for b in which.values()) for which in (start, bounds))
    assert after < before
    assert all((b >= 0).all() and torch.isfinite(b).all() for b in bounds.values())
    hard = apply_bounds(copy.deepcopy(trained), bounds, "clip")
    assert accuracy(hard, validation) >= accuracy(trained, validation) - options.delta
    assert record["zeta"] == 1.0
    assert record["history"]


def test_post_training_keeps_the_constraint_when_pushed(trained: SmallNet) -> None:
    """So large a step breaks the network at once: then the start itself is returned."""
    training, validation = random_images(100, 8), random_images(100, 9)
    start = profile(trained, training)
    options = PostTraining(zeta=1e6, delta=0.0, lr=0.9, epochs=1, images=100, batch=50, checks=1, backoffs=0)
    bounds, record = post_train(trained, start, training, validation, options)
    assert record["history"][-1]["hard_accuracy"] < record["clean_limit"]
    for name, bound in bounds.items():
        torch.testing.assert_close(bound, start[name])


def test_too_large_a_step_is_taken_back_and_halved(trained: SmallNet) -> None:
    """Too large at first; at a fraction of the rate bounds shrink within the limit."""
    training, validation = random_images(100, 8), random_images(100, 9)
    start = profile(trained, training)
    options = PostTraining(zeta=1e6, delta=0.05, lr=0.5, epochs=12, images=50, batch=50, checks=1, backoffs=8)
    rigid, _ = post_train(trained, start, training, validation, replace(options, backoffs=0))
    patient, record = post_train(trained, start, training, validation, options)
    total = [sum(float(b.sum()) for b in bounds.values()) for bounds in (start, rigid, patient)]
    assert total[1] == total[0] > total[2]
    accepted = [row for row in record["history"] if row["hard_accuracy"] >= record["clean_limit"]]
    assert 0 < len(accepted) < len(record["history"])
    hard = apply_bounds(copy.deepcopy(trained), patient, "clip")
    assert accuracy(hard, validation) >= record["clean_limit"]


def test_stages_are_learned_one_after_the_other(trained: SmallNet) -> None:
    """ProAct: only the stage's bounds move, from the last layer to the first, within a growing allowance."""
    training, validation = random_images(100, 8), random_images(100, 9)
    maxima = profile(trained, training)
    start = {**layer_bounds(maxima), "classifier.1": maxima["classifier.1"]}
    options = PostTraining(delta=1.0, lr=0.02, epochs=1, images=50, batch=50, checks=1, distil=1.0)
    last, _ = post_train(trained, start, training, validation, options, [["classifier.1"]])
    both, record = post_train(trained, start, training, validation, options, [["classifier.1"], ["features.2"]])
    torch.testing.assert_close(last["features.2"], start["features.2"])
    assert (last["classifier.1"] < start["classifier.1"]).any()
    torch.testing.assert_close(both["classifier.1"], last["classifier.1"])
    assert both["features.2"].ndim == 0
    assert both["features.2"] < start["features.2"]
    assert [row["stage"] for row in record["history"]] == [0, 1]
    with pytest.raises(GoldenError, match="stages of activations"):
        post_train(trained, start, training, validation, options, [["elsewhere"]])


def test_stopped_stages_go_on_from_the_checkpoint(
    trained: SmallNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, validation = random_images(100, 8), random_images(100, 9)
    start = layer_bounds(profile(trained, training))
    options = PostTraining(delta=1.0, lr=0.02, epochs=1, images=50, batch=50, checks=1)
    stages, path = [["classifier.1"], ["features.2"]], tmp_path / "stages.npz"
    whole, record = post_train(trained, start, training, validation, options, stages)
    learn, learned = posttrain._Learner.learn, []

    def stopping(self: Any, stage: list[str], number: int, *rest: Any, **named: Any) -> Any:
        learned.append(number)
        if learned == [0, 1]:
            raise KeyboardInterrupt
        return learn(self, stage, number, *rest, **named)

    monkeypatch.setattr(posttrain._Learner, "learn", stopping)
    path.write_bytes(b"damaged")  # as good as none
    with pytest.raises(KeyboardInterrupt):
        post_train(trained, start, training, validation, options, stages, path)
    again, resumed = post_train(trained, start, training, validation, options, stages, path)
    assert learned == [0, 1, 1]
    assert resumed["history"] == record["history"]
    assert all(torch.equal(again[name], whole[name]) for name in whole)
    assert not path.exists()


def test_bfloat16_only_where_the_cpu_is_fast_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    a = torch.ones(4, 4)
    for fast, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda fast=fast: {"avx512_bf16": fast})
        with mixed_precision(a.device):
            assert (a @ a).dtype == expected


def test_distillation_is_zero_for_the_teacher_itself() -> None:
    logits = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]])
    assert float(distillation(logits, logits, 4.0)) == pytest.approx(0, abs=1e-6)
    other = logits.flip(1)
    p, q = torch.softmax(logits / 2, 1), torch.softmax(other / 2, 1)
    expected = 4 * float((p * (p / q).log()).sum(1).mean())
    assert float(distillation(other, logits, 2.0)) == pytest.approx(expected, rel=1e-5)


def test_clipact_runs_agree_with_whole_runs(trained: SmallNet) -> None:
    """Activations before the searched layer are kept: the area must be that of complete forward passes."""
    data = random_images(30, 7)
    maxima = layer_bounds(profile(trained, data))
    options = ThresholdSearch(rates=(0.0, 1e-2), maps=2, iterations=2, points=3)
    bounds, record = search(copy.deepcopy(trained), maxima, data, options)
    network = FoldedNetwork(lower(apply_bounds(copy.deepcopy(trained), bounds, "clip")))
    pixels, truth = next(batches(data))
    whole = accuracy_under_faults(network, pixels, truth, options.rates, options.maps, options.seed)
    assert record["area"] == pytest.approx(whole.mean())


def test_clipact_with_faults_in_the_searched_layer_agrees_with_whole_runs(trained: SmallNet) -> None:
    """Each activation is judged with faults in the layer in front of it only, behind the thresholds already found."""
    data = random_images(30, 7)
    maxima = layer_bounds(profile(trained, data))
    options = ThresholdSearch(rates=(0.0, 3e-2, 1e-1), maps=3, iterations=2, points=3, strike="layer")
    bounds, record = search(copy.deepcopy(trained), maxima, data, options)
    found = dict(maxima)
    pixels, truth = next(batches(data))
    assert [entry["layer"] for entry in record["areas"]] == list(bounds)
    lowered = lower(apply_bounds(copy.deepcopy(trained), maxima, "clip"))
    layer_of = {layer.call: layer.name for layer in lowered if layer.call in bounds}
    for entry in record["areas"]:
        layer = layer_of[entry["layer"]]
        for area, threshold in (("area_at_maximum", maxima[entry["layer"]]), ("area", bounds[entry["layer"]])):
            found[entry["layer"]] = threshold
            network = FoldedNetwork(lower(apply_bounds(copy.deepcopy(trained), found, "clip")))
            hit = [
                [whole_memory(network, layer, words) for words in of_rate]
                for of_rate in fault_maps(network, options.rates, options.maps, options.seed, layer)
            ]
            means = [np.mean([_top1(network, words, pixels, truth) for words in of_rate]) for of_rate in hit]
            assert entry[area] == pytest.approx(np.mean(means))
        assert entry["area"] >= entry["area_at_maximum"]
    assert any(bounds[name] < maxima[name] for name in maxima)  # something was found


def whole_memory(network: FoldedNetwork, layer: str, words: np.ndarray) -> np.ndarray:
    """The memory with these words of one layer; all others are as they were."""
    memory = network.words.copy()
    memory[network.words_of(layer)] = words
    return memory


@torch.no_grad()
def _top1(network: FoldedNetwork, words: np.ndarray, pixels: torch.Tensor, truth: torch.Tensor) -> float:
    network.load(words)
    return float((network(pixels).argmax(1) == truth).double().mean())


def test_stopped_clipact_search_goes_on_from_the_checkpoint(
    trained: SmallNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = random_images(30, 7)
    maxima = layer_bounds(profile(trained, data))
    options = ThresholdSearch(rates=(0.0, 1e-2), maps=2, iterations=1, points=3)
    path = tmp_path / "clipact.npz"
    whole, record = search(copy.deepcopy(trained), maxima, data, options, tmp_path / "whole.npz")
    save, searched = clipact.save_stages, []

    def stop_after_first(*arguments: Any) -> None:
        save(*arguments)
        raise KeyboardInterrupt

    def count(*arguments: Any) -> Any:
        searched.append(arguments[2])
        return search_layer(*arguments)

    search_layer = clipact._search_layer
    monkeypatch.setattr(clipact, "save_stages", stop_after_first)
    with pytest.raises(KeyboardInterrupt):
        search(copy.deepcopy(trained), maxima, data, options, path)
    monkeypatch.setattr(clipact, "save_stages", save)
    monkeypatch.setattr(clipact, "_search_layer", count)
    resumed, of_resumed = search(copy.deepcopy(trained), maxima, data, options, path)
    assert len(searched) == len(maxima) - 1
    assert resumed == whole
    assert (of_resumed["area"], of_resumed["area_at_maxima"]) == (record["area"], record["area_at_maxima"])


def test_options_and_schemes_are_checked() -> None:
    nan, infinite = float("nan"), float("inf")
    for wrong in ({"k": 0}, {"lr": nan}, {"lr": infinite}, {"zeta": nan}, {"delta": nan}, {"delta": 5}, {"seed": -1}):
        with pytest.raises(GoldenError, match="out of range"):
            PostTraining(**wrong)
    with pytest.raises(GoldenError, match="known are unprotected, ranger, clipact, proact, fitact"):
        find_scheme("none")
    assert SCHEMES["ranger"].mode == "saturate"
    assert SCHEMES["fitact"].granularity == "neuron"


def test_subset_draws_each_image_once() -> None:
    data = Images(np.arange(50, dtype=np.uint8).repeat(3072).reshape(50, 32, 32, 3), np.arange(50))
    part = subset(data, 20, 1)
    assert len(set(part.labels.tolist())) == 20
    assert (part.images[:, 0, 0, 0] == part.labels).all()


def test_names_are_in_execution_order(trained: SmallNet) -> None:
    assert activation_names(import_network(trained, (3, 32, 32))) == ["features.2", "classifier.1"]
