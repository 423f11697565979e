"""Layers while they are made: appended one by one, each reading a value as it lies in the layer that makes it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from golden.frontend.graph import Op
from golden.frontend.layers import FloatLayer, Shape
from golden.frontend.refs import NO_PADS, Ref
from golden.frontend.weights import spread
from golden.qnetwork import INPUT, LayerKind, margins, sides

LARGEST_DIAGONAL = 1 << 26
"""Weights of a layer that only rearranges or scales a vector."""


class LoweringProblem(Exception):
    """An operation that no layer can do, and why."""


class LayerBuilder:
    """``layers`` in the order of execution; ``by_name``: also operations that have no layer, as placeholders."""

    def __init__(self) -> None:
        self.layers: list[FloatLayer] = []
        self.by_name: dict[str, FloatLayer] = {}
        self._counts: Counter[str] = Counter()

    def used(self, output: str) -> list[FloatLayer]:
        """The layers on which ``output`` depends."""
        wanted = {output}
        for layer in reversed(self.layers):
            if layer.name in wanted:
                wanted |= {layer.source} | ({layer.residual} if layer.residual else set())
        return [layer for layer in self.layers if layer.name in wanted]

    def node(self, ref: Ref) -> str:
        """The last operation that is part of the layer in which ``ref`` lies."""
        return self.by_name[ref.layer].node if ref.layer in self.by_name else ""

    def not_negative(self, name: str) -> bool:
        """Whether a layer's output is never below zero."""
        layer = self.by_name.get(name)
        if layer is None:
            return False
        unknown = layer.kind == "conv" and layer.weight is None  # nothing is said of what follows from it
        if layer.activation != "linear" or unknown:
            return True
        sources = [layer.source, *([layer.residual] if layer.residual is not None else [])]
        if layer.weight is not None and (layer.weight.min() < 0 or layer.bias.min() < 0):
            return False
        return all(self.not_negative(source) for source in sources)

    def append(
        self, prefix: str, kind: LayerKind, op: Op, source: Ref, out_shape: Shape, **fields: object
    ) -> FloatLayer:
        """A layer that stands for ``op``, named by ``prefix`` and a number."""
        self._counts[prefix] += 1
        name = f"{prefix}{self._counts[prefix]}"
        defaults: dict[str, object] = {"weight": None, "bias": np.zeros(out_shape[0]), **fields}
        layer = FloatLayer(name, kind, source.layer, source.source, out_shape, node=op.name, **defaults)  # type: ignore[arg-type]
        self.layers.append(layer)
        self.by_name[name] = layer
        return layer

    def weighted(
        self,
        prefix: str,
        op: Op,
        ref: Ref,
        weight: np.ndarray,
        bias: np.ndarray,
        shape: Shape,
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int, int, int] = NO_PADS,
        links: np.ndarray | None = None,
    ) -> FloatLayer:
        """A convolution of ``ref`` as one of the layer that it lies in; ``links``: of its own channels."""
        channels, rows, columns = ref.source
        if ref.factor != 1:
            weight = weight * ref.factor
        if ref.channels is not None:
            weight = spread(weight, ref.channels, channels)
            links = np.ones((len(weight), len(ref.channels)), bool) if links is None else links
            links = spread(links, ref.channels, channels) > 0
        elif ref.places is not None:
            if weight.shape[2:] != (1, 1) or any(padding):
                raise LoweringProblem("over a vector")
            if len(weight) * channels * rows * columns > LARGEST_DIAGONAL and prefix != "fc":
                raise LoweringProblem("that rearranges a large vector")
            flat = spread(weight.reshape(len(weight), -1), ref.places, channels * rows * columns)
            weight, stride, links = flat.reshape(-1, channels, rows, columns), (1, 1), None
        pads = tuple(a + b for a, b in zip(padding, ref.pads, strict=True))
        return self.append(
            prefix,
            "conv",
            op,
            ref,
            shape,
            kernel=sides((weight.shape[2], weight.shape[3])),
            stride=sides(stride),
            padding=margins(pads),  # type: ignore[arg-type]
            weight=weight,
            bias=bias,
            links=None if links is None or links.all() else links,
        )

    def diagonal(self, ref: Ref, op: Op, scale: np.ndarray | None = None, shift: np.ndarray | None = None) -> Ref:
        """A layer of its own that makes a value, by channel scaled and shifted."""
        channels = ref.shape[0]
        if channels * channels > LARGEST_DIAGONAL:
            raise LoweringProblem(f"needs a layer that copies {channels} channels")
        weight = np.diag(np.ones(channels) if scale is None else scale)[:, :, None, None]
        bias = np.zeros(channels) if shift is None else shift
        layer = self.weighted("conv", op, ref, weight, bias, ref.shape, links=np.eye(channels, dtype=bool))
        layer.useful_weights = channels
        return output(layer)

    def pool(self, op: Op, kind: LayerKind, ref: Ref) -> Ref:
        """A pool of all channels of the layer in which ``ref`` lies; its output lies as ``ref`` does."""
        o = op.options
        pads = tuple(a + b for a, b in zip(o["padding"], ref.pads, strict=True))
        shape = (ref.source[0], *op.shape[1:])
        layer = self.append(
            "pool" if kind == "maxpool" else "avgpool",
            kind,
            op,
            ref,
            shape,
            kernel=sides(o["kernel"]),
            stride=sides(o["stride"]),
            padding=margins(pads),
        )
        return replace(ref, layer=layer.name, source=layer.out_shape, pads=NO_PADS)

    def placeholder(self, op: Op) -> Ref:
        """What takes the place of an operation that no layer can do, so that the others can be looked at."""
        shape = op.shape
        self.by_name[op.name] = FloatLayer(
            op.name, "conv", INPUT, shape, shape, 1, 1, 0, None, np.zeros(shape[0]), op.name, "linear"
        )
        return Ref(op.name, shape)


def output(layer: FloatLayer) -> Ref:
    """All that ``layer`` puts out."""
    return Ref(layer.name, layer.out_shape)
