"""Draws whole networks: blocks of layers between an input of any kind and a head."""

from __future__ import annotations

import linecache
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from fitact_hw.validation.networks import steps
from fitact_hw.validation.networks.writer import Rejected, Value, Writer

IMAGE_SIDES, LENGTHS, FEATURES, CHANNELS = (5, 13), (9, 40), (3, 24), (1, 5)
"""Least and most rows or columns of images, places of sequences, features of vectors, channels."""

UNSUPPORTED_SHARE = 0.04
"""Of all networks: one of their statements is likely not supported."""


Block = Callable[[Writer, Value], Value]


@dataclass(frozen=True)
class Drawn:
    """A network as the ``source`` of a Python file with a function ``build``, for images of ``shape``, whose values are
    drawn with ``seed`` and multiplied by ``spread``."""

    source: str
    shape: tuple[int, ...]
    seed: int
    spread: float

    def build(self) -> nn.Module:
        """The network, as a user's file would make it."""
        name = f"drawn_network_{self.seed}.py"
        linecache.cache[name] = (len(self.source), None, self.source.splitlines(keepends=True), name)
        scope: dict[str, Any] = {"__name__": name.removesuffix(".py")}
        exec(compile(self.source, name, "exec"), scope)
        net = scope["build"]()
        assert isinstance(net, nn.Module)
        return net


def draw(rng: random.Random) -> Drawn:
    """A network and what its images are like; the same for the same state of ``rng``."""
    seed = rng.randrange(1 << 31)
    shape = _shape(rng)
    w = Writer(rng, shape)
    x = Value("x", shape)
    if w.chance(0.1):
        x = w.attempt(lambda value: steps.activation(w, value), x)
    odd = w.between(0, 3) if w.chance(UNSUPPORTED_SHARE) else -1
    for number in range(w.between(2, 6)):
        block = steps.unsupported if number == odd else w.choose(_BLOCKS[1 if x.axes else 0])
        x = w.attempt(lambda value, block=block: block(w, value), x)  # type: ignore[misc]
        if math.prod(x.shape) <= 2:
            break
    x = _head(w, x)
    _scales(w)
    tail = [w.choose(("net.double()", "net.train()"))] if w.chance(0.12) else []
    spread = w.choose((1.0, 1.0, 1.0, 1.0, 0.01, 30.0))
    return Drawn(w.source(x, seed, tail), shape, seed, spread)


def _shape(rng: random.Random) -> tuple[int, ...]:
    kind = rng.random()
    if kind < 0.1:
        return (rng.randint(*FEATURES),)
    channels = rng.randint(*CHANNELS)
    if kind < 0.25:
        return channels, rng.randint(*LENGTHS)
    rows = rng.randint(*IMAGE_SIDES)
    return channels, rows, rows if rng.random() < 0.5 else rng.randint(*IMAGE_SIDES)


# -- blocks


def _layer(w: Writer, x: Value) -> Value:
    """Convolution, then BatchNorm and ReLU or not, in either order."""
    x = steps.conv(w, x)
    for step in w.choose(_ENDS):
        x = step(w, x)
    return x


_ENDS: tuple[tuple[Block, ...], ...] = (
    (steps.norm, steps.activation),
    (steps.activation,),
    (steps.norm,),
    (),
    (steps.activation, steps.norm),
)
"""What may stand behind a convolution."""


def _same(w: Writer, x: Value, outputs: int, most: int = 2) -> Value:
    """One or more layers that keep the size."""
    for _ in range(w.between(1, most)):
        x = steps.conv(w, x, outputs, same=True)
        x = w.choose((steps.norm, steps.activation, steps.nothing))(w, x)
    return x


def _residual(w: Writer, x: Value) -> Value:
    """A sum of a path and its input, or of two paths, in the spellings of residual blocks."""
    outputs = x.shape[0]
    if w.chance(0.3):
        x = w.choose((steps.norm, steps.activation))(w, x)
    y = _same(w, x, outputs)
    other = _same(w, x, outputs, 1) if w.chance(0.3) else x
    way = w.between(0, 6)
    if way == 0:
        w.statement(f"{y.name} += {other.name}")
        z = w.named(y.name)
    elif way == 1:
        kept = w.value(f"{y.name}")  # another name of the same values
        w.statement(f"{y.name}.add_({other.name})")
        z = w.value(f"{kept.name} + {y.name}")
    elif way == 2:
        z = w.value(f"torch.add({other.name}, {y.name}, alpha={w.choose((1, -1, 0.5))})")
    elif way == 3:
        z = w.value(f"{other.name} - {y.name}")
    elif way == 4:
        z = w.value(f"({y.name} + {other.name}) / 2")
    elif way == 5:
        z = w.value(f"sum([{other.name}, {y.name}, {x.name}])")
    else:
        z = w.value(f"{other.name} + {y.name}")
    return steps.activation(w, z) if w.chance(0.7) else z


def _concat(w: Writer, x: Value) -> Value:
    """Branches side by side: DenseNet's with their input, Inception's with a pool, Fire's of two kernels."""
    branches = [x] if w.chance(0.4) else []
    for _ in range(w.between(1, 3)):
        branches.append(_same(w, x, w.between(1, 6), 1))
    if x.axes and (x.positive or w.chance(0.5)) and w.chance(0.4):
        kind = "Max" if x.positive else "Avg"
        pool = w.module(f"nn.{kind}Pool{x.axes}d(3, stride=1, padding=1)", "pool")
        branches.append(w.value(f"{pool}({x.name})", x.positive))
    w.rng.shuffle(branches)
    names = ", ".join(branch.name for branch in branches)
    axis = w.choose(("1", "dim=1", f"{-len(x.shape)}"))
    return w.value(f"torch.cat([{names}], {axis})", all(branch.positive for branch in branches))


