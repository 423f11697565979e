"""What goes wrong while Verilog is read or composed."""

from __future__ import annotations

from fitact_hw.errors import FitActError


class GeneratorError(FitActError):
    """A composition that does not fit together; names the module, the instance and the port."""
