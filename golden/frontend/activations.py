"""Bounded ReLU modules and how they are put in the place of ordinary ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from golden.errors import GoldenError, UnsupportedError

Mode = Literal["clip", "saturate"]
Model = TypeVar("Model", bound=nn.Module)


class BoundedReLU(nn.Module):
    """ReLU with an upper bound, in the hard form that hardware computes.

    ``bound``: float32, one value () for the layer or one per neuron (channels, rows, columns) or
    (features,); never negative. ``clip``: ``x if 0 < x <= bound else 0`` (FitAct, Clip-Act);
    ``saturate``: ``min(max(x, 0), bound)`` (Ranger). ``limit``: that of the activation itself (6 for ReLU6), if it has
    one: no bound is above it, and it saturates.
    """

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
        bound = self.bound
        if bound.dim() and bound.shape != x.shape[1:]:  # of a vector that stands as channels of one place, or opposite
            bound = bound.reshape(x.shape[1:])
        if torch.compiler.is_exporting():
            return bounded_relu(x, bound, self.mode, torch.inf if self.limit is None else self.limit)
        return _bounded(x, bound, self.mode)


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

    def __init__(self, bound: Tensor, k: float) -> None:
        super().__init__()
        self.k = k
        self.bound = nn.Parameter(bound.detach().clone().float())

    def forward(self, x: Tensor) -> Tensor:
        """Smoothly bounded activation of x (batch, *neurons)."""
        # x - x * sigmoid(z) = x * sigmoid(-z): one product less, and no cancellation
        return torch.relu(x) * torch.sigmoid(self.k * (self.bound - x))


_RELUS = (nn.ReLU, BoundedReLU, SmoothBoundedReLU, LimitedReLU)


def _own_limit(module: nn.Module) -> float | None:
    """Where an activation saturates by itself."""
    if isinstance(module, LimitedReLU | BoundedReLU):
        return module.limit
    if isinstance(module, nn.Hardtanh) and module.min_val == 0:  # ReLU6 is one
        return float(module.max_val)
    return None


def activation_names(network: nn.Module) -> list[str]:
    """Names of the activation calls of an imported network in order of execution; each is a module of it.

    Raises UnsupportedError for a module as torch has it, whose activations may be functions, shared or renamed:
    :func:`golden.frontend.lowering.import_network` gives its calls.
    """
    calls = getattr(network, "activation_calls", None)
    if calls is None:
        raise UnsupportedError(
            f"{type(network).__name__} is not imported, so its activation calls are not known: use "
            "golden.frontend.lowering.import_network(module, shape of an image)"
        )
    return list(calls)


def replace_modules(model: Model, replacements: Mapping[str, nn.Module]) -> Model:
    """Put modules in the place of those with the given dotted names, wherever they are; returns ``model``, changed."""
    by_old = {model.get_submodule(name): module for name, module in replacements.items()}
    places = [(name, old) for name, old in model.named_modules(remove_duplicate=False) if old in by_old]
    for name, old in places:
        parent_name, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent_name), leaf, by_old[old])
    return model


def apply_bounds(model: Model, bounds: Mapping[str, Tensor], mode: Mode) -> Model:
    """Replace every ReLU by a bounded one; those with a limit of their own saturate, whatever ``mode`` is.

    ``model``: an imported network, or a module each of whose activation calls is a ReLU module of its own. Raises
    UnsupportedError naming calls that are no modules, GoldenError unless each activation has exactly one bound.
    """
    wanted = getattr(model, "activation_calls", None)
    if wanted is None:
        wanted = _own_modules(model, bounds)
    if set(wanted) != set(bounds):
        missing = sorted(set(wanted) ^ set(bounds))
        raise GoldenError(f"bounds and activations of the network do not match: {', '.join(missing)}")
    limits = {name: _own_limit(model.get_submodule(name)) for name in bounds}
    return replace_modules(model, {name: BoundedReLU(bounds[name], mode, limits[name]) for name in bounds})


def _own_modules(model: nn.Module, bounds: Mapping[str, Tensor]) -> list[str]:
    """Names of the ReLU modules of ``model``, each once, that in ``bounds`` if it has several."""
    modules = {
        name: module
        for name, module in model.named_modules(remove_duplicate=False)
        if isinstance(module, _RELUS) or _own_limit(module) is not None
    }
    first = {modules[name]: name for name in reversed(list(bounds)) if name in modules}
    if unknown := [name for name in bounds if name not in modules or first[modules[name]] != name]:
        raise UnsupportedError(
            f"activations {', '.join(unknown)} of {type(model).__name__} are no ReLU modules of their own (functions, "
            "or a module called again): bound what golden.frontend.lowering.import_network makes of it"
        )
    names: dict[nn.Module, str] = {}
    for name, module in modules.items():
        if name in bounds or module not in names:
            names[module] = name
    return list(names.values())


class Recorder:
    """Context manager that hands the input of every activation call of an imported network to ``visit(name, tensor)``
    during forward passes."""

    def __init__(self, network: nn.Module, visit: Callable[[str, Tensor], None]) -> None:
        self._visit, self._model = visit, network
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
