"""Layers in the spellings of PyTorch: each takes the writer and a value, and returns what it makes of it."""

from __future__ import annotations

import math

from fitact_hw.validation.networks.writer import Value, Writer

MOST_CHANNELS = 11
LARGEST_VECTOR = 400
"""Features that a linear layer may take."""


def conv(w: Writer, x: Value, outputs: int = 0, same: bool = False, stride: bool = True) -> Value:
    """A convolution, or a linear layer of a vector. ``same``: of the same size; ``stride``: it may be more than 1."""
    outputs = outputs or w.between(1, MOST_CHANNELS)
    bias = w.chance(0.7)
    if not x.axes:
        return w.value(f"{w.module(f'nn.Linear({x.shape[0]}, {outputs}, bias={bias})')}({x.name})")
    inputs, axes = x.shape[0], x.axes
    sizes = [w.choose((1, 1, 2, 3, 3, 3, 4, 5) if not same else (1, 3, 3, 5)) for _ in range(axes)]
    if w.chance(0.6):
        sizes = sizes[:1] * axes
    dilation = [w.choose((1, 2)) if w.chance(0.15) else 1 for _ in range(axes)]
    groups, outputs = _groups(w, inputs, outputs, same)
    options = {"bias": str(bias)}
    if groups > 1:
        options["groups"] = str(groups)
    if max(dilation) > 1:
        options["dilation"] = _sides(dilation)
    name = x.name
    if same:
        if w.chance(0.3):
            options["padding"] = '"same"'
        else:
            options["padding"] = _sides([(size - 1) * step // 2 for size, step in zip(sizes, dilation, strict=True)])
    else:
        name, options["padding"] = _padding(w, x, sizes)
        if stride and w.chance(0.35) and options["padding"] != '"same"':
            options["stride"] = _sides([w.between(1, 3) for _ in range(axes)])
    kind = f"nn.Conv{axes}d"
    rest = "".join(f", {key}={value}" for key, value in options.items() if value not in ("0", "True"))
    layer = w.module(f"{kind}({inputs}, {outputs}, {_sides(sizes)}{rest})", "conv")
    if w.chance(0.12) and axes:
        plain = "".join(f", {key}={value}" for key, value in options.items() if key != "bias")
        return w.value(f"F.conv{axes}d({name}, {layer}.weight, {layer}.bias{plain})")
    return w.value(f"{layer}({name})")


def _groups(w: Writer, inputs: int, outputs: int, same: bool) -> tuple[int, int]:
    """Groups, and outputs that they divide."""
    known = [n for n in range(2, inputs + 1) if inputs % n == 0]
    if not known or not w.chance(0.3):
        return 1, outputs
    groups = inputs if w.chance(0.5) else w.choose(known)
    if same and outputs % groups:
        return math.gcd(inputs, outputs), outputs
    return groups, groups * max(1, outputs // groups)


def _padding(w: Writer, x: Value, sizes: list[int]) -> tuple[str, str]:
    """What is convolved, and the option ``padding``."""
    way = w.between(0, 9)
    if way < 4:
        return x.name, _sides([size // 2 for size in sizes])
    if way < 6:
        return x.name, "0"
    if way < 7:
        return x.name, w.choose(('"same"', '"valid"'))
    if way < 9:
        return x.name, _sides([w.between(0, 2) for _ in sizes])
    return f"F.pad({x.name}, {_margins(w, x)})", "0"


def _margins(w: Writer, x: Value) -> tuple[int, ...]:
    return tuple(w.between(0, 2) for _ in range(2 * x.axes))


def norm(w: Writer, x: Value) -> Value:
    """BatchNorm."""
    kind = "nn.BatchNorm2d" if x.axes == 2 else "nn.BatchNorm1d"
    options = w.choose(("", "", ", eps=0.001", ", affine=False", ", momentum=0.01"))
    layer = w.module(f"{kind}({x.shape[0]}{options})", "bn")
    if w.chance(0.1):
        w.change(f"net.{layer.removeprefix('self.')}.running_var.mul_({w.choose((1e-6, 0.01, 100))})")
    return w.value(f"{layer}({x.name})")


def activation(w: Writer, x: Value) -> Value:
    """A ReLU, or a clip from 0 on."""
    limit = w.choose((1, 2.5, 6, 0.3))
    way = w.choose(
        (
            *("nn.ReLU()", "nn.ReLU()", "nn.ReLU(inplace=True)", "shared", "shared", "F.relu({x})", "F.relu({x})"),
            *("torch.relu({x})", "{x}.relu()", "{x}.clamp(min=0)", "torch.clamp({x}, min=0.0)", "{x}.clamp_min(0)"),
            *("F.relu({x}, inplace=True)", "{x}.relu_()", "nn.ReLU6()", "F.relu6({x})", "F.hardtanh({x}, 0, {limit})"),
            *("nn.Hardtanh(0.0, {limit})", "{x}.clamp(0, {limit})", "torch.clip({x}, 0, {limit})"),
            *("torch.maximum({x}, torch.zeros_like({x}))", "F.threshold({x}, 0, 0)"),
        )
    )
    if way == "shared":
        if not any(part.startswith("self.act = ") for part in w.parts):
            w.shared("act", "nn.ReLU()")
        return w.value(f"self.act({x.name})", True)
    if way.startswith("nn."):
        return w.value(f"{w.module(way.format(limit=limit), 'relu')}({x.name})", True)
    return w.value(way.format(x=x.name, limit=limit), True)


def pool(w: Writer, x: Value) -> Value:
    """A pool of either kind, as a module or a function."""
    axes, average = x.axes, w.chance(0.5)
    if not axes:
        raise ValueError("pools are of images and sequences")
    if w.chance(0.2):
        return _adaptive(w, x, average)
    sizes = [w.choose((1, 2, 2, 3, 3, 5)) for _ in range(axes)] if w.chance(0.3) else [w.choose((2, 2, 3, 3, 5))] * axes
    rest = ""
    if w.chance(0.7):
        strides = [w.between(1, 3) for _ in range(axes)] if w.chance(0.2) else [w.between(1, 3)] * axes
        rest += f", stride={_sides(strides)}"
    padded = min(sizes) > 1 and w.chance(0.3) and (average or x.positive or w.chance(0.1))
    if padded:
        rest += f", padding={_sides([size // 2 for size in sizes])}"
    if w.chance(0.2) and (not average or w.chance(0.1)):
        rest += ", ceil_mode=True"
    if average and padded and w.chance(0.1):
        rest += ", count_include_pad=False"
    if average and axes == 2 and w.chance(0.1):
        rest += f", divisor_override={w.between(1, 12)}"
    kind = ("Avg" if average else "Max") + f"Pool{axes}d"
    positive = x.positive
    if w.chance(0.6):
        return w.value(f"{w.module(f'nn.{kind}({_sides(sizes)}{rest})', 'pool')}({x.name})", positive)
    function = kind.replace("Pool", "_pool").lower()
    return w.value(f"F.{function}({x.name}, {_sides(sizes)}{rest})", positive)


def _adaptive(w: Writer, x: Value, average: bool) -> Value:
    sides = [w.choose([n for n in range(1, size + 1) if size % n == 0]) for size in x.shape[1:]]
    if w.chance(0.1):
        sides = [w.between(2, 3) for _ in sides]
    kind = "Avg" if average else "Max"
    return w.value(f"{w.module(f'nn.Adaptive{kind}Pool{x.axes}d({_sides(sides)})', 'pool')}({x.name})", x.positive)


def pad(w: Writer, x: Value) -> Value:
    """Zeros around."""
    margins = _margins(w, x)
    if x.axes == 2 and w.chance(0.5):
        return w.value(f"{w.module(f'nn.ZeroPad2d({margins})', 'pad')}({x.name})", x.positive)
    return w.value(f"F.pad({x.name}, {margins})", x.positive)


def scale(w: Writer, x: Value) -> Value:
    """Constants, one for all or one by channel."""
    number = w.choose((0.5, 2, -1.5, 0.1, 3))
    way = w.between(0, 5)
    if way == 0:
        return w.value(f"{x.name} * {number}")
    if way == 1:
        return w.value(f"{x.name} / {number}")
    if way == 2:
        return w.value(w.choose((f"{x.name} + {number}", f"{number} - {x.name}", f"{x.name} - {number}")))
    if way == 3:
        return w.value(w.choose((f"-{x.name}", f"torch.neg({x.name})")))
    shape = (1, x.shape[0], *[1] * x.axes)
    numbers = [round(w.rng.uniform(-2, 2), 2) or 1.0 for _ in range(x.shape[0])]
    constant = w.constant(numbers, shape)
    return w.value(f"{x.name} {w.choose(('*', '+', '-'))} {constant}")


def rearrange(w: Writer, x: Value) -> Value:
    """Channels chosen or put into another order."""
    channels, tail = x.shape[0], "".join(f", {size}" for size in x.shape[1:])
    ways = [f"{x.name}.flip(1)", f"{x.name}[:, ::2]", f"torch.roll({x.name}, 1, 1)"]
    if channels > 1:
        ways += [
            f"{x.name}[:, 1:]",
            f"torch.cat({x.name}.chunk(2, 1)[::-1], 1)",
            f"{x.name}.split({channels - 1}, 1)[0]",
        ]
    groups = [n for n in range(2, channels) if channels % n == 0]
    if groups:
        n = w.choose(groups)
        shuffled = f"{x.name}.view(-1, {n}, {channels // n}{tail}).transpose(1, 2)"
        ways += [f"{shuffled}.reshape(-1, {channels}{tail})"] * 3
        if x.axes == 2:
            ways += [f"F.channel_shuffle({x.name}, {n})"]
    return w.value(w.choose(ways), x.positive)


def nothing(w: Writer, x: Value) -> Value:
    """What changes nothing in evaluation mode."""
    ways = ["nn.Identity()", "nn.Dropout(0.3)", *(["nn.Dropout2d(0.2)"] if x.axes == 2 else [])]
    if w.chance(0.3):
        return w.value(f"F.dropout({x.name}, 0.5, self.training)", x.positive)
    return w.value(f"{w.module(w.choose(ways), 'same')}({x.name})", x.positive)


UNSUPPORTED = (
    *("F.gelu({x})", "F.leaky_relu({x}, 0.1)", "torch.sigmoid({x})", "{x} * {x}.sigmoid()", "F.softplus({x})"),
    *("{x} * {x}", "{x}.abs()", "F.normalize({x}, dim=1)", "{x} / {x}.shape[0]", "{x} - {x}.mean()", "{x}.softmax(1)"),
    *("F.hardtanh({x}, -1, 1)", "{x}.sort(1)[0]", "{x}.cumsum(1)", "{x}[torch.randperm(len({x}))]"),
    *("F.layer_norm({x}, {x}.shape[1:])", "{x} + len({x})", "{x} if {x}.sum() > 0 else -{x}", "{x} + torch.rand(1)"),
    *("F.instance_norm({x})", "F.interpolate({x}, scale_factor=2)", "{x}.transpose(0, 1)", "{x}.var(1, keepdim=True)"),
)
"""What the machine does not do, or what is no function of one image."""


def unsupported(w: Writer, x: Value) -> Value:
    """One of these; sometimes it does nothing."""
    return w.value(w.choose(UNSUPPORTED).format(x=x.name))


def flat(w: Writer, x: Value) -> Value:
    """A vector of all numbers."""
    if not x.axes:
        return x
    count = math.prod(x.shape)
    ways = (
        *(f"torch.flatten({x.name}, 1)", f"{x.name}.flatten(1)", f"{x.name}.view({x.name}.size(0), -1)"),
        *(f"{x.name}.reshape({x.name}.shape[0], {count})", f"{x.name}.reshape(-1, {count})"),
    )
    if w.chance(0.3):
        return w.value(f"{w.module('nn.Flatten()')}({x.name})", x.positive)
    return w.value(w.choose(ways), x.positive)


def _sides(sizes: list[int]) -> str:
    """One number where all are equal."""
    return str(sizes[0]) if len(set(sizes)) == 1 else str(tuple(sizes))
