"""The symbolic trace of an ``nn.Module``: which of its modules are called, and in which order."""

from __future__ import annotations

from torch import fx, nn

from golden.errors import UnsupportedError
from golden.frontend.modules import evaluation_mode


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


def _line(error: Exception) -> str:
    """The first line of an error's text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
