"""What networks from pictures to a body are trained on: each loss by itself, and their kinds and weights as data.

    points    sum c d(p - q) / entries with c > 0                  2D in -1..1 of the crop, 3D about the hips, metres
    body      mean of d(p - q) over the people whose body is known: vertices, rotation matrices, betas
    camera    mean exp(-10 s)^2                                                       no body behind the camera
    adversary mean (D(real) - 1)^2 + mean D(found)^2;   for the network mean (D(found) - 1)^2
    parts     cross-entropy of the part that each pixel shows

c: confidence; d: a kind of difference (`difference`; the mean square has no half). With `counted` "people" a loss of
points is the mean over all entries of those people who have any, as SPIN, GraphCMR and Graphormer have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, NonNegativeFloat
from torch import Tensor

from poseworks.core.errors import ConfigError, ShapeError
from poseworks.core.shapes import expect_shape

Kind = Literal["l1", "smooth_l1", "mse"]
Counted = Literal["entries", "people"]

HIPS = ("right_hip_extra", "left_hip_extra")  # joints in 3D are compared about their middle


class Term(BaseModel, frozen=True, extra="forbid"):
    """A loss: how a difference counts, and its weight; with weight 0 it is not computed."""

    kind: Kind = "mse"
    weight: NonNegativeFloat = 0.0


class LossSettings(BaseModel, frozen=True, extra="forbid"):
    """All losses of a network.

    Attributes:
        joints: 3D. keypoints: 2D. vertices, pose (24 matrices), betas: of those whose body is known.
        camera, adversary, parts: weights.
        counted: what losses of points are divided by, as above.
    """

    joints: Term = Term()
    keypoints: Term = Term()
    vertices: Term = Term()
    pose: Term = Term()
    betas: Term = Term()
    camera: NonNegativeFloat = 0.0
    adversary: NonNegativeFloat = 0.0
    parts: NonNegativeFloat = 0.0
    counted: Counted = "entries"

    def in_l1(self) -> LossSettings:
        """The same weights, with every difference in L1: the variant of the study."""
        terms = {name: term for name, term in self if isinstance(term, Term)}
        return self.model_copy(update={n: term.model_copy(update={"kind": "l1"}) for n, term in terms.items()})


def difference(predicted: Tensor, target: Tensor, kind: Kind) -> Tensor:
    """The difference of each entry: absolute, its square, or half the square below 1 and absolute less a half above.

    Raises:
        ShapeError: the shapes differ.
    """
    if predicted.shape != target.shape:
        raise ShapeError(f"loss: predicted {tuple(predicted.shape)}, target {tuple(target.shape)}.")
    match kind:
        case "l1":
            return (predicted - target).abs()
        case "smooth_l1":
            return F.smooth_l1_loss(predicted, target, reduction="none")
        case "mse":
            return (predicted - target).square()


def point_loss(
    predicted: Tensor, target: Tensor, confidence: Tensor, kind: Kind, counted: Counted = "entries"
) -> Tensor:
    """A scalar of points (B, J, C), weighted by their confidence (B, J); 0 where none has any.

    Raises:
        ShapeError: the shapes differ.
    """
    expect_shape("confidence", confidence, f"B={len(target)} J={target.shape[1]}")
    # A point that is not known may be anything, NaN as well: it takes no part, instead of 0 times its difference.
    known = (confidence > 0)[..., None].expand_as(target)
    terms = torch.where(known, difference(predicted, torch.where(known, target, 0.0), kind), 0.0)
    total = (terms * confidence[..., None]).sum()
    if counted == "entries":
        return total / known.sum().clamp(min=1)
    people = (confidence > 0).any(dim=1).sum()
    return total / (people * target[0].numel() if len(target) else people).clamp(min=1)


def about_hips(joints: Tensor, confidence: Tensor, names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Joints (B, J, 3) about the middle of the hips, and their confidence (B, J): 0 of people without both hips.

    Raises:
        ConfigError: the names have no hips.
    """
    missing = [hip for hip in HIPS if hip not in names]
    if missing:
        raise ConfigError(
            f"joints: {', '.join(missing)} missing; 3D losses are about the hips. Take smpl_24 or smpl_49."
        )
    hips = [list(names).index(hip) for hip in HIPS]
    seen = (confidence[:, hips] > 0).all(dim=1, keepdim=True)
    return joints - joints[:, hips].mean(dim=1, keepdim=True), confidence * seen


def body_loss(predicted: Tensor, target: Tensor, valid: Tensor, kind: Kind) -> Tensor:
    """A scalar: the mean over all entries (B, ...) of the valid (B,) people; 0 where there are none.

    Raises:
        ShapeError: the shapes differ.
    """
    expect_shape("valid", valid, f"B={len(target)}")
    counts = valid.reshape(-1, *[1] * (target.dim() - 1)).expand_as(target)
    terms = torch.where(counts, difference(predicted, torch.where(counts, target, 0.0), kind), 0.0)
    return terms.sum() / counts.sum().clamp(min=1)


def camera_loss(camera: Tensor) -> Tensor:
    """A scalar of cameras (B, 3): mean exp(-10 s)^2."""
    return torch.exp(-10 * camera[:, 0]).square().mean()


def part_loss(logits: Tensor, parts: Tensor) -> Tensor:
    """Cross-entropy of part logits (B, 25, h, w) over the pixels whose part (B, H, W) is known (0 or more).

    The labels' size is a multiple of the map's: of each block its middle counts.

    Raises:
        ShapeError: it is not.
    """
    height, width = logits.shape[2:]
    if parts.shape[1] % height or parts.shape[2] % width:
        raise ShapeError(f"parts: {tuple(parts.shape[1:])} is no multiple of the map's size ({height}, {width}).")
    rows, columns = parts.shape[1] // height, parts.shape[2] // width
    labels = parts[:, rows // 2 :: rows, columns // 2 :: columns]
    total = F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
    return total / (labels >= 0).sum().clamp(min=1)


def told_apart_loss(real: Tensor, found: Tensor) -> Tensor:
    """The adversary's loss: what it says (N, 25) of people from motion capture is to be 1, of those found (N, 25) 0."""
    return (real - 1).square().mean() + found.square().mean()


def taken_for_real_loss(found: Tensor) -> Tensor:
    """The network's loss: the adversary is to say 1 (N, 25) of what it finds."""
    return (found - 1).square().mean()
