"""Networks as their papers and PyTorch's examples write them, with few channels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.golden.zoo_more import MORE

Shape = tuple[int, ...]
Sides = int | tuple[int, int]


class MnistExample(nn.Module):
    """pytorch/examples, mnist."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 1)
        self.conv2 = nn.Conv2d(8, 12, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(432, 32)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = F.relu(x)
        x = self.conv2(x)
        x = F.relu(x)
        x = F.max_pool2d(x, 2)
        x = self.dropout1(x)
        x = torch.flatten(x, 1)
        x = self.fc1(x)
        x = F.relu(x)
        x = self.dropout2(x)
        x = self.fc2(x)
        return F.log_softmax(x, dim=1)


class CifarTutorial(nn.Module):
    """PyTorch's tutorial "Training a classifier"."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16, 20)
        self.fc2 = nn.Linear(20, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = x.view(-1, 16)
        x = F.relu(self.fc1(x))
        y: Tensor = self.fc2(x)
        return y


class QuickStart(nn.Module):
    """PyTorch's quick start: an MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.linear_relu_stack = nn.Sequential(
            nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10)
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear_relu_stack(self.flatten(x))
        return y


def lenet5() -> nn.Module:
    """LeNet-5 with ReLUs and average pools."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 10),
    )  # fmt: skip


class TorchvisionAlexNet(nn.Module):
    """Kernels 11 and 5, overlapping pools, an adaptive pool, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 11, stride=4, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(8, 12, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.avgpool = nn.AdaptiveAvgPool2d((3, 3))
        self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(108, 20), nn.ReLU(inplace=True), nn.Linear(20, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.avgpool(x)
        x = torch.flatten(x, 1)
        y: Tensor = self.classifier(x)
        return y


def vgg() -> nn.Module:
    """Two stages of VGG with BatchNorm."""
    layers: list[nn.Module] = []
    channels = 3
    for width in (6, 6, 0, 10, 10, 0):
        if width:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            channels = width
        else:
            layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(160, 10))


class BasicBlock(nn.Module):
    """torchvision's, which shares one ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        y: Tensor = self.relu(out)
        return y


class Bottleneck(nn.Module):
    """ResNeXt's: grouped 3x3 convolutions; ResNet50's with ``groups`` 1."""

    def __init__(self, inputs: int, width: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += self.downsample(x)
        y: Tensor = self.relu(out)
        return y


class ImageNetStem(nn.Module):
    """7x7 stride 2, BatchNorm, ReLU, overlapping padded max pool, blocks, global average over 3x3, linear layer."""

    def __init__(self, *blocks: nn.Module, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1, self.relu, self.maxpool = nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        self.layers = nn.Sequential(*blocks)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(outputs, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layers(x)
        x = torch.flatten(self.avgpool(x), 1)
        y: Tensor = self.fc(x)
        return y


def resnet18() -> nn.Module:
    return ImageNetStem(BasicBlock(8, 8, 1), BasicBlock(8, 12, 2), outputs=12)


def resnet50() -> nn.Module:
    return ImageNetStem(Bottleneck(8, 4, 1), Bottleneck(16, 5, 2), outputs=20)


def resnext() -> nn.Module:
    return ImageNetStem(Bottleneck(8, 6, 2, groups=3), outputs=24)


class PreActivation(nn.Module):
    """BatchNorm and ReLU before each convolution, as in the second ResNet."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(x))
        shortcut = self.shortcut(out) if isinstance(self.shortcut, nn.Conv2d) else x
        out = self.conv1(out)
        out = self.conv2(F.relu(self.bn2(out)))
        y: Tensor = out + shortcut
        return y


def preactivation_resnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), PreActivation(6, 6), PreActivation(6, 8), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10),
    )  # fmt: skip


