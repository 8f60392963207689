"""What the inference paths of networks share: when they apply, and memory that is used again."""

from __future__ import annotations

import math
import threading

import torch
from torch import Tensor

_memory = threading.local()


def needs_layers(x: Tensor) -> bool:
    """Whether the inference paths, which are made for float32 on a CPU, do not suit this input."""
    special = torch.compiler.is_compiling() or torch.is_autocast_enabled(x.device.type)
    return special or x.device.type != "cpu" or x.dtype != torch.float32


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
