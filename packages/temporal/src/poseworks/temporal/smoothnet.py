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

from poseworks.core.inference import buffer, needs_layers
from poseworks.core.shapes import expect_shape

if TYPE_CHECKING:
    from typing import Self

    from poseworks.temporal.preparation import Preparation

# Hidden activations of a block, 2 MiB: measured best; smaller ones fit a nearer cache, but then calls cost more.
_BLOCK_FLOATS = 512 * 1024


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
    def run_windows(self, x: Tensor) -> Tensor:
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
        config = self.config
        frames, windows, channels = x.shape
        out = x.new_empty(config.output, windows, channels)
        if not out.numel():
            return out
        most = max(1, _BLOCK_FLOATS // config.hidden)  # columns
        if channels > most:
            return torch.cat([self._infer(part) for part in torch.split(x, most, dim=2)], dim=2)
        encoder, *pairs, decoder = self._columns()
        step = most // channels
        for start in range(0, windows, step):
            part = x[:, start : start + step]
            width = part.shape[1] * channels
            columns = buffer("columns", frames, width)
            columns.view(part.shape).copy_(part)
            hidden, wide = buffer("hidden", config.hidden, width), buffer("wide", config.hidden, width)
            narrow = buffer("narrow", config.residual_hidden, width)
            F.leaky_relu_(torch.addmm(*encoder, columns, out=hidden), 0.1)
            for first, second in zip(pairs[::2], pairs[1::2], strict=True):
                F.leaky_relu_(torch.addmm(*first, hidden, out=narrow), 0.2)
                F.leaky_relu_(torch.addmm(*second, narrow, out=wide), 0.2)
                hidden += wide
            torch.addmm(*decoder, hidden, out=out.flatten(1)[:, start * channels : start * channels + width])
        return out

    def _columns(self) -> list[tuple[Tensor, Tensor]]:
        """Bias (O, 1) and weight (O, I) of every layer in turn, which act on columns."""
        layers = [layer for layer in self.modules() if isinstance(layer, nn.Linear)]
        return [(layer.bias[:, None], layer.weight) for layer in layers]
