"""What the machine can run: every refusal names the layer and the fix."""

from __future__ import annotations

import numpy as np

from fitact_hw.compiler.bounds import representable
from fitact_hw.config import SHIFT_BITS, AcceleratorConfig, Granularity
from fitact_hw.errors import CompileError
from fitact_hw.isa import Opcode, largest
from golden.qnetwork import INPUT, QLayer, QNetwork

MAX_KERNEL = min(
    *(largest(Opcode.GEMM, name) for name in ("kernel_rows", "kernel_cols", "col_stride")),
    *(largest(Opcode.LOAD, f"pad_{side}") for side in ("left", "right", "top", "bottom")),
)
"""Largest kernel side, stride and padding that instructions can hold."""

BOUNDED = ("clip", "saturate")


def _fits(values: np.ndarray, bits: int) -> bool:
    limit = 1 << (bits - 1)
    return values.size == 0 or (int(values.min()) >= -limit and int(values.max()) < limit)


def check_network(qnet: QNetwork, config: AcceleratorConfig, images: int) -> None:
    """Raise :class:`CompileError` if ``qnet`` at batch size ``images`` cannot run on ``config``."""
    if images < 1:
        raise CompileError(f"images={images}: compile for at least one image")
    if not qnet.layers:
        raise CompileError(f"network {qnet.name!r} has no layers: nothing to compile")
    for name in ("word_bits", "acc_bits"):
        if getattr(qnet, name) != getattr(config, name):
            raise CompileError(
                f"network {qnet.name!r} has {name}={getattr(qnet, name)} but the machine has "
                f"{getattr(config, name)}: quantise for the machine or change its configuration"
            )
    shapes = {INPUT: qnet.input_shape}
    non_negative = {INPUT: False}
    for layer in qnet.layers:
        if layer.name in shapes:
            raise CompileError(f"layer {layer.name!r} appears twice: give every layer its own name")
        _check_shapes(layer, shapes)
        _check_numbers(layer, config)
        _check_bound(layer, config)
        if layer.kind == "maxpool" and layer.padding and not non_negative[layer.source]:
            raise CompileError(
                f"layer {layer.name!r}: maxpool pads with zeros, but its input {layer.source!r} may be "
                "negative; put a ReLU before it or use padding 0"
            )
        shapes[layer.name] = layer.out_shape
        pool = layer.weight is None and layer.residual is None
        kept = pool and non_negative[layer.source] and int(layer.bias.min()) >= 0
        non_negative[layer.name] = layer.activation != "linear" or kept


def _check_shapes(layer: QLayer, shapes: dict[str, tuple[int, int, int]]) -> None:
    where = f"layer {layer.name!r}: "
    if layer.kind not in ("conv", "maxpool", "avgpool"):
        raise CompileError(f"{where}kind {layer.kind!r} is not supported; use conv, maxpool or avgpool")
    operands = [(layer.source, layer.in_shape)]
    if layer.residual is not None:
        if layer.kind == "maxpool":
            raise CompileError(f"{where}a maxpool cannot have a residual operand; add it in a layer of its own")
        operands.append((layer.residual.source, layer.out_shape))
        if not 0 <= layer.residual.lshift < 1 << SHIFT_BITS:
            raise CompileError(f"{where}residual lshift {layer.residual.lshift} must be 0 to 63")
    for source, shape in operands:
        if source not in shapes:
            raise CompileError(f"{where}source {source!r} is not an earlier layer; order the layers by use")
        if shapes[source] != shape:
            raise CompileError(f"{where}expects {shape} from {source!r}, which makes {shapes[source]}")
    for axis in (layer.rows, layer.columns):
        if not 1 <= axis.kernel <= MAX_KERNEL or not 1 <= axis.stride <= MAX_KERNEL:
            raise CompileError(f"{where}kernel {layer.kernel} and stride {layer.stride} must be 1 to {MAX_KERNEL}")
        if not 0 <= min(axis.before, axis.after) <= max(axis.before, axis.after) <= MAX_KERNEL:
            raise CompileError(f"{where}padding {layer.padding} must be 0 to {MAX_KERNEL}")
    channels, rows, cols = layer.out_shape
    expected = (layer.rows.windows(layer.in_shape[1]), layer.columns.windows(layer.in_shape[2]))
    if (rows, cols) != expected or min(channels, rows, cols) < 1:
        raise CompileError(f"{where}output {layer.out_shape} does not follow from its input; expected {expected}")
    if layer.weight is not None:
        wanted = (channels, layer.in_shape[0], layer.rows.kernel, layer.columns.kernel)
        if layer.weight.shape != wanted:
            raise CompileError(f"{where}weight has shape {layer.weight.shape}, expected {wanted}")
        if layer.links is not None and layer.links.shape != wanted[:2]:
            raise CompileError(f"{where}links have shape {layer.links.shape}, expected {wanted[:2]}")
        if layer.links is not None and layer.weight[~layer.links].any():
            raise CompileError(f"{where}a weight is not 0 between channels that have no link")
    if (layer.weight is None) == (layer.kind == "conv"):
        raise CompileError(f"{where}a conv needs a weight and a pool must have none")
    if layer.kind != "conv" and channels != layer.in_shape[0]:
        raise CompileError(f"{where}a pool keeps its channels, but {layer.in_shape[0]} became {channels}")


