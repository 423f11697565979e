"""torch.fx traces of an ``nn.Module``: symbolic, and annotated with shapes."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn

from golden.errors import UnsupportedError
from golden.frontend.layers import Shape
from golden.frontend.modules import evaluation_mode, float_type, in_one_type, refuse_hooks

SHAPE = "image_shape"
"""Key of a node's ``meta``: the shape of its value, the batch included, if it is a tensor."""


class _Tracer(fx.Tracer):
    """Keeps modules that say so whole, as it does with those of torch.nn."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return getattr(m, "is_activation", False) is True or super().is_leaf_module(m, module_qualified_name)


def symbolic(model: nn.Module) -> fx.Graph:
    """The graph of ``model`` in evaluation mode. Raises UnsupportedError if its control flow depends on data."""
    with evaluation_mode(model):
        try:
            return _Tracer().trace(model)
        except Exception as error:  # fx raises TraceError, TypeError and others for dynamic control flow
            raise UnsupportedError(f"{type(model).__name__} cannot be traced by torch.fx: {_line(error)}") from error


def trace_module(model: nn.Module, input_shape: Shape) -> fx.GraphModule:
    """Trace ``model`` in evaluation mode, each node annotated with its shape for a batch of one.

    ``model`` stays as it is; half precision is traced in a copy in float32. Raises UnsupportedError for hooks, for
    control flow that depends on data and for images that the network does not take.
    """
    refuse_hooks(model)
    model = in_one_type(model)
    module = fx.GraphModule(model, symbolic(model))
    with evaluation_mode(model), torch.no_grad():
        _Annotator(module, input_shape).run(torch.zeros(1, *input_shape, dtype=float_type(model)))
    return module


class _Annotator(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, input_shape: Shape) -> None:
        super().__init__(module)
        self.extra_traceback = False
        self.size = "x".join(map(str, input_shape))

    def run_node(self, n: fx.Node) -> Any:
        try:
            value = super().run_node(n)
        except UnsupportedError:
            raise
        except Exception as error:  # whatever an operator raises for a shape it does not take
            raise UnsupportedError(f"{n.name} does not take images of {self.size}: {_line(error)}") from error
        if isinstance(value, torch.Tensor):
            n.meta[SHAPE] = tuple(value.shape)
        return value


def _line(error: Exception) -> str:
    """The first line of an error's text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
