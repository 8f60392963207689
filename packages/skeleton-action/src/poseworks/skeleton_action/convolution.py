"""Convolution in space and time by whatever torch does fastest on a CPU, with gradients; elsewhere torch's own.

In channels-last memory (N, T, H, W, C) other shapes are views of the same numbers, and there torch is faster in two
dimensions than in three:

    1x1x1       a matrix product over the channels
    1xkxk       in two dimensions, each frame an image: (N T, C, H, W)
    kx1x1       in two dimensions, time the height: (N, C, T, H W)
    depthwise   in three; the gradient of the input is again such a convolution, of the output's gradient by the
                mirrored kernel; that of the weight is taken in two dimensions, a frame offset at a time
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Sizes3 = tuple[int, int, int]
ONES = (1, 1, 1)


class Convolution(nn.Conv3d):
    """`nn.Conv3d` without bias whose padding keeps the size, but for the stride: (N, a, T, H, W) -> (N, b, T', H', W').

    Kernels are odd; the stride is the same in both directions of space, and in time only of kernels of one frame.
    """

    def __init__(self, inputs: int, outputs: int, kernel: Sizes3, stride: Sizes3 = ONES, groups: int = 1) -> None:
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, a, T, H, W) -> (N, b, T', H', W')."""
        if not views_pay(x):
            return super().forward(x)
        return convolve(x, self.weight, None, self.stride, self.groups)


def views_pay(x: Tensor) -> bool:
    """Whether to go through views: on a CPU, where no graph is being made of the steps."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling() and x.numel() > 0


def images(x: Tensor) -> Tensor:
    """Every frame an image in channels-last memory: (N, C, T, H, W) -> (N T, C, H, W)."""
    return _last(x, (-1, *x.shape[3:]))


def clips(y: Tensor, count: int) -> Tensor:
    """The reverse of `images`: (N T, C, H, W) -> (N, C, T, H, W), N = `count`."""
    return y.view(count, -1, *y.shape[1:]).movedim(2, 1)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, ...] = ONES, groups: int = 1) -> Tensor:
    """As `Convolution`, on a CPU: (N, a, T, H, W) and a weight (b, a / groups, k, l, l) -> (N, b, T', H', W')."""
    frames, height, width = weight.shape[2:]
    if frames == 1:
        x = x[:, :, :: stride[0]]
    if (frames, height, width) == ONES and groups == 1:
        x = x[..., :: stride[1], :: stride[2]]
        return F.linear(x.movedim(1, -1), weight.flatten(1), bias).movedim(-1, 1)
    if frames == 1:
        y = F.conv2d(images(x), weight[:, :, 0], bias, stride[1:], (height // 2, width // 2), groups=groups)
        return clips(y, len(x))
    if (height, width) == (1, 1):
        places = _last(x, (len(x), x.shape[2], -1))  # (N, a, T, H W)
        y = F.conv2d(places, weight[..., 0], bias, 1, (frames // 2, 0), groups=groups)
        return y.view(*y.shape[:3], *x.shape[3:])
    x = x.contiguous(memory_format=torch.channels_last_3d)
    padding = (frames // 2, height // 2, width // 2)
    if groups == len(weight) > 1 and torch.is_grad_enabled():
        result: Tensor = _Depthwise.apply(x, weight, stride[1:], padding)
        return result if bias is None else result + bias[:, None, None, None]
    return F.conv3d(x, weight, bias, stride, padding, groups=groups)


def _last(x: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """(N, C, T, H, W) with the axes but C split anew into three, in channels-last memory: (i, C, j, k).

    It goes through one axis: torch recognises channels-last memory by its strides, and an axis of size 1 that is kept
    may have any.
    """
    return x.movedim(1, -1).reshape(-1).view(*sizes, x.shape[1]).movedim(-1, 1)


class FramePool(nn.Module):
    """The largest of 3x3, or the mean of 2x2 with stride 2, in every frame: (N, C, T, H, W) -> (N, C, T, H', W')."""

    def __init__(self, kind: Literal["largest of 3x3", "mean of 2x2"]) -> None:
        super().__init__()
        self.mean = kind == "mean of 2x2"

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, C, T, H', W')."""
        if views_pay(x) or _learns(x):  # on a GPU the gradients of the 3D pools are not deterministic
            y = images(x)
            if self.mean:
                return clips(F.avg_pool2d(y, 2), len(x))
            return clips(F.max_pool2d(y, 3, 1, 1) if torch.is_grad_enabled() else _largest_of_3x3(y), len(x))
        return F.avg_pool3d(x, (1, 2, 2)) if self.mean else F.max_pool3d(x, (1, 3, 3), 1, (0, 1, 1))


def _learns(x: Tensor) -> bool:
    """Whether a gradient is asked for, and no graph is being made of the steps."""
    return x.requires_grad and torch.is_grad_enabled() and not torch.compiler.is_compiling() and x.numel() > 0


def _largest_of_3x3(x: Tensor) -> Tensor:
    """(N, C, H, W) -> the same, the rows first and then the columns: torch's own also keeps where the largest was."""
    for axis in (2, 3):
        y = x.clone(memory_format=torch.channels_last)
        last = x.shape[axis] - 1
        for to, of in ((1, 0), (0, 1)):
            part = y.narrow(axis, to, last)
            torch.maximum(part, x.narrow(axis, of, last), out=part)
        x = y
    return x


class _Depthwise(torch.autograd.Function):
    """Depthwise convolution without a stride in time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: tuple[int, int], padding: Sizes3) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv3d(x, weight, None, (1, *stride), padding, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        g = g.contiguous(memory_format=torch.channels_last_3d)
        of_x = _gradient_of_input(g, x, weight, ctx.stride, ctx.padding) if ctx.needs_input_grad[0] else None
        of_weight = _gradient_of_weight(g, x, weight, ctx.stride, ctx.padding) if ctx.needs_input_grad[1] else None
        return of_x, of_weight, None, None


def _gradient_of_input(g: Tensor, x: Tensor, weight: Tensor, stride: tuple[int, int], padding: Sizes3) -> Tensor:
    if stride != (1, 1):
        spread = torch.zeros_like(x)
        spread[..., :: stride[0], :: stride[1]] = g
        g = spread
    return F.conv3d(g, weight.flip(2, 3, 4), None, 1, padding, groups=len(weight))


def _gradient_of_weight(g: Tensor, x: Tensor, weight: Tensor, stride: tuple[int, int], padding: Sizes3) -> Tensor:
    result = torch.zeros_like(weight)
    frames = x.shape[2]
    for place in range(weight.shape[2]):
        offset = place - padding[0]
        first, last = max(0, offset), frames + min(0, offset)  # frames of x that meet this part of the kernel
        if first < last:
            _, part, _ = torch.ops.aten.convolution_backward(
                images(g[:, :, first - offset : last - offset]), images(x[:, :, first:last]),
                weight[:, :, place], None, stride, padding[1:], (1, 1), False, (0, 0), len(weight),
                (False, True, False),
            )  # fmt: skip
            result[:, :, place] = part
    return result
