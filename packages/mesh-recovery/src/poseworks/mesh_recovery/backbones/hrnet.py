"""HRNet: branches of several resolutions that exchange what they see (Sun et al. 2019; Wang et al. 2020, sec. 3).

    stem      two 3x3 of stride 2                                          (N, 64, H / 4, W / 4)
    layer1    4 bottlenecks                                                256
    stage s   modules with s branches of width W, 2W, 4W, ..., each half the size of the one before; in each module
              branch = 4 basic blocks;  out_i = relu(sum_j fuse_ij(branch_j)):
              j > i  1x1, norm, nearest upsampling;  j < i  chain of 3x3 of stride 2

What becomes of the four maps is told by the class: `HRNetUpsampled` (Kocabas et al. 2021, PARE), `HRNetDownsampled`,
`HRNetHighest` (the layout of body-pose files) and `HRNetClassified` (Wang et al. 2020, fig. 4c). Layers are named as in
the files that everybody shares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from pydantic import BaseModel, PositiveInt
from torch import Tensor, nn

from poseworks.mesh_recovery.backbones.resnet import Bottleneck, start_convolutions

Features = Literal["upsampled", "downsampled", "highest", "classified"]


class HRNetConfig(BaseModel, frozen=True, extra="forbid"):
    """Sizes of an HRNet, and what becomes of its four maps. The defaults are the HRNet-W32 of PARE."""

    kind: Literal["hrnet"] = "hrnet"
    features: Features = "upsampled"
    width: PositiveInt = 32
    stem: PositiveInt = 64
    modules: tuple[PositiveInt, PositiveInt, PositiveInt] = (1, 4, 3)  # of stages 2, 3, 4
    blocks: PositiveInt = 4  # of each branch, and of layer1
    head_width: PositiveInt = 32  # classified: inside the bottleneck on the largest map

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Channels of the four branches."""
        return (self.width, 2 * self.width, 4 * self.width, 8 * self.width)

    @property
    def channels(self) -> int:
        """Of the map that comes out."""
        match self.features:
            case "upsampled" | "downsampled":
                return sum(self.widths)
            case "highest":
                return self.width
            case "classified":
                return 32 * self.head_width


class BasicBlock(nn.Module):
    """relu(x + 3x3(3x3(x))): (N, C, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        y = self.bn1(self.conv1(x)).relu_()
        out: Tensor = self.bn2(self.conv2(y)).add_(x).relu_()
        return out


def conv_norm(inputs: int, outputs: int, kernel: int, *, stride: int = 1, bias: bool = False) -> list[nn.Module]:
    """A convolution that keeps the size but for its stride, and its norm."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=bias)
    return [convolution, nn.BatchNorm2d(outputs)]


def _halved(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*conv_norm(inputs, outputs, 3, stride=2), nn.ReLU(inplace=True))


class Transition(nn.ModuleList):
    """Maps of one stage -> maps of the next, which has one branch more: it reads the last map of the stage before."""

    def __init__(self, before: Sequence[int], after: Sequence[int]) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs in zip(before, after, strict=False):
            if inputs == outputs:
                layers.append(nn.Identity())
            else:
                layers.append(nn.Sequential(*conv_norm(inputs, outputs, 3), nn.ReLU(inplace=True)))
        layers.append(nn.Sequential(_halved(before[-1], after[-1])))
        super().__init__(layers)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """b maps -> b + 1 maps."""
        return [layer(x) for layer, x in zip(self, [*maps, maps[-1]], strict=True)]


class FusingModule(nn.Module):
    """Blocks on every branch, then every output is the sum of all branches, brought to its size."""

    def __init__(self, widths: Sequence[int], blocks: int, outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(BasicBlock(width) for _ in range(blocks))) for width in widths)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_fuse(widths, source, target) for source in range(len(widths))) for target in range(outputs)
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """A map a branch -> a map an output."""
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        fused = []
        for layers in self.fuse_layers:
            assert isinstance(layers, nn.ModuleList)
            terms = (layer(x) for layer, x in zip(layers, maps, strict=True))
            fused.append(reduce(torch.add, terms).relu_())
        return fused


def _fuse(widths: Sequence[int], source: int, target: int) -> nn.Module:
    """From the size and width of one branch to those of another."""
    if source == target:
        return nn.Identity()
    if source > target:
        up = nn.Upsample(scale_factor=2 ** (source - target), mode="nearest")
        return nn.Sequential(*conv_norm(widths[source], widths[target], 1), up)
    inner = [_halved(widths[source], widths[source]) for _ in range(target - source - 1)]
    return nn.Sequential(*inner, nn.Sequential(*conv_norm(widths[source], widths[target], 3, stride=2)))


