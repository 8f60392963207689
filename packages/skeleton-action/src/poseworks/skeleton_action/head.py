"""What all networks on heatmap volumes share: convolution with its norm, the classification head, and how they join."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import BaseModel, Field, PositiveInt
from torch import Tensor, nn

from poseworks.core.inference import Derived, buffer, needs_layers
from poseworks.core.shapes import expect_shape
from poseworks.skeleton_action.convolution import Convolution, Sizes3
from poseworks.skeleton_action.folded import BLOCK_FRAMES, FoldedConvolution
from poseworks.skeleton_action.preparation import Preparation

if TYPE_CHECKING:
    from typing import Self


class NetworkConfig(BaseModel, frozen=True, extra="forbid"):
    """Sizes that every network on volumes has."""

    in_channels: PositiveInt = 17  # joints or limbs
    classes: PositiveInt = 60
    dropout: float = Field(0.5, ge=0, lt=1)


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm, and ReLU where asked for: (N, a, T, H, W) -> (N, b, T', H', W').

    Padding keeps the size, but for the stride.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Sizes3,
        *,
        stride: Sizes3 = (1, 1, 1),
        groups: int = 1,
        norm: bool = True,
        relu: bool = True,
    ) -> None:
        super().__init__()
        self.conv = Convolution(inputs, outputs, kernel, stride, groups)
        if norm:
            self.bn = nn.BatchNorm3d(outputs)
        self.norm, self.relu = norm, relu
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, a, T, H, W) -> (N, b, T', H', W')."""
        y: Tensor = self.conv(x)
        if self.norm:
            y = self.bn(y)
        return y.relu_() if self.relu else y


