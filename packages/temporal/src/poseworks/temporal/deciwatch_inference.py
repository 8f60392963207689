"""DeciWatch without gradients: the numbers of `DeciWatch.layers`, leaving out work that cannot matter.

- Keys and values of the encoder, and in masked mode those of cross-attention, come from the Q + 1 sampled frames alone:
  all others have weight 0. Where only `recovered` is asked for in masked mode, the encoder runs on these frames alone.
- Positions are added to queries and keys before a linear map: (h + P) W = h W + P W; P W is the same for all windows.
- Interpolation and the convolution over time after it are linear: channels are mapped first, at the sampled frames.
- Logits are keys x queries, so that a softmax goes down columns: rows of a few numbers are slow.
- Large buffers are used again; fresh memory costs more than the arithmetic on it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poseworks.core.inference import buffer

if TYPE_CHECKING:
    from poseworks.temporal.deciwatch import Attention, DeciWatch, DecoderLayer, EncoderLayer

_BLOCK_TOKENS = 4096  # frames worked on at a time, over all windows: measured best
_LOG2_E = math.log2(math.e)
_SAFE_EXPONENT = 64.0  # powers of two up to here neither overflow nor vanish, summed over any window


def infer(network: DeciWatch, x: Tensor, denoise_all: bool) -> tuple[Tensor, Tensor]:
    """(recovered (N, L, C), denoised) of windows (N, L, C); denoised at all frames, or at the sampled ones alone."""
    config = network.config
    recovered = x.new_empty(x.shape)
    denoised = x.new_empty(len(x), config.window if denoise_all else config.q + 1, config.channels)
    run = _Inference(network, denoise_all)
    block = max(1, _BLOCK_TOKENS // config.window)
    for start in range(0, len(x), block):
        part = slice(start, start + block)
        run.windows(x[part], recovered[part], denoised[part])
    return recovered, denoised


class _Inference:
    """One call: what all blocks of windows share."""

    def __init__(self, network: DeciWatch, denoise_all: bool) -> None:
        self.network = network
        self.step = network.config.interval
        self.additive = network.config.cross_attention == "additive"
        self.denoise_all = denoise_all
        self.all_tokens = denoise_all or self.additive  # of the encoder
        self.between = network.interpolation()
        # Unsampled memory frames: +1 on their logits.
        self.bias = 1.0 - network.sampled.to(network.position.dtype) if self.additive else None

    def windows(self, x: Tensor, recovered: Tensor, denoised: Tensor) -> None:
        """A block of windows; writes to `recovered` and `denoised`."""
        t, position, step = self.network.transformer, self.network.position, self.step
        sampled = x[:, ::step].contiguous()
        memory_position = position
        h = F.linear(sampled, t.encoder_embed.weight, t.encoder_embed.bias)
        if self.all_tokens:
            spread = t.encoder_embed.bias.repeat(len(x), self.network.window, 1)
            spread[:, ::step] = h
            h = spread
        else:
            memory_position = position[::step]
        for layer in t.encoder:
            h = self.encode(layer, h, memory_position, step if self.all_tokens else 1)
        if t.encoder.norm is not None:
            h = _norm(t.encoder.norm, h)
        if self.all_tokens and not self.additive:
            memory, memory_position = h[:, ::step].contiguous(), position[::step]
        else:
            memory = h
        seen = h if self.denoise_all else h[:, ::step] if self.all_tokens else h
        torch.add(F.linear(seen, t.encoder_joints_embed.weight), t.encoder_joints_embed.bias, out=denoised)
        at_sampled = denoised[:, ::step] if self.denoise_all else denoised
        at_sampled += sampled

        g = self.embed(at_sampled)
        for layer in t.decoder:
            g = self.decode(layer, g, memory, memory_position)
        g = _norm(t.decoder.norm, g)
        # The weights of an interpolation sum to 1: a bias may be added before it.
        torch.matmul(self.between, at_sampled + t.decoder_joints_embed.bias, out=recovered)
        recovered.flatten(0, 1).addmm_(g.flatten(0, 1), t.decoder_joints_embed.weight.T)

    def embed(self, at_sampled: Tensor) -> Tensor:
        """The convolution over the interpolated track: (B, S, C) -> (B, L, D)."""
        conv = self.network.transformer.decoder_embed
        assert conv.bias is not None
        windows, samples, channels = at_sampled.shape
        taps = conv.weight.permute(2, 0, 1).reshape(-1, channels)  # (5 D, C)
        mapped = F.linear(at_sampled, taps).view(windows, 5 * samples, -1)
        frames = len(self.between)
        padded = F.pad(self.between, (0, 0, 2, 2))  # zeros on both sides of the window
        shifted = torch.stack([padded[tap : tap + frames] for tap in range(5)], dim=2)  # (L, S, 5)
        return torch.matmul(shifted.flatten(1), mapped).add_(conv.bias)

    def encode(self, layer: EncoderLayer, h: Tensor, position: Tensor, step: int) -> Tensor:
        """An encoder layer whose keys are the frames 0, step, 2 step, ...; none attends to itself."""
        y = _norm(layer.norm1, h) if layer.pre_norm else h
        if step == 1:
            q, k, v = self.project(layer.self_attn, y, position, 0, 3)
        else:
            (q,) = self.project(layer.self_attn, y, position, 0, 1)
            k, v = self.project(layer.self_attn, y[:, ::step], position[::step], 1, 3)
        h = self.mix(layer.self_attn, q, k, v, None, own=step).add_(h)
        return self.finish(layer, h, layer.norm1, layer.norm2)

    def decode(self, layer: DecoderLayer, g: Tensor, memory: Tensor, memory_position: Tensor) -> Tensor:
        """A decoder layer."""
        position = self.network.position
        y = _norm(layer.norm1, g) if layer.pre_norm else g
        q, k, v = self.project(layer.self_attn, y, position, 0, 3)
        g = self.mix(layer.self_attn, q, k, v, None).add_(g)
        if not layer.pre_norm:
            g = _norm(layer.norm1, g)
        y = _norm(layer.norm2, g) if layer.pre_norm else g
        cross = layer.multihead_attn
        (q,) = self.project(cross, y, position, 0, 1)
        k, v = self.project(cross, memory, memory_position, 1, 3)
        g = self.mix(cross, q, k, v, self.bias).add_(g)
        return self.finish(layer, g, layer.norm2, layer.norm3)

    def finish(self, layer: EncoderLayer, h: Tensor, before: nn.LayerNorm, after: nn.LayerNorm) -> Tensor:
        """Feed-forward; post-norm: after the norm of the attention before it."""
        if not layer.pre_norm:
            h = _norm(before, h)
        y = (_norm(after, h) if layer.pre_norm else h).flatten(0, 1)
        first, second = layer.linear1, layer.linear2
        z = buffer("feedforward", len(y), first.out_features)
        F.leaky_relu_(torch.addmm(first.bias, y, first.weight.T, out=z), 0.01)
        h = F.linear(z, second.weight, second.bias).view_as(h).add_(h)
        return h if layer.pre_norm else _norm(after, h)

    def project(self, attention: Attention, h: Tensor, position: Tensor, first: int, last: int) -> tuple[Tensor, ...]:
        """Some of query, key and value of tokens (B, L, D), each (B, heads, L, D / heads)."""
        windows, frames, width = h.shape
        weight = attention.in_proj_weight[first * width : last * width]
        table = attention.in_proj_bias[first * width : last * width].repeat(frames, 1)
        know = (2 - first) * width  # queries and keys know their positions, values do not
        table[:, :know].addmm_(position, weight[:know].T)
        packed = buffer(f"project{first}", windows, frames, len(weight))
        packed.copy_(table)
        packed.view(-1, len(weight)).addmm_(h.reshape(-1, width), weight.T)
        return packed.view(windows, frames, last - first, attention.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)

    def mix(self, attention: Attention, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, own: int = 0) -> Tensor:
        """Attention and its output projection: (B, heads, L, d), (B, heads, S, d) twice -> (B, L, D).

        With `own`, query l = own s does not attend to key s.
        """
        windows, heads, frames, size = q.shape
        keys = k.shape[2]
        if size >= 8 and keys >= 32:  # large enough for torch's own
            mask = None if bias is None else bias.expand(frames, -1)
            mixed = F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).reshape(windows * frames, -1)
        else:
            columns = (q * (_LOG2_E / math.sqrt(size))).reshape(-1, frames, size).mT
            rows = k.reshape(-1, keys, size)
            logits = torch.bmm(rows, columns, out=buffer("logits", len(rows), keys, frames))
            if own:
                logits[:, :, ::own].diagonal(dim1=1, dim2=2).fill_(-math.inf)
            if bias is not None:
                logits += _LOG2_E * bias[:, None]
            if not size * _largest(columns) * _largest(rows) < _SAFE_EXPONENT - 2:
                logits -= logits.amax(1, keepdim=True)
            total = logits.exp2_().sum(1, keepdim=True)
            mixed = torch.bmm(v.reshape(-1, keys, size).mT, logits).div_(total)
            mixed = mixed.view(windows, heads * size, frames).mT.reshape(windows * frames, -1)
        out = attention.out_proj
        return F.linear(mixed, out.weight, out.bias).view(windows, frames, -1)


def _largest(x: Tensor) -> float:
    """Largest absolute value; NaN if there is one, 0 for none at all."""
    if not x.numel():
        return 0.0
    low, high = torch.aminmax(x)
    return max(-float(low), float(high))


def _norm(norm: nn.LayerNorm, h: Tensor) -> Tensor:
    return F.layer_norm(h, h.shape[-1:], norm.weight, norm.bias, norm.eps)
