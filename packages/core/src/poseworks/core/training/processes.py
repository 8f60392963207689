"""The processes of a run under ``torchrun``: gradients averaged, weights equal, one that writes.

Gradients are averaged in one flat vector after the backward pass instead of by DistributedDataParallel: that one sorts
its buckets anew after the first step, so that a resumed run would add in another order and differ in the last bits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from poseworks.core.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """Which process this is of how many."""

    rank: int
    size: int


def place() -> Place:
    """This process among those that ``torchrun`` started, or alone."""
    if "RANK" not in os.environ:
        return Place(0, 1)
    return Place(int(os.environ["RANK"]), int(os.environ.get("WORLD_SIZE", "1")))


@dataclass(frozen=True)
class Processes(Place):
    """The processes of a run, seen from this one; alone, all methods do nothing."""

    device: torch.device

    def wait(self) -> None:
        """Returns when all processes have come here."""
        if self.size > 1:
            dist.barrier()

    def average_gradients(self, weights: Sequence[Tensor]) -> None:
        """Replaces each gradient by its mean over the processes; a weight that none of them used keeps none."""
        if self.size == 1:
            return
        flat = [torch.zeros_like(w).flatten() if w.grad is None else w.grad.flatten() for w in weights]
        used = torch.tensor([float(w.grad is not None) for w in weights], device=self.device)
        joined = torch.cat([*flat, used.to(flat[0].dtype)])
        dist.all_reduce(joined)
        used = joined[-len(weights) :]
        start = 0
        for i, weight in enumerate(weights):
            if used[i] > 0:
                weight.grad = (joined[start : start + weight.numel()] / self.size).view_as(weight)
            start += weight.numel()

    def mean(self, values: Tensor) -> Tensor:
        """Mean of `values` over the processes."""
        if self.size > 1:
            dist.all_reduce(values)
            values = values / self.size
        return values

    def share_weights(self, network: nn.Module) -> None:
        """Gives every process the weights and buffers of the first."""
        if self.size > 1:
            for tensor in network.state_dict().values():
                dist.broadcast(tensor, src=0)

    def share_buffers(self, network: nn.Module) -> None:
        """Gives every process the buffers (running statistics) of the first."""
        if self.size > 1:
            for tensor in network.buffers():
                dist.broadcast(tensor, src=0)

    def from_first(self, value: T) -> T:
        """The first process's `value`, in all of them."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=self.device)
        return box[0]


@contextmanager
def processes(device: torch.device | str) -> Iterator[Processes]:
    """The processes that ``torchrun`` started, joined (NCCL on GPUs, one each; gloo on CPUs), or this one alone.

    Raises:
        ConfigError: the device is not here.
    """
    device = torch.device(device)
    size = place().size
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ConfigError(f"device {device}: no GPU is usable here. Use cpu.")
        if size > 1:
            device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    if size == 1:
        yield Processes(0, 1, device)
        return
    joined = not dist.is_initialized()
    if joined:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), device)
    finally:
        if joined:
            dist.destroy_process_group()
