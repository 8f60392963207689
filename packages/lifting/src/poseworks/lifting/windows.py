"""A lifting network as a network of windows: what cutting, merging and streaming in core ask for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from poseworks.core.errors import ConfigError
from poseworks.lifting.ehgformer import JOINTS, EHGFormer
from poseworks.lifting.flipping import flip_average
from poseworks.lifting.lcn import LCN

CHANNELS = 3 * JOINTS
_FRAMES_AT_ONCE = 256  # of an LCN
_NUMBERS_AT_ONCE = 2**21  # in one layer's activations of an EHGFormer


class LiftingWindows:
    """Windows (N, W, 51) of prepared keypoints to windows (N, W, 51) of the network's answer.

    An LCN has windows of one frame; an EHGFormer those it was trained with, and takes shorter clips as they are.

    Args:
        network: an LCN or an EHGFormer.
        flip: average the answer with the one to the mirrored input.
        overlap: share of a window that the next one covers again, from 0 to below 1.
        done: called with how many windows have been lifted.

    Raises:
        ConfigError: another network.
    """

    def __init__(
        self, network: nn.Module, *, flip: bool, overlap: float, done: Callable[[int], None] | None = None
    ) -> None:
        if not isinstance(network, LCN | EHGFormer):
            raise ConfigError(
                f"network: expected an LCN or an EHGFormer, got a {type(network).__name__}, which does not lift."
            )
        self.network, self.flip = network, flip
        self.done = done
        self.features = network.config.in_features if isinstance(network, LCN) else 3
        self.window = 1 if isinstance(network, LCN) else network.window
        self.stride = max(1, int(self.window * (1 - overlap) + 1e-9))
        self.reads = torch.ones(self.window, dtype=torch.bool)

    @property
    def chunk_frames(self) -> int:
        """Frames to work on at a time, so that the activations stay small."""
        if isinstance(self.network, LCN):
            return _FRAMES_AT_ONCE
        windows = max(1, _NUMBERS_AT_ONCE // (self.window * JOINTS * self.network.config.width))
        return self.window + (windows - 1) * self.stride

    @torch.no_grad()
    def run_windows(self, x: Tensor) -> Tensor:
        """(N, W, 51) -> (N, W, 51), on the network's device; a single clip may be shorter than W."""
        parameter = next(self.network.parameters())
        windows = torch.unflatten(x.to(parameter.device, parameter.dtype), 2, (JOINTS, 3))[..., : self.features]
        shaped = windows.flatten(0, 1) if isinstance(self.network, LCN) else windows
        y: Tensor = flip_average(self.network, shaped) if self.flip else self.network(shaped)
        if self.done is not None:
            self.done(len(x))
        return y.reshape(*x.shape[:2], CHANNELS).to(x.device, x.dtype)
