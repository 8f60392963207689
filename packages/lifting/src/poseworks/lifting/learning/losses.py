"""Losses of the published training of EHGFormer, on clips (N, T, J, 3) of prediction p and label g.

    position      mean over joints and frames of |p - g|
    velocity      mean of |(p_t+1 - p_t) - (g_t+1 - g_t)|
    consistency   mean of the squared components of p_t+1 - p_t
    scale         position of a p, with a = <p, g> / <p, p> of each frame

|.| is the length of a joint's vector. The published code has further terms for limbs and angles, all of weight 0 in
every published configuration.
"""

from __future__ import annotations

import torch
from pydantic import BaseModel, NonNegativeFloat
from torch import Tensor

from poseworks.core.errors import ShapeError
from poseworks.core.metrics import mpjpe, n_mpjpe
from poseworks.core.shapes import expect_shape


class LossWeights(BaseModel, frozen=True, extra="forbid"):
    """How much each loss counts beside the position, which counts 1. The defaults are the published ones."""

    velocity: NonNegativeFloat = 2.0
    consistency: NonNegativeFloat = 0.5
    scale: NonNegativeFloat = 0.0


def position_loss(predicted: Tensor, label: Tensor) -> Tensor:
    """Mean distance of the joints, a scalar, in the unit of the inputs.

    Raises:
        ShapeError: the shapes differ, or are not (..., J, 3).
    """
    return mpjpe(predicted, label).mean()


def velocity_loss(predicted: Tensor, label: Tensor) -> Tensor:
    """Mean distance of the first differences over time, a scalar; 0 for single frames.

    Raises:
        ShapeError: the shapes differ, or are not (N, T, J, 3).
    """
    _expect_clips(predicted, label)
    if predicted.shape[1] < 2:
        return predicted.sum() * 0
    distances: Tensor = torch.linalg.vector_norm((predicted - label).diff(dim=1), dim=-1)
    return distances.mean()


def consistency_loss(predicted: Tensor) -> Tensor:
    """Mean square of the components of the first differences over time, a scalar; 0 for single frames.

    Raises:
        ShapeError: not (N, T, J, 3).
    """
    _expect_clips(predicted, predicted)
    if predicted.shape[1] < 2:
        return predicted.sum() * 0
    return predicted.diff(dim=1).square().mean()


def scale_loss(predicted: Tensor, label: Tensor) -> Tensor:
    """Mean distance of the joints after each predicted frame was scaled to fit best, a scalar.

    Raises:
        ShapeError: the shapes differ, or are not (..., J, 3).
    """
    return n_mpjpe(predicted, label).mean()


def clip_losses(predicted: Tensor, label: Tensor, weights: LossWeights) -> dict[str, Tensor]:
    """The weighted sum as ``loss``, and the parts that count, unweighted, by name.

    Args:
        predicted, label: (N, T, J, 3).

    Raises:
        ShapeError: the shapes differ, or are others.
    """
    _expect_clips(predicted, label)
    parts = {"position": position_loss(predicted, label)}
    total = parts["position"]
    if weights.velocity:
        parts["velocity"] = velocity_loss(predicted, label)
        total = total + weights.velocity * parts["velocity"]
    if weights.consistency:
        parts["consistency"] = consistency_loss(predicted)
        total = total + weights.consistency * parts["consistency"]
    if weights.scale:
        parts["scale"] = scale_loss(predicted, label)
        total = total + weights.scale * parts["scale"]
    return {"loss": total, **parts}


def _expect_clips(predicted: Tensor, label: Tensor) -> None:
    expect_shape("predicted", predicted, "N T J C=3", fix="Losses of motion are taken on clips.")
    if predicted.shape != label.shape:
        raise ShapeError(f"label: expected {tuple(predicted.shape)} as predicted, got {tuple(label.shape)}.")
