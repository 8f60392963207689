"""X3D-shallow: a light network of depthwise convolutions on heatmap volumes (Duan et al. 2022, PoseC3D).

    stem     17 -> 24    1x3x3, stride 2; depthwise 5x1x1, norm, ReLU
    layer1-3 24, 48, 96  2, 5, 3 blocks, the first with stride 2 in space
    conv5    96 -> 216   1x1x1, norm, ReLU
    block    relu(shortcut + expand 2.25 times 1x1x1, depthwise 3x3x3, reduce 1x1x1)

After X3D (Feichtenhofer 2020) without its squeeze-excite and swish, and with fewer blocks. Time is never reduced.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn

from poseworks.skeleton_action.head import Backbone, ConvNorm, HeatmapNetwork, NetworkConfig, ResidualBlock

EXPANSION = 2.25


class X3DShallowConfig(NetworkConfig, frozen=True, extra="forbid"):
    """Sizes of an X3D-shallow. The defaults are the published network for NTU60."""

    kind: Literal["x3d_shallow"] = "x3d_shallow"
    width: PositiveInt = 24  # of the stem and the first stage; each later stage has twice as much
    blocks: tuple[PositiveInt, PositiveInt, PositiveInt] = (2, 5, 3)


class DepthwiseBlock(ResidualBlock):
    """(N, a, T, H, W) -> (N, b, T, H / s, W / s)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        strides = (1, stride, stride)
        super().__init__(inputs, outputs, strides)
        inner = int(EXPANSION * outputs)
        self.conv1 = ConvNorm(inputs, inner, (1, 1, 1))
        self.conv2 = ConvNorm(inner, inner, (3, 3, 3), stride=strides, groups=inner, relu=False)
        self.conv3 = ConvNorm(inner, outputs, (1, 1, 1), relu=False)
        nn.init.zeros_(self.conv3.bn.weight)


class X3DShallowBackbone(Backbone):
    """(N, C, T, H, W) -> (N, 9 width, T, H / 16, W / 16)."""

    def __init__(self, in_channels: int, width: int, blocks: tuple[int, int, int]) -> None:
        super().__init__()
        self.conv1_s = ConvNorm(in_channels, width, (1, 3, 3), stride=(1, 2, 2), norm=False, relu=False)
        self.conv1_t = ConvNorm(width, width, (5, 1, 1), groups=width)
        widths = (width, 2 * width, 4 * width)
        self.layer1 = _stage(width, widths[0], blocks[0])
        self.layer2 = _stage(widths[0], widths[1], blocks[1])
        self.layer3 = _stage(widths[1], widths[2], blocks[2])
        self.conv5 = ConvNorm(widths[2], int(EXPANSION * widths[2]), (1, 1, 1))

    def frame_part(self, volumes: Tensor) -> Tensor:
        """The stem's convolution in space."""
        hidden: Tensor = self.conv1_s(volumes)
        return hidden

    def clip_part(self, hidden: Tensor) -> Tensor:
        """From the stem's convolution in time on."""
        features: Tensor = self.conv5(self.layer3(self.layer2(self.layer1(self.conv1_t(hidden)))))
        return features


def _stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    rest = [DepthwiseBlock(outputs, outputs, 1) for _ in range(blocks - 1)]
    return nn.Sequential(DepthwiseBlock(inputs, outputs, 2), *rest)


class X3DShallow(HeatmapNetwork):
    """(N, C, T, H, W) volumes -> (N, classes) logits."""

    config: X3DShallowConfig

    def __init__(self, config: X3DShallowConfig | None = None) -> None:
        c = config or X3DShallowConfig()
        super().__init__(c, X3DShallowBackbone(c.in_channels, c.width, c.blocks), int(EXPANSION * 4 * c.width))
