"""Networks for images of 224x224 and 1000 classes, as their papers and torchvision have them, with random weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

CLASSES = 1000
SHAPE = (3, 224, 224)


def conv_norm(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, act: type[nn.Module] | None = nn.ReLU
) -> nn.Sequential:
    """Convolution that keeps the size but for its stride, BatchNorm, activation."""
    parts: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*parts, *([act()] if act else []))


class Block(nn.Module):
    """ResNet's: a path of convolutions and a shortcut, added."""

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        outputs = 4 * width if bottleneck else width
        if bottleneck:
            self.path = nn.Sequential(
                conv_norm(inputs, width, 1), conv_norm(width, width, 3, stride), conv_norm(width, outputs, 1, act=None)
            )
        else:
            self.path = nn.Sequential(conv_norm(inputs, width, 3, stride), conv_norm(width, outputs, 3, act=None))
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else conv_norm(inputs, outputs, 1, stride, act=None)

    def forward(self, x: Tensor) -> Tensor:
        return (self.path(x) + self.shortcut(x)).relu()


def resnet(repeats: tuple[int, ...], bottleneck: bool) -> nn.Module:
    """ResNet18, 34, 50, ... (arXiv 1512.03385)."""
    layers: list[nn.Module] = [conv_norm(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for stage, count in enumerate(repeats):
        width = 64 << stage
        for index in range(count):
            layers.append(Block(inputs, width, 2 if stage and not index else 1, bottleneck))
            inputs = 4 * width if bottleneck else width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, CLASSES))


class InvertedResidual(nn.Module):
    """MobileNetV2's: expansion, depthwise, projection; added to the input where the shape stays."""

    def __init__(self, inputs: int, outputs: int, stride: int, factor: int) -> None:
        super().__init__()
        hidden = inputs * factor
        self.path = nn.Sequential(
            *([conv_norm(inputs, hidden, 1, act=nn.ReLU6)] if factor > 1 else []),
            conv_norm(hidden, hidden, 3, stride, hidden, nn.ReLU6),
            conv_norm(hidden, outputs, 1, act=None),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.path(x)
        return x + y if self.adds else y


def mobilenet_v2() -> nn.Module:
    """MobileNetV2 (arXiv 1801.04381)."""
    layers: list[nn.Module] = [conv_norm(3, 32, 3, 2, act=nn.ReLU6)]
    inputs = 32
    plan = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for factor, outputs, count, stride in plan:
        for index in range(count):
            layers.append(InvertedResidual(inputs, outputs, stride if not index else 1, factor))
            inputs = outputs
    layers.append(conv_norm(inputs, 1280, 1, act=nn.ReLU6))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1280, CLASSES))


class Fire(nn.Module):
    """SqueezeNet's: 1x1, then 1x1 beside 3x3."""

    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze, self.activation = nn.Conv2d(inputs, squeeze, 1), nn.ReLU(inplace=True)
        self.narrow, self.wide = nn.Conv2d(squeeze, expand, 1), nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.squeeze(x))
        return torch.cat([self.activation(self.narrow(x)), self.activation(self.wide(x))], 1)


def squeezenet() -> nn.Module:
    """SqueezeNet 1.1 (arXiv 1602.07360)."""
    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool, Fire(64, 16, 64), Fire(128, 16, 64), pool, Fire(128, 32, 128),
        Fire(256, 32, 128), pool, Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256),
        nn.Dropout(), nn.Conv2d(512, CLASSES, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


class Shuffle(nn.Module):
    """ShuffleNetV2's unit: half of the channels, or all at stride 2, go through; then they are shuffled."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        self.stride, taken = stride, inputs if stride > 1 else half
        self.path = nn.Sequential(
            conv_norm(taken, half, 1), conv_norm(half, half, 3, stride, half, None), conv_norm(half, half, 1)
        )
        if stride > 1:
            self.shortcut = nn.Sequential(
                conv_norm(inputs, inputs, 3, stride, inputs, None), conv_norm(inputs, half, 1)
            )

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            y = torch.cat((self.shortcut(x), self.path(x)), 1)
        else:
            left, right = x.chunk(2, 1)
            y = torch.cat((left, self.path(right)), 1)
        batch, channels, rows, columns = y.shape
        return y.view(batch, 2, channels // 2, rows, columns).transpose(1, 2).reshape(batch, channels, rows, columns)


def shufflenet_v2() -> nn.Module:
    """ShuffleNetV2 x1.0 (arXiv 1807.11164)."""
    layers: list[nn.Module] = [conv_norm(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1)]
    inputs = 24
    for outputs, count in ((116, 4), (232, 8), (464, 4)):
        for index in range(count):
            layers.append(Shuffle(inputs, outputs, 1 if index else 2))
            inputs = outputs
    return nn.Sequential(
        *layers, conv_norm(464, 1024, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, CLASSES)
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "squeezenet": squeezenet,
    "shufflenet_v2": shufflenet_v2,
    "mobilenet_v2": mobilenet_v2,
    "resnet18": lambda: resnet((2, 2, 2, 2), bottleneck=False),
    "resnet50": lambda: resnet((3, 4, 6, 3), bottleneck=True),
}
"""By name, the cheapest first."""


def build(name: str, seed: int) -> nn.Module:
    """A network with random weights and BatchNorm statistics as after training."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = NETWORKS[name]().eval()
        for part in net.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(part.weight)
            elif isinstance(part, nn.BatchNorm2d) and part.running_mean is not None and part.running_var is not None:
                part.running_mean.normal_(0, 0.3)
                part.running_var.uniform_(0.5, 1.5)
                nn.init.uniform_(part.weight, 0.5, 1.0)
                nn.init.uniform_(part.bias, -0.3, 0.3)
    return net
