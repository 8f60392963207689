"""DeciWatch: estimate every N-th frame alone and recover the rest (Zeng et al. 2022, ECCV, sec. 3).

    X0  = X at the sampled frames 0, N, 2N, ..., else 0        window L = N Q + 1
    h   = encoder(A X0 + a)          self-attention over the sampled frames            sec. 3.2, DenoiseNet
    den = B h + b + X0
    Z   = linear interpolation of den between sampled frames                           sec. 3.3, RecoverNet
    g   = decoder(conv5(Z), h)       self-attention, then cross-attention to h
    rec = E g + e + Z

The published masks are integers. The toolkit turned them into booleans: unsampled frames are hidden from
cross-attention ("masked"). On the torch versions of the paper's repository the integers were added to the logits
instead: unsampled frames are seen, and favoured by +1 ("additive"). Weights need the behaviour they were trained with.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field, PositiveInt, model_validator
from torch import Tensor, nn

from poseworks.core.inference import needs_layers
from poseworks.core.shapes import expect_shape
from poseworks.temporal.deciwatch_inference import infer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from poseworks.temporal.preparation import Preparation


class DeciWatchConfig(BaseModel, frozen=True, extra="forbid"):
    """Sizes of a DeciWatch. The defaults are the paper's model for 3DPW with SPIN, in 3D."""

    kind: Literal["deciwatch"] = "deciwatch"
    channels: PositiveInt = 42  # C; 1: the network is applied to each channel alone
    interval: PositiveInt = 10  # N
    q: PositiveInt = 10  # Q
    width: PositiveInt = 32  # D
    heads: PositiveInt = 4
    feedforward: PositiveInt = 256
    layers: PositiveInt = 5
    dropout: float = Field(0.1, ge=0, lt=1)
    pre_norm: bool = True
    cross_attention: Literal["masked", "additive"] = "additive"

    @model_validator(mode="after")
    def _width_splits(self) -> Self:
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"width ({self.width}) must be even and a multiple of heads ({self.heads}).")
        return self

    @property
    def window(self) -> int:
        """L, frames of a window."""
        return self.interval * self.q + 1


class Attention(nn.Module):
    """Multi-head attention with one packed input projection: (B, L, D), (B, S, D), (B, S, D) -> (B, L, D)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """`mask` (L, S) is added to the logits."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (self._split(F.linear(x, w, b)) for x, w, b in zip((query, key, value), weights, biases, strict=True))
        mixed = F.scaled_dot_product_attention(q, k, v, mask, dropout_p=self.dropout if self.training else 0.0)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, heads, L, D / heads)."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward over tokens (B, L, D) at positions (L, D)."""

    def __init__(self, config: DeciWatchConfig) -> None:
        super().__init__()
        width = config.width
        self.pre_norm = config.pre_norm
        self.self_attn = Attention(width, config.heads, config.dropout)
        self.linear1 = nn.Linear(width, config.feedforward)
        self.linear2 = nn.Linear(config.feedforward, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)

    def feed_forward(self, h: Tensor) -> Tensor:
        """D -> feedforward -> D."""
        out: Tensor = self.dropout(self.linear2(self.dropout(F.leaky_relu(self.linear1(h), 0.01))))
        return out

    def attend_self(self, h: Tensor, position: Tensor, mask: Tensor | None) -> Tensor:
        """Queries and keys know their positions; values do not."""
        at = h + position
        out: Tensor = self.dropout(self.self_attn(at, at, h, mask))
        return out

    def forward(self, h: Tensor, position: Tensor, mask: Tensor | None) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        if self.pre_norm:
            h = h + self.attend_self(self.norm1(h), position, mask)
            return h + self.feed_forward(self.norm2(h))
        h = self.norm1(h + self.attend_self(h, position, mask))
        out: Tensor = self.norm2(h + self.feed_forward(h))
        return out


