"""EHGFormer: lift clips by transformers over joints, groups of joints, and time (Image and Vision Computing 154, 2025).

    x = Linear(input) + joint embedding                                  T frames of 17 tokens, C wide
    x = norm_s(S_0 x);  x += frame embedding;  x = norm_t(T_0 x)
    x = norm_s(S_i x);  x = norm_t(T_i x)                                i = 1 ... blocks - 1
    result = Linear(LayerNorm(x))

S_i is a joint-to-joint block and then a joint-to-group block, over the joints of a frame; T_i is over the frames of a
joint. norm_s and norm_t are one layer each for all blocks. With s = d^-0.5, d = C / heads:

    joint to joint      softmax((q k^T + alpha B) s) v                   B learned, one matrix a head
    joint to group      g_e = W_p mean of x over group e;  e_j = g of the group of j
                        softmax((q + w) e^T s) v                         w learned, one vector a head
    time                softmax(q k^T s) v

The published joint-to-group block splits heads from memory in which joints come first as if channels did: "row j of
head h" mixes joints and channels. Its weights need that (`ScrambledGroupAttention`); `OrdinaryEHGFormer` has the
ordinary split.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field, PositiveInt, model_validator
from torch import Tensor, nn

from poseworks.core.shapes import expect_shape
from poseworks.lifting.graphs import PARTITIONS, published_relation
from poseworks.lifting.input_forms import PUBLISHED, Preparation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

JOINTS = 17
_EPS = 1e-6  # of every norm but the head's


class EHGFormerSizes(BaseModel, frozen=True, extra="forbid"):
    """Sizes of an EHGFormer. The defaults are the published full model; `SMALL` holds what differs in the small one."""

    frames: PositiveInt = 243  # the most that a clip may have
    width: PositiveInt = 512  # C
    blocks: PositiveInt = 8
    heads: PositiveInt = 8
    mlp_ratio: float = Field(2.0, gt=0)
    groups: tuple[int, ...] = PARTITIONS[1]  # of each joint; see `graphs.PARTITIONS`
    drop_path: float = Field(0.1, ge=0, lt=1)  # of the last block; blocks before it have less
    relation: Literal["uniform", "none"] = "uniform"  # where B starts: the skeleton's tree, or the identity
    group_block: bool = True  # ablation: without it S_i is the joint-to-joint block alone
    group_by_query: bool = True  # ablation: the term q e^T
    group_by_bias: bool = True  # ablation: the term w e^T
    joint_bias: bool = True  # ablation: the term alpha B

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads}).")
        if len(self.groups) != JOINTS:
            raise ValueError(f"groups: expected {JOINTS} numbers, one a joint of h36m17, got {len(self.groups)}.")
        if sorted(set(self.groups)) != list(range(len(set(self.groups)))):
            raise ValueError(f"groups: expected numbers from 0 without gaps, got {sorted(set(self.groups))}.")
        if self.group_block and not (self.group_by_query or self.group_by_bias):
            raise ValueError("group_by_query and group_by_bias are both off: switch group_block off instead.")
        return self

    @property
    def hidden(self) -> int:
        """Width inside the MLPs."""
        return round(self.width * self.mlp_ratio)


class EHGFormerConfig(EHGFormerSizes, frozen=True, extra="forbid"):
    """Of the published network."""

    kind: Literal["ehgformer"] = "ehgformer"


class OrdinaryEHGFormerConfig(EHGFormerSizes, frozen=True, extra="forbid"):
    """Of the network whose group attention splits heads in the ordinary way."""

    kind: Literal["ehgformer_ordinary"] = "ehgformer_ordinary"


SMALL = {"width": 128, "blocks": 6}  # the distilled student


class DropPath(nn.Module):
    """Leaves out whole sequences, (B, ...), in training; the others are scaled up in turn."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) -> (B, ...)."""
        if not self.training or not self.rate:
            return x
        kept = torch.rand(x.shape[:1] + (1,) * (x.dim() - 1), device=x.device, dtype=x.dtype) >= self.rate
        return x * kept / (1 - self.rate)


