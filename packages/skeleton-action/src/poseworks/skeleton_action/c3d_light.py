"""C3D-light: six 3x3x3 convolutions on heatmap volumes (Duan et al. 2022, PoseC3D; after Tran et al. 2015).

    conv1a 32, pool, conv2a 64, pool, conv3a 128, conv3b 128, pool, conv4a 256, conv4b 256

Each convolution with norm and ReLU; each pool is the mean of 1x2x2. Time is never reduced.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt
from torch import Tensor

from poseworks.skeleton_action.convolution import FramePool
from poseworks.skeleton_action.head import Backbone, ConvNorm, HeatmapNetwork, NetworkConfig

KERNEL = (3, 3, 3)


class C3DLightConfig(NetworkConfig, frozen=True, extra="forbid"):
    """Sizes of a C3D-light. The defaults are the published network for NTU60."""

    kind: Literal["c3d_light"] = "c3d_light"
    width: PositiveInt = 32  # of the first convolution; after each pool twice as much


class C3DLightBackbone(Backbone):
    """(N, C, T, H, W) -> (N, 8 width, T, H / 8, W / 8). No part of it is computed frame by frame."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.conv1a = ConvNorm(in_channels, width, KERNEL)
        self.conv2a = ConvNorm(width, 2 * width, KERNEL)
        self.conv3a = ConvNorm(2 * width, 4 * width, KERNEL)
        self.conv3b = ConvNorm(4 * width, 4 * width, KERNEL)
        self.conv4a = ConvNorm(4 * width, 8 * width, KERNEL)
        self.conv4b = ConvNorm(8 * width, 8 * width, KERNEL)
        self.pool = FramePool("mean of 2x2")

    def clip_part(self, hidden: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, 8 width, T, H / 8, W / 8)."""
        x = self.pool(self.conv1a(hidden))
        x = self.pool(self.conv2a(x))
        x = self.pool(self.conv3b(self.conv3a(x)))
        features: Tensor = self.conv4b(self.conv4a(x))
        return features


class C3DLight(HeatmapNetwork):
    """(N, C, T, H, W) volumes -> (N, classes) logits; H and W of 8 or more."""

    config: C3DLightConfig
    smallest: ClassVar[int] = 8

    def __init__(self, config: C3DLightConfig | None = None) -> None:
        c = config or C3DLightConfig()
        super().__init__(c, C3DLightBackbone(c.in_channels, c.width), 8 * c.width)
