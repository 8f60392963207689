"""3D convolution that also trains quickly on a CPU.

In inference it is torch's own. In training on a CPU, torch's gradients of the kinds that these networks consist of are
two to ten times slower than they need to be (the larger the group count, the worse), so each is computed through views
of one channels-last memory:

    1x1x1            a linear map of the channels
    1xkxk            a 2D convolution of every frame
    kx1x1            a 2D convolution over (time, place)
    depthwise kxkxk  gradients as 2D ones of frames shifted against each other, one a temporal tap
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Sizes3 = tuple[int, int, int]


class Conv3d(nn.Conv3d):
    """As `torch.nn.Conv3d` without bias, dilation or odd padding: (N, a, T, H, W) -> (N, b, T', H', W')."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, a, T, H, W) -> (N, b, T', H', W')."""
        if not (self.training and torch.is_grad_enabled() and x.device.type == "cpu"):
            return super().forward(x)
        (time, height, width), (over_time, over_height, over_width) = self.kernel_size, self.stride
        if (time, height, width) == (1, 1, 1) and self.groups == 1:
            kept = x[:, :, ::over_time, ::over_height, ::over_width]
            return _channels_first(functional.linear(_channels_last(kept), self.weight.flatten(1)))
        if time == 1:
            return self._frame_by_frame(x[:, :, ::over_time])
        if height == width == 1 and over_height == over_width == 1:
            return self._place_by_place(x)
        if self.groups == self.in_channels == self.out_channels and over_time == 1:
            y: Tensor = _Depthwise.apply(x.contiguous(memory_format=torch.channels_last_3d), self.weight, self.stride)  # type: ignore[no-untyped-call]
            return y
        return super().forward(x)

    def _frame_by_frame(self, x: Tensor) -> Tensor:
        batch = len(x)
        y = functional.conv2d(
            _frames(x), self.weight[:, :, 0], None, self.stride[1:], tuple(self.padding[1:]), 1, self.groups
        )
        return _clips(y, batch)

    def _place_by_place(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        places = _channels_last(x).contiguous().flatten(2, 3).permute(0, 3, 1, 2)  # (N, a, T, H W)
        y = functional.conv2d(
            places, self.weight[..., 0], None, (self.stride[0], 1), (int(self.padding[0]), 0), 1, self.groups
        )
        return _channels_first(y.permute(0, 2, 3, 1).unflatten(2, (height, width)))


class _Depthwise(torch.autograd.Function):
    """Depthwise convolution with stride 1 in time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: Sizes3) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return functional.conv3d(x, weight, None, stride, _same(weight), 1, len(weight))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, None]:
        x, weight = ctx.saved_tensors
        grad = grads[0].contiguous(memory_format=torch.channels_last_3d)
        batch, frames = len(x), x.shape[2]
        taps, middle = weight.shape[2], weight.shape[2] // 2
        flat_x = _frames(x)
        to_x = torch.zeros_like(flat_x) if ctx.needs_input_grad[0] else None
        to_weight = torch.zeros_like(weight)
        for tap in range(taps):  # frame t of the output is made of frame t + shift of the input
            shift = tap - middle
            here = _without_ends(grad, shift)
            first, last = max(-shift, 0), batch * frames - max(shift, 0)
            source, target = flat_x[first + shift : last + shift], here[first:last]
            into_x, into_weight, _ = torch.ops.aten.convolution_backward(
                target, source, weight[:, :, tap].contiguous(), None, ctx.stride[1:], _same(weight)[1:], (1, 1), False,
                (0, 0), len(weight), [to_x is not None, True, False],
            )  # fmt: skip
            to_weight[:, :, tap] = into_weight
            if to_x is not None:
                to_x[first + shift : last + shift] += into_x
        return None if to_x is None else _clips(to_x, batch), to_weight, None


def _without_ends(grad: Tensor, shift: int) -> Tensor:
    """Frames of the gradient, those without a partner in their own clip set to 0."""
    if shift == 0:
        return _frames(grad)
    kept = grad.clone(memory_format=torch.channels_last_3d)
    if shift > 0:
        kept[:, :, -shift:] = 0
    else:
        kept[:, :, :-shift] = 0
    return _frames(kept)


def _same(weight: Tensor) -> Sizes3:
    time, height, width = weight.shape[2:]
    return time // 2, height // 2, width // 2


def _channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 4, 1)


def _channels_first(x: Tensor) -> Tensor:
    return x.permute(0, 4, 1, 2, 3)


def _frames(x: Tensor) -> Tensor:
    """(N, C, T, H, W) -> (N T, C, H, W), channels-last memory; a view where it is so already."""
    return _channels_last(x).flatten(0, 1).permute(0, 3, 1, 2)


def _clips(frames: Tensor, batch: int) -> Tensor:
    """The inverse of `_frames`."""
    return frames.permute(0, 2, 3, 1).unflatten(0, (batch, -1)).permute(0, 4, 1, 2, 3)
