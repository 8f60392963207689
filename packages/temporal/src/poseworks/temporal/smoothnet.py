"""SmoothNet: smooth one number over time with a small residual network (Zeng et al. 2022, ECCV, sec. 3.2).

    h = leaky(A_e x + b_e, 0.1)                          W -> H
    h = h + leaky(A_2 leaky(A_1 h + b_1, 0.2) + b_2, 0.2)   H -> R -> H, B times
    y = A_d h + b_d                                      H -> W'

Each channel (an axis of a joint) is a row of its own, and all layers act on its W frames. This is the network of the
published weights; the paper's three-branch form (position, velocity, acceleration) was never released. The input
has no skip to the output: values must have the scale that the weights were trained with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field, PositiveInt, model_validator
from torch import Tensor, nn

from poseworks.core.shapes import expect_shape

if TYPE_CHECKING:
    from typing import Self

    from poseworks.temporal.preparation import Preparation

_BLOCK_FLOATS = 64 * 1024  # hidden activations of a block: 256 KiB, about half of a core's second-level cache


class SmoothNetConfig(BaseModel, frozen=True, extra="forbid"):
    """Sizes of a SmoothNet. The defaults are the paper's 3DPW model for windows of 32 frames."""

    kind: Literal["smoothnet"] = "smoothnet"
    window: PositiveInt = 32  # W
    output: PositiveInt = 32  # W'
    hidden: PositiveInt = 512  # H
    residual_hidden: PositiveInt = 16  # R
    blocks: int = Field(1, ge=0)  # B
    dropout: float = Field(0.5, ge=0, lt=1)

    @model_validator(mode="after")
    def _output_fits(self) -> Self:
        if self.output > self.window:
            raise ValueError(f"output ({self.output}) must not exceed window ({self.window}). Lower output.")
        return self


class ResidualBlock(nn.Module):
    """Second line of the equations: (..., H) -> (..., H); both layers are activated."""

    def __init__(self, hidden: int, residual_hidden: int, dropout: float) -> None:
        super().__init__()
        self.linear1 = nn.Linear(hidden, residual_hidden)
        self.linear2 = nn.Linear(residual_hidden, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor) -> Tensor:
        """(..., H) -> (..., H)."""
        y = F.leaky_relu(self.dropout(self.linear1(h)), 0.2)
        y = F.leaky_relu(self.dropout(self.linear2(y)), 0.2)
        return h + y


class SmoothNet(nn.Module):
    """(N, C, W) noisy windows -> (N, C, W') smoothed ones; channels do not mix."""

    stride = 1
    preparation: Preparation | None = None  # what the weights are fed with, where it is known
    source: str = ""  # where the weights came from, and the SHA-256 of their file
    sha256: str = ""

    def __init__(self, config: SmoothNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SmoothNetConfig()
        self.encoder = nn.Sequential(nn.Linear(config.window, config.hidden), nn.LeakyReLU(0.1))
        self.res_blocks = nn.ModuleList(
            ResidualBlock(config.hidden, config.residual_hidden, config.dropout) for _ in range(config.blocks)
        )
        self.decoder = nn.Linear(config.hidden, config.output)

    @property
    def window(self) -> int:
        """Frames of a window, W."""
        return self.config.window

    @property
    def reads(self) -> Tensor:
        """(W,) bool: the frames of a window that the output depends on, all of them."""
        return torch.ones(self.window, dtype=torch.bool)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, W) -> (N, C, W').

        Raises:
            ShapeError: `x` is not (N, C, W).
        """
        expect_shape("x", x, f"N C W={self.window}", fix="SmoothNet takes windows, time last.")
        if torch.is_grad_enabled() or self.training or needs_layers(x):
            return self.layers(x)
        out = self._infer(x.permute(2, 0, 1))
        return out.permute(1, 2, 0).contiguous()

    def layers(self, x: Tensor) -> Tensor:
        """The plain stack of layers, (..., W) -> (..., W'): for training and export."""
        h = self.encoder(x)
        for block in self.res_blocks:
            h = block(h)
        y: Tensor = self.decoder(h)
        return y

    @torch.no_grad()
    def smooth_windows(self, x: Tensor) -> Tensor:
        """Smoothed windows (N, W', C) of windows (N, W, C), without gradients.

        `x` may be an overlapping view, such as `sequence.unfold(0, W, 1).mT`; the result is laid out frame by frame
        (all windows' first frames, then all second ones, ...), so that sums over windows read whole rows.

        Raises:
            ShapeError: `x` is not (N, W, C).
        """
        expect_shape("x", x, f"N W={self.window} C", fix="Time is the middle axis here.")
        if needs_layers(x):
            return self.layers(x.mT).mT
        return self._infer(x.permute(1, 0, 2)).permute(1, 0, 2)

    def _infer(self, x: Tensor) -> Tensor:
        """(W, N, C) -> (W', N, C), in blocks of windows whose activations stay in the cache."""
        frames, windows, channels = x.shape
        out = x.new_empty(self.config.output, windows, channels)
        if not out.numel():
            return out
        step = max(1, _BLOCK_FLOATS // self.config.hidden // channels)
        width = min(step, windows) * channels
        hidden = x.new_empty(self.config.hidden, width)
        narrow = x.new_empty(self.config.residual_hidden, width)
        wide = torch.empty_like(hidden)
        encoder = self.encoder[0]
        assert isinstance(encoder, nn.Linear)
        for start in range(0, windows, step):
            part = x[:, start : start + step].reshape(frames, -1)
            if part.shape[1] != hidden.shape[1]:
                hidden, narrow, wide = (b.new_empty(b.shape[0], part.shape[1]) for b in (hidden, narrow, wide))
            _linear(encoder, part, hidden)
            F.leaky_relu_(hidden, 0.1)
            for block in self.res_blocks:
                assert isinstance(block, ResidualBlock)
                F.leaky_relu_(_linear(block.linear1, hidden, narrow), 0.2)
                F.leaky_relu_(_linear(block.linear2, narrow, wide), 0.2)
                hidden += wide
            out[:, start : start + step] = torch.addmm(self.decoder.bias[:, None], self.decoder.weight, hidden).view(
                self.config.output, -1, channels
            )
        return out


def needs_layers(x: Tensor) -> bool:
    """Whether the path for inference, which is made for float32 on a CPU, does not suit this input."""
    special = torch.compiler.is_compiling() or torch.is_autocast_enabled(x.device.type)
    return special or x.device.type != "cpu" or x.dtype != torch.float32


def _linear(layer: nn.Linear, x: Tensor, out: Tensor) -> Tensor:
    """Layer of columns: weight (O, I) @ x (I, M) + bias, written to `out` (O, M)."""
    return torch.addmm(layer.bias[:, None], layer.weight, x, out=out)