class HRNetTrunk(nn.Module):
    """(N, 3, H, W) pictures -> four maps, of width W, 2W, 4W, 8W and 1/4, 1/8, 1/16, 1/32 of the size."""

    outputs = 4  # of the last module

    def __init__(self, config: HRNetConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or HRNetConfig()
        self.conv1 = nn.Conv2d(3, c.stem, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(c.stem)
        self.conv2 = nn.Conv2d(c.stem, c.stem, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(c.stem)
        whole = Bottleneck.expansion * c.stem
        self.layer1 = nn.Sequential(
            Bottleneck(c.stem, c.stem), *(Bottleneck(whole, c.stem) for _ in range(c.blocks - 1))
        )
        self.transition1 = Transition([whole], c.widths[:2])
        self.stage2 = self._stage(2, c.modules[0], 2)
        self.transition2 = Transition(c.widths[:2], c.widths[:3])
        self.stage3 = self._stage(3, c.modules[1], 3)
        self.transition3 = Transition(c.widths[:3], c.widths)
        self.stage4 = self._stage(4, c.modules[2], self.outputs)

    def _stage(self, branches: int, modules: int, outputs: int) -> nn.Sequential:
        widths, blocks = self.config.widths[:branches], self.config.blocks
        counts = [branches] * (modules - 1) + [outputs]
        return nn.Sequential(*(FusingModule(widths, blocks, count) for count in counts))

    def maps(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> [(N, W, H / 4, W / 4), (N, 2W, H / 8, W / 8), ...]."""
        x = self.bn1(self.conv1(images)).relu_()
        x = self.layer1(self.bn2(self.conv2(x)).relu_())
        maps = self.stage2(self.transition1([x]))
        maps = self.stage3(self.transition2(maps))
        fused: list[Tensor] = self.stage4(self.transition3(maps))
        return fused


class HRNetUpsampled(HRNetTrunk):
    """(N, 3, H, W) -> (N, 15 W, H / 4, W / 4): every map brought to the largest size."""

    def __init__(self, config: HRNetConfig | None = None) -> None:
        super().__init__(config)
        _, *widths = self.config.widths
        self.upsample_stage_2, self.upsample_stage_3, self.upsample_stage_4 = (
            nn.Sequential(*_repeated(times, _doubled(width))) for times, width in enumerate(widths, start=1)
        )
        start_convolutions(self)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 15 W, H / 4, W / 4)."""
        a, b, c, d = self.maps(images)
        return torch.cat([a, self.upsample_stage_2(b), self.upsample_stage_3(c), self.upsample_stage_4(d)], dim=1)


class HRNetDownsampled(HRNetTrunk):
    """(N, 3, H, W) -> (N, 15 W, H / 32, W / 32): every map brought to the smallest size."""

    def __init__(self, config: HRNetConfig | None = None) -> None:
        super().__init__(config or HRNetConfig(features="downsampled"))
        *widths, _ = self.config.widths
        self.downsample_stage_1, self.downsample_stage_2, self.downsample_stage_3 = (
            nn.Sequential(*_repeated(times, _halving(width))) for times, width in zip((3, 2, 1), widths, strict=True)
        )
        start_convolutions(self)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 15 W, H / 32, W / 32)."""
        a, b, c, d = self.maps(images)
        return torch.cat([self.downsample_stage_1(a), self.downsample_stage_2(b), self.downsample_stage_3(c), d], dim=1)


class HRNetHighest(HRNetTrunk):
    """(N, 3, H, W) -> (N, W, H / 4, W / 4): the last module gives the largest map alone."""

    outputs = 1

    def __init__(self, config: HRNetConfig | None = None) -> None:
        super().__init__(config or HRNetConfig(features="highest"))
        start_convolutions(self)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, W, H / 4, W / 4)."""
        return self.maps(images)[0]


class ImageFeatures(NamedTuple):
    """What an `HRNetClassified` sees: one feature of the whole picture, and a grid of them."""

    whole: Tensor  # (N, 64 h), h = head_width
    grid: Tensor  # (N, 32 h, H / 32, W / 32)


class HRNetClassified(HRNetTrunk):
    """(N, 3, H, W) -> features of the whole picture and of a grid; the way to class labels ends before the classes."""

    def __init__(self, config: HRNetConfig | None = None) -> None:
        super().__init__(config or HRNetConfig(features="classified"))
        widths = [2**level * self.config.head_width for level in range(4)]
        outputs = [Bottleneck.expansion * width for width in widths]
        self.incre_modules = nn.ModuleList(
            nn.Sequential(Bottleneck(inputs, width))
            for inputs, width in zip(self.config.widths, widths, strict=True)
        )  # fmt: skip
        self.downsamp_modules = nn.ModuleList(
            nn.Sequential(*conv_norm(fine, coarse, 3, stride=2, bias=True), nn.ReLU(inplace=True))
            for fine, coarse in pairwise(outputs)
        )
        last = conv_norm(outputs[-1], 2 * outputs[-1], 1, bias=True)
        self.final_layer = nn.Sequential(*last, nn.ReLU(inplace=True))
        start_convolutions(self)

    def forward(self, images: Tensor) -> ImageFeatures:
        """(N, 3, H, W) -> (N, 64 h) and (N, 32 h, H / 32, W / 32)."""
        first, *rest = (widen(x) for widen, x in zip(self.incre_modules, self.maps(images), strict=True))
        grid: Tensor = first
        for x, down in zip(rest, self.downsamp_modules, strict=True):
            grid = x + down(grid)
        return ImageFeatures(self.final_layer(grid).mean(dim=(2, 3)), grid)


def _repeated(times: int, made: Callable[[], list[nn.Module]]) -> list[nn.Module]:
    return [layer for _ in range(times) for layer in made()]


def _doubled(channels: int) -> Callable[[], list[nn.Module]]:
    """Twice as large: bilinear with the corners aligned, 3x3, norm, ReLU."""

    def layers() -> list[nn.Module]:
        up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        return [up, *conv_norm(channels, channels, 3), nn.ReLU(inplace=True)]

    return layers


def _halving(channels: int) -> Callable[[], list[nn.Module]]:
    """Half as large: 3x3 of stride 2, norm, ReLU."""
    return lambda: [*conv_norm(channels, channels, 3, stride=2), nn.ReLU(inplace=True)]
