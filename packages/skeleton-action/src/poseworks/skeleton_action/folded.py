"""A convolution as inference computes it: its norm folded in, and the empty border of images left out.

w' = w g / sqrt(v + eps),   b' = b - m g / sqrt(v + eps)        g, b, m, v: of the batch norm
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poseworks.skeleton_action.convolution import ONES, clips, convolve, images, views_pay

BLOCK_FRAMES = 4  # whose activations stay in the cache: measured


class FoldedConvolution(nn.Module):
    """Convolution with bias, and ReLU where asked for: (N, a, T, H, W) -> (N, b, T', H', W')."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, convolution: nn.Conv3d, norm: nn.BatchNorm3d | None, *, relu: bool) -> None:
        super().__init__()
        weight, bias = convolution.weight.detach(), None
        if norm is not None:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight.detach() * torch.rsqrt(norm.running_var + norm.eps)
            weight = weight * scale[:, None, None, None, None]
            bias = norm.bias.detach() - norm.running_mean * scale
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.stride, self.padding, self.groups = convolution.stride, convolution.padding, convolution.groups
        self.relu = relu
        self.reach = int(weight.shape[3]) // 2
        self.wide = self.stride == ONES and weight.shape[2] == 1 and self.reach > 1 and bias is not None

    def forward(self, x: Tensor) -> Tensor:
        """(N, a, T, H, W) -> (N, b, T', H', W')."""
        if not views_pay(x):
            y = F.conv3d(x, self.weight, self.bias, self.stride, self.padding, groups=self.groups)
        elif self.wide:
            y = clips(self._without_empty_border(images(x)), len(x))
        else:
            y = convolve(x, self.weight, self.bias, self.stride, self.groups)
        return y.relu_() if self.relu else y

    def _without_empty_border(self, x: Tensor) -> Tensor:
        """(N, a, H, W) images -> (N, b, H, W): where only zeros are in reach of the kernel, the bias is the result."""
        assert self.bias is not None
        count, _, height, width = x.shape
        kernel, border = self.weight[:, :, 0], self.reach
        filled = x.abs().amax(dim=(0, 1)) != 0  # NaN is not empty
        rows, columns = (_span(filled.any(dim=1 - axis), border) for axis in (0, 1))
        if (rows, columns) == (slice(0, height), slice(0, width)):
            return F.conv2d(x, kernel, self.bias, padding=border, groups=self.groups)
        y = self.bias.expand(count, height, width, -1).contiguous().movedim(-1, 1)
        if rows.stop > rows.start and columns.stop > columns.start:
            inner = x[:, :, rows, columns].contiguous(memory_format=torch.channels_last)
            y[:, :, rows, columns] = F.conv2d(inner, kernel, self.bias, padding=border, groups=self.groups)
        return y


def _span(filled: Tensor, reach: int) -> slice:
    """From the first to the last that is filled, and `reach` beyond; empty where none is."""
    places = filled.nonzero()[:, 0].tolist()
    if not places:
        return slice(0, 0)
    return slice(max(places[0] - reach, 0), min(places[-1] + 1 + reach, len(filled)))
