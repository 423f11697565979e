"""One call of the matrix unit for a layer of the evaluator."""

from __future__ import annotations

import torch
from torch import Tensor

from golden.exact.epilogue import Parameters
from golden.exact.kernels import Geometry
from golden.exact.limbs import ACTIVATIONS, Changes, Epilogue, LimbWeights
from golden.exact.words import Words


def limb_layer(
    weights: LimbWeights,
    geometry: Geometry,
    source: Words,
    residual: tuple[Tensor, int] | None,
    parameters: Parameters,
    changes: Changes | None = None,
    kept: Tensor | None = None,
) -> Tensor | None:
    """Output words; ``kept``, int64 of their shape, takes the sums before residual and bias.

    ``residual``: the operand and by how many bits it is shifted. ``changes``: weights that differ in this call. None
    if a word has too many digits.
    """
    g, p = geometry, parameters
    epilogue = Epilogue(
        bias=p.bias.data_ptr(),
        shift=p.shift.data_ptr(),
        activation=ACTIVATIONS.index(p.activation),
        top=p.top,
        spare_bits=64 - p.acc_bits,
        kept=None if kept is None else kept.data_ptr(),
    )
    alive: list[Tensor] = []  # until the call is over

    def pointer(tensor: Tensor) -> int:
        alive.append(tensor.contiguous())
        return alive[-1].data_ptr()

    if p.bound is not None:
        epilogue.bounds = int(isinstance(p.bound, Tensor))
        bound = p.bound if isinstance(p.bound, Tensor) else torch.tensor(float(p.bound), dtype=torch.float64)
        epilogue.bound = pointer(bound)
    if residual is not None:
        epilogue.residual, epilogue.residual_shift = pointer(residual[0]), residual[1]
    windows = (part for axis in (g.down, g.across) for part in (axis.kernel, axis.stride, axis.before, axis.after))
    sizes = (g.rows, g.columns, g.inputs, *windows, g.out_rows, g.out_columns)
    return weights.layer(source.data, source.peak, sizes, epilogue, changes)
