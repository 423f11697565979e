"""BatchNorm folded into what is before it: tiny variances, a bias in the layer, no affine part, chains of two."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from golden.frontend.lowering import lower

EPS = (1e-5, 1e-3, 1e-12)


def norm(channels: int, eps: float, variance: float, affine: bool = True) -> nn.BatchNorm2d:
    """Statistics of which every one matters, with channels whose variance is far below and far above eps."""
    layer = nn.BatchNorm2d(channels, eps=eps, affine=affine)
    generator = torch.Generator().manual_seed(channels)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    layer.running_mean.copy_(torch.randn(channels, generator=generator))
    layer.running_var.copy_(variance * torch.logspace(-2, 2, channels))
    if affine:
        nn.init.uniform_(layer.weight, 0.5, 2.0, generator=generator)
        nn.init.uniform_(layer.bias, -3.0, 3.0, generator=generator)
    return layer


@pytest.mark.parametrize("eps", EPS)
@pytest.mark.parametrize("variance", [0.0, 1e-9, 1e-5, 2.0])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("affine", [False, True])
def test_folded_parameters_follow_the_formula(eps: float, variance: float, bias: bool, affine: bool) -> None:
    """weight * g and (bias - mean) * g + beta with g = gamma / sqrt(var + eps), in float64."""
    torch.manual_seed(1)
    conv, bn = nn.Conv2d(3, 5, 3, bias=bias), norm(5, eps, variance, affine)
    if bias:
        assert conv.bias is not None
        nn.init.uniform_(conv.bias, -10, 10)
    [layer] = lower(nn.Sequential(conv, bn).eval(), (3, 8, 8))

    def array(values: torch.Tensor | None, default: float) -> np.ndarray:
        return np.full(5, default) if values is None else values.detach().double().numpy()

    gain = array(bn.weight if affine else None, 1.0) / np.sqrt(array(bn.running_var, 0) + eps)
    offset = (array(conv.bias, 0.0) - array(bn.running_mean, 0)) * gain + array(bn.bias if affine else None, 0.0)
    assert layer.weight is not None
    weight = conv.weight.detach().double().numpy()
    np.testing.assert_allclose(layer.weight, weight * gain[:, None, None, None], rtol=1e-12)
    np.testing.assert_allclose(layer.bias, offset, rtol=1e-9, atol=1e-9)


def test_two_in_a_row_and_a_vector() -> None:
    """The second one sees the first one's output; BatchNorm1d behind a fully connected layer with a bias."""
    torch.manual_seed(2)
    vector = nn.BatchNorm1d(4, eps=1e-4)
    assert vector.running_mean is not None
    assert vector.running_var is not None
    vector.running_mean.normal_(0, 3)
    vector.running_var.copy_(torch.tensor([1e-6, 1e-4, 1.0, 50.0]))
    nn.init.uniform_(vector.bias, -2, 2)
    convolutions = nn.Conv2d(3, 6, 3, bias=True), norm(6, 1e-5, 1e-4), norm(6, 1e-3, 3.0)
    model = nn.Sequential(*convolutions, nn.ReLU(), nn.Flatten(), nn.Linear(216, 4), vector).eval().double()
    first, second = lower(model, (3, 8, 8))
    x = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        expected = model(x)
        hidden = nn.functional.conv2d(x, torch.from_numpy(first.weight), torch.from_numpy(first.bias)).relu()
        found = nn.functional.conv2d(hidden, torch.from_numpy(second.weight), torch.from_numpy(second.bias))
    torch.testing.assert_close(found.flatten(1), expected, rtol=1e-9, atol=1e-9)