class ResidualBlock(nn.Module):
    """relu(shortcut(x) + conv3(conv2(conv1(x)))); conv3 has no ReLU of its own and starts as 0."""

    conv1: ConvNorm
    conv2: ConvNorm
    conv3: ConvNorm

    def __init__(self, inputs: int, outputs: int, stride: Sizes3) -> None:
        super().__init__()
        self.downsample: ConvNorm | None = None  # of the shortcut, where the size changes
        if stride != (1, 1, 1) or inputs != outputs:
            self.downsample = ConvNorm(inputs, outputs, (1, 1, 1), stride=stride, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, a, T, H, W) -> (N, b, T', H', W')."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y: Tensor = self.conv3(self.conv2(self.conv1(x)))
        return y.add_(shortcut).relu_()


class Backbone(ABC, nn.Module):
    """(N, C, T, H, W) volumes -> (N, channels, T', H', W') features, in two parts.

    `frame_part` sees every frame by itself; `clip_part` takes what it gives. Neighbouring windows of a recording that
    share frames can so share the first part.
    """

    def frame_part(self, volumes: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, hidden, T, H', W'): frame t of the output depends on frame t of the input alone."""
        return volumes

    @abstractmethod
    def clip_part(self, hidden: Tensor) -> Tensor:
        """What `frame_part` gives -> (N, channels, T', H', W')."""

    def forward(self, volumes: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, channels, T', H', W')."""
        return self.clip_part(self.frame_part(volumes))


class ClassificationHead(nn.Module):
    """Mean over time and space, dropout, linear: (N, channels, T, H, W) -> (N, classes)."""

    def __init__(self, channels: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.fc_cls = nn.Linear(channels, classes)
        nn.init.normal_(self.fc_cls.weight, std=0.01)
        nn.init.zeros_(self.fc_cls.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, T, H, W) -> (N, classes)."""
        logits: Tensor = self.fc_cls(self.dropout(features.mean(dim=(2, 3, 4))))
        return logits


class HeatmapNetwork(nn.Module):
    """(N, C, T, H, W) volumes of heatmaps -> (N, classes) logits. Tensors are named as in the published files.

    Attributes:
        preparation: what the weights are fed with, and how the logits are read.
        source, sha256: where the weights came from, and the SHA-256 of their file.
    """

    preparation: Preparation = Preparation()
    source: str = ""
    sha256: str = ""
    smallest: ClassVar[int] = 1  # height and width of a volume

    def __init__(self, config: NetworkConfig, backbone: Backbone, channels: int) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone
        self.cls_head = ClassificationHead(channels, config.classes, config.dropout)
        self._folded = Derived[Backbone]()

    def forward(self, volumes: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, classes).

        Raises:
            ShapeError: `volumes` has another number of channels or axes, or is too small.
        """
        logits: Tensor = self.cls_head(self.features(volumes))
        return logits

    def features(self, volumes: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, channels, T', H', W'), before pooling.

        Raises:
            ShapeError: as `forward`.
        """
        self._check(volumes)
        if not self._infers(volumes):
            return self.backbone(volumes)  # type: ignore[no-any-return]
        backbone = self._folded_backbone()
        return _clip_by_clip(lambda clip: backbone.clip_part(_frames_in_blocks(backbone, clip, lasting=False)), volumes)

    def frame_part(self, volumes: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, hidden, T, H', W'): what is computed frame by frame; T may be any number.

        Raises:
            ShapeError: as `forward`.
        """
        self._check(volumes)
        if not self._infers(volumes):
            return self.backbone.frame_part(volumes)
        backbone = self._folded_backbone()
        return _clip_by_clip(lambda clip: _frames_in_blocks(backbone, clip, lasting=True), volumes)

    def clip_part(self, hidden: Tensor) -> Tensor:
        """What `frame_part` gives of a clip's frames -> (N, channels, T', H', W')."""
        if not self._infers(hidden):
            return self.backbone.clip_part(hidden)
        return _clip_by_clip(self._folded_backbone().clip_part, hidden)

    def _check(self, volumes: Tensor) -> None:
        sizes = f"N C={self.config.in_channels} T>=1 H>={self.smallest} W>={self.smallest}"
        expect_shape("volumes", volumes, sizes, fix=f"This {type(self).__name__} reads a channel a joint or limb.")

    def _infers(self, x: Tensor) -> bool:
        """Whether the folded form serves: on a CPU, without gradients."""
        return not (torch.is_grad_enabled() or self.training or needs_layers(x) or x.numel() == 0)

    def _folded_backbone(self) -> Backbone:
        return self._folded.of(self.backbone, lambda: folded(self.backbone))

    def train(self, mode: bool = True) -> Self:
        """As in torch; forgets the folded weights."""
        self._folded.forget()
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """As in torch, for `to` and its kin; forgets them as well."""
        self._folded.forget()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def folded(backbone: Backbone) -> Backbone:
    """A copy for inference whose norms are part of the convolutions (see `FoldedConvolution`)."""
    copied = copy.deepcopy(backbone).eval().requires_grad_(requires_grad=False)
    for module in list(copied.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, ConvNorm):
                setattr(module, name, FoldedConvolution(child.conv, child.bn if child.norm else None, relu=child.relu))
    return copied


def _clip_by_clip(part: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A part of a network on every clip by itself: together they fit no cache."""
    parts = [part(clip) for clip in x.split(1)]  # type: ignore[no-untyped-call]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _frames_in_blocks(backbone: Backbone, clip: Tensor, *, lasting: bool) -> Tensor:
    """`Backbone.frame_part` on few frames at a time, whose activations stay in the cache.

    Args:
        lasting: the result is to last; else it lies in memory that the next call uses again.
    """
    if type(backbone).frame_part is Backbone.frame_part:
        return clip
    result: Tensor | None = None
    for start in range(0, clip.shape[2], BLOCK_FRAMES):
        block = backbone.frame_part(clip[:, :, start : start + BLOCK_FRAMES]).movedim(1, -1)
        if result is None:
            sizes = (1, clip.shape[2], *block.shape[2:])
            result = torch.empty(sizes) if lasting else buffer("heatmap network", *sizes)
        result[:, start : start + BLOCK_FRAMES] = block
    assert result is not None
    return result.movedim(-1, 1)
