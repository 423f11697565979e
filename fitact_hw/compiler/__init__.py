"""The compiler: quantised network to program, tiled for buffers of any depth."""

from fitact_hw.compiler.compile import compile_network
from fitact_hw.compiler.inputs import unfold, with_images

__all__ = ["compile_network", "unfold", "with_images"]
