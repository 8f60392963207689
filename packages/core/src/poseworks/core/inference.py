"""What the inference paths of networks share: when they apply, and memory that is used again."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

_memory = threading.local()
Made = TypeVar("Made")


def needs_layers(x: Tensor) -> bool:
    """Whether the inference paths, which are made for float32 on a CPU, do not suit this input."""
    elsewhere = x.device.type != "cpu" or x.dtype != torch.float32
    return elsewhere or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu")


def buffer(name: str, *shape: int) -> Tensor:
    """Memory of this thread to write to, whatever it held before; float32 on the CPU.

    It is held between calls: the first touch of fresh pages costs more than the arithmetic on them.
    """
    size = math.prod(shape)
    held: dict[str, Tensor] = _memory.__dict__
    if name not in held or held[name].numel() < size:
        with torch.inference_mode(False):  # a tensor made in inference mode could not be written to outside it
            held[name] = torch.empty(size)
    return held[name][:size].view(shape)


class Derived(Generic[Made]):
    """What inference makes of a network's weights, made again where something changed.

    It is kept until a parameter or a buffer changes in place, by torch's count of versions. What changes through
    ``.data``, or takes a parameter's place, is not seen before `forget`, which the network calls in `train` and
    `_apply`. Copies of a network make their own.
    """

    def __init__(self) -> None:
        self._tensors: tuple[Tensor, ...] | None = None
        self._made: tuple[tuple[int, ...], Made] | None = None

    def of(self, network: nn.Module, make: Callable[[], Made]) -> Made:
        """What `make` gives of the weights as they are now."""
        if self._tensors is None:  # looking for them takes as long as a frame
            self._tensors = (*network.parameters(), *network.buffers())
        if any(tensor.is_inference() for tensor in self._tensors):  # these have no versions
            return make()
        key = tuple(number for tensor in self._tensors for number in (tensor.data_ptr(), tensor._version))
        if self._made is None or self._made[0] != key:
            self._made = (key, make())
        return self._made[1]

    def forget(self) -> None:
        """Makes it anew the next time."""
        self._tensors = self._made = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_tensors": None, "_made": None}