def mobilenet_v1() -> nn.Module:
    """Depthwise separable convolutions."""

    def separable(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False), nn.BatchNorm2d(inputs), nn.ReLU(True),
            nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
        ]  # fmt: skip

    stem = [nn.Conv2d(3, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU(inplace=True)]
    blocks = [*separable(6, 8, 1), *separable(8, 12, 2)]
    return nn.Sequential(*stem, *blocks, nn.AvgPool2d(3), nn.Flatten(), nn.Linear(12, 10))


class InvertedResidual(nn.Module):
    """MobileNetV2's: expansion, depthwise with ReLU6, linear projection."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        hidden = 2 * inputs
        self.use_res_connect = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(True),
            nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.conv(x) if self.use_res_connect else self.conv(x)
        return y


def mobilenet_v2() -> nn.Module:
    stem = [nn.Conv2d(3, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU6(inplace=True)]
    blocks = [InvertedResidual(6, 6, 1), InvertedResidual(6, 8, 2)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(8, 10))


class Fire(nn.Module):
    """SqueezeNet's module."""

    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1, self.expand1x1_activation = nn.Conv2d(squeeze, expand, 1), nn.ReLU(inplace=True)
        self.expand3x3, self.expand3x3_activation = nn.Conv2d(squeeze, expand, 3, padding=1), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze_activation(self.squeeze(x))
        return torch.cat(
            [self.expand1x1_activation(self.expand1x1(x)), self.expand3x3_activation(self.expand3x3(x))], 1
        )


def squeezenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(8, 3, 5),
        Fire(10, 4, 6), nn.Dropout(0.5), nn.Conv2d(12, 10, 1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(),
    )  # fmt: skip


class DenseLayer(nn.Module):
    """DenseNet's bottleneck layer: BatchNorm, ReLU, 1x1; BatchNorm, ReLU, 3x3; concatenated."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.relu1 = nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(inputs, 2 * growth, 1, bias=False)
        self.norm2, self.relu2 = nn.BatchNorm2d(2 * growth), nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(self.relu1(self.norm1(x)))
        out = self.conv2(self.relu2(self.norm2(out)))
        return torch.cat([x, out], 1)


def densenet() -> nn.Module:
    transition = [nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, 6, 1, bias=False), nn.AvgPool2d(2, 2)]
    end = [nn.BatchNorm2d(9), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(9, 10)]
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), DenseLayer(6, 3), DenseLayer(9, 3), *transition, DenseLayer(6, 3), *end
    )


def conv_norm(
    inputs: int, outputs: int, kernel: int | tuple[int, int], padding: int | tuple[int, int] = 0
) -> nn.Sequential:
    """torchvision's BasicConv2d: BatchNorm with another eps."""
    norm = nn.BatchNorm2d(outputs, eps=0.001)
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False), norm, nn.ReLU(inplace=True))


class Inception(nn.Module):
    """GoogLeNet's module: four branches."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch1 = conv_norm(inputs, 3, 1)
        self.branch2 = nn.Sequential(conv_norm(inputs, 3, 1), conv_norm(3, 4, 3, 1))
        self.branch3 = nn.Sequential(conv_norm(inputs, 2, 1), conv_norm(2, 3, 3, 1))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), conv_norm(inputs, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        outputs = [self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)]
        return torch.cat(outputs, 1)


class InceptionC(nn.Module):
    """Inception v3's module with kernels of 1x7 and 7x1 and an average pool of stride 1."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch7x7 = nn.Sequential(
            conv_norm(inputs, 3, 1), conv_norm(3, 3, (1, 7), (0, 3)), conv_norm(3, 4, (7, 1), (3, 0))
        )
        self.branch_pool = conv_norm(inputs, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.avg_pool2d(x, kernel_size=3, stride=1, padding=1)
        return torch.cat([self.branch7x7(x), self.branch_pool(pooled)], 1)


def googlenet() -> nn.Module:
    return nn.Sequential(
        conv_norm(3, 6, 3, 1), nn.MaxPool2d(3, 2, ceil_mode=True), Inception(6), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Dropout(0.2), nn.Linear(12, 10),
    )  # fmt: skip


def inception_v3() -> nn.Module:
    return nn.Sequential(
        conv_norm(3, 6, 3, 1), nn.MaxPool2d(2), InceptionC(6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)
    )


class ShuffleUnit(nn.Module):
    """ShuffleNetV2's unit: half of the channels pass, then channels are shuffled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch2 = nn.Sequential(
            conv_norm(half, half, 1), nn.Conv2d(half, half, 3, 1, 1, groups=half, bias=False), nn.BatchNorm2d(half),
            conv_norm(half, half, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x1, x2 = x.chunk(2, dim=1)
        out = torch.cat((x1, self.branch2(x2)), dim=1)
        batch, channels, height, width = out.size()
        out = out.view(batch, 2, channels // 2, height, width)
        out = torch.transpose(out, 1, 2).contiguous()
        return out.view(batch, channels, height, width)


class ShuffleNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.stage, self.fc = (
            conv_norm(3, 8, 3, 1),
            nn.Sequential(ShuffleUnit(8), ShuffleUnit(8)),
            nn.Linear(8, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage(self.conv1(x))
        x = x.mean([2, 3])  # global pool, as torchvision writes it
        y: Tensor = self.fc(x)
        return y


def grouped_shuffle() -> nn.Module:
    """ShuffleNet's first version: grouped 1x1 convolutions around a channel shuffle."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 12, 1, groups=3), nn.BatchNorm2d(12), nn.ReLU(),
        nn.ChannelShuffle(3), nn.Conv2d(12, 12, 3, 2, 1, groups=12), nn.BatchNorm2d(12), nn.Conv2d(12, 6, 1, groups=3),
        nn.ReLU(), nn.Flatten(), nn.Linear(96, 10),
    )  # fmt: skip