class DecoderLayer(EncoderLayer):
    """An encoder layer with cross-attention to the memory between its two halves."""

    def __init__(self, config: DeciWatchConfig) -> None:
        super().__init__(config)
        self.multihead_attn = Attention(config.width, config.heads, config.dropout)
        self.norm3 = nn.LayerNorm(config.width)

    def attend(self, g: Tensor, position: Tensor, keys: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Cross-attention; `keys` are the memory with its positions."""
        out: Tensor = self.dropout(self.multihead_attn(g + position, keys, memory, mask))
        return out

    def decode(self, g: Tensor, position: Tensor, keys: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """(B, L, D) and memory (B, S, D) -> (B, L, D)."""
        if self.pre_norm:
            g = g + self.attend_self(self.norm1(g), position, None)
            g = g + self.attend(self.norm2(g), position, keys, memory, mask)
            return g + self.feed_forward(self.norm3(g))
        g = self.norm1(g + self.attend_self(g, position, None))
        g = self.norm2(g + self.attend(g, position, keys, memory, mask))
        out: Tensor = self.norm3(g + self.feed_forward(g))
        return out


class Encoder(nn.Module):
    """A stack of encoder layers; only the pre-norm form ends in a norm."""

    def __init__(self, config: DeciWatchConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width) if config.pre_norm else None

    def __iter__(self) -> Iterator[EncoderLayer]:
        return iter(cast("list[EncoderLayer]", list(self.layers)))

    def forward(self, h: Tensor, position: Tensor, mask: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        for layer in self:
            h = layer(h, position, mask)
        return h if self.norm is None else self.norm(h)


class Decoder(nn.Module):
    """A stack of decoder layers and a norm."""

    def __init__(self, config: DeciWatchConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def __iter__(self) -> Iterator[DecoderLayer]:
        return iter(cast("list[DecoderLayer]", list(self.layers)))

    def forward(self, g: Tensor, position: Tensor, keys: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """(B, L, D) and memory (B, S, D) -> (B, L, D)."""
        for layer in self:
            g = layer.decode(g, position, keys, memory, mask)
        out: Tensor = self.norm(g)
        return out


class Transformer(nn.Module):
    """The layers of both networks, under the names of the published checkpoints."""

    def __init__(self, config: DeciWatchConfig) -> None:
        super().__init__()
        self.decoder_embed = nn.Conv1d(config.channels, config.width, kernel_size=5, padding=2)
        self.encoder_embed = nn.Linear(config.channels, config.width)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.decoder_joints_embed = nn.Linear(config.width, config.channels)
        self.encoder_joints_embed = nn.Linear(config.width, config.channels)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)


class DeciWatch(nn.Module):
    """(N, L, C) windows of which frames 0, N, 2N, ... are read -> (recovered, denoised), both (N, L, C)."""

    position: Tensor
    sampled: Tensor
    preparation: Preparation | None = None  # what the weights are fed with, where it is known
    source: str = ""  # where the weights came from, and the SHA-256 of their file
    sha256: str = ""

    def __init__(self, config: DeciWatchConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or DeciWatchConfig()
        self.transformer = Transformer(config)
        self.register_buffer("position", positional_table(config.window, config.width), persistent=False)
        self.register_buffer("sampled", torch.arange(config.window) % config.interval == 0, persistent=False)

    @property
    def window(self) -> int:
        """Frames of a window, L."""
        return self.config.window

    @property
    def stride(self) -> int:
        """Frames between windows as published: the interval."""
        return self.config.interval

    @property
    def reads(self) -> Tensor:
        """(L,) bool: the sampled frames; the values of others never matter."""
        return self.sampled.clone()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, L, C) -> (recovered, denoised), both (N, L, C). Unsampled frames may be anything, NaN as well.

        Raises:
            ShapeError: `x` is not (N, L, C).
        """
        self._check(x)
        if torch.is_grad_enabled() or self.training or needs_layers(x):
            return self.layers(x)
        return infer(self, x, denoise_all=True)

    def layers(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`forward` without its check: for training and export."""
        t = self.transformer
        blank = torch.where(self.sampled[:, None], x, 0.0)
        logits = torch.zeros_like(self.position[:, 0])
        attend_sampled = logits.masked_fill(~self.sampled, -math.inf).expand(self.window, -1)
        not_oneself = torch.eye(self.window, dtype=torch.bool, device=x.device)
        memory = t.encoder(t.encoder_embed(blank), self.position, attend_sampled.masked_fill(not_oneself, -math.inf))
        denoised = t.encoder_joints_embed(memory) + blank
        z = interpolate(denoised[:, :: self.config.interval], self.config.interval)
        if self.config.cross_attention == "masked":
            mask = attend_sampled
        else:
            mask = logits.masked_fill(~self.sampled, 1.0).expand(self.window, -1)
        return self._recover(z, memory, self.position, mask), denoised

    @torch.no_grad()
    def run_windows(self, x: Tensor) -> Tensor:
        """Recovered windows (N, L, C) of windows (N, L, C), without gradients.

        A network of one channel is applied to each channel of `x`, whatever their number, and sees each window
        `normalised`: so neither the origin nor the unit matters to it.

        Raises:
            ShapeError: `x` is not (N, L, C).
        """
        if self.config.channels == 1 and x.dim() == 3:
            windows, frames, channels = x.shape
            alone, mean, spread = normalised(x.transpose(1, 2).reshape(-1, frames, 1), self.config.interval)
            self._check(alone)
            smoothed: Tensor = self(alone)[0] * spread + mean
            return smoothed.view(windows, channels, frames).transpose(1, 2)
        self._check(x)
        if needs_layers(x):
            return self.layers(x)[0]
        return infer(self, x, denoise_all=False)[0]

    def interpolation(self) -> Tensor:
        """(L, Q + 1): the weight of each sampled frame in each frame."""
        eye = torch.eye(self.config.q + 1, dtype=self.position.dtype, device=self.position.device)
        return interpolate(eye[None], self.config.interval)[0]

    def _recover(self, z: Tensor, memory: Tensor, memory_position: Tensor, mask: Tensor | None) -> Tensor:
        t = self.transformer
        g = t.decoder_embed(z.transpose(1, 2)).transpose(1, 2)
        g = t.decoder(g, self.position, memory + memory_position, memory, mask)
        recovered: Tensor = t.decoder_joints_embed(g) + z
        return recovered

    def _check(self, x: Tensor) -> None:
        n, q = self.config.interval, self.config.q
        expect_shape(
            "x", x, f"N L={self.window} C={self.config.channels}", fix=f"L = interval x q + 1 = {n} x {q} + 1."
        )


def positional_table(window: int, width: int) -> Tensor:
    """(L, D) sines and cosines; positions are scaled to 2 pi, and the exponent 2 i / (D / 2) is as published."""
    position = 2 * math.pi * torch.arange(window, dtype=torch.float64) / (window - 1 + 1e-6)
    i = torch.arange(width // 2, dtype=torch.float64)
    angle = position[:, None] / 10000 ** (2 * i / (width // 2))
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1).float()


def interpolate(sampled: Tensor, interval: int) -> Tensor:
    """(N, Q + 1, C) at the sampled frames -> (N, interval Q + 1, C), linear in between."""
    weight = torch.arange(interval, dtype=sampled.dtype, device=sampled.device)[:, None] / interval
    before, after = sampled[:, :-1, None], sampled[:, 1:, None]
    between = before * (1 - weight) + after * weight
    return torch.cat([between.flatten(1, 2), sampled[:, -1:]], dim=1)


def normalised(x: Tensor, interval: int) -> tuple[Tensor, Tensor, Tensor]:
    """Windows (N, L, C) less the mean of their sampled frames, over their spread; and mean and spread (N, 1, C)."""
    sampled = x[:, ::interval]
    mean = sampled.mean(dim=1, keepdim=True)
    spread = ((sampled - mean).square().mean(dim=1, keepdim=True) + 1e-12).sqrt()
    return (x - mean) / spread, mean, spread


def zero_output_layers(network: DeciWatch) -> DeciWatch:
    """The same network, its two output layers at zero: it begins as linear interpolation of the sampled frames."""
    for layer in (network.transformer.encoder_joints_embed, network.transformer.decoder_joints_embed):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return network
