"""Heatmap volumes as one dense torch expression, on any device: the twin of `heatmaps` (Duan et al. 2022, sec. 3.2).

    joint  v exp(-|p - m|^2 / 2 s^2)            m: the joint, v: its score, s: sigma
    limb   v exp(-dist(p, [a, b])^2 / 2 s^2)    v: the lower score of its ends a and b

Each is cut off at a window: 3 s around the joint, or around the box of the limb. People are merged by maximum.
"""

from __future__ import annotations

import torch
from torch import Tensor

from poseworks.core.errors import ConfigError, ShapeError
from poseworks.core.shapes import expect_shape
from poseworks.skeleton_action.layouts import JointLayout, Stream


def draw_volumes(
    keypoints: Tensor,
    scores: Tensor,
    size: tuple[int, int],
    layout: JointLayout,
    stream: Stream,
    sigma: float = 0.6,
    epsilon: float = 1e-4,
) -> Tensor:
    """Volumes (B, C, T, H, W), float32, on the device of the keypoints; a channel for each joint, or for each limb.

    No step depends on values, so it can be exported and compiled. On the way joints take memory for one volume a
    person, limbs for about six.

    Args:
        keypoints: (B, M, T, V, 2) x and y in pixels of the volume; where it is NaN nothing is drawn.
        scores: (B, M, T, V); what is below `epsilon` is not drawn.
        size: height and width.
        layout: V joints, and limbs between them.
        stream: ``joint`` or ``limb``.
        sigma: of the Gaussians, in pixels.
        epsilon: 1e-4 in mmaction, 1e-3 in pyskl.

    Raises:
        ShapeError: keypoints, scores and layout do not fit together, or there are no people.
        ConfigError: `stream` is neither.
    """
    expect_shape("keypoints", keypoints, f"B M>=1 T V={layout.num_joints} C=2", "The layout names the joints.")
    if scores.shape != keypoints.shape[:-1]:
        raise ShapeError(f"scores: expected {tuple(keypoints.shape[:-1])} as the keypoints, got {tuple(scores.shape)}.")
    match stream:
        case "joint":
            people = _joints(keypoints, scores, size, sigma, epsilon)
        case "limb":
            a, b = torch.tensor(layout.limbs, device=keypoints.device).unbind(dim=1)
            ends, end_scores = (keypoints[..., a, :], keypoints[..., b, :]), (scores[..., a], scores[..., b])
            people = _limbs(*ends, *end_scores, size, sigma, epsilon)
        case _:
            raise ConfigError(f"stream: expected 'joint' or 'limb', got {stream!r}.")
    return people.amax(dim=1).transpose(1, 2)


def _joints(m: Tensor, scores: Tensor, size: tuple[int, int], sigma: float, epsilon: float) -> Tensor:
    """(B, M, T, V, H, W): a Gaussian is the product of one along x and one along y."""
    v = torch.where(scores >= epsilon, scores, 0).float()
    along_x, along_y = (
        torch.where(_inside(center, center, count, sigma), _gaussian(_offsets(center, count) ** 2, sigma), 0)
        for center, count in ((m[..., 0], size[1]), (m[..., 1], size[0]))
    )
    return (v[..., None] * along_y)[..., :, None] * along_x[..., None, :]


def _limbs(
    a: Tensor, b: Tensor, score_a: Tensor, score_b: Tensor, size: tuple[int, int], sigma: float, epsilon: float
) -> Tensor:
    """(B, M, T, limbs, H, W); a limb shorter than one pixel is drawn as its joint `a`."""
    v = torch.minimum(score_a, score_b)
    drawn = v >= epsilon
    short = (b - a).square().sum(dim=-1) < 1
    v = torch.where(short, score_a, v).float()
    b = torch.where(short[..., None], a, b)
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    inside_x = _inside(low[..., 0], high[..., 0], size[1], sigma)[..., None, :]
    inside_y = (_inside(low[..., 1], high[..., 1], size[0], sigma) & drawn[..., None])[..., :, None]
    # p - a, b - a, and u, which part of the way from a to b is nearest to p: all sums of an x part and a y part.
    x, y = _offsets(a[..., 0], size[1])[..., None, :], _offsets(a[..., 1], size[0])[..., :, None]
    along_x, along_y = (b - a).float()[..., None, None].unbind(dim=-3)
    squared_length = (along_x.square() + along_y.square()).clamp(min=1)
    u = (x * (along_x / squared_length) + y * (along_y / squared_length)).clamp(0, 1)
    squared = (x - u * along_x).square() + (y - u * along_y).square()
    return torch.where(inside_x & inside_y, _gaussian(squared, sigma) * v[..., None, None], 0)


def _inside(low: Tensor, high: Tensor, count: int, sigma: float) -> Tensor:
    """(..., count): pixels from 3 sigma below `low` to 3 above `high`, both truncated toward zero as published."""
    pixels = torch.arange(count, device=low.device)
    first, last = (low - 3 * sigma).trunc(), (high + 3 * sigma).trunc()
    return (pixels >= first[..., None]) & (pixels <= last[..., None])


def _offsets(center: Tensor, count: int) -> Tensor:
    """(..., count): from `center` to each pixel; subtracted in the precision of `center`."""
    return (torch.arange(count, device=center.device, dtype=center.dtype) - center[..., None]).float()


def _gaussian(squared: Tensor, sigma: float) -> Tensor:
    return torch.exp(squared * (-0.5 / sigma**2))