class MLP(nn.Module):
    """C -> hidden -> C, exact GELU."""

    def __init__(self, width: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        out: Tensor = self.dropout(self.contract(self.dropout(F.gelu(self.expand(x)))))
        return out


@dataclass(frozen=True)
class Parts:
    """What an attention multiplies, each (B, heads, L, d); `bias` (heads, L, L) is added to the scaled logits."""

    query: Tensor
    key: Tensor
    value: Tensor
    bias: Tensor | None = None

    def mixed(self) -> Tensor:
        """(B, L, C): softmax(q k^T / sqrt d + bias) v, heads side by side."""
        if torch.compiler.is_exporting():  # the exporter mistakes the layout that the fused attention returns
            out = self.map() @ self.value
        else:
            out = F.scaled_dot_product_attention(self.query, self.key, self.value, attn_mask=self.bias)
        return out.transpose(1, 2).flatten(2)

    def map(self) -> Tensor:
        """(B, heads, L, L): the softmax itself; rows are queries."""
        logits = self.query @ self.key.mT / math.sqrt(self.query.shape[-1])
        return (logits if self.bias is None else logits + self.bias).softmax(dim=-1)


class Attention(nn.Module):
    """The end of every attention: parts -> (B, L, C). Its subclasses make the parts."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def finish(self, parts: Parts) -> Tensor:
        """(B, L, C)."""
        out: Tensor = self.dropout(self.project(parts.mixed()))
        return out


class TimeAttention(Attention):
    """The third kind of the equations."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__(width, heads, dropout)
        self.qkv = nn.Linear(width, 3 * width)

    def parts(self, x: Tensor) -> Parts:
        """Of tokens (B, L, C)."""
        query, key, value = torch.unflatten(self.qkv(x), 2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return Parts(query, key, value)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, C) -> (B, L, C)."""
        return self.finish(self.parts(x))


class JointAttention(TimeAttention):
    """The first kind: logits are biased by `relation` (heads, J, J), before they are scaled."""

    def __init__(self, config: EHGFormerSizes, dropout: float) -> None:
        super().__init__(config.width, config.heads, dropout)
        start = torch.eye(JOINTS) if config.relation == "none" else torch.from_numpy(published_relation())
        self.relation = nn.Parameter(start.repeat(config.heads, 1, 1))
        self.alpha = nn.Parameter(torch.ones(1), requires_grad=config.joint_bias)
        if not config.joint_bias:
            nn.init.zeros_(self.alpha)

    def parts(self, x: Tensor) -> Parts:
        """Of tokens (B, J, C)."""
        plain = super().parts(x)
        scale = plain.query.shape[-1] ** -0.5
        return Parts(plain.query, plain.key, plain.value, (self.alpha * self.relation * scale)[None])


class GroupAttention(Attention):
    """The second kind, heads split as usual; keys are the features of groups, queries and values those of joints."""

    group_mean: Tensor  # (E, J)
    groups: Tensor  # (J,)

    def __init__(self, config: EHGFormerSizes, dropout: float) -> None:
        super().__init__(config.width, config.heads, dropout)
        width, self.by_query, self.by_bias = config.width, config.group_by_query, config.group_by_bias
        self.gather = nn.Linear(width, width, bias=False)  # W_p
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)  # the published k is never used; v is
        self.w = nn.Parameter(torch.zeros(config.heads, width // config.heads))
        for layer in (self.q, self.kv, self.project):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        member = np.eye(max(config.groups) + 1, dtype=np.float32)[list(config.groups)]  # (J, E)
        self.register_buffer("group_mean", torch.from_numpy((member / member.sum(axis=0)).T.copy()), persistent=False)
        self.register_buffer("groups", torch.from_numpy(np.array(config.groups)), persistent=False)

    def group_features(self, x: Tensor) -> Tensor:
        """(B, J, C) tokens before their norm -> (B, J, C): the feature of each joint's group."""
        features: Tensor = self.gather(self.group_mean @ x)
        return features.index_select(1, self.groups)

    def parts(self, u: Tensor, x: Tensor) -> Parts:
        """Of normalised tokens `u` and tokens `x`, both (B, J, C)."""
        query = self.split(self.q(u)) if self.by_query else u.new_zeros(1)
        if self.by_bias:
            query = query + self.w[:, None]
        key = self.split(self.group_features(x))
        return Parts(query.expand_as(key), key, self.values(u))

    def split(self, x: Tensor) -> Tensor:
        """(B, J, C) -> (B, heads, J, d)."""
        return torch.unflatten(x, 2, (self.heads, -1)).transpose(1, 2)

    def values(self, u: Tensor) -> Tensor:
        """(B, J, C) -> (B, heads, J, d)."""
        return self.split(self.kv(u).chunk(2, dim=-1)[1])

    def forward(self, u: Tensor, x: Tensor) -> Tensor:
        """(B, J, C) normalised and not -> (B, J, C)."""
        return self.finish(self.parts(u, x))


class ScrambledGroupAttention(GroupAttention):
    """As published: the memory of (B, J, C) is read as (B, heads, d, J)."""

    def split(self, x: Tensor) -> Tensor:
        """(B, J, C) -> (B, heads, J, d)."""
        return torch.unflatten(x.flatten(1), 1, (self.heads, -1, JOINTS)).mT

    def values(self, u: Tensor) -> Tensor:
        """(B, J, C) -> (B, heads, J, d): the second half of kv's memory, to which the first joints add nothing."""
        first = JOINTS // 2
        kv: Tensor = self.kv(u[:, first:])
        memory = kv.flatten(1)[:, JOINTS * u.shape[2] - 2 * first * u.shape[2] :]
        return torch.unflatten(memory, 1, (self.heads, -1, JOINTS)).mT


class JointBlock(nn.Module):
    """Joint to joint, (B, J, C) -> (B, J, C); in training the rate is that of dropout and of the left-out paths."""

    def __init__(self, config: EHGFormerSizes, rate: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width, eps=_EPS)
        self.attention = JointAttention(config, rate)
        self.mlp_norm = nn.LayerNorm(config.width, eps=_EPS)
        self.mlp = MLP(config.width, config.hidden, rate)
        self.drop_path = DropPath(rate)

    def forward(self, x: Tensor) -> Tensor:
        """(B, J, C) -> (B, J, C)."""
        x = x + self.drop_path(self.attention(self.norm(x)))
        out: Tensor = x + self.drop_path(self.mlp(self.mlp_norm(x)))
        return out


class GroupBlock(nn.Module):
    """Joint to group, (B, J, C) -> (B, J, C); no dropout in its MLP."""

    def __init__(self, config: EHGFormerSizes, rate: float, attention: type[GroupAttention]) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width, eps=_EPS)
        self.attention = attention(config, rate)
        self.mlp_norm = nn.LayerNorm(config.width, eps=_EPS)
        self.mlp = MLP(config.width, config.hidden)
        self.drop_path = DropPath(rate)

    def forward(self, x: Tensor) -> Tensor:
        """(B, J, C) -> (B, J, C)."""
        x = x + self.drop_path(self.attention(self.norm(x), x))
        out: Tensor = x + self.drop_path(self.mlp(self.mlp_norm(x)))
        return out


