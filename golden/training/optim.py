"""Muon, the optimiser for weight matrices (Jordan et al. 2024), in the form used for CIFAR-10 speed runs.

Each step follows the gradient's nearest semi-orthogonal matrix instead of the gradient, and the
weights are kept at a fixed norm: BatchNorm behind every such layer makes their scale meaningless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Quintic iteration coefficients published with Muon; they trade accuracy for speed on purpose."""


def orthogonalise(matrix: Tensor, steps: int = 3) -> Tensor:
    """Nearest semi-orthogonal matrix to ``matrix`` (rows, columns), roughly, in bfloat16."""
    a, b, c = _NEWTON_SCHULZ
    x = matrix.bfloat16()
    x = x / (x.norm() + 1e-7)
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.T
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x if wide else x.T).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, on weights of two or more dimensions."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.6) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every weight that has a gradient. ``closure`` is not supported."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, weight.grad, group)

    def _update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        buffer = state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
        gradient = gradient.add(buffer, alpha=group["momentum"])
        weight.mul_(weight.shape[0] ** 0.5 / weight.norm())
        update = orthogonalise(gradient.reshape(len(gradient), -1)).view_as(weight)
        weight.add_(update, alpha=-group["lr"])


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Weights for Muon, and the rest: BatchNorm, biases and the last linear layer (without BatchNorm)."""
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    head = {id(parameter) for parameter in linears[-1].parameters()} if linears else set()
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for parameter in model.parameters():
        (others if parameter.ndim < 2 or id(parameter) in head else matrices).append(parameter)
    return matrices, others
