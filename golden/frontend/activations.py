"""Bounded ReLU modules and how they are put in the place of ordinary ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from golden.errors import GoldenError, UnsupportedError
from golden.frontend.tracing import symbolic

Mode = Literal["clip", "saturate"]


class BoundedReLU(nn.Module):
    """ReLU with an upper bound, in the hard form that hardware computes.

    ``bound``: float32, one value () for the layer or one per neuron (channels, rows, columns) or
    (features,); never negative. ``clip``: ``x if 0 < x <= bound else 0`` (FitAct, Clip-Act);
    ``saturate``: ``min(max(x, 0), bound)`` (Ranger). ``limit``: that of the activation itself (6 for ReLU6), if it has
    one: no bound is above it, and it saturates.
    """

    is_activation = True

    def __init__(self, bound: Tensor, mode: Mode, limit: float | None = None) -> None:
        super().__init__()
        if mode not in ("clip", "saturate"):
            raise GoldenError(f"unknown activation mode {mode!r}: known are clip, saturate")
        if bool((bound < 0).any()) or not bool(torch.isfinite(bound).all()):
            raise GoldenError(f"a bound is negative or not finite (smallest {float(bound.min())})")
        self.mode: Mode = mode if limit is None else "saturate"
        self.limit = limit
        self.bound: Tensor
        self.register_buffer("bound", bound.detach().clone().float().clamp_max(torch.inf if limit is None else limit))

    def forward(self, x: Tensor) -> Tensor:
        """Bounded activation of x (batch, *neurons)."""
        if torch.compiler.is_exporting():
            return bounded_relu(x, self.bound, self.mode, torch.inf if self.limit is None else self.limit)
        return _bounded(x, self.bound, self.mode)


def _bounded(x: Tensor, bound: Tensor, mode: str) -> Tensor:
    if mode == "saturate":
        return torch.minimum(torch.relu(x), bound)
    return torch.where(x <= bound, torch.relu(x), torch.zeros((), dtype=x.dtype, device=x.device))


@torch.library.custom_op("fitact::bounded_relu", mutates_args=())
def bounded_relu(x: Tensor, bound: Tensor, mode: str, limit: float) -> Tensor:
    """:class:`BoundedReLU` as one operator, so that an exported graph shows it whole."""
    return _bounded(x, bound, mode)


@bounded_relu.register_fake
def _(x: Tensor, bound: Tensor, mode: str, limit: float) -> Tensor:
    return torch.empty_like(x)


class LimitedReLU(nn.Module):
    """``min(max(x, 0), limit)``: ReLU6 and other clips from zero on."""

    is_activation = True

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, x: Tensor) -> Tensor:
        """Activation of x (batch, *neurons)."""
        return x.clamp(0, self.limit)


class SmoothBoundedReLU(nn.Module):
    """FitAct's trainable form, ``max(0, x - x * sigmoid(k * (x - bound)))`` (arXiv 2112.13544).

    ``k`` is the slope; ``bound`` the trainable parameter. It tends to the hard form as k grows.
    """

    is_activation = True

    def __init__(self, bound: Tensor, k: float) -> None:
        super().__init__()
        self.k = k
        self.bound = nn.Parameter(bound.detach().clone().float())

    def forward(self, x: Tensor) -> Tensor:
        """Smoothly bounded activation of x (batch, *neurons)."""
        # x - x * sigmoid(z) = x * sigmoid(-z): one product less, and no cancellation
        return torch.relu(x) * torch.sigmoid(self.k * (self.bound - x))


_RELUS = (nn.ReLU, BoundedReLU, SmoothBoundedReLU, LimitedReLU)
_OTHERS = (
    *(nn.ELU, nn.GELU, nn.CELU, nn.GLU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.LeakyReLU),
    *(nn.LogSigmoid, nn.Mish, nn.PReLU, nn.RReLU, nn.SELU, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.Softshrink),
    *(nn.Softsign, nn.Tanh, nn.Tanhshrink, nn.Threshold),
)
_FUNCTIONS = (
    *("relu", "relu6", "hardtanh", "threshold", "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu"),
    *("mish", "sigmoid", "tanh", "hardswish", "hardsigmoid", "softplus", "softsign", "logsigmoid", "glu", "clamp"),
    *("clip", "clamp_min", "clamp_max", "maximum", "minimum"),
)


def _own_limit(module: nn.Module) -> float | None:
    """Where an activation saturates by itself."""
    if isinstance(module, LimitedReLU | BoundedReLU):
        return module.limit
    if isinstance(module, nn.Hardtanh) and module.min_val == 0:  # ReLU6 is one
        return float(module.max_val)
    return None


def activation_names(model: nn.Module) -> list[str]:
    """Dotted names of the ReLU (or bounded) modules in order of execution.

    Raises UnsupportedError, naming all of them, for activations that no bound could be put to: functions, a module that
    is called at several places, and other kinds than ReLU. Nothing must be left unprotected silently. In a network of
    :func:`golden.frontend.lowering.import_network` every call is a module of its own.
    """
    calls = getattr(model, "activation_calls", None)
    if calls is not None:
        return list(calls)
    names: list[str] = []
    refused: list[str] = []
    for node in symbolic(model).nodes:
        if node.op == "call_module":
            module = model.get_submodule(str(node.target))
            if isinstance(module, _RELUS) or _own_limit(module) is not None:
                if node.target in names:
                    refused.append(f"{node.name} calls {node.target} again (give each call its own nn.ReLU)")
                names.append(str(node.target))
            elif isinstance(module, (*_OTHERS, nn.Hardtanh)):
                refused.append(f"{node.name} is {type(module).__name__}")
        elif node.op in ("call_function", "call_method"):
            function = str(getattr(node.target, "__name__", node.target)).rstrip("_")
            if function in _FUNCTIONS:
                refused.append(f"{node.name} is the function {function} (use a module nn.ReLU)")
    if refused:
        raise UnsupportedError(
            f"activations of {type(model).__name__} that cannot be bounded: {'; '.join(refused)}; import_network makes "
            "a module of each call of a ReLU"
        )
    return names


def replace_modules(model: nn.Module, replacements: Mapping[str, nn.Module]) -> nn.Module:
    """Put modules in the place of those with the given dotted names, wherever they are; returns ``model``, changed."""
    by_old = {model.get_submodule(name): module for name, module in replacements.items()}
    places = [(name, old) for name, old in model.named_modules(remove_duplicate=False) if old in by_old]
    for name, old in places:
        parent_name, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent_name), leaf, by_old[old])
    return model


def apply_bounds(model: nn.Module, bounds: Mapping[str, Tensor], mode: Mode) -> nn.Module:
    """Replace every ReLU by a bounded one; those with a limit of their own saturate, whatever ``mode`` is.

    Raises GoldenError unless each has exactly one bound, UnsupportedError for activations that cannot be bounded.
    """
    names = activation_names(model)
    if set(names) != set(bounds):
        missing = sorted(set(names) ^ set(bounds))
        raise GoldenError(f"bounds and activations of the network do not match: {', '.join(missing)}")
    limits = {name: _own_limit(model.get_submodule(name)) for name in names}
    return replace_modules(model, {name: BoundedReLU(bounds[name], mode, limits[name]) for name in names})


class Recorder:
    """Context manager that hands every ReLU's input to ``visit(name, tensor)`` during forward passes."""

    def __init__(self, model: nn.Module, visit: Callable[[str, Tensor], None]) -> None:
        self._visit, self._model = visit, model
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> Recorder:
        for name in activation_names(self._model):
            self._handles.append(self._model.get_submodule(name).register_forward_pre_hook(self._hook(name)))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _hook(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self._visit(name, inputs[0])

        return hook