class SegmentationHead(nn.Module):
    """A fully convolutional head with dilated context: a map of classes."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(conv_norm(3, 6, 3, 1), conv_norm(6, 8, 3, 1))
        self.context = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=2, dilation=2, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1)
        )
        self.classifier = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = self.backbone(x)
        y: Tensor = self.classifier(self.context(features) + features)
        return y


class KeywordSpotting(nn.Module):
    """One-dimensional: M5 for raw audio."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.pool1 = nn.Conv1d(1, 8, 20, stride=4), nn.BatchNorm1d(8), nn.MaxPool1d(4)
        self.conv2, self.bn2, self.pool2 = nn.Conv1d(8, 12, 3), nn.BatchNorm1d(12), nn.MaxPool1d(2)
        self.fc1 = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(F.relu(self.bn1(self.conv1(x))))
        x = self.pool2(F.relu(self.bn2(self.conv2(x))))
        x = F.avg_pool1d(x, x.shape[-1])
        x = x.permute(0, 2, 1)
        x = self.fc1(x.squeeze(1))
        return F.log_softmax(x, dim=1)


def spectrogram() -> nn.Module:
    """Non-square maps, strides and kernels, as for spectrograms."""
    return nn.Sequential(
        nn.Conv2d(1, 6, (5, 3), stride=(2, 1), padding=(2, 1)), nn.BatchNorm2d(6), nn.ReLU(),
        nn.MaxPool2d((3, 2), (2, 2)), nn.Conv2d(6, 8, (1, 3)), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4 * 3, 10),
    )  # fmt: skip


def separable_kernels() -> nn.Module:
    """Kernels of 3x1 and 1x3, as in factorised networks (ERFNet)."""
    return nn.Sequential(
        nn.Conv2d(3, 6, (3, 1), padding=(1, 0)), nn.ReLU(), nn.Conv2d(6, 6, (1, 3), padding=(0, 1)), nn.BatchNorm2d(6),
        nn.ReLU(), nn.Conv2d(6, 6, (3, 1), padding=(2, 0), dilation=(2, 1)), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(6, 10),
    )  # fmt: skip


class Autoencoder(nn.Module):
    """Linear layers, the output as large as the input."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(32, 12), nn.ReLU(True), nn.Linear(12, 4), nn.ReLU(True))
        self.decoder = nn.Sequential(nn.Linear(4, 12), nn.ReLU(True), nn.Linear(12, 32), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.decoder(self.encoder(x))
        return y


class ManyPaths(nn.Module):
    """Sums of three paths and a mean of two: a multi-exit network's trunk."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_norm(3, 6, 3, 1)
        self.paths = nn.ModuleList([conv_norm(6, 6, 1), conv_norm(6, 6, 3, 1), nn.Conv2d(6, 6, 3, padding=1)])
        self.head = nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = sum(path(x) for path in self.paths)
        assert isinstance(y, Tensor)
        z = (F.relu(y) + x) / 2
        out: Tensor = self.head(z.amax(dim=(-2, -1)))
        return out


ZOO: dict[str, tuple[Callable[[], nn.Module], Shape]] = {
    "MNIST example": (MnistExample, (1, 16, 16)),
    "CIFAR tutorial": (CifarTutorial, (3, 16, 16)),
    "quick start": (QuickStart, (1, 8, 8)),
    "LeNet-5": (lenet5, (1, 16, 16)),
    "AlexNet": (TorchvisionAlexNet, (3, 63, 63)),
    "VGG": (vgg, (3, 16, 16)),
    "ResNet18": (resnet18, (3, 24, 24)),
    "ResNet50": (resnet50, (3, 24, 24)),
    "ResNeXt": (resnext, (3, 20, 20)),
    "pre-activation ResNet": (preactivation_resnet, (3, 7, 7)),
    "MobileNetV1": (mobilenet_v1, (3, 12, 12)),
    "MobileNetV2": (mobilenet_v2, (3, 12, 12)),
    "SqueezeNet": (squeezenet, (3, 15, 15)),
    "DenseNet": (densenet, (3, 6, 6)),
    "GoogLeNet": (googlenet, (3, 10, 10)),
    "Inception v3": (inception_v3, (3, 12, 12)),
    "ShuffleNetV2": (ShuffleNet, (3, 7, 7)),
    "ShuffleNet": (grouped_shuffle, (3, 8, 8)),
    "segmentation head": (SegmentationHead, (3, 8, 12)),
    "audio in one dimension": (KeywordSpotting, (1, 200)),
    "spectrogram": (spectrogram, (1, 20, 11)),
    "separable kernels": (separable_kernels, (3, 9, 9)),
    "autoencoder": (Autoencoder, (32,)),
    "many paths": (ManyPaths, (3, 6, 6)),
    **MORE,
}


def build(name: str) -> tuple[nn.Module, Shape]:
    """The network, BatchNorms as after training, and the shape of its images."""
    make, shape = ZOO[name]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = make().eval()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.3, 1.5)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.3, 0.3)
    return net, shape