def _check_numbers(layer: QLayer, config: AcceleratorConfig) -> None:
    where = f"layer {layer.name!r}: "
    for name, values in (("bias", layer.bias), ("shift", layer.shift)):
        if values.shape != layer.out_shape[:1]:
            raise CompileError(f"{where}{name} has shape {values.shape}, expected {layer.out_shape[:1]}")
    if not _fits(layer.bias, config.acc_bits):
        raise CompileError(
            f"{where}a bias does not fit the accumulator's {config.acc_bits} bits; use fewer fraction bits "
            "or a wider acc_bits"
        )
    if int(layer.shift.min()) < 0 or int(layer.shift.max()) >= 1 << SHIFT_BITS:
        raise CompileError(f"{where}every shift must be 0 to 63, found {layer.shift.min()} to {layer.shift.max()}")
    if layer.weight is not None and not _fits(layer.weight, config.word_bits):
        raise CompileError(f"{where}a weight does not fit {config.word_bits} bits; requantise the layer")


def _check_bound(layer: QLayer, config: AcceleratorConfig) -> None:
    where = f"layer {layer.name!r}: "
    if layer.activation not in ("linear", "relu", *BOUNDED):
        raise CompileError(f"{where}activation {layer.activation!r} is not supported; use linear, relu or a bound")
    if layer.activation not in BOUNDED:
        if layer.bound is not None:
            raise CompileError(f"{where}activation {layer.activation!r} takes no bound; use clip or saturate")
        return
    if layer.bound is None:
        raise CompileError(f"{where}activation {layer.activation!r} needs a bound")
    if config.bounds is Granularity.NONE:
        raise CompileError(
            f"{where}activation {layer.activation!r} needs bound hardware; "
            "configure bounds=layer, channel, patch or neuron"
        )
    values = np.asarray(layer.bound)
    if values.ndim:
        if not config.bounds.buffered:
            raise CompileError(f"{where}has one bound per neuron; configure bounds=neuron (or patch, channel)")
        if values.shape != layer.out_shape:
            raise CompileError(f"{where}bound has shape {values.shape}, expected {layer.out_shape}")
    if int(values.min()) < 0:
        raise CompileError(f"{where}bound {values.min()} is negative; bounds must be zero or more")
    if not _fits(values, config.word_bits):
        raise CompileError(f"{where}bound {values.max()} does not fit {config.word_bits} bits; lower it")
    if values.ndim:
        shared, exact = representable(config, values)
        if not shared:
            raise CompileError(
                f"{where}bounds differ within a {config.bounds.value}; configure bounds=neuron or give "
                f"the neurons of a {config.bounds.value} one bound (golden.bounds.stored.regroup)"
            )
        if not exact:
            raise CompileError(
                f"{where}bounds are no 4-bit codes; configure bound_format=word or round them up to codes "
                "(golden.bounds.stored.regroup)"
            )
