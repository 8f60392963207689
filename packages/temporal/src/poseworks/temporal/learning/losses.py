"""Training losses: the published ones of SmoothNet and DeciWatch, and the one for smoothed clips.

SmoothNet   mean |y - g| + w mean |acc(y) - acc(g)|,   acc(v)_t = v_{t-1} - 2 v_t + v_{t+1}     (sec. 3.3)
DeciWatch   mean over sampled frames |den - g| + l mean over all frames |rec - g|               (sec. 3.4)
clips       mean over joints and frames ||y - g|| + w ||acc(y) - acc(g)||, after windows were merged
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from poseworks.core.errors import ShapeError
from poseworks.core.shapes import expect_shape


@dataclass(frozen=True)
class LossParts:
    """A loss and what it is made of, all scalars."""

    loss: Tensor
    position: Tensor
    other: Tensor


def smoothnet_loss(predicted: Tensor, target: Tensor, acceleration_weight: float = 0.1) -> LossParts:
    """L1 of positions plus L1 of second differences inside each window, means over everything (Zeng et al. 2022).

    Args:
        predicted, target: (B, W, C), W >= 3. Accelerations are taken inside a window, W - 2 of them.
        acceleration_weight: 0.1 in every published configuration.

    Raises:
        ShapeError: the shapes differ, or W < 3.
    """
    _same(predicted, target, "B W>=3 C")
    difference = predicted - target
    position = difference.abs().mean()
    acceleration = difference.diff(n=2, dim=1).abs().mean()
    return LossParts(position + acceleration_weight * acceleration, position, acceleration)


def deciwatch_loss(
    recovered: Tensor, denoised: Tensor, target: Tensor, interval: int, recover_weight: float = 1.0
) -> LossParts:
    """L1 of the denoised sampled frames plus weighted L1 of all recovered frames (Zeng et al. 2022).

    Args:
        recovered, denoised, target: (B, L, C); `denoised` counts at frames 0, interval, 2 interval, ... alone.
        recover_weight: lambda of the published configurations, 1 to 5.

    Raises:
        ShapeError: the shapes differ.
    """
    _same(recovered, target, "B L C")
    _same(denoised, target, "B L C")
    position = (recovered - target).abs().mean()
    denoise = (denoised - target)[:, ::interval].abs().mean()
    return LossParts(denoise + recover_weight * position, position, denoise)


def clip_loss(predicted: Tensor, target: Tensor, weights: Tensor, acceleration_weight: float) -> LossParts:
    """Mean distance of joints plus weighted mean distance of their second differences, along whole clips.

    These are the two figures that smoothing is judged by, so windows are merged before the loss is taken and
    accelerations run across windows.

    Args:
        predicted, target: (B, J, D, T), T >= 3.
        weights: (B, T) or (T,), weight of each frame; an acceleration counts with the least of its three frames.

    Raises:
        ShapeError: the shapes differ, or T < 3.
    """
    _same(predicted, target, "B J D T>=3")
    difference = predicted - target
    frames = weights.expand(predicted.shape[0], -1)
    triples = torch.minimum(torch.minimum(frames[:, :-2], frames[:, 1:-1]), frames[:, 2:])
    position = _weighted(difference, frames)
    acceleration = _weighted(difference.diff(n=2, dim=-1), triples)
    return LossParts(position + acceleration_weight * acceleration, position, acceleration)


def _weighted(vectors: Tensor, frames: Tensor) -> Tensor:
    """Mean length of vectors (B, J, D, T), frames weighted (B, T)."""
    length = (vectors.square().sum(dim=2) + 1e-8).sqrt().mean(dim=1)  # 1e-8: the gradient at 0 is 0, not NaN
    return (length * frames).sum() / frames.sum().clamp(min=1e-12)


def _same(predicted: Tensor, target: Tensor, pattern: str) -> None:
    expect_shape("predicted", predicted, pattern)
    if predicted.shape != target.shape:
        raise ShapeError(f"target: expected {tuple(predicted.shape)} as predicted, got {tuple(target.shape)}.")
