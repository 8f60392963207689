"""SlowOnly-R50 for heatmap volumes, the network of PoseC3D (Duan et al. 2022, sec. 3.2).

    stem    17 -> 32    1x7x7, norm, ReLU; max pool 1x3x3 of stride 1
    layer1  128         4 blocks, no kernel in time, stride (1, 2, 2)
    layer2  256         6 blocks, kernel 3 in time, stride (1, 2, 2)
    layer3  512         3 blocks, kernel 3 in time, stride (2, 2, 2)
    block   relu(shortcut + 1x1x1 or 3x1x1, 1x3x3 with the stride, 1x1x1 to four times the width)

Unlike SlowOnly for images (Feichtenhofer et al. 2019) it starts at half the width, the stem keeps the size, and there
is no fourth stage. Kinetics-400, UCF101 and HMDB51 have 3, 4, 6 blocks.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn

from poseworks.skeleton_action.convolution import FramePool, Sizes3
from poseworks.skeleton_action.head import Backbone, ConvNorm, HeatmapNetwork, NetworkConfig, ResidualBlock

EXPANSION = 4


class SlowOnlyConfig(NetworkConfig, frozen=True, extra="forbid"):
    """Sizes of a SlowOnly. The defaults are the published network for NTU60."""

    kind: Literal["slowonly"] = "slowonly"
    width: PositiveInt = 32  # of the stem and inside the blocks of the first stage; each later stage has twice as much
    blocks: tuple[PositiveInt, PositiveInt, PositiveInt] = (4, 6, 3)


class Bottleneck(ResidualBlock):
    """(N, a, T, H, W) -> (N, 4 width, T / s, H / s', W / s')."""

    def __init__(self, inputs: int, width: int, frames: int, stride: Sizes3) -> None:
        super().__init__(inputs, EXPANSION * width, stride)
        self.conv1 = ConvNorm(inputs, width, (frames, 1, 1))
        self.conv2 = ConvNorm(width, width, (1, 3, 3), stride=stride)
        self.conv3 = ConvNorm(width, EXPANSION * width, (1, 1, 1), relu=False)
        nn.init.zeros_(self.conv3.bn.weight)


class SlowOnlyBackbone(Backbone):
    """(N, C, T, H, W) -> (N, 16 width, T / 2, H / 8, W / 8)."""

    def __init__(self, in_channels: int, width: int, blocks: tuple[int, int, int]) -> None:
        super().__init__()
        self.conv1 = ConvNorm(in_channels, width, (1, 7, 7))
        self.pool = FramePool("largest of 3x3")
        self.layer1 = _stage(width, width, blocks[0], frames=1, stride=(1, 2, 2))
        self.layer2 = _stage(4 * width, 2 * width, blocks[1], frames=3, stride=(1, 2, 2))
        self.layer3 = _stage(8 * width, 4 * width, blocks[2], frames=3, stride=(2, 2, 2))

    def frame_part(self, volumes: Tensor) -> Tensor:
        """Stem, pool and first stage, which have no kernel in time."""
        hidden: Tensor = self.layer1(self.pool(self.conv1(volumes)))
        return hidden

    def clip_part(self, hidden: Tensor) -> Tensor:
        """Second and third stage."""
        features: Tensor = self.layer3(self.layer2(hidden))
        return features


def _stage(inputs: int, width: int, blocks: int, *, frames: int, stride: Sizes3) -> nn.Sequential:
    rest = [Bottleneck(EXPANSION * width, width, frames, (1, 1, 1)) for _ in range(blocks - 1)]
    return nn.Sequential(Bottleneck(inputs, width, frames, stride), *rest)


class SlowOnly(HeatmapNetwork):
    """(N, C, T, H, W) volumes -> (N, classes) logits."""

    config: SlowOnlyConfig

    def __init__(self, config: SlowOnlyConfig | None = None) -> None:
        c = config or SlowOnlyConfig()
        super().__init__(c, SlowOnlyBackbone(c.in_channels, c.width, c.blocks), 4 * EXPANSION * c.width)
