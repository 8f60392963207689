"""Batch norm over the samples of all processes, on GPUs and CPUs (torch's own refuses a CPU).

    mean = sum_p sum x / n,   variance = sum_p sum (x - mean)^2 / n,   n = samples of all processes

Sums over the processes are part of the graph: the gradient of each goes back to all.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from poseworks.core.errors import ShapeError


class _SumOverProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


class SharedBatchNorm(_BatchNorm):
    """A batch norm with the statistics of all processes; weights and buffers are called as those of torch's."""

    def _check_input_dim(self, x: Tensor) -> None:
        if x.dim() < 2:
            raise ShapeError(f"input of a batch norm: expected (N, C, ...), got {tuple(x.shape)}.")

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> the same."""
        if not (self.training and dist.is_initialized() and dist.get_world_size() > 1):
            return super().forward(x)
        self._check_input_dim(x)
        dtype, x = x.dtype, x.float()
        channels = (1, -1, *[1] * (x.dim() - 2))
        axes = [0, *range(2, x.dim())]
        size = x.new_tensor([x.numel() / x.shape[1]])
        sums: Tensor = _SumOverProcesses.apply(torch.cat([x.sum(axes), size]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = x - mean.view(channels)
        variance: Tensor = _SumOverProcesses.apply(centred.square().sum(axes)) / count
        self._follow(mean.detach(), variance.detach() * (count / (count - 1).clamp(min=1)))
        y = centred * (variance + self.eps).rsqrt().view(channels)
        if self.affine:
            y = y * self.weight.view(channels) + self.bias.view(channels)
        return y.to(dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Moves the running statistics, as torch's batch norm does."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def share_batch_norms(network: nn.Module) -> nn.Module:
    """The network, in place, with a `SharedBatchNorm` of the same tensors for every batch norm in it."""
    if isinstance(network, _BatchNorm) and not isinstance(network, SharedBatchNorm):
        shared = SharedBatchNorm(
            network.num_features, network.eps, network.momentum, network.affine, network.track_running_stats
        )
        shared._parameters, shared._buffers = network._parameters, network._buffers
        shared.training = network.training
        return shared
    for name, child in network.named_children():
        replaced = share_batch_norms(child)
        if replaced is not child:
            setattr(network, name, replaced)
    return network
