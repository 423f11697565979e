"""The caller's module, as it is used here: in evaluation mode, with one floating-point type, and left as it was."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from golden.errors import UnsupportedError


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[nn.Module]:
    """``model`` in evaluation mode; afterwards each of its modules is in the mode that it was in."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield model.eval()
    finally:
        for module, training in before:
            module.training = training


def float_type(model: nn.Module) -> torch.dtype:
    """float64 if all its parameters and buffers that are no integers are so, else float32."""
    types = {tensor.dtype for tensor in _tensors(model).values() if tensor.is_floating_point()}
    return torch.float64 if types == {torch.float64} else torch.float32


def in_one_type(model: nn.Module) -> nn.Module:
    """``model`` itself if it is all float32 or all float64, else a copy in float32.

    Raises UnsupportedError for complex or quantised parameters.
    """
    tensors = _tensors(model)
    for name, tensor in tensors.items():
        if tensor.is_complex() or tensor.is_quantized:
            raise UnsupportedError(f"parameter {name} is {tensor.dtype}: only floating-point networks are supported")
        if tensor.device.type != "cpu":
            raise UnsupportedError(f"parameter {name} is on {tensor.device}: move the network to the CPU first")
    types = {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()}
    return model if types <= {torch.float32} or types == {torch.float64} else copy.deepcopy(model).float()


def _tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
