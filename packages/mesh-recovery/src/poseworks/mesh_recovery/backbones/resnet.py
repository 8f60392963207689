"""ResNet with bottlenecks, of which the last map is used (He et al. 2016, sec. 4.1; stride in the 3x3 convolution).

    stem    7x7 of stride 2, norm, ReLU, max pool 3x3 of stride 2        width
    layer k relu(shortcut(x) + 1x1(3x3(1x1(x))))                         4 width, 8 width, 16 width, 32 width

Layers are named as in the files that everybody shares (conv1, bn1, layer1.0.conv1, ...). Blocks of (3, 4, 6, 3) are
ResNet-50, (3, 4, 23, 3) ResNet-101, (3, 8, 36, 3) ResNet-152.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, PositiveInt
from torch import Tensor, nn


class ResNetConfig(BaseModel, frozen=True, extra="forbid"):
    """Sizes of a ResNet. The defaults are ResNet-50."""

    kind: Literal["resnet"] = "resnet"
    width: PositiveInt = 64
    blocks: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (3, 4, 6, 3)

    @property
    def channels(self) -> int:
        """Of the map that comes out."""
        return 32 * self.width


class Bottleneck(nn.Module):
    """(N, a, H, W) -> (N, 4 width, H / s, W / s)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        outputs = self.expansion * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None  # of the shortcut, where the size changes
        if stride != 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, a, H, W) -> (N, 4 width, H / s, W / s)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.bn1(self.conv1(x)).relu_()
        y = self.bn2(self.conv2(y)).relu_()
        y = self.bn3(self.conv3(y))
        out: Tensor = y.add_(shortcut).relu_()
        return out


class ResNet(nn.Module):
    """(N, 3, H, W) pictures -> (N, 32 width, H / 32, W / 32)."""

    def __init__(self, config: ResNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or ResNetConfig()
        width, blocks = self.config.width, self.config.blocks
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(width, width, blocks[0], stride=1)
        self.layer2 = _stage(4 * width, 2 * width, blocks[1], stride=2)
        self.layer3 = _stage(8 * width, 4 * width, blocks[2], stride=2)
        self.layer4 = _stage(16 * width, 8 * width, blocks[3], stride=2)
        start_convolutions(self)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 32 width, H / 32, W / 32)."""
        x = self.maxpool(self.bn1(self.conv1(images)).relu_())
        features: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return features


def _stage(inputs: int, width: int, blocks: int, *, stride: int) -> nn.Sequential:
    rest = [Bottleneck(Bottleneck.expansion * width, width) for _ in range(blocks - 1)]
    return nn.Sequential(Bottleneck(inputs, width, stride), *rest)


def start_convolutions(network: nn.Module) -> None:
    """Starts every convolution at random so that ReLUs keep the variance of gradients (He et al. 2015), in place."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
