"""LCN: lift one frame by layers that join each joint to its neighbours alone (Ci et al. 2019, ICCV; 2020, TPAMI).

    W' = (W min(1, 1 / |W|)) o L         |W| Frobenius norm of the whole weight, L the mask of joint pairs
    linear(x) = x W' + b
    act(x) = dropout(leaky(BN(x), 0.2))  BN: one scale a channel, shared by all joints
    y = act(linear1(x));   y = y + act(linear3(act(linear2(y)))), `layers` times
    result = linear4(y) + (x, y of the input; 0)

The norm is that of the whole weight, masked entries included, and is clipped at inference as well: a checkpoint holds
the weights as they were trained, unclipped and unmasked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field, PositiveInt, model_validator
from torch import Tensor, nn

from poseworks.core.inference import Derived, buffer, needs_layers
from poseworks.core.shapes import expect_shape
from poseworks.lifting.blocks import BlockPlan, block_plan
from poseworks.lifting.graphs import GRAPH_0, MaskType, Neighbours, edges, mask
from poseworks.lifting.input_forms import PUBLISHED, Preparation

if TYPE_CHECKING:
    from typing import Self

_BLOCK_FRAMES = 256  # frames whose activations, 1.1 MB a layer, stay in the cache
_FEW_FRAMES = 16  # below it one product with the zeros in it is faster than many without: measured


class LCNConfig(BaseModel, frozen=True, extra="forbid"):
    """Sizes of an LCN. The defaults are the published model for Human3.6M."""

    kind: Literal["lcn"] = "lcn"
    in_features: Literal[2, 3] = 2  # x, y, or x, y, confidence
    channels: PositiveInt = 64  # of each joint, in every hidden layer
    layers: int = Field(3, ge=0)
    knn: int = Field(3, ge=1, le=64)  # steps along the graph that a layer joins
    mask_type: MaskType = "locally_connected"
    mask_start: Literal["same", "ones", "random"] = "same"  # of the learnable mask
    mask_seed: int = Field(0, ge=0)  # of the random graph
    limb_lengths: tuple[float, ...] | None = None  # mean lengths for the Laplacian, in the order of `graphs.edges`
    neighbours: Neighbours = GRAPH_0
    dropout: float = Field(0.25, ge=0, lt=1)

    @model_validator(mode="after")
    def _graph_holds_together(self) -> Self:
        joints = len(self.neighbours)
        for joint, near in enumerate(self.neighbours):
            outside = [other for other in near if not 0 <= other < joints or other == joint]
            if outside:
                raise ValueError(f"neighbours of {joint}: {outside}: expected other joints, 0 to {joints - 1}.")
            alone = [other for other in near if joint not in self.neighbours[other]]
            if alone:
                raise ValueError(f"neighbours of {joint} name {alone}, which do not name it. State each pair twice.")
        if not joints:
            raise ValueError("neighbours: expected a list for each joint.")
        return self

    @model_validator(mode="after")
    def _lengths_where_they_matter(self) -> Self:
        if (self.mask_type == "laplacian") != (self.limb_lengths is not None):
            raise ValueError("limb_lengths are needed by mask_type laplacian, and by no other. State both or neither.")
        if self.limb_lengths is not None:
            wanted = len(edges(self.neighbours))
            if len(self.limb_lengths) != wanted or min(self.limb_lengths) <= 0:
                raise ValueError(f"limb_lengths: expected {wanted} positive lengths, one an edge of the graph.")
        return self

    @property
    def joints(self) -> int:
        """J."""
        return len(self.neighbours)


class LocallyConnected(nn.Module):
    """(N, J a) -> (N, J b): clipped by its norm, then masked by blocks of joints, then the bias."""

    def __init__(self, joints: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.joints = joints
        self.weight = nn.Parameter(_truncated_normal(joints * inputs, joints * outputs))
        self.bias = nn.Parameter(_truncated_normal(joints * outputs))

    def clipped(self) -> Tensor:
        """The weight, (J a, J b), of norm 1 at most."""
        # In double precision: torch's sum of a million squares is off in the fifth digit, and batch norms amplify it.
        norm = torch.linalg.vector_norm(self.weight, dtype=torch.float64).to(self.weight.dtype)
        clipped: Tensor = self.weight / norm.clamp(min=1)
        return clipped

    def masked(self, mask: Tensor) -> Tensor:
        """W', (J a, J b)."""
        blocks = _blocks(self.clipped(), self.joints) * mask[:, None, :, None]
        return blocks.flatten(2).flatten(0, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(N, J a) and the mask (J, J) of input by output joints -> (N, J b)."""
        return F.linear(x, self.masked(mask).mT, self.bias)


class JointNorm(nn.Module):
    """Batch normalisation over samples and joints alike, (N, J b) -> (N, J b); variances are the biased ones."""

    eps = 1e-3
    momentum = 0.01  # share of a batch in the moving statistics
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """In training by the statistics of the batch, which the moving ones follow; else by these."""
        samples = x.reshape(-1, len(self.weight))
        if self.training:
            with torch.no_grad():
                variance, mean = torch.var_mean(samples, dim=0, correction=0)
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance, self.momentum)
            y = F.batch_norm(samples, None, None, self.weight, self.bias, training=True, eps=self.eps)
        else:
            statistics = (self.running_mean, self.running_var)
            y = F.batch_norm(samples, *statistics, self.weight, self.bias, eps=self.eps)
        return y.view_as(x)

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """(b,) and (b,): what the moving statistics amount to."""
        scale = self.weight / torch.sqrt(self.running_var + self.eps)
        return scale, self.bias - self.running_mean * scale


class Activation(nn.Module):
    """BN, leaky ReLU, dropout: (N, J b) -> (N, J b)."""

    slope = 0.2

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.norm = JointNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(N, J b) -> (N, J b)."""
        out: Tensor = self.dropout(F.leaky_relu(self.norm(x), self.slope))
        return out


class Block(nn.Module):
    """The last two lines of the equations but one: y + act(linear3(act(linear2(y))))."""

    def __init__(self, joints: int, channels: int, dropout: float) -> None:
        super().__init__()
        self.first = LocallyConnected(joints, channels, channels)
        self.first_activation = Activation(channels, dropout)
        self.second = LocallyConnected(joints, channels, channels)
        self.second_activation = Activation(channels, dropout)

    def forward(self, y: Tensor, mask: Tensor) -> Tensor:
        """(N, J b) -> (N, J b)."""
        h = self.first_activation(self.first(y, mask))
        out: Tensor = y + self.second_activation(self.second(h, mask))
        return out


class LCN(nn.Module):
    """(N, J, 2 or 3) normalised keypoints -> (N, J, 3) normalised image x, y and depth relative to the root."""

    fixed_mask: Tensor
    preparation: Preparation = PUBLISHED
    source: str = ""  # where the weights came from, and the SHA-256 of their file
    sha256: str = ""

    def __init__(self, config: LCNConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or LCNConfig()
        joints, channels = config.joints, config.channels
        start = torch.from_numpy(
            mask(
                config.mask_type, config.neighbours, config.knn, lengths=config.limb_lengths, seed=config.mask_seed
            )
        )  # fmt: skip
        self.register_buffer("fixed_mask", start, persistent=False)
        if config.mask_type == "locally_connected_learnable":
            match config.mask_start:
                case "same":
                    logits = start.clone()
                case "ones":
                    logits = torch.ones_like(start)
                case "random":
                    logits = torch.rand(joints, joints)
            self.mask_logits = nn.Parameter(logits)
        self.input = LocallyConnected(joints, config.in_features, channels)
        self.input_activation = Activation(channels, config.dropout)
        self.blocks = nn.ModuleList(Block(joints, channels, config.dropout) for _ in range(config.layers))
        self.output = LocallyConnected(joints, channels, 3)
        self._packed = Derived[Packed]()

    def mask(self) -> Tensor:
        """(J, J) by input and output joint. A learnable one is a softmax over input joints, cut to the graph."""
        if self.config.mask_type == "locally_connected_learnable":
            return self.mask_logits.softmax(dim=0) * (self.fixed_mask != 0)
        return self.fixed_mask

    def forward(self, x: Tensor) -> Tensor:
        """(N, J, 2 or 3) -> (N, J, 3).

        Raises:
            ShapeError: `x` has another shape than `config.in_features` says.
        """
        c = self.config
        wanted = "x, y" if c.in_features == 2 else "x, y, confidence"
        expect_shape("x", x, f"N J={c.joints} C={c.in_features}", fix=f"This LCN takes one frame a row: {wanted}.")
        if torch.is_grad_enabled() or self.training or needs_layers(x):
            return self.layers(x)
        return self.infer(x)

    def layers(self, x: Tensor) -> Tensor:
        """The plain stack of layers, zeros of the mask included: for training and other devices."""
        mask = self.mask()
        y = self.input_activation(self.input(x.flatten(1), mask))
        for block in self.blocks:
            y = block(y, mask)
        return _with_input(self.output(y, mask), x)

    def folded(self) -> list[tuple[Tensor, Tensor]]:
        """Weight (J b, J a) and bias (J b) of every layer in turn: clipped, masked, norms folded in; no gradients."""
        with torch.no_grad():
            mask = self.mask()
            pairs = [(self.input, self.input_activation)]
            for block in self.blocks:
                assert isinstance(block, Block)
                pairs += [(block.first, block.first_activation), (block.second, block.second_activation)]
            folded = []
            for linear, activation in pairs:
                scale, shift = (part.repeat(self.config.joints) for part in activation.norm.scale_and_shift())
                folded.append(((linear.masked(mask) * scale).mT.contiguous(), linear.bias * scale + shift))
            return [*folded, (self.output.masked(mask).mT.contiguous(), self.output.bias.clone())]

    @torch.no_grad()
    def infer(self, x: Tensor) -> Tensor:
        """(N, J, 2 or 3) -> (N, J, 3), float32 on the CPU, of which blocks that the mask makes zero are not computed.

        The folded weights are kept until a parameter or a buffer changes in place, by torch's count of versions. What
        changes through ``.data``, or takes a parameter's place, is not seen before the next `train` or `eval`.
        """
        packed = self.packed()
        parts = [packed(part) for part in torch.split(x, _BLOCK_FRAMES)]
        return torch.cat(parts) if len(parts) != 1 else parts[0]

    def packed(self) -> Packed:
        """The weights of the inference path, made again where something changed."""
        return self._packed.of(self, lambda: Packed.of(self))

    @property
    def multiply_adds(self) -> int:
        """Products of one frame in the inference path: the blocks that the mask leaves, and all of both end layers."""
        c = self.config
        hidden = sum(rectangle.area for rectangle in block_plan(self.fixed_mask.numpy(force=True)).rectangles)
        ends = c.joints**2 * c.channels * (c.in_features + 3)
        return ends + 2 * c.layers * hidden * c.channels**2

    def compact_tensors(self) -> dict[str, Tensor]:
        """The state dict with every weight clipped and cut to the blocks (n, a, b) that the mask leaves.

        Inference needs no more: the rest only counts in the norm, which clipping has made 1 at most.
        """
        tensors: dict[str, Tensor] = self.state_dict()
        for name, layer in self._linears():
            blocks = _blocks(layer.clipped().detach(), layer.joints).transpose(1, 2)
            tensors[f"{name}.weight"] = blocks[self.fixed_mask != 0]
        return tensors

    def whole_tensors(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same with zeros where `compact_tensors` left blocks out; whole weights stay as they are."""
        whole, kept = dict(tensors), self.fixed_mask != 0
        for name, layer in self._linears():
            blocks = torch.zeros_like(_blocks(layer.weight, layer.joints)).transpose(1, 2)  # (J, J, a, b)
            given = whole.get(f"{name}.weight")
            if given is not None and given.shape == (int(kept.sum()), *blocks.shape[2:]):
                blocks[kept] = given
                whole[f"{name}.weight"] = blocks.transpose(1, 2).flatten(2).flatten(0, 1)
        return whole

    def _linears(self) -> Iterator[tuple[str, LocallyConnected]]:
        return ((name, layer) for name, layer in self.named_modules() if isinstance(layer, LocallyConnected))

    def train(self, mode: bool = True) -> Self:
        """As in torch; forgets the folded weights."""
        self._packed.forget()
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """As in torch, for `to` and its kin; forgets them as well."""
        self._packed.forget()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


@dataclass(frozen=True)
class Packed:
    """The inference path of an LCN: activations are columns (J b, N), joints in the order of a `BlockPlan`."""

    plan: BlockPlan
    order: Tensor  # of the plan
    inverse: Tensor
    layers: tuple[tuple[Tensor, Tensor], ...]  # weight (J b, J a), bias (J b, 1)
    channels: int

    @classmethod
    def of(cls, network: LCN) -> Packed:
        """Of the weights as they are now."""
        joints = network.config.joints
        plan = block_plan(network.fixed_mask.numpy())
        order = torch.tensor(plan.order)
        layers = []
        for weight, bias in network.folded():
            sorted_weight = _blocks(weight, joints)[order][:, :, order].flatten(2).flatten(0, 1).contiguous()
            layers.append((sorted_weight, bias.view(joints, -1)[order].view(-1, 1)))
        return cls(plan, order, order.argsort(), tuple(layers), network.config.channels)

    def __call__(self, x: Tensor) -> Tensor:
        """(N, J, 2 or 3) -> (N, J, 3)."""
        frames, joints, _ = x.shape
        if frames < _FEW_FRAMES:
            rows = _stack([(weight, bias[:, 0]) for weight, bias in self.layers], x[:, self.order].flatten(1))
            return _with_input(rows.view(frames, joints, 3)[:, self.inverse], x)
        first, *hidden, last = self.layers
        columns = x[:, self.order].flatten(1).T.contiguous()
        size = joints * self.channels
        y, h, g = (buffer(f"lcn {name}", size, frames) for name in "yhg")
        F.leaky_relu_(torch.addmm(first[1], first[0], columns, out=y), Activation.slope)
        for one, other in zip(hidden[::2], hidden[1::2], strict=True):
            F.leaky_relu_(self._product(one, y, h), Activation.slope)
            y += F.leaky_relu_(self._product(other, h, g), Activation.slope)
        out = torch.addmm(last[1], last[0], y).view(joints, 3, frames)
        return _with_input(out[self.inverse].permute(2, 0, 1), x)

    def _product(self, layer: tuple[Tensor, Tensor], x: Tensor, out: Tensor) -> Tensor:
        """weight @ x + bias, written to `out`."""
        weight, bias = layer
        out.copy_(bias.expand_as(out))
        c = self.channels
        for r in self.plan.rectangles:
            rows, columns = slice(r.left * c, r.right * c), slice(r.top * c, r.bottom * c)
            out[rows].addmm_(weight[rows, columns], x[columns])
        return out


class FoldedLCN(nn.Module):
    """An LCN for inference and export: each layer one matrix, as `LCN.folded` gives it."""

    def __init__(self, network: LCN) -> None:
        super().__init__()
        self.joints = network.config.joints
        folded = network.folded()
        self.weights = nn.ParameterList(weight for weight, _ in folded)
        self.biases = nn.ParameterList(bias for _, bias in folded)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, J, 2 or 3) -> (N, J, 3)."""
        return _with_input(_stack(list(zip(self.weights, self.biases, strict=True)), x.flatten(1)), x)


def _stack(layers: Sequence[tuple[Tensor, Tensor]], x: Tensor) -> Tensor:
    """(N, J a) -> (N, 3 J) by folded layers."""
    first, *hidden, last = layers
    y = F.leaky_relu(F.linear(x, *first), Activation.slope)
    for one, other in zip(hidden[::2], hidden[1::2], strict=True):
        h = F.leaky_relu(F.linear(y, *one), Activation.slope)
        y = y + F.leaky_relu(F.linear(h, *other), Activation.slope)
    return F.linear(y, *last)


def _with_input(out: Tensor, x: Tensor) -> Tensor:
    """(N, 3 J or J, 3) with the input's x, y added; its confidence is not."""
    moved = out.reshape(-1, x.shape[1], 3)
    return torch.cat([moved[..., :2] + x[..., :2], moved[..., 2:]], dim=-1)


def _blocks(weight: Tensor, joints: int) -> Tensor:
    """(J a, J b) -> (J, a, J, b)."""
    return weight.view(joints, len(weight) // joints, joints, -1)


def _truncated_normal(*shape: int) -> Tensor:
    """Cut at two standard deviations, times sqrt(2 / first size): the published start, of biases as well."""
    start: Tensor = nn.init.trunc_normal_(torch.empty(shape), std=1.0, a=-2.0, b=2.0) * (2 / shape[0]) ** 0.5
    return start
