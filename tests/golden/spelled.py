"""Small networks written down in a line: a function and the modules that it calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

IMAGE = (3, 8, 8)
Case = tuple[Callable[[], nn.Module], tuple[int, ...]]
"""What builds a network, and the shape of its images."""


class Spelled(nn.Module):
    """Calls ``function(self, x)``; ``parts`` become its modules."""

    def __init__(self, function: Callable[[Any, Tensor], Any], **parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def net(function: Callable[[Any, Tensor], Any], **parts: nn.Module) -> Spelled:
    """A seeded network, its BatchNorms as after training."""
    module = Spelled(function, **parts)
    generator = torch.Generator().manual_seed(0)

    def draw(tensor: Tensor, low: float, high: float) -> None:
        tensor.data.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    for part in module.modules():
        if isinstance(part, nn.Conv1d | nn.Conv2d | nn.Linear):
            fan = part.weight[0].numel()
            draw(part.weight, -1.7 / fan**0.5, 1.7 / fan**0.5)
            if part.bias is not None:
                draw(part.bias, -0.3, 0.3)
        elif isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) and part.running_mean is not None:
            assert part.running_var is not None
            draw(part.running_mean, -0.3, 0.3)
            draw(part.running_var, 0.5, 1.5)
            if part.affine:
                draw(part.weight, 0.5, 1.5)
                draw(part.bias, -0.3, 0.3)
    return module.eval()


def conv(inputs: int, outputs: int, kernel: Any = 3, **options: Any) -> nn.Conv2d:
    """With the padding that keeps the size, if none is given."""
    if "padding" not in options and isinstance(kernel, int):
        options["padding"] = kernel // 2
    return nn.Conv2d(inputs, outputs, kernel, **options)