class TimeBlock(nn.Module):
    """Over frames, (B, T, C) -> (B, T, C); no dropout."""

    def __init__(self, config: EHGFormerSizes, rate: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width, eps=_EPS)
        self.attention = TimeAttention(config.width, config.heads)
        self.mlp_norm = nn.LayerNorm(config.width, eps=_EPS)
        self.mlp = MLP(config.width, config.hidden)
        self.drop_path = DropPath(rate)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        x = x + self.drop_path(self.attention(self.norm(x)))
        out: Tensor = x + self.drop_path(self.mlp(self.mlp_norm(x)))
        return out


class SpaceBlock(nn.Module):
    """S_i: joint to joint, then joint to group, (B, J, C) -> (B, J, C)."""

    def __init__(self, config: EHGFormerSizes, rate: float, attention: type[GroupAttention]) -> None:
        super().__init__()
        self.joints = JointBlock(config, rate)
        self.groups = GroupBlock(config, rate, attention) if config.group_block else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, J, C) -> (B, J, C)."""
        x = self.joints(x)
        return x if self.groups is None else self.groups(x)


@dataclass(frozen=True)
class AttentionMaps:
    """Softmax maps of one block; rows are queries, columns keys.

    Attributes:
        joints: (N, T, heads, J, J).
        groups: (N, T, heads, J, J), or None without a group block. In the published network rows and columns are not
            joints: the head split mixes joints and channels. Not to be read as joint-to-joint weights.
        time: (N, J, heads, T, T).
    """

    joints: Tensor
    groups: Tensor | None
    time: Tensor


class EHGFormer(nn.Module):
    """(N, T, 17, 3) normalised x, y and confidence -> (N, T, 17, 3); joints in the order of h36m17."""

    group_attention: ClassVar[type[GroupAttention]] = ScrambledGroupAttention
    default_config: ClassVar[type[EHGFormerSizes]] = EHGFormerConfig
    preparation: Preparation = PUBLISHED
    source: str = ""  # where the weights came from, and the SHA-256 of their file
    sha256: str = ""

    def __init__(self, config: EHGFormerSizes | None = None) -> None:
        super().__init__()
        self.config = config = config or self.default_config()
        width = config.width
        rates = np.linspace(0, config.drop_path, config.blocks).tolist()
        self.embed = nn.Linear(3, width)
        self.joint_embedding = nn.Parameter(torch.zeros(1, JOINTS, width))
        self.frame_embedding = nn.Parameter(torch.zeros(1, config.frames, width))
        self.space = nn.ModuleList(SpaceBlock(config, rate, self.group_attention) for rate in rates)
        self.time = nn.ModuleList(TimeBlock(config, rate) for rate in rates)
        self.space_norm = nn.LayerNorm(width, eps=_EPS)
        self.time_norm = nn.LayerNorm(width, eps=_EPS)
        self.head_norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 3)

    @property
    def window(self) -> int:
        """The most frames that a clip may have."""
        return self.config.frames

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, 17, 3), T up to `config.frames` -> (N, T, 17, 3).

        Raises:
            ShapeError: `x` is not (N, T, 17, 3), or has more frames than the network was made for.
        """
        out: Tensor = self.head(self.head_norm(self.features(x)))
        return out

    def features(self, x: Tensor) -> Tensor:
        """(N, T, 17, C): what the head reads, before its norm; raises as `forward`."""
        *_, (_, last) = self.stages(x)
        return last

    def stages(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Of each block in turn: the tokens after its space and its time part with their norms, both (N, T, 17, C)."""
        tokens = self._tokens(x)
        for number, (space, time) in enumerate(zip(self.space, self.time, strict=True)):
            frames = self.space_norm(space(tokens.flatten(0, 1)))
            spatial = frames.view(tokens.shape)
            tracks = self._tracks(spatial, number)
            tokens = torch.unflatten(self.time_norm(time(tracks)), 0, (-1, JOINTS)).transpose(1, 2)
            yield spatial, tokens

    @torch.no_grad()
    def attention_maps(self, x: Tensor, block: int) -> AttentionMaps:
        """The maps of one block, of clips (N, T, 17, 3).

        Raises:
            ShapeError: as `forward`. IndexError: there is no such block.
        """
        space, time = cast("SpaceBlock", self.space[block]), cast("TimeBlock", self.time[block])
        number = block % len(self.space)
        tokens = self._tokens(x)
        for _, (_, after) in zip(range(number), self.stages(x), strict=False):
            tokens = after
        frames, shape = tokens.flatten(0, 1), tokens.shape[:2]
        joints = space.joints.attention.parts(space.joints.norm(frames)).map()
        groups = None
        if space.groups is not None:
            y = space.joints(frames)
            groups = torch.unflatten(space.groups.attention.parts(space.groups.norm(y), y).map(), 0, shape)
        tracks = self._tracks(self.space_norm(space(frames)).view(tokens.shape), number)
        maps = torch.unflatten(time.attention.parts(time.norm(tracks)).map(), 0, (-1, JOINTS))
        return AttentionMaps(torch.unflatten(joints, 0, shape), groups, maps)

    def _tokens(self, x: Tensor) -> Tensor:
        """(N, T, 17, 3) -> (N, T, 17, C)."""
        expect_shape("x", x, f"N T>=1 J={JOINTS} C=3", fix="An EHGFormer takes clips of x, y, confidence in h36m17.")
        most = self.config.frames
        expect_shape("x", x, f"N T<={most} J C", fix=f"It was trained on {most} frames: cut the clip into windows.")
        out: Tensor = self.embed(x) + self.joint_embedding
        return out

    def _tracks(self, frames: Tensor, block: int) -> Tensor:
        """(N, T, 17, C) -> (N 17, T, C): what the time part of a block reads."""
        tracks = frames.transpose(1, 2).flatten(0, 1)
        return tracks + self.frame_embedding[:, : tracks.shape[1]] if block == 0 else tracks


class OrdinaryEHGFormer(EHGFormer):
    """An EHGFormer whose group attention splits heads as usual, so that maps of its groups can be read."""

    group_attention = GroupAttention
    default_config = OrdinaryEHGFormerConfig