def _shared(w: Writer, x: Value) -> Value:
    """One module called twice."""
    y = steps.conv(w, x, x.shape[0], same=True)
    call = w.lines[-1].partition(" = ")[2]
    y = steps.activation(w, y)
    return w.value(call.replace(x.name, y.name)) if call.startswith("self.conv") else y


def _shuffle(w: Writer, x: Value) -> Value:
    """ShuffleNetV2's: half of the channels go on as they are."""
    if x.shape[0] < 2:
        return _layer(w, x)
    half = x.shape[0] // 2
    w.statement(f"left, right = {x.name}[:, :{half}], {x.name}[:, {half}:]")
    right = _same(w, w.named("right"), x.shape[0] - half)
    y = w.value(f"torch.cat((left, {right.name}), 1)")
    return steps.rearrange(w, y)


def _separable(w: Writer, x: Value) -> Value:
    """MobileNet's: depthwise, then 1x1."""
    if x.axes != 2:
        return _layer(w, x)
    kernel, stride = w.choose((3, 3, 5)), w.choose((1, 1, 2))
    inputs, outputs = x.shape[0], w.between(1, steps.MOST_CHANNELS)
    options = f"{kernel}, {stride}, {kernel // 2}, groups={inputs}, bias=False"
    y = w.value(f"{w.module(f'nn.Conv2d({inputs}, {inputs}, {options})', 'conv')}({x.name})")
    y = steps.activation(w, steps.norm(w, y))
    return steps.norm(w, w.value(f"{w.module(f'nn.Conv2d({inputs}, {outputs}, 1, bias=False)', 'conv')}({y.name})"))


_MAPS: tuple[Block, ...] = (
    *[_layer] * 5, *[steps.pool] * 3, *[_residual] * 3, *[_concat] * 2, _shared, _shuffle, _separable,
    *(steps.pad, steps.scale, steps.rearrange, steps.nothing, steps.norm, steps.activation),
)  # fmt: skip
_VECTORS: tuple[Block, ...] = (*[_layer] * 4, _residual, _concat, steps.scale, steps.rearrange, steps.norm)
_BLOCKS = (_VECTORS, _MAPS)
"""Of vectors; of images and sequences."""


# -- the end


def _head(w: Writer, x: Value) -> Value:
    """A classifier, or a map of classes."""
    if x.axes and w.chance(0.12):
        x = w.attempt(lambda value: steps.conv(w, value, w.between(1, 7), stride=False), x)
    else:
        if x.axes and w.chance(0.5):
            x = w.attempt(lambda value: _reduced(w, value), x)
        if math.prod(x.shape) > steps.LARGEST_VECTOR:
            x = w.value(f"{w.module(f'nn.AdaptiveAvgPool{x.axes}d(1)', 'pool')}({x.name})", x.positive)
        x = steps.flat(w, x)
        if w.chance(0.3):
            x = steps.activation(w, steps.conv(w, x))
        if w.chance(0.9):
            x = w.value(f"{w.module(f'nn.Linear({x.shape[0]}, {w.between(2, 13)})')}({x.name})")
    if w.chance(0.15):
        end = w.choose(_FINALS)
        x = w.attempt(lambda value: w.value(end.format(x=value.name)), x)
    if not w.lines:
        layer = f"nn.Conv{x.axes}d({x.shape[0]}, 3, 1)" if x.axes else f"nn.Linear({x.shape[0]}, 3)"
        x = w.value(f"{w.module(layer)}({x.name})")
    return x


_FINALS = (
    *("F.softmax({x}, dim=1)", "F.log_softmax({x}, 1)", "torch.sigmoid({x})", "{x}.softmax(1)", "torch.tanh({x})"),
)


def _reduced(w: Writer, x: Value) -> Value:
    """A number for each channel."""
    name, every = x.name, tuple(range(2, 2 + x.axes))
    ways = [f"{name}.mean({every})", f"torch.mean({name}, {every})", f"{name}.amax({every})", f"{name}.sum({every})"]
    for kind in ("avg", "max"):
        ways.append(f"F.adaptive_{kind}_pool{x.axes}d({name}, 1).flatten(1)")
    ways.append(f"{name}.mean(-1)" if x.axes == 1 else f"{name}.mean([-1, -2])")
    return w.value(w.choose(ways), x.positive)


def _scales(w: Writer) -> None:
    """Weights, biases and channels that are far smaller or larger than the others, or nothing."""
    layers = [part.split()[0].removeprefix("self.") for part in w.parts if "nn.Conv" in part or "nn.Linear" in part]
    if not layers or not w.chance(0.35):
        return
    for _ in range(w.between(1, 2)):
        name = w.choose(layers)
        way = w.between(0, 6)
        if way == 0:
            w.change(f"net.{name}.weight.data.mul_(2.0**-{w.between(5, 12)})")
        elif way == 1:
            w.change(f"net.{name}.weight.data.mul_(2.0**{w.between(2, 7)})")
        elif way == 2:
            w.change(f"net.{name}.weight.data[::2].mul_(2.0**-{w.between(4, 40)})")
        elif way == 3:
            w.change(f"net.{name}.weight.data[:1].zero_()")
        elif way == 4:
            w.change(f"net.{name}.weight.data[:, ::2].mul_(2.0**{w.between(2, 8)})")
        elif way == 5:
            w.change(f"if net.{name}.bias is not None: net.{name}.bias.data.mul_({w.choose((30.0, 1000.0))})")
        else:
            w.change(f"net.{name}.weight.data.zero_()")


__all__ = ["Drawn", "Rejected", "draw"]
